// The front end of a kernel's walk, loaded by anywidget: no build step, nothing from the network.

const PLUS = "128, 115, 172", MINUS = "213, 94, 0";

const template = `
  <div class="stage">
    <figure class="image"><figcaption>the image</figcaption>
      <div class="frame"><canvas role="img"></canvas><div class="mark"></div></div></figure>
    <figure class="products"><figcaption>pixel × weight</figcaption>
      <table aria-label="the nine products"><tbody></tbody></table><p class="sum"></p></figure>
    <figure class="map"><figcaption>the feature map</figcaption>
      <div class="frame" tabindex="0" role="application"><canvas aria-hidden="true"></canvas><div class="mark"></div></div></figure>
  </div>
  <div class="row">
    <button type="button" data-part="start">Start again</button>
    <button type="button" data-part="back">Step back</button>
    <button type="button" data-part="play">Play</button>
    <button type="button" data-part="next">Step</button>
    <label>place <input type="range" min="0" step="1"></label>
  </div>
  <p data-part="said"></p>`;

/** A number with `decimals`, a true minus, and none before a zero. */
const number = (value, decimals = 2) => {
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
};

/** The colour of an answer, the fuller the nearer it is to 1 or -1. */
const shade = (value) => `rgba(${value < 0 ? MINUS : PLUS}, ${Math.abs(value)})`;

/** Fill squares of a canvas, one for each value up to the place `last`, in the order of reading. */
function paint(canvas, values, colour, last = Infinity) {
  [canvas.height, canvas.width] = [values.length, values[0].length];
  const brush = canvas.getContext("2d");
  values.flat().slice(0, last + 1).forEach((value, i) => {
    brush.fillStyle = colour(value);
    brush.fillRect(i % canvas.width, Math.floor(i / canvas.width), 1, 1);
  });
}

/** Put a mark of `size` squares on a frame of rows × columns squares. */
function mark(frame, row, column, size, rows, columns) {
  const share = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(frame.querySelector(".mark").style, {
    top: share(row, rows), left: share(column, columns), width: share(size, columns), height: share(size, rows),
  });
}

function render({ model, el }) {
  const [image, kernel, answers] = ["image", "kernel", "answers"].map((name) => model.get(name));
  const rows = answers.length, columns = answers[0].length, end = rows * columns - 1;
  const largest = Math.max(...answers.flat().map(Math.abs)) || 1;
  const shades = answers.map((line) => line.map((value) => value / largest));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const root = el.appendChild(document.createElement("div"));
  root.className = "kernel-walk";
  root.innerHTML = template;
  const part = (name) => root.querySelector(`[data-part=${name}]`);
  const [picture, map] = root.querySelectorAll(".frame"), slider = root.querySelector("input");
  const cells = image.slice(0, 3).map(() => root.querySelector("tbody").insertRow())
    .flatMap((line) => [0, 1, 2].map(() => line.insertCell()));
  // JupyterLab has plans of its own for the arrow keys.
  for (const each of root.querySelectorAll("button, input, [tabindex]")) each.dataset.lmSuppressShortcuts = "true";
  let place = 0, filled = 0, timer = 0;

  const show = () => {
    const row = Math.floor(place / columns), column = place % columns, answer = answers[row][column];
    cells.forEach((cell, i) => {
      const pixel = image[row + Math.floor(i / 3)][column + (i % 3)], weight = kernel[Math.floor(i / 3)][i % 3];
      const parts = [["span", number(pixel)], ["span", `× ${number(weight)}`], ["b", `= ${number(pixel * weight)}`]];
      cell.replaceChildren(...parts.map(([tag, text]) => Object.assign(document.createElement(tag), { textContent: text })));
      cell.lastChild.dataset.sign = Math.sign(pixel * weight);
    });
    root.querySelector(".sum").textContent = `sum ${number(answer)}`;
    root.querySelector(".sum").dataset.sign = Math.sign(answer);
    paint(map.querySelector("canvas"), shades, shade, filled);
    mark(picture, row, column, 3, rows + 2, columns + 2);
    mark(map, row, column, 1, rows, columns);
    const words = `row ${row}, column ${column}: the nine products add up to ${number(answer)}`;
    part("said").ariaLive = timer ? "off" : "polite";
    part("said").textContent = `At ${words}.`;
    slider.value = place;
    slider.setAttribute("aria-valuetext", words);
    map.setAttribute("aria-label", `the feature map, ${rows}×${columns}; arrow keys move the kernel. ${words}`);
    part("back").disabled = place === 0;
    part("next").disabled = place === end;
    part("play").textContent = timer ? "Pause" : still.matches ? "Fill the map" : "Play";
  };

  /** Go to a place, from 0 to the last, and tell Python unless on the way. */
  const go = (to) => {
    place = Math.min(end, Math.max(0, to));
    filled = Math.max(filled, place);
    if (!timer) {
      model.set("place", [Math.floor(place / columns), place % columns]);
      model.save_changes();
    }
    show();
  };
  const pause = () => {
    clearTimeout(timer);
    timer = 0;
  };
  /** Slowly at first, so that the sums can be read, then faster. */
  const play = (delay) => {
    timer = setTimeout(() => {
      if (place + 1 >= end) timer = 0;
      else play(Math.max(25, delay * 0.94));
      go(place + 1);
    }, delay);
  };
  const restart = () => {
    pause();
    filled = 0;
    go(0);
  };

  part("start").onclick = restart;
  part("back").onclick = () => (pause(), go(place - 1));
  part("next").onclick = () => (pause(), go(place + 1));
  part("play").onclick = () => {
    if (timer) return pause(), go(place);
    if (place === end) restart();
    if (still.matches) return go(end);
    play(500);
    show();
  };
  slider.max = end;
  slider.oninput = () => (pause(), go(Number(slider.value)));
  map.onkeydown = (event) => {
    const row = Math.floor(place / columns), column = place % columns;
    const [down, right] = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
      Home: [0, -columns], End: [0, columns], PageUp: [-rows, 0], PageDown: [rows, 0],
    }[event.key] ?? [0, 0];
    if (!(down || right) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    pause();
    const within = (value, count) => Math.min(count - 1, Math.max(0, value));
    go(within(row + down, rows) * columns + within(column + right, columns));
  };
  // A click or a tap goes to where it points; so does the mouse alone, unless the kernel is walking.
  for (const [frame, around] of [[map, 0], [picture, 1]]) {
    const point = (event) => {
      if (event.type === "pointermove" && (timer || event.pointerType !== "mouse")) return;
      pause();
      const box = frame.getBoundingClientRect();
      const at = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * (count + 2 * around)) - around));
      const to = at((event.clientY - box.top) / box.height, rows) * columns + at((event.clientX - box.left) / box.width, columns);
      if (to !== place || event.type === "pointerdown") go(to);
    };
    frame.addEventListener("pointerdown", point);
    frame.addEventListener("pointermove", point);
  }

  const follow = () => {
    const [row, column] = model.get("place");
    if (timer || row * columns + column === place) return;
    place = row * columns + column;
    filled = Math.max(filled, place);
    show();
  };
  const paper = picture.querySelector("canvas");
  paper.setAttribute("aria-label", `the image, ${rows + 2}×${columns + 2} pixels`);
  paint(paper, image, (value) => `rgba(255, 255, 255, ${value})`);
  model.on("change:place", follow);
  still.addEventListener("change", show);
  show();
  follow();
  return () => {
    pause();
    model.off("change:place", follow);
    still.removeEventListener("change", show);
  };
}

export default { render };
