// Two sliders, a button that has the kernel train one epoch, and every try so far: on a map of both settings, and in a
// table. The browser only asks and shows.

const SVG = "http://www.w3.org/2000/svg";
const KEYS = /^(Arrow|Page|Home|End)/; // of a slider, which JupyterLab would take
const CELL = { width: 56, height: 28, left: 64, top: 8 };
let made = 0; // so that labels are this widget's own

function element(kind, properties = {}, ...children) {
  const one = Object.assign(document.createElement(kind), properties);
  one.append(...children);
  return one;
}

function drawn(kind, attributes, text = "") {
  const one = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.textContent = text;
  return one;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function slider(name, options, start, changed) {
  const id = `digit-goal-${++made}`;
  const input = element("input", { type: "range", id, min: 0, max: options.length - 1, step: 1 });
  input.value = options.indexOf(start);
  const shown = element("output", { htmlFor: id });
  const value = () => options[Number(input.value)];
  const show = () => {
    shown.textContent = value().toLocaleString("en", { maximumFractionDigits: 4 });
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  show();
  input.addEventListener("input", show);
  input.addEventListener("input", changed);
  return { row: element("div", {}, element("label", { htmlFor: id }, name), input, shown), value };
}

function map(model, rate, batch) {
  const [rates, sizes] = [model.get("rates"), model.get("batch_sizes")];
  const x = (value) => CELL.left + CELL.width * (rates.indexOf(value) + 0.5);
  const y = (value) => CELL.top + CELL.height * (sizes.length - sizes.indexOf(value) - 0.5);
  const [width, height] = [CELL.width * rates.length, CELL.height * sizes.length];
  const bottom = CELL.top + height;
  const picture = drawn("svg", { viewBox: `0 0 ${CELL.left + width + 8} ${bottom + 44}`, "aria-hidden": true });
  picture.append(drawn("rect", { x: CELL.left, y: CELL.top, width, height, class: "frame" }));
  for (const value of rates) picture.append(drawn("text", { x: x(value), y: bottom + 17 }, value));
  for (const value of sizes)
    picture.append(drawn("text", { x: CELL.left - 8, y: y(value) + 5, class: "left" }, value.toLocaleString("en")));
  picture.append(drawn("text", { x: CELL.left + width / 2, y: bottom + 38 }, "learning rate"));
  const middle = CELL.top + height / 2;
  picture.append(drawn("text", { x: 12, y: middle, transform: `rotate(-90 12 ${middle})` }, "batch size"));
  for (const [size, tried, , accuracy] of model.get("tries")) {
    const reached = accuracy >= model.get("goal");
    const place = { x: x(tried) - CELL.width / 2 + 2, y: y(size) - CELL.height / 2 + 2, rx: 4 };
    const box = { ...place, width: CELL.width - 4, height: CELL.height - 4, class: reached ? "reached" : "tried" };
    picture.append(drawn("rect", box));
    const text = { x: x(tried), y: y(size) + 5, class: reached ? "reached" : "" };
    picture.append(drawn("text", text, (reached ? "★" : "") + (100 * accuracy).toFixed(1)));
  }
  const here = { x: x(rate) - CELL.width / 2, y: y(batch) - CELL.height / 2, class: "here" };
  picture.append(drawn("rect", { ...here, width: CELL.width, height: CELL.height, rx: 5 }));
  return picture;
}

function table(model) {
  const head = ["try", "batch size", "rate", "steps", "accuracy"].map((name) =>
    element("th", { scope: "col" }, name),
  );
  const rows = model.get("tries").map(([size, rate, steps, accuracy], index) => {
    const cells = [index + 1, size.toLocaleString("en"), rate, steps.toLocaleString("en"), percent(accuracy)];
    return element("tr", {}, ...cells.map((cell) => element("td", {}, String(cell))));
  });
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows.reverse()));
}

function render({ model, el }) {
  const results = element("div", { className: "results" });
  const draw = () => results.replaceChildren(map(model, rate.value(), batch.value()), table(model));
  const batch = slider("batch size", model.get("batch_sizes"), 512, draw);
  const rate = slider("learning rate", model.get("rates"), 0.008, draw);
  const button = element("button", { type: "button" }, "Train one epoch");
  const said = element("p", { className: "said", role: "status" });
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return; // it keeps the focus, which a disabled one would lose
    button.setAttribute("aria-disabled", "true");
    said.textContent = "Training …";
    model.set("asked", [batch.value(), rate.value(), (model.get("asked")[2] ?? 0) + 1]);
    model.save_changes();
  });
  const tell = () => {
    button.removeAttribute("aria-disabled");
    said.textContent = model.get("said");
    draw();
  };
  model.on("change:answered", tell);
  tell();
  const legend = element("legend", {}, `Reach ${percent(model.get("goal"))} on validation with one epoch`);
  const all = element("fieldset", { className: "digit-turn digit-goal" }, legend, batch.row, rate.row, button, said, results);
  all.addEventListener("keydown", (event) => KEYS.test(event.key) && event.stopPropagation());
  el.append(all);
  return () => model.off("change:answered", tell);
}

export default { render };
