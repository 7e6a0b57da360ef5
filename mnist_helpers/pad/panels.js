// What Python has found out, shown: the answer, the layers, the map, the kept drawings. Each function here prepares a
// panel and returns what shows it anew, by the name of the trait that has changed.

const QUIET = 300; // milliseconds without change, after which a screen reader is told

/** In per cent; what would round to 100 is not certain either. The space does not break. */
const percent = (share) => (share >= 0.9995 ? ">\u00a099.9\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`);

/** What is said to a screen reader in `place`: the last of several texts that come in quick succession. */
function speaker(place) {
  let timer = 0;
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const said = typeof text === "function" ? text() : text;
      if (said !== null) place.textContent = said;
    }, QUIET);
  };
}

/** The image that the network sees, ten bars by which one asks why, and the sentence. `showLayers` follows. */
function answerPanel(model, part, el, pen, showLayers) {
  const bars = Array.from({ length: 10 }, (_, digit) => {
    const row = element("li", {}, part.bars);
    const button = element("button", { type: "button" }, row);
    element("b", { textContent: digit }, button);
    const bar = element("i", {}, element("span", { className: "bar" }, button));
    return { row, button, bar, text: element("span", { className: "share" }, button) };
  });
  const buttons = bars.map(({ button }) => button);
  askable(model, part, buttons);
  const speak = speaker(part.said);
  const say = () => speak(() => (pen.isBusy() ? null : model.get("seen").sentence)); // not at every look at half a stroke
  pen.onrest = say; // the last look may have said it all
  const seen = () => {
    const { image, probabilities = [], digit, verdict = "", sentence = "", layers = [] } = model.get("seen");
    paint(part.image, bytes(image), 28, 28);
    part.image.setAttribute("aria-label", `The 28×28 image that the network reads, ${model.get("as_mnist") ? "centred like MNIST" : "as drawn"}`);
    part.image.hidden = !image;
    bars.forEach(({ row, button, bar, text }, i) => {
      const share = probabilities[i];
      row.className = i === digit ? "best" : "";
      bar.style.width = `${100 * (share ?? 0)}%`;
      text.textContent = share === undefined ? "" : percent(share);
      button.disabled = !image;
      button.ariaLabel = image ? `${i}: ${percent(share)}. Why ${i === digit ? "" : "not "}${i}?` : `${i}`;
    });
    part.verdict.textContent = verdict;
    part.sentence.textContent = sentence;
    el.dataset.sure = verdict === String(digit);
    showLayers(layers);
    showFlow(part, model.get("seen"));
    say();
  };
  return { seen, unit: () => showLayers(model.get("seen").layers ?? []), reason: reasonPanel(model, part, el, buttons) };
}

// Layers: neurons as cells, feature maps as tiles, each from 0 (black) to the layer's largest (white), a pixel apart.
// The gap has no colour of its own: the theme's shines through, which is no grey. A frame is around the chosen neuron,
// and a lighter one around that under the pointer.
const CELL = 6, GAP = -1, FRAME = -2, HOVER = -3;
const COLOUR_OF = { [GAP]: [0, 0, 0, 0], [FRAME]: [213, 94, 0], [HOVER]: [240, 160, 96] };
const cell = (value) => COLOUR_OF[value] ?? grey(value);

/** One picture of a layer on `canvas`, with frames around the neurons `chosen` and `hovered`. */
function paintLayer(canvas, { shape, values }, chosen, hovered = -1) {
  const [units, height = CELL, width = CELL] = shape;
  const flat = shape.length === 1; // one number a neuron, shown as a square
  const columns = Math.min(units, flat ? 32 : 8), rows = Math.ceil(units / columns);
  const across = columns * (width + 1) + 1, down = rows * (height + 1) + 1;
  const [picture, answers] = [new Int16Array(across * down).fill(GAP), bytes(values)];
  const at = (unit, x, y) =>
    (Math.floor(unit / columns) * (height + 1) + y + 1) * across + (unit % columns) * (width + 1) + x + 1;
  for (const [unit, colour] of [[hovered, HOVER], [chosen, FRAME]])
    if (unit >= 0 && unit < units)
      for (let y = -1; y <= height; y++) picture.fill(colour, at(unit, -1, y), at(unit, width, y) + 1);
  for (let unit = 0; unit < units; unit++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) picture[at(unit, x, y)] = answers[flat ? unit : (unit * height + y) * width + x];
  Object.assign(canvas.dataset, { units, columns, rows });
  canvas.classList.toggle("maps", !flat);
  paint(canvas, picture, across, down, cell);
  canvas.style.width = `${Math.min(100, (100 * across) / (32 * (CELL + 1)))}%`;
}

