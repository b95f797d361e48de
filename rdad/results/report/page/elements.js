// Elements made of a name, attributes and children. Text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function byId(id) {
  return document.getElementById(id);
}

// Into the clipboard, also in a frame that may not use it by its newer way; gives whether it is.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", { class: "visually-hidden" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

// As a shell takes a text for one word.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// What a button copies when it is pressed; it says for a moment whether that was done.
function makeCopy(button, text) {
  let name = null; // while it says something else
  button.addEventListener("click", async () => {
    const said = (await copied(text())) ? "Copied" : "The browser refuses";
    if (name !== null) return;
    name = button.textContent;
    button.textContent = said;
    setTimeout(() => {
      if (button.textContent === said) button.textContent = name; // else it has a new one
      name = null;
    }, 1500);
  });
}

// Numbers as people read them.

function score(value) {
  if (value === null) return "not a number";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential(3) : value.toPrecision(size < 1e4 ? 4 : 6);
}

// The fewest digits that mean the same number in float32, which scores and thresholds are in.
function typed(value) {
  const digits = [6, 7, 8].find((count) => Math.fround(value.toPrecision(count)) === Math.fround(value));
  return Number(value.toPrecision(digits ?? 9)).toString();
}

function percent(part, whole) {
  if (whole === 0) return "\u2013";
  const share = (100 * part) / whole;
  return `${share === 0 || share === 100 ? share : share.toFixed(1)} %`;
}

const inWords = new Intl.Collator("en", { numeric: true }).compare; // 2 before 10

function plural(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}
