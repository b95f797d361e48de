// What a threshold makes of the scores.

const OUTCOMES = {
  found: { right: true, name: "found" },
  missed: { right: false, name: "missed" },
  alarm: { right: false, name: "false alarm" },
  clear: { right: true, name: "good" },
};

// Strictly above the threshold is a defect; what is not a number is not above it.
function outcomeOf(image, threshold) {
  const called = image.score !== null && image.score > threshold;
  if (image.label) return called ? "found" : "missed";
  return called ? "alarm" : "clear";
}

function isCalled(outcome) {
  return outcome === "found" || outcome === "alarm";
}

// How many of `entries` have each outcome, and by type how many there are and were called.
function tally(entries) {
  const outcomes = { found: 0, missed: 0, alarm: 0, clear: 0 };
  const types = new Map();
  for (const { image, outcome } of entries) {
    outcomes[outcome] += 1;
    const type = types.get(image.type) ?? { images: 0, called: 0 };
    type.images += 1;
    type.called += isCalled(outcome);
    types.set(image.type, type);
  }
  return { outcomes, types };
}

// Where the slider runs from and to: all scores and the stored threshold, with a little room.
function scoreRange(images, stored) {
  const values = images.map(({ score }) => score).filter((value) => value !== null);
  if (stored !== null) values.push(stored);
  if (!values.length) return { low: 0, high: 1, middle: 0.5 };
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const room = 0.02 * (high - low) || Math.abs(high) * 0.02 || 1;
  return { low: low - room, high: high + room, middle: (low + high) / 2 };
}
