// What is painted, and how. The files of the front end share one scope: widget.py puts them together.

const SVG = "http://www.w3.org/2000/svg";

const bytes = (view) => (view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array());
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

/** An element of an SVG picture. */
function shape(tag, attributes, parent = null) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

/** Paint `width × height` values on a canvas, one pixel each. `colour(value, i)` gives red, green and blue, and may add
 * how opaque they are, all from 0 to 255. */
function paint(canvas, values, width, height, colour = grey) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [red, green, blue, opaque = 255] = colour(values[i] ?? 0, i);
    picture.data.set([red, green, blue, opaque], 4 * i);
  }
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
