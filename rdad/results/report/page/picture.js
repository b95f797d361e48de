// One image's layers over each other, those that it has: photograph, heat map, outlines.

const OUTLINES = { true: "outline", predicted: "predicted" }; // what of the image holds each

// Empty until `fill` is called; the browser itself decodes what is seen and forgets the rest.
function makePicture(image) {
  const box = element("span", { class: "picture" });
  box.style.setProperty("--ratio", image.width / image.height);
  const fill = () => {
    if (box.childElementCount) return;
    for (const [layer, kind] of [["photograph", "jpeg"], ["heat", "webp"]]) {
      if (!image[layer]) continue;
      const src = `data:image/${kind};base64,${image[layer]}`;
      box.append(element("img", { class: layer, alt: "", loading: "lazy", decoding: "async", src }));
    }
    for (const [kind, key] of Object.entries(OUTLINES)) {
      if (image[key]) box.append(outlineOf(kind, image[key]));
    }
  };
  return { box, fill };
}

function outlineOf(kind, d) {
  const svg = shape("svg", { class: `outline ${kind}`, viewBox: "0 0 1000 1000", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(shape("path", { class: "casing", d }), shape("path", { class: "edge", d }));
  return svg;
}
