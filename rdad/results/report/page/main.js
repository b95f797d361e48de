// The page from its data: first what stands still, then what threshold, filters and views move.

const run = JSON.parse(byId("contents").textContent);
const images = JSON.parse(byId("images").textContent);
byId("images").remove(); // its text is not needed twice

const types = typesOf(images, run.colours);
const typeOf = new Map(types.flatMap((type) => type.images.map((image) => [image, type])));
const entries = images.map((image) => ({ image, type: typeOf.get(image), outcome: null }));
const state = { threshold: 0, order: "high", filter: "all", hidden: new Set(), words: "" };
let sorted = [];

const ranks = new Map([...entries].sort(byScore).map(({ image }, place) => [image, place + 1]));
const open = makeDetail({
  ranks,
  threshold: () => state.threshold,
  shown: () => gallery.shown,
  goTo: (entry) => gallery.goTo(entry),
});
const gallery = makeGallery(entries, open);
const panel = makePanel({
  images, types, stored: run.thresholds, command: run.command,
  onMove(threshold) {
    state.threshold = threshold;
    judge();
    if (state.order === "near") sort();
    select({ anew: false });
  },
  onTypes(hidden) {
    state.hidden = hidden;
    select();
  },
});
const filters = makeFilters((filter) => {
  state.filter = filter;
  select();
});

showHead(run, images);
const mark = showCharts(run);
sort();
panel.start();
showMetrics(run, entries);
makeViews(run, images);
makeCopy(byId("copy-wrong"), () => wrong().map(({ image }) => image.path).join("\n"));
makeCopy(byId("copy-again"), () => `printf '%s\\n' ${alarms().map(quoted).join(" ")} > ${run.again.list}\n${run.again.command}\n`);
byId("search").addEventListener("input", ({ target }) => {
  state.words = target.value.trim();
  select();
});
byId("sort").addEventListener("change", ({ target }) => {
  state.order = target.value;
  sort();
  select();
});

function judge() {
  for (const entry of entries) {
    const outcome = outcomeOf(entry.image, state.threshold);
    if (outcome === entry.outcome) continue;
    entry.outcome = outcome;
    markCard(entry);
  }
  const counted = tally(entries);
  panel.count(counted);
  filters.count(counted.outcomes);
  mark(counted.outcomes);
  byId("copy-wrong").textContent = `Copy the list of ${plural(wrong().length, "wrong image", "wrong images")}`;
  byId("copy-wrong").disabled = wrong().length === 0;
  const taken = plural(alarms().length, "false alarm", "false alarms");
  byId("copy-again").textContent = `Copy the command that trains on with ${taken} as good`;
  byId("copy-again").hidden = !run.again || alarms().length === 0;
}

function wrong() {
  return sorted.filter(({ outcome }) => FILTERS.wrong.takes(outcome));
}

function alarms() {
  return wrong().filter(({ outcome }) => outcome === "alarm").map(({ image }) => image.path);
}

function sort() {
  sorted = [...entries].sort(ORDERS[state.order](state.threshold));
}

function select({ anew = true } = {}) {
  const { takes } = FILTERS[state.filter];
  const chosen = sorted.filter(({ image, type, outcome }) =>
    takes(outcome) && !state.hidden.has(type.name) && isNamed(image, state.words));
  gallery.show(chosen, { anew });
  const all = plural(entries.length, "image", "images");
  byId("shown").textContent = chosen.length ? `${chosen.length} of ${all} shown` : `None of ${all} is so.`;
}

// Normal images first; each defect type in a colour, hatched once the colours are used up.
function typesOf(all, { normal, defects }) {
  const groups = new Map();
  for (const image of all) {
    if (!groups.has(image.type)) groups.set(image.type, []);
    groups.get(image.type).push(image);
  }
  const names = [...groups.keys()].sort(
    (a, b) => groups.get(a)[0].label - groups.get(b)[0].label || inWords(a, b),
  );
  let turn = -1;
  return names.map((name, place) => {
    const own = groups.get(name), { label } = own[0];
    turn += label;
    const look = label
      ? { colour: defects[turn % defects.length], hatched: turn >= defects.length }
      : { colour: normal, hatched: false };
    return { name, place, look, images: own };
  });
}
