// The threshold's panel: histogram, slider, verdicts, types.

// types: [{name, look, images}]. onMove gets a threshold, onTypes the set of hidden types.
function makePanel({ images, types, stored, command, onMove, onTypes }) {
  const range = scoreRange(images, stored?.image ?? null);
  const start = stored?.image ?? range.middle;
  const slider = byId("slider"), exact = byId("exact");
  const steps = Number(slider.max);
  const groups = types.map(({ look, images: own }) => ({
    look, scores: own.map((image) => image.score).filter((value) => value !== null),
  }));
  const chart = histogram({ groups, ...range });
  byId("histogram").append(chart.svg);
  byId("tallest").textContent = `tallest bar: ${plural(chart.highest, "image", "images")}`;
  byId("slider-low").textContent = score(range.low);
  byId("slider-high").textContent = score(range.high);
  byId("origin").textContent = originOf(stored);
  byId("origin").title = stored?.note ?? "";
  byId("typed").hidden = !command;
  makeCopy(byId("copy-command"), () => byId("command").value);
  const rows = typeRows(types, onTypes);

  const show = (threshold, from) => {
    chart.move(threshold);
    if (from !== slider) {
      slider.value = Math.round(((threshold - range.low) / (range.high - range.low)) * steps);
    }
    if (from !== exact) exact.value = Number(threshold.toPrecision(6));
    byId("command").value = `${command} threshold=${typed(threshold)}`;
    slider.setAttribute("aria-valuetext", score(threshold));
    onMove(threshold);
  };
  slider.addEventListener("input", () => {
    const threshold = range.low + (Number(slider.value) / steps) * (range.high - range.low);
    show(Number(threshold.toPrecision(6)), slider);
  });
  exact.addEventListener("input", () => {
    if (Number.isFinite(exact.valueAsNumber)) show(exact.valueAsNumber, exact);
  });
  byId("reset").addEventListener("click", () => show(start, null));
  return { start: () => show(start, null), count: (counted) => showCounts(counted, rows) };
}

function originOf(stored) {
  if (!stored) {
    return "No threshold is stored with this run. The line starts midway between the lowest and " +
      "the highest score: move it, but do not take it for a measurement.";
  }
  if (stored.image_rate === null) return `Given by hand: ${score(stored.image)}.`;
  const rate = Number((100 * stored.image_rate).toPrecision(3));
  const images = plural(stored.images, "calibration image", "calibration images");
  const meant = `Stored with this run: ${score(stored.image)}, meant for ${rate} % false alarms`;
  return stored.guaranteed ? `${meant}, found on ${images}.` : `${meant}; ${images} are too few to guarantee that.`;
}

function typeRows(types, onTypes) {
  const hidden = new Set();
  const rows = new Map();
  for (const { name, look, images } of types) {
    const box = element("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(name);
      else hidden.add(name);
      onTypes(hidden);
    });
    const called = element("td");
    const label = element("label", {}, box, swatch(look), element("span", {}, name));
    byId("types").tBodies[0].append(
      element("tr", {}, element("th", { scope: "row" }, label), element("td", {}, `${images.length}`), called),
    );
    rows.set(name, called);
  }
  return rows;
}

function showCounts({ outcomes, types }, rows) {
  const { found, missed, alarm, clear } = outcomes;
  for (const name of Object.keys(outcomes)) {
    byId(name).textContent = outcomes[name];
    byId(name).classList.toggle("none", outcomes[name] === 0);
  }
  byId("recall").textContent = percent(found, found + missed);
  byId("alarms").textContent = percent(alarm, alarm + clear);
  for (const [name, cell] of rows) {
    const { images, called } = types.get(name);
    cell.textContent = `${called} (${percent(called, images)})`;
  }
}