/** Let one choose a neuron of the first layer, by pointer or keys; `hover` is told which is under the pointer. */
function choosable(model, canvas, hover) {
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Neurons of the first layer: arrow keys choose one, to see its weights");
  const choose = (unit) => {
    if (unit < 0 || unit >= Number(canvas.dataset.units)) return;
    model.set("unit", unit);
    model.save_changes();
  };
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * Number(canvas.dataset.columns));
    const row = Math.floor(((event.clientY - box.top) / box.height) * Number(canvas.dataset.rows));
    return row * Number(canvas.dataset.columns) + column;
  };
  canvas.onclick = (event) => choose(under(event));
  canvas.onpointermove = (event) => hover(under(event));
  canvas.onpointerleave = () => hover(-1);
  canvas.onkeydown = (event) => {
    if (!(event.key in MOVES)) return;
    const [right, down] = MOVES[event.key], units = Number(canvas.dataset.units), unit = model.get("unit");
    const next = unit + right + down * Number(canvas.dataset.columns);
    choose(unit < 0 || unit >= units ? 0 : Math.min(units - 1, Math.max(0, next))); // another network may have fewer
    event.preventDefault();
    event.stopPropagation();
  };
}

/** The layers, and under the first of them what is known of the chosen neuron. */
function layersPanel(model, part) {
  let first = null, hovered = -1;
  const figures = (place, layers) => {
    while (place.children.length > layers.length) place.lastChild.remove();
    return layers.map((layer, i) => {
      const figure = place.children[i] ?? element("figure", {}, place);
      const canvas = figure.firstChild ?? element("canvas", {}, figure);
      const caption = canvas.nextSibling ?? element("figcaption", {}, figure);
      caption.textContent = layer.name;
      return canvas;
    });
  };
  const showFirst = (canvas) => paintLayer(canvas, first, model.get("unit"), hovered);
  const showLayers = (layers) => {
    [first] = layers;
    for (const canvas of figures(part.first, layers.slice(0, 1))) {
      if (!canvas.onclick)
        choosable(model, canvas, (unit) => {
          if (unit === hovered) return;
          hovered = unit;
          showFirst(canvas);
        });
      showFirst(canvas);
    }
    figures(part.rest, layers.slice(1)).forEach((canvas, i) => paintLayer(canvas, layers[i + 1], -1));
  };
  const detail = () => {
    const { sentence, weights, shape, images, labels } = model.get("detail");
    part.unit.replaceChildren();
    if (!sentence) return;
    element("p", { textContent: sentence }, part.unit);
    if (!weights) return; // they are being prepared
    const row = element("div", { className: "strip" }, part.unit);
    strip(row, bytes(images), labels);
    const tile = element("span", { className: "tile weights" });
    row.prepend(tile);
    paint(element("canvas", { className: "digit" }, tile), bytes(weights), shape[1], shape[0], diverging);
    element("span", { textContent: "weights" }, tile);
  };
  return { showLayers, detail };
}

