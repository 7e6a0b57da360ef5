// What Python has found out, shown: the answer, the layers, the map, the kept drawings. Each function here prepares a
// panel and returns what shows it anew, by the name of the trait that has changed.

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** The image that the network sees, ten bars, and the sentence. `showLayers` follows. */
function answerPanel(model, part, el, showLayers) {
  const bars = Array.from({ length: 10 }, (_, digit) => {
    const row = element("li", {}, part.bars);
    element("b", { textContent: digit }, row);
    return { row, bar: element("i", {}, element("span", { className: "bar" }, row)), text: element("span", { className: "share" }, row) };
  });
  const seen = () => {
    const { image, probabilities = [], digit, verdict = "", sentence = "", layers = [] } = model.get("seen");
    paint(part.image, bytes(image), 28, 28);
    part.image.setAttribute("aria-label", `The 28×28 image that the network reads, ${model.get("as_mnist") ? "as MNIST was made" : "as drawn"}`);
    bars.forEach(({ row, bar, text }, i) => {
      const share = probabilities[i];
      row.className = i === digit ? "best" : "";
      bar.style.width = percent(share ?? 0).replace(" ", "");
      text.textContent = share === undefined ? "" : percent(share);
    });
    part.verdict.textContent = verdict;
    part.sentence.textContent = sentence;
    el.dataset.sure = verdict === String(digit);
    showLayers(layers);
  };
  return { seen, unit: seen };
}

// Layers: units as cells, feature maps as tiles, each from 0 (black) to the layer's largest (white), a pixel apart.
// The chosen unit has a coloured frame.
const CELL = 6, GAP = -1, FRAME = -2;
const cell = (value) => (value === GAP ? [128, 128, 128] : value === FRAME ? [213, 94, 0] : grey(value));

/** One picture of a layer on `canvas`, with a frame around the unit `chosen`. */
function paintLayer(canvas, { shape, values }, chosen) {
  const [units, height = CELL, width = CELL] = shape;
  const flat = shape.length === 1; // one number a unit, shown as a square
  const columns = Math.min(units, flat ? 32 : 8), rows = Math.ceil(units / columns);
  const across = columns * (width + 1) + 1, down = rows * (height + 1) + 1;
  const [picture, answers] = [new Int16Array(across * down).fill(GAP), bytes(values)];
  const at = (unit, x, y) =>
    (Math.floor(unit / columns) * (height + 1) + y + 1) * across + (unit % columns) * (width + 1) + x + 1;
  if (chosen >= 0 && chosen < units)
    for (let y = -1; y <= height; y++) picture.fill(FRAME, at(chosen, -1, y), at(chosen, width, y) + 1);
  for (let unit = 0; unit < units; unit++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) picture[at(unit, x, y)] = answers[flat ? unit : (unit * height + y) * width + x];
  Object.assign(canvas.dataset, { units, columns, rows });
  canvas.classList.toggle("maps", !flat);
  paint(canvas, picture, across, down, cell);
  canvas.style.width = `${Math.min(100, (100 * across) / (32 * (CELL + 1)))}%`;
}

/** Let one choose a unit of the first layer, by pointer or keys. */
function choosable(model, canvas) {
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Units of the first layer: arrow keys choose one, to see its weights");
  const choose = (unit) => {
    if (unit < 0 || unit >= Number(canvas.dataset.units)) return;
    model.set("unit", unit);
    model.save_changes();
  };
  canvas.onclick = (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * Number(canvas.dataset.columns));
    const row = Math.floor(((event.clientY - box.top) / box.height) * Number(canvas.dataset.rows));
    choose(row * Number(canvas.dataset.columns) + column);
  };
  canvas.onkeydown = (event) => {
    if (!(event.key in MOVES)) return;
    const [right, down] = MOVES[event.key], units = Number(canvas.dataset.units), unit = model.get("unit");
    const next = unit + right + down * Number(canvas.dataset.columns);
    choose(unit < 0 || unit >= units ? 0 : Math.min(units - 1, Math.max(0, next))); // another network may have fewer
    event.preventDefault();
    event.stopPropagation();
  };
}

/** The layers, and what is known of the chosen unit. */
function layersPanel(model, part) {
  const showLayers = (layers) => {
    while (part.layers.children.length > layers.length) part.layers.lastChild.remove();
    layers.forEach((layer, i) => {
      const row = part.layers.children[i] ?? element("figure", {}, part.layers);
      if (!row.firstChild) {
        element("canvas", {}, row);
        element("figcaption", {}, row);
        if (i === 0) choosable(model, row.firstChild);
      }
      paintLayer(row.firstChild, layer, i === 0 ? model.get("unit") : -1);
      row.lastChild.textContent = layer.name;
    });
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
  const mark = (tag, attributes, text = "") => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    part.place.append(made);
  };
  const place = () => {
    const { x, y, sentence = "", images, labels = [] } = model.get("place");
    part.place.querySelectorAll("circle").forEach((circle) => circle.remove());
    if (x !== undefined) for (let ring = 0; ring < 2; ring++) mark("circle", { cx: x, cy: 1 - y, r: 0.035 });
    part.near.textContent = sentence;
    strip(part.neighbours, bytes(images), labels);
  };
  const map = () => {
    const { points, labels } = model.get("map");
    const [xy, digits] = [bytes(points), bytes(labels)];
    const context = part.points.getContext("2d");
    context.clearRect(0, 0, 512, 512);
    const sums = Array.from({ length: 10 }, () => [0, 0, 0]);
    digits.forEach((digit, i) => {
      context.fillStyle = COLOURS[digit];
      const [x, y] = [xy[2 * i], 255 - xy[2 * i + 1]]; // the second component grows upwards, as in a plot
      context.fillRect(2 * x - 1, 2 * y - 1, 3, 3);
      sums[digit] = sums[digit].map((sum, k) => sum + [x, y, 1][k]);
    });
    part.points.setAttribute("aria-label", `Map of ${digits.length} test digits`);
    part.place.replaceChildren();
    sums.forEach(([x, y, count], digit) => count && mark("text", { x: x / count / 256, y: y / count / 256 }, digit));
    place();
  };
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
