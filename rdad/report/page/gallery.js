// The cards: which are shown, in which order. A card's pictures are decoded when it comes near.

const FILTERS = {
  all: { name: "All", takes: () => true },
  right: { name: "Right", takes: (outcome) => OUTCOMES[outcome].right },
  wrong: { name: "Wrong", takes: (outcome) => !OUTCOMES[outcome].right },
  missed: { name: "Missed defects", takes: (outcome) => outcome === "missed" },
  alarm: { name: "False alarms", takes: (outcome) => outcome === "alarm" },
};

const worth = (image) => image.score ?? -Infinity;
const byScore = (a, b) => worth(b.image) - worth(a.image);
const inWords = new Intl.Collator("en", { numeric: true }).compare;
const ORDERS = {
  high: () => byScore,
  low: () => (a, b) => byScore(b, a),
  near: (threshold) => (a, b) =>
    Math.abs(worth(a.image) - threshold) - Math.abs(worth(b.image) - threshold) || byScore(a, b),
  type: () => (a, b) => a.type.place - b.type.place || byScore(a, b),
  name: () => (a, b) => inWords(a.image.type, b.image.type) || inWords(a.image.name, b.image.name),
};

// A picture's layers over each other; empty until `fill` is called.
function makePicture(image) {
  const box = element("span", { class: "picture" });
  box.style.setProperty("--ratio", image.width / image.height);
  let filled = false;
  const fill = () => {
    if (filled) return;
    filled = true;
    for (const layer of ["photograph", "heat"]) {
      const src = `data:image/jpeg;base64,${image[layer]}`;
      box.append(element("img", { class: layer, alt: "", decoding: "async", src }));
    }
    if (image.outline) box.append(outlineOf(image.outline));
  };
  return { box, fill };
}

function outlineOf(d) {
  const svg = shape("svg", { class: "outline", viewBox: "0 0 1000 1000", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(shape("path", { class: "casing", d }), shape("path", { class: "edge", d }));
  return svg;
}

// entries: [{image, type, outcome}], which get a `card`. onOpen gets an entry.
function makeGallery(entries, onOpen) {
  const list = byId("gallery");
  const near = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        target.entry.picture.fill();
      }
    },
    { rootMargin: "600px" },
  );
  for (const entry of entries) {
    addCard(entry, onOpen);
    near.observe(entry.card);
  }
  let shown = [];
  return {
    get shown() {
      return shown;
    },
    show(chosen) {
      if (chosen.length === shown.length && chosen.every((entry, i) => entry === shown[i])) return;
      shown = chosen;
      list.replaceChildren(...chosen.map(({ card }) => card));
    },
  };
}

function addCard(entry, onOpen) {
  const { image, type } = entry;
  entry.picture = makePicture(image);
  entry.verdict = element("span", { class: "verdict" });
  const button = element(
    "button",
    { type: "button", class: "card" },
    element("span", { class: "frame" }, entry.picture.box),
    element("span", { class: "line" }, element("span", { class: "score" }, score(image.score)), entry.verdict),
    element("span", { class: "name" }, swatch(type.look), element("span", {}, `${image.type}/${image.name}`)),
  );
  button.addEventListener("click", () => onOpen(entry));
  entry.button = button;
  entry.card = element("li", {}, button);
  entry.card.entry = entry;
}

function markCard(entry) {
  const { right, name } = OUTCOMES[entry.outcome];
  entry.button.dataset.outcome = entry.outcome;
  entry.verdict.textContent = `${right ? "\u2713" : "\u2717"} ${name}`;
}