/** The map of test digits, the place of the drawing on it, and its nearest training digits. */
function mapPanel(model, part) {
  const place = () => {
    const { x, y, sentence = "", images, labels = [] } = model.get("place");
    part.place.querySelectorAll("circle").forEach((circle) => circle.remove());
    if (x !== undefined) for (let ring = 0; ring < 2; ring++) shape("circle", { cx: x, cy: 1 - y, r: 0.035 }, part.place);
    part.near.textContent = sentence;
    strip(part.neighbours, bytes(images), labels);
  };
  const map = () => {
    const { points, labels, colours } = model.get("map");
    const [xy, digits] = [bytes(points), bytes(labels)];
    const context = part.points.getContext("2d");
    context.clearRect(0, 0, 512, 512);
    const sums = Array.from({ length: 10 }, () => [0, 0, 0]);
    digits.forEach((digit, i) => {
      context.fillStyle = colours[digit];
      const [x, y] = [xy[2 * i], 255 - xy[2 * i + 1]]; // the second component grows upwards, as in a plot
      context.fillRect(2 * x - 1, 2 * y - 1, 3, 3);
      sums[digit] = sums[digit].map((sum, k) => sum + [x, y, 1][k]);
    });
    part.points.setAttribute("aria-label", `Map of ${digits.length} test digits`);
    part.place.replaceChildren();
    sums.forEach(([x, y, count], digit) => {
      if (count) shape("text", { x: x / count / 256, y: y / count / 256 }, part.place).textContent = digit;
    });
    place();
  };
  const frame = part.points.parentElement; // the drawing's place lies over the points
  frame.onpointermove = (event) => {
    const box = part.points.getBoundingClientRect();
    const [x, y] = [((event.clientX - box.left) / box.width) * 256, 255 - ((event.clientY - box.top) / box.height) * 256];
    const [xy, digits] = [bytes(model.get("map").points), bytes(model.get("map").labels)];
    let [nearest, point] = [4, -1]; // within so many of 256 parts of the map
    digits.forEach((_, i) => {
      const away = Math.hypot(xy[2 * i] - x, xy[2 * i + 1] - y);
      if (away < nearest) [nearest, point] = [away, i];
    });
    part.hovered.textContent = point < 0 ? "" : `Under the pointer: test digit ${point}, a ${digits[point]}.`;
  };
  frame.onpointerleave = () => (part.hovered.textContent = "");
  return { map, place };
}

const LARGEST = 8; // megabytes of a file of drawings: what is larger would not arrive, and nobody would say so

/** The drawings that were kept: `ask` sends Python a wish. */
function minePanel(model, part, pen, ask) {
  const keep = (digit) => {
    pen.finish();
    // The strokes go along: a change of a trait may still be waiting to be sent, and a message overtakes it.
    ask({ keep: digit, strokes: model.get("strokes") });
  };
  for (let digit = 0; digit < 10; digit++)
    element("button", { type: "button", textContent: digit, onclick: () => keep(digit) }, part.keep);
  part.forget.onclick = () => ask({ forget: true });
  part.reload.onchange = async () => {
    const [file] = part.reload.files;
    if (file?.size > 1e6 * LARGEST)
      part.notice.textContent = `${file.name} has ${(file.size / 1e6).toFixed(1)} MB, and at most ${LARGEST} can be read here.`;
    else if (file) ask({ reload: await file.text() });
    part.reload.value = "";
  };
  const mine = () => {
    const { sentence, first = 0, images, captions = [] } = model.get("mine");
    part.tally.textContent = sentence;
    const name = (i) => `Kept drawing ${first + i + 1}, ${captions[i] === "?" ? "no label" : `label ${captions[i]}`}: put it on the pad`;
    strip(part.kept, bytes(images), captions, (i) => ask({ show: first + i }), name);
    part.forget.disabled = part.download.disabled = captions.length === 0;
  };
  return { mine };
}

/** Tricks that were tried on the network, and the trophies of those that worked. */
function foolPanel(model, part, pen, ask) {
  part.claim.onclick = () => {
    pen.finish();
    ask({ fool: true, strokes: model.get("strokes") }); // they go along, as with `keep`
  };
  part.prizes.onclick = () => ask({ trophies: true });
  const wall = () => {
    const { sentence = "", won = 0, refused = 0, images, captions = [] } = model.get("wall");
    part.outcome.textContent = sentence;
    part.score.textContent = `Fooled: ${won}. Refused: ${refused}.`;
    strip(part.trophies, bytes(images), captions.map((digit) => `read as ${digit}`));
    part.prizes.disabled = won === 0;
  };
  return { wall };
}
