// The cards: which are shown, in which order. They are laid out a portion at a time, the next when
// the end of the last comes near, and a card gets its picture when it comes near itself.

const PORTION = 150;

const FILTERS = {
  all: { name: "All", takes: () => true },
  right: { name: "Right", takes: (outcome) => OUTCOMES[outcome].right },
  wrong: { name: "Wrong", takes: (outcome) => !OUTCOMES[outcome].right },
  missed: { name: "Missed defects", takes: (outcome) => outcome === "missed" },
  alarm: { name: "False alarms", takes: (outcome) => outcome === "alarm" },
};

const worth = (image) => image.score ?? -Infinity;
const byScore = (a, b) => worth(b.image) - worth(a.image);
const ORDERS = {
  high: () => byScore,
  low: () => (a, b) => byScore(b, a),
  near: (threshold) => (a, b) =>
    Math.abs(worth(a.image) - threshold) - Math.abs(worth(b.image) - threshold) || byScore(a, b),
  type: () => (a, b) => a.type.place - b.type.place || byScore(a, b),
  name: () => (a, b) => inWords(a.image.type, b.image.type) || inWords(a.image.name, b.image.name),
};

// entries: [{image, type, outcome}], which get a `card`. onOpen gets an entry.
function makeGallery(entries, onOpen) {
  const list = byId("gallery");
  const whenNear = (act) => new IntersectionObserver(
    (seen) => seen.filter((one) => one.isIntersecting).forEach(({ target }) => act(target)),
    { rootMargin: "800px" },
  );
  const cards = whenNear((card) => {
    cards.unobserve(card);
    card.entry.picture.fill();
  });
  for (const entry of entries) {
    addCard(entry, onOpen);
    cards.observe(entry.card);
  }
  let shown = [], wanted = PORTION;
  const lay = (count) => {
    wanted = Math.max(wanted, count);
    list.append(...shown.slice(list.childElementCount, count).map(({ card }) => card));
    end.unobserve(byId("end")); // observed anew, it tells again whether it is near
    end.observe(byId("end"));
  };
  const end = whenNear(() => {
    if (list.childElementCount < shown.length) lay(list.childElementCount + PORTION);
  });
  return {
    get shown() {
      return shown;
    },
    // `anew` begins with one portion again; else as many stay as were laid out before.
    show(chosen, { anew }) {
      if (anew) wanted = PORTION;
      if (chosen.length === shown.length && chosen.every((entry, i) => entry === shown[i])) return;
      shown = chosen;
      list.replaceChildren();
      lay(wanted);
    },
    goTo(entry) {
      const place = shown.indexOf(entry);
      if (place < 0) return;
      lay(place + 1);
      entry.card.scrollIntoView({ block: "nearest" });
      entry.button.focus();
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
    element("span", { class: "name", title: nameOf(image) }, swatch(type.look), element("span", {}, nameOf(image))),
  );
  button.addEventListener("click", () => onOpen(entry));
  entry.button = button;
  entry.card = element("li", {}, button);
  entry.card.entry = entry;
}

function nameOf(image) {
  return `${image.type}/${image.name}`;
}

// Whether each word stands somewhere in the image's name or path.
function isNamed(image, words) {
  const text = `${nameOf(image)} ${image.path}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function markCard(entry) {
  const { right, name } = OUTCOMES[entry.outcome];
  entry.button.dataset.outcome = entry.outcome;
  entry.verdict.textContent = `${right ? "\u2713" : "\u2717"} ${name}`;
}
