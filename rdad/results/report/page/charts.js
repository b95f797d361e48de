// Charts as SVG. Each takes numbers and gives an element; none knows of the page around it.

const CHART = { width: 340, height: 230, left: 40, right: 12, top: 12, bottom: 36 };

function linear(from, to, start, end) {
  const scale = (value) => start + ((value - from) / (to - from || 1)) * (end - start);
  return Object.assign(scale, { ticks: ticks(from, to) });
}

function logarithmic(from, to, start, end) {
  const inner = linear(Math.log10(from), Math.log10(to), start, end);
  const decades = [];
  for (let power = Math.ceil(Math.log10(from)); power <= Math.log10(to); power += 1) {
    decades.push(10 ** power);
  }
  const steps = decades.length > 1 ? decades : [from, to];
  return Object.assign((value) => inner(Math.log10(value)), { ticks: steps });
}

function ticks(from, to) {
  const rough = (to - from) / 4;
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough * 0.99);
  const found = [];
  for (let count = Math.ceil(from / step - 1e-9); count * step <= to + step * 1e-9; count += 1) {
    found.push(Number((count * step).toPrecision(10)));
  }
  return found;
}

// series: [{name, colour, points: [[x, y], ...]}], in the units of the scales.
function lineChart({ title, across, up, x, y, series, shaded = null, diagonal = false }) {
  const { width, height, left, right, top, bottom } = CHART;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (const value of y.ticks) {
    svg.append(
      shape("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      shape("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)),
    );
  }
  for (const value of x.ticks) {
    const place = { class: "tick", x: x(value), y: height - bottom + 15, "text-anchor": "middle" };
    svg.append(shape("text", place, short(value)));
  }
  if (diagonal) {
    svg.append(shape("line", { class: "chance", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  }
  if (shaded) svg.append(shadedArea(series[0], x, y, shaded));
  for (const { colour, points } of series) {
    const d = points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`);
    svg.append(shape("path", { class: "curve", d: d.join(""), stroke: colour }));
    if (points.length === 1) {
      svg.append(shape("circle", { cx: x(points[0][0]), cy: y(points[0][1]), r: 3, fill: colour }));
    }
  }
  svg.append(
    shape("text", { class: "axis", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, across),
    shape("line", { class: "base", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
  );
  return element("figure", {}, element("figcaption", {}, element("b", {}, title), ` ${up}`), svg, legend(series));
}

// The part of a rising curve left of `limit`, to which straight lines lead.
function leftOf(points, limit) {
  const inside = points.filter(([place]) => place <= limit);
  const next = points.find(([place]) => place > limit);
  if (!next || !inside.length) return inside;
  const [place, height] = inside.at(-1);
  const share = (limit - place) / (next[0] - place);
  return [...inside, [limit, height + share * (next[1] - height)]];
}

function shadedArea({ points, colour }, x, y, limit) {
  const inside = leftOf(points, limit);
  const corners = [...inside, [limit, 0], [inside[0]?.[0] ?? 0, 0]];
  const d = corners.map(([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("L");
  return shape("path", { class: "shaded", d: `M${d}Z`, fill: colour });
}

function legend(series) {
  const entries = series.filter(({ name }) => name);
  if (!entries.length) return null;
  return element(
    "ul",
    { class: "legend" },
    ...entries.map(({ name, colour }) => element("li", {}, swatch({ colour }), name)),
  );
}

function swatch({ colour, hatched = false }) {
  const svg = shape("svg", { class: "swatch", viewBox: "0 0 12 12", "aria-hidden": "true" });
  svg.append(shape("rect", { width: 12, height: 12, rx: 2.5, fill: colour }));
  if (hatched) svg.append(shape("path", { class: "hatch", d: "M-2 8L8 -2M2 14L14 2" }));
  return svg;
}

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(0) : Number(value.toPrecision(3)).toString();
}

// Stacked bars of scores; across its whole width it runs from low to high, as the slider below it.
// groups: [{look, scores}]. Gives the picture, what moves its line, and how many its tallest bar has.
function histogram({ groups, low, high, bins = 40 }) {
  const width = 360, height = 140, top = 4;
  const counts = groups.map(() => new Array(bins).fill(0));
  groups.forEach(({ scores }, group) => {
    for (const value of scores) {
      const bin = Math.floor(((value - low) / (high - low)) * bins);
      counts[group][Math.min(Math.max(bin, 0), bins - 1)] += 1;
    }
  });
  const totals = counts[0]?.map((_, bin) => counts.reduce((sum, group) => sum + group[bin], 0)) ?? [];
  const highest = Math.max(1, ...totals);
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Image scores by type, with the threshold",
  });
  const below = new Array(bins).fill(0);
  counts.forEach((group, index) => {
    group.forEach((count, bin) => {
      if (!count) return;
      const unit = (height - top) / highest;
      const box = {
        x: (bin * width) / bins + 0.5, width: width / bins - 1,
        y: height - (below[bin] + count) * unit, height: count * unit,
      };
      svg.append(shape("rect", { ...box, fill: groups[index].look.colour }));
      if (groups[index].look.hatched) svg.append(shape("rect", { ...box, fill: "url(#hatch)" }));
      below[bin] += count;
    });
  });
  const line = shape("g", { class: "threshold" }, shape("line", { y1: 0, y2: height }));
  svg.append(
    shape("line", { class: "base", x1: 0, x2: width, y1: height, y2: height }),
    line,
  );
  const move = (value) => {
    const place = ((value - low) / (high - low)) * width;
    line.setAttribute("transform", `translate(${Math.min(Math.max(place, 0), width)} 0)`);
  };
  return { svg, move, highest };
}
