// One picture, nearer: by buttons, keys, wheel or a double click, and moved by dragging it.

const NEAREST = 16;

// frame: a box that scrolls and holds the picture. Gives what shows the whole of another picture.
function makeZoom(frame) {
  let zoom = 1;
  const to = (wanted, x = null, y = null) => {
    const seen = frame.getBoundingClientRect();
    const [left, top] = [x ?? seen.left + seen.width / 2, y ?? seen.top + seen.height / 2];
    const before = frame.firstElementChild.getBoundingClientRect();
    const [across, down] = [(left - before.left) / before.width, (top - before.top) / before.height];
    zoom = Math.min(Math.max(wanted, 1), NEAREST);
    frame.style.setProperty("--zoom", zoom);
    byId("zoom").textContent = `${Math.round(100 * zoom)} %`;
    const after = frame.firstElementChild.getBoundingClientRect(); // what was at (x, y) stays there
    frame.scrollBy(after.left + across * after.width - left, after.top + down * after.height - top);
  };
  byId("larger").addEventListener("click", () => to(zoom * 1.5));
  byId("smaller").addEventListener("click", () => to(zoom / 1.5));
  byId("zoom").addEventListener("click", () => to(1));
  frame.addEventListener("dblclick", (event) => to(zoom > 1 ? 1 : 4, event.clientX, event.clientY));
  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    to(zoom * 2 ** (-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });
  frame.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && event.buttons) frame.scrollBy(-event.movementX, -event.movementY);
  });
  return {
    whole: () => to(1),
    key(name) {
      if (name === "+" || name === "=") to(zoom * 1.5);
      if (name === "-") to(zoom / 1.5);
      if (name === "0") to(1);
    },
  };
}
