// The head of the page: what was tested, its metrics, its curves.

const METRICS = [
  ["image_auroc", "Image AUROC", ""],
  ["pixel_auroc", "Pixel AUROC", ""],
  ["aupro", "AUPRO", ""],
  ["image_ap", "Image AP", ""],
  ["pixel_ap", "Pixel AP", ""],
  ["image_f1_max", "Image F1-max", "best over these test images"],
  ["pixel_f1_max", "Pixel F1-max", "best over these test images"],
];
const IN_HEAD = ["backbone", "mode", "layers", "dataset"];
const LINES = ["#0072B2", "#D55E00", "#009E73"];

function showHead(run, images) {
  byId("title").textContent = run.title;
  const named = IN_HEAD.filter((name) => name in run.settings).map((name) => `${run.settings[name]}`);
  const defects = images.filter(({ label }) => label).length;
  const counts = `${plural(images.length, "test image", "test images")}: ` +
    `${images.length - defects} good, ${defects} defective`;
  byId("summary").replaceChildren(
    named.join(" \u00b7 "), element("br"), `${counts} \u00b7 `, element("time", { datetime: run.date }, inLocalTime(run.date)),
  );
  const settings = Object.entries(run.settings);
  byId("settings").hidden = settings.length === 0;
  byId("settings").querySelector("dl").append(
    ...settings.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, `${value}`))),
  );
}

function inLocalTime(date) {
  const read = new Date(date);
  if (Number.isNaN(read.valueOf())) return date;
  return read.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });
}

function showMetrics(run, entries) {
  const tiles = METRICS.filter(([name]) => name in run.metrics).map(([name, title, note]) => {
    const value = run.metrics[name];
    return value === null ? [title, HYPHEN, "not defined for these images"] : [title, value.toFixed(3), note];
  });
  if (run.thresholds) {
    const { found, missed, alarm, clear } = tally(entries).outcomes;
    const at = `at the stored threshold ${score(run.thresholds.image)}`;
    tiles.push(["Recall", percent(found, found + missed), at], ["False alarms", percent(alarm, alarm + clear), at]);
  }
  byId("metrics").append(
    ...tiles.map(([title, value, note]) =>
      element("li", {}, element("span", {}, title), element("b", {}, value), element("small", {}, note))),
  );
}

// Gives what moves the mark on the image ROC; does nothing where there is none.
function showCharts({ curves, metrics, loss, fpr_limit: limit }) {
  const { width, height, left, right, top, bottom } = CHART;
  const frame = [left, width - right], rise = [height - bottom, top];
  const rate = linear(0, 1, ...frame), unit = linear(0, 1, ...rise);
  const named = (name, metric) => (metrics[metric] == null ? name : `${name} ${metrics[metric].toFixed(3)}`);
  const charts = [];
  const mark = shape("circle", { class: "mark", r: 4.5, visibility: "hidden" });
  const rocs = [["image", LINES[0]], ["pixel", LINES[1]]].filter(([name]) => curves[`${name}_roc`]);
  if (rocs.length) {
    const series = rocs.map(([name, colour]) => ({
      name: named(name, `${name}_auroc`), colour, points: curves[`${name}_roc`],
    }));
    const chart = lineChart({
      title: "ROC", up: "true over false positive rate", across: "false positive rate", x: rate, y: unit, series, diagonal: true,
    });
    chart.querySelector("svg").append(mark);
    charts.push(chart);
  }
  if (curves.pro) {
    const x = linear(0, Math.min(1, 1.35 * limit), ...frame);
    const points = curves.pro.filter(([value]) => value <= Math.min(1, 1.35 * limit));
    charts.push(lineChart({
      title: "PRO", up: "overlap with defect regions", across: "false positive rate of pixels", x, y: unit, shaded: limit,
      series: [{ name: `${named("AUPRO", "aupro")} up to ${limit}`, colour: LINES[0], points }],
    }));
  }
  const losses = lossChart(loss, frame, rise);
  if (losses) charts.push(losses);
  byId("charts").append(...charts);
  byId("charts").hidden = charts.length === 0;
  return ({ found, missed, alarm, clear }) => {
    if (!(found + missed) || !(alarm + clear)) return;
    mark.setAttribute("cx", rate(alarm / (alarm + clear)));
    mark.setAttribute("cy", unit(found / (found + missed)));
    mark.setAttribute("visibility", "visible");
  };
}

function lossChart(loss, frame, rise) {
  const series = Object.entries(loss)
    .filter(([, points]) => points.length)
    .map(([name, points], index) => ({ name, points, colour: LINES[index % LINES.length] }));
  const points = series.flatMap((one) => one.points);
  if (!points.length) return null;
  const epochs = points.map(([epoch]) => epoch), values = points.map(([, value]) => value);
  const low = Math.min(...values), high = Math.max(...values);
  const y = low > 0 && high > 10 * low ? logarithmic(low, high, ...rise) : linear(Math.min(0, low), high, ...rise);
  const x = linear(Math.min(...epochs), Math.max(...epochs), ...frame);
  x.ticks = x.ticks.filter(Number.isInteger);
  return lineChart({ title: "Loss", up: "by epoch", across: "epoch", x, y, series });
}
