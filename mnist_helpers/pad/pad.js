// The drawing pad's front end. It records strokes and shows what Python answers; all thinking is done there.
// Coordinates run from 0 to 1, x to the right and y down. Loaded by anywidget: no build step, nothing from the network.

const STEP = 1 / 150; // of the pad: points nearer than this to the last one are not recorded
const LIVE = 250; // milliseconds between two looks at a stroke that is still being drawn
const SVG = "http://www.w3.org/2000/svg";

const TEMPLATE = `
  <div class="stage">
    <section class="drawing">
      <h3>Draw a digit</h3>
      <svg data-part="pad" class="pad" viewBox="0 0 1 1" tabindex="0" role="application">
        <g data-part="ink"></g>
        <path data-part="cursor" class="cursor" d="M-.04 0H.04M0-.04V.04"></path>
      </svg>
      <div class="row">
        <button type="button" data-part="undo">Undo</button>
        <button type="button" data-part="clear">Clear</button>
      </div>
    </section>
    <section class="input">
      <h3>What the network sees</h3>
      <canvas data-part="image" class="digit" width="28" height="28" role="img"></canvas>
      <fieldset class="row" data-part="fit">
        <legend>28×28 pixels, made from your strokes</legend>
        <label><input type="radio" value="false"> as drawn</label>
        <label><input type="radio" value="true"> as MNIST was made</label>
      </fieldset>
    </section>
    <section class="answer">
      <h3>What it answers</h3>
      <fieldset class="row" data-part="network"><legend>Which network</legend></fieldset>
      <p class="verdict"><strong data-part="verdict" aria-hidden="true"></strong>
        <span data-part="sentence" role="status" aria-live="polite"></span></p>
      <ol data-part="bars" class="bars"></ol>
    </section>
  </div>
  <p data-part="notice" class="notice" role="alert"></p>
  <details data-panel="layers">
    <summary>Layer by layer</summary>
    <div data-part="layers" class="layers"></div>
    <div data-part="unit" class="unit" aria-live="polite"></div>
  </details>
  <details data-panel="map">
    <summary>Where your digit lives</summary>
    <fieldset class="row" data-part="space">
      <legend>The test digits, each a point; near means alike by</legend>
      <label><input type="radio" value="last hidden layer"> the last hidden layer</label>
      <label><input type="radio" value="pixels"> the pixels</label>
    </fieldset>
    <div class="row top">
      <div class="map"><canvas data-part="points" width="512" height="512" role="img"></canvas>
        <svg data-part="place" viewBox="0 0 1 1" aria-hidden="true"></svg></div>
      <div class="near"><p data-part="near"></p><div data-part="neighbours" class="strip"></div></div>
    </div>
  </details>
  <details data-panel="mine">
    <summary>Your digits</summary>
    <fieldset class="row keep" data-part="keep"><legend>Keep this drawing as a</legend></fieldset>
    <p data-part="tally" aria-live="polite"></p>
    <div data-part="kept" class="strip"></div>
    <div class="row">
      <button type="button" data-part="forget">Forget the last</button>
      <button type="button" data-part="download">Download</button>
      <label class="button">Reload a file <input type="file" data-part="reload" accept=".json"></label>
    </div>
  </details>`;

// Okabe and Ito's colours, which people with any kind of colour vision can tell apart, and two greys between them.
const COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999", "#8C510A", "#7B68EE"];

const bytes = (view) => (view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array());
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const grey = (value) => [value, value, value];
// 128 is zero; purple above, orange below, as in the figures of the course.
const diverging = (value) =>
  value >= 128 ? mix([247, 247, 247], [84, 39, 136], (value - 128) / 127) : mix([247, 247, 247], [179, 88, 6], (128 - value) / 128);
const mix = (from, to, share) => from.map((channel, i) => channel + (to[i] - channel) * share);

function element(tag, properties = {}, parent = null) {
  const made = Object.assign(document.createElement(tag), properties);
  parent?.append(made);
  return made;
}

/** Paint `width × height` values from 0 to 255 on a canvas, one pixel each. */
function paint(canvas, values, width, height, colour = grey) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) picture.data.set([...colour(values[i] ?? 0), 255], 4 * i);
  context.putImageData(picture, 0, 0);
}

