// What stands above the images: which are shown, and what of them.

function makeFilters(onChange) {
  const counts = {};
  for (const [key, { name }] of Object.entries(FILTERS)) {
    const box = element("input", { type: "radio", name: "outcome", value: key });
    box.checked = key === "all";
    box.addEventListener("change", () => onChange(key));
    counts[key] = element("b");
    byId("outcomes").append(element("label", {}, box, element("span", {}, `${name} `, counts[key])));
  }
  return {
    count(outcomes) {
      for (const [key, { takes }] of Object.entries(FILTERS)) {
        const taken = Object.keys(outcomes).filter(takes);
        counts[key].textContent = taken.reduce((sum, outcome) => sum + outcomes[outcome], 0);
      }
    },
  };
}

// The same choice stands above the images and above a single one, with what its colours mean.
function makeViews({ colours, limits, thresholds }, images) {
  const lines = {};
  if (images.some(({ outline }) => outline)) lines.true = "True defect";
  const above = thresholds?.pixel == null ? "its category's threshold" : short(thresholds.pixel);
  if (thresholds) lines.predicted = `Predicted, above ${above}`;
  document.body.style.setProperty("--true", colours.true);
  document.body.style.setProperty("--predicted", colours.predicted);
  const places = [...document.querySelectorAll(".views")];
  const choices = places.map((place, number) => {
    const radio = (value) => element("input", { type: "radio", name: `view${number}`, value });
    const choice = { image: radio("image"), heat: radio("heat"), lines: {} };
    place.append(
      element("span", { class: "pair" },
        element("label", {}, choice.image, element("span", {}, "Image")),
        element("label", {}, choice.heat, element("span", {}, "Heat map"))),
    );
    for (const [kind, name] of Object.entries(lines)) {
      choice.lines[kind] = element("input", { type: "checkbox" });
      place.append(element("label", { class: "check" }, choice.lines[kind], element("i", { class: `sample ${kind}` }), name));
    }
    place.append(heatScale(colours.heat, limits, thresholds));
    return choice;
  });
  const show = (view, on) => {
    document.body.dataset.view = view;
    for (const choice of choices) choice[view].checked = true;
    for (const kind of Object.keys(lines)) {
      document.body.dataset[kind] = on[kind] ? "on" : "off";
      for (const choice of choices) choice.lines[kind].checked = on[kind];
    }
  };
  for (const [number, { image, lines: boxes }] of choices.entries()) {
    places[number].addEventListener("change", () => {
      const on = Object.entries(boxes).map(([kind, box]) => [kind, box.checked]);
      show(image.checked ? "image" : "heat", Object.fromEntries(on));
    });
  }
  show("heat", { true: true, predicted: true });
}

// The colours of all heat maps, with a mark where the predicted region begins.
function heatScale(colours, [lowest, highest], thresholds) {
  const end = (value) => element("span", {}, value === null ? "" : short(value));
  const bar = element("span", { class: "colours", role: "img", "aria-label": "Colour scale of the heat maps" });
  bar.style.background = `linear-gradient(to right, ${colours.join(", ")})`;
  const share = ((thresholds?.pixel ?? NaN) - lowest) / (highest - lowest);
  if (share >= 0 && share <= 1) {
    const mark = element("i", { class: "mark" });
    mark.style.left = `${100 * share}%`;
    bar.append(mark);
  }
  return element("span", { class: "scale" }, end(lowest), bar, end(highest));
}
