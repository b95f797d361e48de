// One image, large, with what is known of it.

function makeDetail({ threshold, shown, goTo, ranks }) {
  const dialog = byId("detail"), zoom = makeZoom(byId("detail-picture"));
  let current = null;
  const open = (entry) => {
    current = entry;
    const { image } = entry;
    const { box, fill } = makePicture(image);
    fill();
    byId("detail-title").textContent = nameOf(image);
    byId("detail-picture").replaceChildren(box);
    const facts = factsOf(entry, threshold(), ranks);
    byId("detail-facts").replaceChildren(
      ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    );
    byId("detail-facts").dataset.outcome = entry.outcome;
    const place = shown().indexOf(entry);
    byId("previous").disabled = place <= 0;
    byId("next").disabled = place < 0 || place >= shown().length - 1;
    if (dialog.open) return zoom.whole();
    dialog.showModal();
    zoom.whole();
    byId("close").focus(); // and not the first choice, which arrows would move
  };
  const step = (by) => {
    const entry = shown()[shown().indexOf(current) + by];
    if (entry) open(entry);
  };
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the content
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("input")) return; // where arrows move the choice
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
    zoom.key(event.key);
  });
  dialog.addEventListener("close", () => goTo(current));
  return open;
}

function factsOf({ image, outcome }, threshold, ranks) {
  const verdict = isCalled(outcome) ? "defective" : "good";
  const facts = [
    ["Outcome", `${OUTCOMES[outcome].right ? "\u2713" : "\u2717"} ${OUTCOMES[outcome].name}`],
    ["True label", image.label ? "defective" : "good"],
    ["Type", image.type],
    ["Verdict", `${verdict} at threshold ${score(threshold)}`],
    ["Raw score", score(image.score)],
  ];
  if (image.normalised !== null) {
    facts.push(["Normalised", `${image.normalised.toFixed(3)} (0.5 where the slider began)`]);
  }
  facts.push(
    ["Rank", `${ranks.get(image)} of ${ranks.size}, highest score first`],
    ["Size", `${image.width} \u00d7 ${image.height} pixels`],
    ["File", image.path],
  );
  return facts;
}
