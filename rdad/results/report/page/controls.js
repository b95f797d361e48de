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

// The same choice stands above the images and above a single one.
function makeViews() {
  const places = [...document.querySelectorAll(".views")];
  const choices = places.map((place, number) => {
    const radio = (value) => element("input", { type: "radio", name: `view${number}`, value });
    const image = radio("image"), heat = radio("heat");
    const outline = element("input", { type: "checkbox" });
    place.append(
      element("span", { class: "pair" },
        element("label", {}, image, element("span", {}, "Image")),
        element("label", {}, heat, element("span", {}, "Heat map"))),
      element("label", { class: "check" }, outline, "Defect outline"),
    );
    return { image, heat, outline };
  });
  const show = (view, outlined) => {
    document.body.dataset.view = view;
    document.body.dataset.outline = outlined ? "on" : "off";
    for (const choice of choices) {
      choice[view].checked = true;
      choice.outline.checked = outlined;
    }
  };
  for (const [number, { image, outline }] of choices.entries()) {
    places[number].addEventListener("change", () => show(image.checked ? "image" : "heat", outline.checked));
  }
  show("heat", true);
}

function showHeatScale({ colours, limits }) {
  byId("scale").style.background = `linear-gradient(to right, ${colours.heat.join(", ")})`;
  const [lowest, highest] = limits;
  byId("lowest").textContent = lowest === null ? "" : short(lowest);
  byId("highest").textContent = highest === null ? "" : short(highest);
}
