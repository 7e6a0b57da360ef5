"""Drawing: the strokes of a pen as vectors, the 28×28 image that they make, and files of drawings with their labels."""

import json
import math
import operator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from .data import Split, atomic_write

PEN = 2.4  # pixels of the 28×28 image; with it, the recorded drawings hold as much ink as MNIST's digits
SMALLEST = 1 / 28  # of the pad's side; a fitted drawing smaller than this is a dot, not a digit to be magnified
MAX_POINTS = 100_000  # hours of drawing; a file with more is refused
NO_STROKES = "strokes are lists of points (x, y), each two numbers from 0 to 1"
RECORDED = Path(__file__).parent / "drawings.json"


class ImageError(ValueError):
    """A picture or drawing cannot be read as a digit; the message says why."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """Strokes of a pen on a square pad, and the digit that was meant.

    Attributes:
        strokes: a sequence of strokes, each a sequence of points `(x, y)`: x to the right, y down, both from 0 to 1.
            Beyond the square, the pen slides along its edge.
        label: the true digit, or None.
        pen: its width in pixels of the 28×28 image.
        style: what the drawer calls it, such as "small".

    Raises:
        ImageError: a coordinate is no finite number, there are over 100,000 points, or `label` or `pen` is impossible.
    """

    strokes: tuple
    label: int | None = None
    pen: float = PEN
    style: str = ""

    def __post_init__(self):
        if self.label is not None:
            object.__setattr__(self, "label", _digit(self.label))
        if isinstance(self.pen, bool) or not (isinstance(self.pen, (int, float)) and 0.5 <= self.pen <= 10):
            raise ImageError(f"a pen is 0.5 to 10 pixels wide, not {self.pen!r:.40}")
        if not isinstance(self.style, str):
            raise ImageError(f"the style of a drawing is text, not {self.style!r:.40}")
        object.__setattr__(self, "strokes", _strokes(self.strokes))

    def __repr__(self):
        what = "" if self.label is None else f" of a {self.label}"
        return f"Drawing{what} in {len(self.strokes)} strokes, {sum(map(len, self.strokes))} points"


def _strokes(strokes):
    """`strokes` as a tuple of arrays `float64 (points, 2)`, none of them empty, clipped to the square."""
    try:
        arrays = [np.asarray(stroke) for stroke in strokes]
    except (TypeError, ValueError) as error:
        raise ImageError(NO_STROKES) from error
    arrays = [array for array in arrays if array.size]
    if any(array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf" for array in arrays):
        raise ImageError(NO_STROKES)
    if not all(np.isfinite(array).all() for array in arrays):
        raise ImageError("a stroke holds a coordinate that is not a finite number")
    if sum(map(len, arrays)) > MAX_POINTS:
        raise ImageError(f"the drawing has more than {MAX_POINTS:,} points")
    return tuple(array.astype(np.float64).clip(0, 1) for array in arrays)


def _digit(label):
    """An integer from 0 to 9, of any library, as an `int`."""
    try:
        digit = -1 if isinstance(label, bool) else operator.index(label)
    except TypeError:
        digit = -1
    if not 0 <= digit <= 9:
        raise ImageError(f"the label of a drawing is a digit from 0 to 9, not {label!r:.40}")
    return digit


def render(drawing, *, fit=True):
    """The image that a `Drawing` makes: `uint8 (28, 28)` on the CPU, 0 paper, 255 ink; all 0 if there are no strokes.

    Args:
        fit: as MNIST was made. The strokes, as vectors, are scaled so that their ink fills 20×20 pixels, keeping the
            aspect, then inked, and placed with the centre of mass in the middle; so the pen comes out equally wide
            whether the digit was drawn large or small. With False the pad is the image: inked where it was drawn.
    """
    if not drawing.strokes:
        return torch.zeros(28, 28, dtype=torch.uint8)
    if not fit:
        return _to_bytes(_ink([28 * stroke for stroke in drawing.strokes], drawing.pen, (28, 28)))
    points = np.concatenate(drawing.strokes)
    low, extent = points.min(0), np.ptp(points, axis=0)
    scale = (20 - drawing.pen) / max(extent.max(), SMALLEST)
    width, height = (math.ceil(round(side, 6)) for side in extent * scale + drawing.pen)
    paths = [(stroke - low) * scale + drawing.pen / 2 for stroke in drawing.strokes]
    digit = _ink(paths, drawing.pen, (height, width))
    canvas = np.zeros((28, 28), np.float32)
    top, left = place(digit.sum(1)), place(digit.sum(0))
    canvas[top : top + height, left : left + width] = digit
    return _to_bytes(canvas)


def place(mass):
    """Where to put a strip of ink `mass (n,)`, n ≤ 20, among 28: its centre of mass goes to [13.5, 14.5)."""
    centre = float(np.average(np.arange(len(mass)), weights=mass.astype(np.float64)))
    return min(max(math.ceil(round(13.5 - centre, 4)), 0), 28 - len(mass))  # rounded: 2.00001 is 2


def _ink(paths, pen, shape):
    """Coverage `float32 shape` by a round pen along `paths` (pixels; pixel (0, 0) is the square from 0 to 1): 1 up to
    half a pixel within the pen's edge, 0 from half a pixel beyond it."""
    starts = np.concatenate([path[: max(1, len(path) - 1)] for path in paths]).astype(np.float32)
    ends = np.concatenate([path[-max(1, len(path) - 1) :] for path in paths]).astype(np.float32)
    rows, columns = np.indices(shape, np.float32).reshape(2, -1) + 0.5
    nearest = np.full(rows.size, np.inf, np.float32)
    for chunk in range(0, len(starts), 1000):  # bounds the memory
        (x, y), (dx, dy) = starts[chunk : chunk + 1000].T, (ends - starts)[chunk : chunk + 1000].T
        right, down = columns[:, None] - x, rows[:, None] - y  # (pixels, segments)
        along = np.clip((right * dx + down * dy) / np.maximum(dx * dx + dy * dy, 1e-9), 0, 1)
        squared = (right - along * dx) ** 2 + (down - along * dy) ** 2
        nearest = np.minimum(nearest, squared.min(1))
    return np.clip(pen / 2 + 0.5 - np.sqrt(nearest), 0, 1).reshape(shape)