/** A row of 28×28 digits with captions; `choose(i)` is called when one is clicked, which `name(i)` says in words. */
function strip(parent, images, captions, choose = null, name = null) {
  parent.replaceChildren();
  captions.forEach((caption, i) => {
    const tile = element(choose ? "button" : "span", { className: "tile" }, parent);
    paint(element("canvas", { className: "digit" }, tile), images.subarray(784 * i, 784 * (i + 1)), 28, 28);
    element("span", { textContent: caption }, tile);
    if (choose) Object.assign(tile, { type: "button", ariaLabel: name(i), onclick: () => choose(i) });
  });
}

/** Distance of point `p` from the line between `a` and `b`. */
function distance(p, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const along = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy || 1);
  const nearest = Math.min(1, Math.max(0, along));
  return Math.hypot(p[0] - a[0] - nearest * dx, p[1] - a[1] - nearest * dy);
}

/** Leave out the points that lie within `tolerance` of the line that remains (Ramer 1972, Douglas and Peucker 1973). */
function simplify(points, tolerance = 0.0007) {
  let [farthest, index] = [0, 0];
  for (let i = 1; i < points.length - 1; i++) {
    const away = distance(points[i], points[0], points.at(-1));
    if (away > farthest) [farthest, index] = [away, i];
  }
  if (farthest <= tolerance) return points.length > 2 ? [points[0], points.at(-1)] : [...points];
  return [...simplify(points.slice(0, index + 1), tolerance).slice(0, -1), ...simplify(points.slice(index), tolerance)];
}

