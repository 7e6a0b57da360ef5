// How a drawing flows through a fully connected network: its layers as columns, the strongest connections as lines.

const [FLOW_WIDTH, FLOW_HEIGHT, FLOW_IMAGE] = [640, 400, 150]; // the last: the side of the image, left in the middle
const STRENGTHS = 6; // so many kinds of line, faint to bold, each one path: quicker than hundreds of lines

/** The places of a layer's neurons. The first layer's are the image's pixels, the last one's have room for a digit. */
function flowPlaces(columns, layer) {
  const count = columns[layer], last = columns.length - 1;
  if (layer === 0) {
    const [pixel, top] = [FLOW_IMAGE / 28, (FLOW_HEIGHT - FLOW_IMAGE) / 2];
    return Array.from({ length: count }, (_, i) => [((i % 28) + 0.5) * pixel, top + (Math.floor(i / 28) + 0.5) * pixel]);
  }
  const x = FLOW_IMAGE + ((FLOW_WIDTH - 60 - FLOW_IMAGE) * layer) / last;
  const [top, room] = [34, FLOW_HEIGHT - 44];
  return Array.from({ length: count }, (_, i) => [x, top + (room * (i + 0.5)) / count]);
}

/** The paths of `lines` between two layers' places: of each sign and strength one, `[sign, strength, path]`. */
function flowPaths(lines, from, to) {
  const paths = new Map();
  lines.weights.forEach((weight, i) => {
    const kind = `${weight < 0 ? "against" : "for"} ${Math.ceil((Math.abs(weight) / 100) * STRENGTHS) || 1}`;
    const ends = [from[lines.from[i]], to[lines.to[i]]].map((place) => place.map((value) => value.toFixed(1)).join(" "));
    paths.set(kind, `${paths.get(kind) ?? ""}M${ends.join("L")}`);
  });
  const strength = ([kind]) => Number(kind.split(" ")[1]);
  return [...paths].sort((a, b) => strength(a) - strength(b)).map(([kind, path]) => [...kind.split(" "), path]);
}

/** Show the `flow` of what is seen, in the place for it; without lines it says why there are none. */
function showFlow(part, { image, flow = {}, layers = [], digit }) {
  const { columns, lines = [], sentence = "" } = flow;
  part.lines.textContent = sentence;
  part.flow.hidden = !columns;
  if (!columns) return;
  const [canvas, drawing] = part.flow.children;
  paint(canvas, bytes(image), 28, 28);
  drawing.replaceChildren();
  drawing.setAttribute("aria-label", `The network as ${columns.length} columns with lines between them. ${sentence}`);
  const places = columns.map((_, layer) => flowPlaces(columns, layer));
  lines.forEach((between, layer) => {
    for (const [sign, strength, d] of flowPaths(between, places[layer], places[layer + 1]))
      shape("path", { d, class: sign, "stroke-width": 0.4 + 0.22 * strength, "stroke-opacity": 0.15 + 0.75 * (strength / STRENGTHS) ** 2 }, drawing);
  });
  const names = ["pixels", ...columns.slice(1, -1).map(() => "neurons"), "outputs"];
  columns.forEach((count, layer) => {
    const x = layer ? places[layer][0][0] : FLOW_IMAGE / 2;
    shape("text", { x, y: 16, class: "count" }, drawing).textContent = `${count} ${names[layer]}`;
    if (layer === 0) return;
    const answers = bytes(layers[layer - 1].values), isLast = layer === columns.length - 1;
    const r = isLast ? 8 : Math.min(4, Math.max(1.5, (0.45 * FLOW_HEIGHT) / count));
    places[layer].forEach(([cx, cy], i) => {
      shape("circle", { cx, cy, r, "fill-opacity": answers[i] / 255 }, drawing);
      if (isLast) shape("text", { x: cx + 24, y: cy, class: i === digit ? "best" : "" }, drawing).textContent = i;
    });
  });
}
