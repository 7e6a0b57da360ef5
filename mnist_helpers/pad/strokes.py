"""The strokes of a pen as vectors, and the 28×28 image that they make."""

import functools
import math
import operator
from dataclasses import dataclass

import numpy as np
import torch

from ..centring import on_canvas, place, to_bytes
from ..pictures import ImageError

PEN = 2.4  # pixels of the 28×28 image; with it, the recorded drawings hold as much ink as MNIST's digits
SMALLEST = 1 / 28  # of the pad's side; a fitted drawing smaller than this is a dot, not a digit to be magnified
MAX_POINTS = 100_000  # hours of drawing; a file with more is refused
NO_STROKES = "strokes are lists of points (x, y), each two numbers from 0 to 1"


@dataclass(frozen=True, eq=False)
class Drawing:
    """Strokes of a pen on a square pad, and the digit that was meant. Two with the same content are equal.

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

    @functools.cached_property
    def _content(self):
        points = tuple(stroke.tobytes() for stroke in self.strokes)
        return points, self.label, self.pen, self.style

    def __eq__(self, other):
        return isinstance(other, Drawing) and self._content == other._content

    def __hash__(self):
        return hash(self._content)

    def to_mnist(self, *, fit=True):
        """The image of this drawing: see `render`. Raises `ImageError` if it has no strokes."""
        if not self.strokes:
            raise ImageError("the drawing is blank: it has no strokes")
        return render(self, fit=fit)

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
        return to_bytes(_ink([28 * stroke for stroke in drawing.strokes], drawing.pen, (28, 28)))
    points = np.concatenate(drawing.strokes)
    low, extent = points.min(0), np.ptp(points, axis=0)
    scale = (20 - drawing.pen) / max(extent.max(), SMALLEST)
    width, height = (math.ceil(round(side, 6)) for side in extent * scale + drawing.pen)
    paths = [(stroke - low) * scale + drawing.pen / 2 for stroke in drawing.strokes]
    digit = _ink(paths, drawing.pen, (height, width))
    return to_bytes(on_canvas(digit, place(digit.sum(1)), place(digit.sum(0))))


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
