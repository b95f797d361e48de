// The head of the page: what was tested, its metrics, its curves.

const FIRST_METRICS = { image_auroc: "Image AUROC", pixel_auroc: "Pixel AUROC", aupro: "AUPRO" };
const MORE_METRICS = { image_ap: "Image AP", pixel_ap: "Pixel AP" };
const OPTIMA = { image_f1_max: "Image F1-max", pixel_f1_max: "Pixel F1-max" };
const IN_HEAD = { backbone: "", mode: "mode ", layers: "", dataset: "data set " };
const LINES = ["var(--line-1)", "var(--line-2)", "var(--line-3)"];

function showHead(run, images) {
  byId("title").textContent = run.title;
  const named = Object.entries(IN_HEAD)
    .filter(([name]) => name in run.settings)
    .map(([name, before]) => `${before}${run.settings[name]}`);
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

function showMetrics({ metrics, thresholds, undefined: reasons }, entries) {
  const known = (names) => Object.entries(names).filter(([name]) => metrics[name] != null);
  const value = (name) => metrics[name].toFixed(3);
  const tiles = known(FIRST_METRICS).map(([name, title]) => [title, value(name), ""]);
  if (thresholds) {
    const { found, missed, alarm, clear } = tally(entries).outcomes;
    const at = `at the threshold ${score(thresholds.image)}`;
    if (found + missed) tiles.push(["Recall", percent(found, found + missed), at]);
    if (alarm + clear) tiles.push(["False alarms", percent(alarm, alarm + clear), at]);
  }
  byId("metrics").append(
    ...tiles.map(([title, figure, note]) =>
      element("li", {}, element("span", {}, title), element("b", {}, figure), element("small", {}, note))),
  );
  const also = (names) => known(names).map(([name, title]) => element("span", {}, `${title} `, element("b", {}, value(name))));
  const optima = also(OPTIMA);
  const warning = "F1-max is the best over all thresholds on these very images: an optimum, not a forecast.";
  byId("more-metrics").append(...also(MORE_METRICS), ...optima, optima.length ? element("small", {}, warning) : "");
  const lacking = Object.keys(metrics).filter((name) => metrics[name] === null);
  const why = [...new Set(lacking.map((name) => reasons[name]).filter(Boolean))].join("; ");
  const told = `Undefined: ${lacking.join(", ")}${why ? ` (${why})` : ""}.`;
  if (lacking.length) byId("more-metrics").append(element("small", {}, told));
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
    const end = Math.min(1, 1.35 * limit);
    const x = linear(0, end, ...frame), points = leftOf(curves.pro, end);
    charts.push(lineChart({
      title: "PRO", up: "overlap with defect regions", across: "false positive rate of pixels", x, y: unit, shaded: limit,
      series: [{ name: `${named("AUPRO", "aupro")} up to ${limit}`, colour: LINES[0], points }],
    }));
  }
  const losses = lossChart(loss, frame, rise);
  if (losses) charts.push(losses);
  byId("charts").append(...charts);
  byId("curves").hidden = charts.length === 0;
  byId("curves").open = matchMedia("(min-width: 901px)").matches;
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