def _to_bytes(ink):
    strongest = ink.max()
    return torch.from_numpy((ink * (255 / strongest if strongest else 0)).round().astype(np.uint8))


def as_split(drawings, *, fit=True):
    """Labelled drawings as a `Split` that `evaluate` and training take; see `render` for `fit`.

    Raises:
        ImageError: there are no drawings, or one has no label or no strokes.
    """
    if not drawings:
        raise ImageError("there are no drawings yet: draw some and keep them first")
    for number, drawing in enumerate(drawings):
        if drawing.label is None or not drawing.strokes:
            raise ImageError(f"drawing {number} has no {'label' if drawing.strokes else 'strokes'}")
    images = torch.stack([render(drawing, fit=fit) for drawing in drawings])
    return Split(images, torch.tensor([drawing.label for drawing in drawings]))


def load_drawings(path=RECORDED):
    """The `Drawing`s in the file `path`, or in all `.json` files of a folder, such as a class's, by name.

    Without a path: the drawings that come with the course.

    Raises:
        FileNotFoundError: there is no such file or folder, or no `.json` file in it.
        ImageError: a file does not hold drawings; names it.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():  # without hidden files, such as those that macOS leaves beside others
        files = sorted(file for file in path.glob("*.json") if file.is_file() and not file.name.startswith("."))
    if not files or not files[0].is_file():
        raise FileNotFoundError(f"there are no drawings in {str(path)!r}")
    return [drawing for file in files for drawing in parse_drawings(file.read_bytes(), file.name)]


def parse_drawings(text, name="the file"):
    """The list of `Drawing`s in the JSON `text` that `save_drawings` wrote; `name` is for the message of an
    `ImageError`."""
    try:
        entries = json.loads(text)["drawings"]
        if not isinstance(entries, list):
            raise TypeError("the drawings are no list")
        return [Drawing(**entry) for entry in entries]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, ImageError) else ""
        raise ImageError(f"{name} does not hold drawings that were saved here{reason}") from error


def format_drawings(drawings):
    """The JSON text of a list of `Drawing`s, one a line, coordinates to three decimals of the pad."""
    lines = []
    for drawing in drawings:
        entry = {"label": drawing.label, "pen": drawing.pen, "style": drawing.style}
        entry["strokes"] = [stroke.round(3).tolist() for stroke in drawing.strokes]
        lines.append(json.dumps(entry, separators=(",", ":")))
    return '{"drawings": [\n' + ",\n".join(lines) + "\n]}\n"


def save_drawings(path, drawings):
    """Write `drawings` to `path`, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(format_drawings(drawings), encoding="utf-8")


def change_drawings(path, change, otherwise=()):
    """Replace the drawings in the file `path`, or those of `otherwise` if there is none, by `change(drawings)`, and
    return these. Several programs may change it at once. Raises as `load_drawings` does, and leaves a file that it
    cannot read as it is."""
    path = Path(path)
    with FileLock(path.with_name(f".{path.name}.lock")):
        drawings = change(load_drawings(path) if path.exists() else list(otherwise))
        save_drawings(path, drawings)
    return drawings
