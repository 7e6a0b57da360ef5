"""A kernel that walks over an image, live in a running notebook and as a still with words where nothing runs. Python
computes the feature map; the browser moves, multiplies what is under the window, and shows."""

from pathlib import Path

import anywidget
import torch
import torch.nn.functional as F
import traitlets

from .colours import BLUE, GREY
from .svg import LARGE, MINUS, PLUS, SMALL, WIDTH, Diagram, number

HERE = Path(__file__).parent


def walk(image, kernel, place=None):
    """A 3×3 kernel that walks over an image: the window, the nine products and their sum, the feature map filling up.
    Play, step, drag the slider, point at a place or use the arrow keys; see `Walk`.

    Args:
        image: `uint8 (H, W)`, of which 255 counts as 1, or float `(H, W)` from 0 to 1; 3 to 64 rows and columns.
        kernel: weights `(3, 3)`.
        place: row and column of the feature map to begin at; by default where it is largest.

    Raises:
        ValueError: image or kernel have another shape, a number is not finite, or there is no such place.
    """
    kernel = torch.as_tensor(kernel).detach().cpu().float()
    pixels = torch.as_tensor(image).detach().cpu()
    pixels = pixels / 255 if pixels.dtype == torch.uint8 else pixels.float()
    if kernel.shape != (3, 3) or not kernel.isfinite().all():
        raise ValueError(f"the kernel has the shape (3, 3) and finite weights; this one has {tuple(kernel.shape)}")
    if pixels.dim() != 2 or not all(3 <= side <= 64 for side in pixels.shape):
        raise ValueError(f"the image has 3 to 64 rows and columns, not the shape {tuple(pixels.shape)}")
    if not ((pixels >= 0) & (pixels <= 1)).all():
        raise ValueError("the image is uint8, or float from 0 to 1: divide it by 255")
    answers = F.conv2d(pixels[None, None], kernel[None, None])[0, 0]  # (H - 2, W - 2)
    places = [(row, column) for row in range(answers.shape[0]) for column in range(answers.shape[1])]
    place = places[answers.argmax()] if place is None else tuple(place) if isinstance(place, list) else place
    if place not in places:
        raise ValueError(f"the feature map has {answers.shape[0]}×{answers.shape[1]} places, and none at {place}")
    return Walk(image=pixels.tolist(), kernel=kernel.tolist(), answers=answers.tolist(), place=list(map(int, place)))


class Walk(anywidget.AnyWidget):
    """A kernel on its walk.

    Attributes:
        image, kernel: values, as lists of rows.
        answers: the feature map, `F.conv2d` of both.
        place: `[row, column]` of the feature map; set it to go there.
    """

    _esm = HERE / "walking.js"
    _css = HERE / "walking.css"
    image = traitlets.List().tag(sync=True)
    kernel = traitlets.List().tag(sync=True)
    answers = traitlets.List().tag(sync=True)
    place = traitlets.List().tag(sync=True)

    def still(self):
        """What is seen at the present place, as a `Diagram`."""
        (row, column), rows, columns = self.place, len(self.image), len(self.image[0])
        answer = self.answers[row][column]
        drawing = Diagram(
            262,
            "A kernel on its walk over an image",
            f"A 3×3 kernel on an image of {rows}×{columns} pixels, at row {row}, column {column}: the nine products of "
            f"pixel and weight add up to {number(answer)}, one number of the feature map of {rows - 2}×{columns - 2}.",
        )
        largest = max(abs(value) for answers in self.answers for value in answers) or 1
        shades = [[value / largest for value in answers] for answers in self.answers]
        size = 196 / max(rows, columns)
        left, top = WIDTH - 2 - (columns - 2) * size, 28
        drawing.image(2, top, self.image, size)
        drawing.box(2 + column * size, top + row * size, 3 * size, 3 * size, colour=PLUS, line=2.5, radius=1)
        drawing.cells(left, top, shades, size, colour=PLUS, other=MINUS)
        drawing.box(left, top, (columns - 2) * size, (rows - 2) * size, line=1, radius=0)
        drawing.box(left + column * size - 2, top + row * size - 2, size + 4, size + 4, colour=BLUE, line=2.5, radius=2)
        self._products(drawing, top)
        for x, words in ((100, "the image"), (325, "pixel × weight"), (left + 98 - size, "the feature map")):
            drawing.text(x, 12, words, size=SMALL)
        colour = PLUS if answer >= 0 else MINUS
        drawing.text(325, 244, f"sum {number(answer)}", size=LARGE, bold=True, colour=colour)
        return drawing

    def _products(self, drawing, top):
        """The nine pixels under the window, each with its weight and their product."""
        row, column = self.place
        for i, weights in enumerate(self.kernel):
            for j, weight in enumerate(weights):
                x, y, pixel = 226 + 66 * j, top + 65.3 * i, self.image[row + i][column + j]
                colour = GREY if pixel * weight == 0 else PLUS if pixel * weight > 0 else MINUS
                drawing.box(x, y, 66, 65.3, line=1, radius=0)
                drawing.text(x + 33, y + 14, number(pixel), size=SMALL)
                drawing.text(x + 33, y + 32, f"× {number(weight)}", size=SMALL)
                drawing.text(x + 33, y + 51, f"= {number(pixel * weight)}", size=SMALL, bold=True, colour=colour)

    def __repr__(self):
        return repr(self.still())

    def _repr_mimebundle_(self, **kwargs):
        """Beside the live walk a still of it."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | self.still()._repr_mimebundle_(), metadata
