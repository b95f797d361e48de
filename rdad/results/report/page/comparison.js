// A sweep's comparison: its table, and a line an image with a picture a setting.

const sweep = JSON.parse(byId("contents").textContent);
const images = JSON.parse(byId("images").textContent);
byId("images").remove(); // its text is not needed twice

const figure = (value) => (value === null ? "undefined" : value.toFixed(4));
const nameOf = ({ path }) => path.split(/[\\/]/).at(-1);

const isRight = (image, cell) => (cell.called === null ? null : cell.called === Boolean(image.label));

function differs(image) {
  const called = new Set(Object.values(image.cells).map((cell) => cell.called));
  called.delete(null);
  return called.size > 1;
}

// Sorted by a column anew where its name is pressed.
function showJobs(column = 1, rising = false) {
  const values = (at) => sweep.rows.map((row) => row[at]).filter((value) => value !== null);
  const order = (a, b) => {
    const [x, y] = [a[column], b[column]];
    if (x === null || y === null) return (x === null) - (y === null);
    return (typeof x === "string" ? inWords(x, y) : x - y) * (rising ? 1 : -1);
  };
  const heads = ["setting", ...sweep.metrics].map((name, at) => {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => showJobs(at, at === column ? !rising : at === 0));
    const sorted = at === column ? (rising ? "ascending" : "descending") : null;
    return element("th", { scope: "col", "aria-sort": sorted }, button);
  });
  byId("jobs").tHead.rows[0].replaceChildren(...heads);
  const lines = [...sweep.rows].sort(order).map(([name, ...figures]) =>
    element("tr", {},
      element("th", { scope: "row" }, name),
      ...figures.map((value, at) => {
        const best = value !== null && value === Math.max(...values(at + 1));
        return element("td", best && sweep.rows.length > 1 ? { class: "best" } : {}, figure(value));
      })));
  byId("jobs").tBodies[0].replaceChildren(...lines);
}

function pictureOf(image, cell) {
  const { box, fill } = makePicture({ ...image, heat: cell.heat });
  fill();
  return box;
}

function verdictOf(image, cell) {
  const right = isRight(image, cell);
  if (right === null) return "";
  return `${right ? "\u2713" : "\u2717"} ${cell.called ? "called defective" : "called good"}`;
}

function cellOf(image, place) {
  const cell = image.cells[place];
  if (!cell) return element("td", {}, element("small", {}, "not tested"));
  const button = element("button", { type: "button", "aria-label": `${nameOf(image)}, ${sweep.settings[place]}` },
    image.photograph ? pictureOf(image, cell) : element("small", {}, "no picture"));
  button.addEventListener("click", () => open(image, place));
  return element("td", { "data-right": isRight(image, cell) }, button,
    element("small", {}, element("b", {}, verdictOf(image, cell)), element("br"), `rank ${cell.rank} of ${cell.of}, score ${score(cell.score)}`));
}

const FILTERS = {
  all: ["all images", () => true],
  differ: ["where verdicts differ", differs],
  defective: ["defective", ({ label }) => label === 1],
  good: ["good", ({ label }) => label === 0],
};

function showImages() {
  const [, takes] = FILTERS[byId("filter").value];
  const chosen = images.filter(takes);
  if (byId("sort").value === "name") chosen.sort((a, b) => inWords(a.path, b.path));
  byId("same").tBodies[0].replaceChildren(...chosen.map((image) =>
    element("tr", {},
      element("th", { scope: "row" }, element("b", {}, image.type), element("br"), nameOf(image)),
      ...sweep.settings.map((_, place) => cellOf(image, place)))));
  byId("shown").textContent = `${chosen.length} of ${plural(images.length, "image", "images")} shown`;
}

// One image, large, under a setting; the arrows step through the settings that tested it.
let current = null;

function open(image, place) {
  current = { image, place };
  const cell = image.cells[place];
  byId("detail-title").textContent = `${image.type}/${nameOf(image)} \u00b7 ${sweep.settings[place]}`;
  byId("detail-picture").replaceChildren(image.photograph ? pictureOf(image, cell) : "");
  const facts = [
    ["Verdict", verdictOf(image, cell) || "no threshold is stored"], ["Setting", sweep.settings[place]],
    ["True label", image.label ? "defective" : "good"], ["Raw score", score(cell.score)],
    ["Rank", `${cell.rank} of ${cell.of}, highest score first`], ["File", image.path],
  ];
  byId("detail-facts").replaceChildren(
    ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  byId("detail-facts").dataset.outcome = isRight(image, cell) === false ? "missed" : ""; // its colour
  for (const [id, by] of [["previous", -1], ["next", 1]]) byId(id).disabled = stepped(by) === undefined;
  if (byId("detail").open) return;
  byId("detail").showModal();
  byId("close").focus();
}

function stepped(by) {
  const tested = sweep.settings.map((_, place) => place).filter((place) => current.image.cells[place]);
  return tested[tested.indexOf(current.place) + by];
}

function step(by) {
  const place = stepped(by);
  if (place !== undefined) open(current.image, place);
}

byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => byId("detail").close());
byId("detail").addEventListener("click", ({ target }) => {
  if (target === byId("detail")) target.close(); // beside the content
});
byId("detail").addEventListener("keydown", ({ key }) => {
  if (key === "ArrowLeft") step(-1);
  if (key === "ArrowRight") step(1);
});

byId("title").textContent = plural(sweep.jobs, "job", "jobs");
byId("answer").textContent = sweep.answer;
byId("bounds").textContent = [
  `${sweep.finished} of ${plural(sweep.jobs, "job", "jobs")} finished.`,
  `${images.length} of ${plural(sweep.all_images, "test image", "test images")}`,
  `under ${sweep.settings.length} of ${plural(sweep.all_settings, "setting", "settings")}, the best first; each seed is one.`,
  "Scores of different settings are on different scales, as are the colours of their maps: compare ranks and verdicts.",
].join(" ");
byId("plots").src = `data:image/png;base64,${sweep.plots}`;
byId("filter").append(...Object.entries(FILTERS).map(([value, [name]]) => element("option", { value }, name)));
byId("same").tHead.rows[0].append(
  element("th", { scope: "col" }, "image"), ...sweep.settings.map((name) => element("th", { scope: "col" }, name)));
for (const id of ["filter", "sort"]) byId(id).addEventListener("change", showImages);
byId("heat").addEventListener("change", ({ target }) => { document.body.dataset.view = target.checked ? "heat" : "image"; });
byId("lines").addEventListener("change", ({ target }) => { document.body.dataset.true = target.checked ? "on" : "off"; });
showJobs();
showImages();
