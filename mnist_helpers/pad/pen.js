// The surface that one draws on, by mouse, finger, pen or keys. Coordinates run from 0 to 1, x to the right and y down.

const STEP = 1 / 150; // of the pad: points nearer than this to the last one are not recorded
const FRAMES = 80; // in which a recorded drawing comes into being: about a second and a half
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

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

const round = (value) => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;

/** The pen on the pad: `show` paints what there is, `finish` ends the stroke that is being drawn; after a stroke
 * `onrest` is called. */
function makePen(model, part, el) {
  // `stroke` is the one being drawn, by pointer, keyboard or `play`, and `before` are those that were there already.
  let stroke = null, before = [], waiting = false, playing = null;
  const pen = { cursor: [0.5, 0.5], onrest: () => {} };
  const strokes = () => (stroke ? [...before, stroke] : model.get("strokes"));

  pen.show = () => {
    part.ink.replaceChildren(...strokes().map((points) => polyline(points, model.get("pen") / 28)));
    part.cursor.setAttribute("transform", `translate(${pen.cursor})`);
    part.cursor.classList.toggle("down", stroke !== null);
    const count = strokes().length;
    part.pad.setAttribute("aria-label", `Drawing pad, ${count} ${count === 1 ? "stroke" : "strokes"}. Arrow keys move the pen, ` +
      "space sets it down and lifts it, backspace takes back a stroke, delete clears.");
    const lost = [part.undo, part.clear].includes(el.getRootNode().activeElement);
    part.undo.disabled = part.clear.disabled = count === 0;
    el.dataset.empty = count === 0;
    if (lost && count === 0) part.pad.focus({ preventScroll: true }); // a disabled button drops the focus
  };

  function tell(value) {
    model.set("strokes", value);
    model.save_changes();
  }
  function open(x, y) {
    before = model.get("strokes");
    stroke = [];
    pen.extend(x, y);
  }
  function close() {
    if (!stroke) return;
    const done = [...before, simplify(stroke)];
    stroke = null;
    tell(done);
    pen.onrest();
  }

  pen.isDown = () => stroke !== null;
  pen.isBusy = () => stroke !== null || playing !== null;
  pen.begin = (x, y) => {
    pen.finish();
    open(x, y);
    pen.look();
  };
  pen.extend = (x, y) => {
    const [point, last] = [[round(x), round(y)], stroke.at(-1)];
    if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) >= STEP) stroke.push(point);
  };
  /** Let Python read the stroke as it is now: with the next frame, and not before it has answered the last look. For
   * that Jupyter's widgets care: they keep what has changed until Python is done with what it got. */
  pen.look = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (stroke) tell([...before, simplify(stroke)]);
    });
  };
  pen.finish = () => {
    playing = null;
    close();
  };
  pen.cancel = () => {
    stroke = null;
    tell(before);
  };
  pen.takeBack = () => {
    pen.finish();
    tell(model.get("strokes").slice(0, -1));
  };
  pen.clear = () => {
    playing = stroke = null;
    tell([]);
  };
  pen.put = (recorded) => {
    pen.finish();
    tell(recorded);
  };
  /** Draw recorded strokes as a hand would, until somebody else takes the pen; at once for who wants nothing to move. */
  pen.play = (recorded) => {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return pen.put(recorded);
    pen.clear();
    const points = recorded.flatMap((line) => line.map((point, i) => ({ point, first: i === 0, last: i === line.length - 1 })));
    const each = Math.ceil(points.length / FRAMES);
    const step = () => {
      if (playing !== step) return;
      for (const { point, first, last } of points.splice(0, each)) {
        first ? open(...point) : pen.extend(...point);
        if (last) close();
      }
      if (stroke) pen.look();
      if (points.length) requestAnimationFrame(step);
      else playing = null;
      pen.show();
    };
    playing = step;
    step();
  };
  return pen;
}

function polyline(points, width) {
  // A dot is a line to itself, which SVG draws with its round caps.
  return shape("polyline", { points: (points.length > 1 ? points : [...points, ...points]).join(" "), "stroke-width": width });
}

/** Let the pen follow mouse, finger or stylus; returns whether one of them is down. */
function followPointer(pen, pad) {
  const locate = (event) => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(pad.getScreenCTM().inverse());
    return [x, y];
  };
  let pointer = null, stylus = false; // of several fingers, the first one draws
  // Browsers take the end of a quick stroke for a flick, and swallow the next tap, wherever it goes.
  pad.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  pad.addEventListener("pointerdown", (event) => {
    const isPalm = pointer !== null && event.pointerType === "pen" && !stylus; // what lies there already
    if ((pointer !== null && !isPalm) || event.button !== 0) return;
    if (isPalm && pen.isDown()) pen.cancel();
    [pointer, stylus] = [event.pointerId, event.pointerType === "pen"];
    pad.setPointerCapture(pointer);
    pen.begin(...locate(event));
    pen.show();
  });
  pad.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer || !pen.isDown()) return; // a button can end the stroke while the pen is down
    const passed = event.getCoalescedEvents?.() ?? []; // where the pointer was since the last frame
    for (const each of [...passed, event]) pen.extend(...locate(each));
    pen.look();
    pen.show();
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"])
    pad.addEventListener(kind, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      if (kind === "pointerup" && pen.isDown()) pen.extend(...locate(event));
      pen.finish();
      pen.show();
    });
  return () => pointer !== null;
}

/** Let the pen follow the keys, unless a pointer is at work: one hand at a time. `say` tells where the pen is. */
function followKeys(pen, pad, pointerIsDown, say) {
  pad.addEventListener("keydown", (event) => {
    const undo = event.key === "Backspace" || ((event.ctrlKey || event.metaKey) && event.key === "z");
    const plain = !(event.ctrlKey || event.metaKey || event.altKey);
    const press = plain && (event.key === " " || event.key === "Enter");
    if (pointerIsDown() || (press && event.repeat)) return event.preventDefault(); // and one press
    if (undo) pen.takeBack();
    else if (plain && event.key in MOVES) {
      const size = event.shiftKey ? 4 / 28 : 1 / 28;
      pen.cursor = pen.cursor.map((value, i) => round(value + size * MOVES[event.key][i]));
      if (pen.isDown()) {
        pen.extend(...pen.cursor);
        pen.look();
      }
    } else if (press) pen.isDown() ? pen.finish() : pen.begin(...pen.cursor);
    else if (plain && event.key === "Delete") pen.clear();
    else if (plain && event.key === "Escape") pen.finish();
    else return;
    event.preventDefault();
    event.stopPropagation();
    const [column, row] = pen.cursor.map((value) => Math.round(28 * value));
    if (press || event.key in MOVES) say(`${press ? (pen.isDown() ? "pen down, " : "pen up, ") : ""}row ${row}, column ${column}`);
    pen.show();
  });
  pad.addEventListener("blur", () => pointerIsDown() || (pen.finish(), pen.show()));
}