function render({ model, el }) {
  el.classList.add("digit-pad");
  // On whatever has the focus, JupyterLab would take letters for commands: "dd" deletes the cell.
  el.addEventListener("focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
  el.innerHTML = TEMPLATE;
  const part = Object.fromEntries([...el.querySelectorAll("[data-part]")].map((node) => [node.dataset.part, node]));

  // The pad. `stroke` is the one being drawn, by pointer or keyboard, and `before` are those that were there already.
  let stroke = null, before = [], looked = 0, cursor = [0.5, 0.5];

  const round = (value) => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;
  const strokes = () => (stroke ? [...before, stroke] : model.get("strokes"));

  function draw() {
    part.ink.replaceChildren();
    for (const points of strokes()) {
      const line = document.createElementNS(SVG, "polyline");
      // A dot is a line to itself, which SVG draws with its round caps.
      line.setAttribute("points", (points.length > 1 ? points : [...points, ...points]).join(" "));
      line.setAttribute("stroke-width", model.get("pen") / 28);
      part.ink.append(line);
    }
    part.cursor.setAttribute("transform", `translate(${cursor})`);
    part.cursor.classList.toggle("down", stroke !== null);
    const count = strokes().length;
    part.pad.setAttribute("aria-label", `Drawing pad, ${count} ${count === 1 ? "stroke" : "strokes"}. Arrow keys move the pen, ` +
      "space sets it down and lifts it, backspace takes back a stroke, delete clears.");
    const lost = [part.undo, part.clear].includes(el.getRootNode().activeElement);
    part.undo.disabled = part.clear.disabled = count === 0;
    if (lost && count === 0) part.pad.focus({ preventScroll: true }); // a disabled button drops the focus
  }

  function tell(value) {
    model.set("strokes", value);
    model.save_changes();
  }

  function begin(x, y) {
    finish();
    before = model.get("strokes");
    looked = performance.now();
    stroke = [];
    extend(x, y);
  }

  function extend(x, y) {
    const [point, last] = [[round(x), round(y)], stroke.at(-1)];
    if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) >= STEP) stroke.push(point);
  }

  function finish() {
    if (!stroke) return;
    const done = [...before, simplify(stroke)];
    stroke = null;
    tell(done);
  }

  const locate = (event) => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(part.pad.getScreenCTM().inverse());
    return [x, y];
  };
  let pointer = null; // of several fingers, the first one draws
  part.pad.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    part.pad.setPointerCapture(pointer);
    begin(...locate(event));
    draw();
  });
  part.pad.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer || !stroke) return; // a button can end the stroke while the pen is down
    const passed = event.getCoalescedEvents?.() ?? []; // where the pointer was since the last frame
    for (const each of [...passed, event]) extend(...locate(each));
    if (performance.now() - looked > LIVE) {
      looked = performance.now();
      tell([...before, simplify(stroke)]);
    }
    draw();
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"])
    part.pad.addEventListener(kind, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      if (kind === "pointerup" && stroke) extend(...locate(event));
      finish();
      draw();
    });

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  part.pad.addEventListener("keydown", (event) => {
    const undo = event.key === "Backspace" || ((event.ctrlKey || event.metaKey) && event.key === "z");
    const plain = !(event.ctrlKey || event.metaKey || event.altKey);
    const press = plain && (event.key === " " || event.key === "Enter");
    if (pointer !== null || (press && event.repeat)) return event.preventDefault(); // one hand at a time, and one press
    if (undo) takeBack();
    else if (plain && event.key in MOVES) {
      const size = event.shiftKey ? 4 / 28 : 1 / 28;
      cursor = cursor.map((value, i) => round(value + size * MOVES[event.key][i]));
      if (stroke) extend(...cursor);
    } else if (press) stroke ? finish() : begin(...cursor);
    else if (plain && event.key === "Delete") clear();
    else if (plain && event.key === "Escape") finish();
    else return;
    event.preventDefault();
    event.stopPropagation();
    draw();
  });
  part.pad.addEventListener("blur", () => pointer === null && (finish(), draw()));

  function takeBack() {
    finish();
    tell(model.get("strokes").slice(0, -1));
  }
  function clear() {
    stroke = null;
    tell([]);
  }
  part.undo.onclick = takeBack;
  part.clear.onclick = clear;

  // Switches: radio buttons bound to a trait.
  function bind(group, trait, read) {
    const buttons = [...group.querySelectorAll("input")];
    group.onkeydown = (event) => event.stopPropagation(); // JupyterLab would take the arrow keys
    const name = `${trait}-${crypto.getRandomValues(new Uint32Array(1))[0]}`; // one group for each view of the pad
    for (const button of buttons) {
      button.name = name;
      button.onchange = () => {
        model.set(trait, read(button.value));
        model.save_changes();
      };
    }
    return () => buttons.forEach((button) => (button.checked = read(button.value) === model.get(trait)));
  }
  const networks = model.get("networks");
  for (const name of networks) {
    const label = element("label", {}, part.network);
    element("input", { type: "radio", value: name }, label);
    label.append(` ${name}`);
  }
  if (networks.length < 2) part.network.remove();
  const showNetwork = bind(part.network, "network", (value) => value);
  const showFit = bind(part.fit, "as_mnist", (value) => value === "true");
  const showSpace = bind(part.space, "space", (value) => value);

  // Panels: Python works for those alone that are open.
  const panels = [...el.querySelectorAll("details")];
  for (const panel of panels)
    panel.ontoggle = () => {
      const open = panels.filter((each) => each.open).map((each) => each.dataset.panel);
      if (open.join() === model.get("opened").join()) return;
      model.set("opened", open);
      model.save_changes();
    };
  const showPanels = () => panels.forEach((panel) => (panel.open = model.get("opened").includes(panel.dataset.panel)));

  // The answer.
  const bars = Array.from({ length: 10 }, (_, digit) => {
    const row = element("li", {}, part.bars);
    element("b", { textContent: digit }, row);
    return { row, bar: element("i", {}, element("span", { className: "bar" }, row)), text: element("span", { className: "share" }, row) };
  });

  function showSeen() {
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
  }

  // Layers: units as cells, feature maps as tiles, each from 0 (black) to the layer's largest (white), a pixel apart.
  // The chosen unit has a coloured frame.
  const CELL = 6, GAP = -1, FRAME = -2;
  const cell = (value) => (value === GAP ? [128, 128, 128] : value === FRAME ? [213, 94, 0] : grey(value));
  function showLayers(layers) {
    while (part.layers.children.length > layers.length) part.layers.lastChild.remove();
    layers.forEach(({ name, shape, values }, i) => {
      const row = part.layers.children[i] ?? element("figure", {}, part.layers);
      if (!row.firstChild) {
        element("canvas", {}, row);
        element("figcaption", {}, row);
        if (i === 0) choosable(row.firstChild);
      }
      const [units, height = CELL, width = CELL] = shape;
      const flat = shape.length === 1; // one number a unit, shown as a square
      const columns = Math.min(units, flat ? 32 : 8), rows = Math.ceil(units / columns);
      const across = columns * (width + 1) + 1, down = rows * (height + 1) + 1;
      const [picture, answers] = [new Int16Array(across * down).fill(GAP), bytes(values)];
      const at = (unit, x, y) =>
        (Math.floor(unit / columns) * (height + 1) + y + 1) * across + (unit % columns) * (width + 1) + x + 1;
      const chosen = i === 0 ? model.get("unit") : -1;
      if (chosen >= 0 && chosen < units)
        for (let y = -1; y <= height; y++) picture.fill(FRAME, at(chosen, -1, y), at(chosen, width, y) + 1);
      for (let unit = 0; unit < units; unit++)
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            picture[at(unit, x, y)] = answers[flat ? unit : (unit * height + y) * width + x];
      const canvas = row.firstChild;
      Object.assign(canvas.dataset, { units, columns, rows });
      canvas.classList.toggle("maps", !flat);
      paint(canvas, picture, across, down, cell);
      canvas.style.width = `${Math.min(100, (100 * across) / (32 * (CELL + 1)))}%`;
      row.lastChild.textContent = name;
    });
  }

  function choosable(canvas) {
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

  function showUnit() {
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
  }

  // The map.
  function showMap() {
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
    showPlace();
  }
  function mark(tag, attributes, text = "") {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    part.place.append(made);
  }
  function showPlace() {
    const { x, y, sentence = "", images, labels = [] } = model.get("place");
    part.place.querySelectorAll("circle").forEach((circle) => circle.remove());
    if (x !== undefined) for (let ring = 0; ring < 2; ring++) mark("circle", { cx: x, cy: 1 - y, r: 0.035 });
    part.near.textContent = sentence;
    strip(part.neighbours, bytes(images), labels);
  }

  // Your digits.
  function ask(message) {
    try {
      model.send(message);
    } catch {
      part.notice.textContent = "Python does not answer. If its kernel was restarted, run the cell again, or reload the page.";
    }
  }
  const probe = () => ask({}); // when the kernel restarts: without it the pad would look alive, with an old answer
  for (let digit = 0; digit < 10; digit++)
    element("button", { type: "button", textContent: digit, onclick: () => keep(digit) }, part.keep);
  function keep(digit) {
    finish();
    // The strokes go along: a change of a trait may still be waiting to be sent, and a message overtakes it.
    ask({ keep: digit, strokes: model.get("strokes") });
  }
  function showMine() {
    const { sentence, images, captions = [] } = model.get("mine");
    part.tally.textContent = sentence;
    const name = (i) => `Kept drawing ${i + 1}, ${captions[i] === "?" ? "no label" : `label ${captions[i]}`}: put it on the pad`;
    strip(part.kept, bytes(images), captions, (i) => ask({ show: i }), name);
    part.forget.disabled = part.download.disabled = captions.length === 0;
  }
  const view = crypto.getRandomValues(new Uint32Array(1))[0]; // of several views of the pad, one downloads
  part.forget.onclick = () => ask({ forget: true });
  part.download.onclick = () => ask({ download: view });
  part.reload.onchange = async () => {
    if (part.reload.files.length) ask({ reload: await part.reload.files[0].text() });
    part.reload.value = "";
  };
  const receive = ({ file, download }) => {
    if (!file || download !== view) return;
    const address = URL.createObjectURL(new Blob([file], { type: "application/json" }));
    element("a", { href: address, download: "my_digits.json" }).click();
    URL.revokeObjectURL(address);
  };

  const showNotice = () => (part.notice.textContent = model.get("notice"));
  const shown = {
    strokes: draw, network: showNetwork, as_mnist: showFit, opened: showPanels, space: showSpace, seen: showSeen, detail: showUnit, unit: showSeen,
    map: showMap, place: showPlace, mine: showMine, notice: showNotice,
  };
  for (const [trait, show] of Object.entries(shown)) {
    model.on(`change:${trait}`, show);
    show();
  }
  model.on("msg:custom", receive);
  model.on("comm_live_update", probe);
  return () => {
    for (const [trait, show] of Object.entries(shown)) model.off(`change:${trait}`, show);
    model.off("msg:custom", receive);
    model.off("comm_live_update", probe);
  };
}

export default { render };
