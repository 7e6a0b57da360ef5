"""A small vocabulary for drawings that scale: text, lines, arrows, boxes and grids of cells. Nothing is painted behind
them and letters are of a middle grey, so that a drawing is legible on light and dark pages without knowing which."""

import base64
import math
import textwrap
import zlib
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import torch

from .colours import GREY, ORANGE
from .plotting import LINE

WIDTH = 648  # units of a drawing's width, one for a pixel where there is room: as wide as a wide figure
SMALL, NORMAL, LARGE = 13, 14, 18  # of letters: on a page of 1,024 pixels, beside the file browser, 11.5 at least
PLUS, MINUS = "#8073AC", ORANGE  # of numbers above and below zero, as in the colour map `DIVERGING`
LEVELS = 24  # of shades in a grid of cells


class Diagram:
    """A drawing, shown by a notebook that ends a cell with it.

    Args:
        height: of the drawing, whose width is `WIDTH`.
        title: what it is, in a few words.
        sentence: what it shows, with its numbers: for who cannot see it, and where no picture is shown.
    """

    def __init__(self, height, title, sentence):
        self.height, self.title, self.sentence, self.parts = height, title, sentence, []

    # What can be drawn. Every place is given by x to the right and y downwards.

    def text(self, x, y, words, *, size=NORMAL, colour=GREY, anchor="middle", bold=False, code=False):
        """Words in one line, whose middle has the height `y`."""
        family = "monospace" if code else "sans-serif"
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:.4g}" y="{y + 0.35 * size:.4g}" font-family="{family}" font-size="{size}"{weight} '
            f'fill="{colour}" text-anchor="{anchor}">{escape(str(words))}</text>'
        )

    def line(self, *points, colour=GREY, width=1.5, opacity=1):
        """A line through points `(x, y)`."""
        path = " ".join(f"{x:.5g},{y:.5g}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:.3g}" '
            f'stroke-opacity="{opacity:.3g}" stroke-linecap="round" stroke-linejoin="round"/>'
        )

    def arrow(self, *points, colour=GREY, width=1.5):
        """A line through points that ends in a head."""
        (x0, y0), (x, y) = points[-2:]
        angle, size = math.atan2(y - y0, x - x0), 5 + 2 * width
        back = (x - size * math.cos(angle), y - size * math.sin(angle))
        side = (0.45 * size * math.sin(angle), -0.45 * size * math.cos(angle))
        self.line(*points[:-1], back, colour=colour, width=width)
        self.area((x, y), (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1]), colour=colour)

    def area(self, *points, colour=GREY, opacity=1):
        """The surface between points."""
        path = " ".join(f"{x:.5g},{y:.5g}" for x, y in points)
        self.parts.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="{opacity:.3g}"/>')

    def box(self, x, y, width, height, *, colour=GREY, fill=0, line=1.5, radius=4):
        """A frame, filled with its colour as much as `fill` says, from 0 to 1."""
        self.parts.append(
            f'<rect x="{x:.5g}" y="{y:.5g}" width="{width:.5g}" height="{height:.5g}" rx="{radius:.3g}" '
            f'fill="{colour}" fill-opacity="{fill:.3g}" stroke="{colour}" stroke-width="{line:.3g}"/>'
        )

    def cells(self, x, y, values, size, *, colour, other=None, gap=0.0):
        """A grid of values `(rows, columns)`: squares with an edge of `size`, the fuller of `colour` the nearer a value
        is to 1, of the colour `other` the nearer it is to -1."""
        squares = {}
        for (row, column), value in np.ndenumerate(np.asarray(values, dtype=float)):
            level = round(LEVELS * min(1.0, max(-1.0, value)))
            if level > 0 or (level < 0 and other):
                edge = size - gap
                squares.setdefault(level, []).append(
                    f"M{x + column * size:.5g} {y + row * size:.5g}h{edge:.3g}v{edge:.3g}h-{edge:.3g}z"
                )
        for level, path in sorted(squares.items()):
            self.parts.append(
                f'<path d="{"".join(path)}" fill="{colour if level > 0 else other}" '
                f'fill-opacity="{abs(level) / LEVELS:.3g}"/>'
            )

    def image(self, x, y, pixels, size):
        """A digit's image, values from 0 to 1 `(rows, columns)`, white on black as everywhere in the course."""
        rows, columns = np.shape(pixels)
        self.parts.append(
            f'<rect x="{x:.5g}" y="{y:.5g}" width="{columns * size:.5g}" height="{rows * size:.5g}" fill="#000"/>'
            '<g shape-rendering="crispEdges">'
        )
        self.cells(x, y, pixels, size, colour="#fff")
        self.parts.append("</g>")
        self.box(x, y, columns * size, rows * size, line=1, radius=0)

    # What becomes of it

    def _repr_svg_(self):
        name = f"d{zlib.crc32((self.title + self.sentence).encode()):08x}"  # its own, even among others on a page
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" style="max-width:100%;height:auto" role="img" '
            f'aria-labelledby="{name}t {name}d"><title id="{name}t">{escape(self.title)}</title>'
            f'<desc id="{name}d">{escape(self.sentence)}</desc>\n' + "\n".join(self.parts) + "\n</svg>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        """An SVG, and an HTML image of it: JupyterLab shows an SVG by itself only in notebooks that it trusts, and
        without words for who cannot see it."""
        svg = self._repr_svg_()
        address = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        words = quoteattr(self.sentence)
        return {
            "text/html": f'<img src="{address}" alt={words} width="{WIDTH}" style="max-width: 100%; height: auto">',
            "image/svg+xml": svg,
            "text/plain": repr(self),
        }

    def __repr__(self):
        return textwrap.fill(self.sentence, LINE)


def numbers(name, values):
    """Finite numbers `float64 (N,)` of a list or tensor, which messages call `name`.

    Raises:
        ValueError: they are no numbers, there are none, or one is not finite.
    """
    try:
        found = torch.as_tensor(values).detach().cpu().double().flatten().numpy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"the {name} cannot be read as numbers: {str(values)[:50]}") from error
    if not len(found) or not np.isfinite(found).all():
        raise ValueError(f"of the {name}, there has to be one number at least, and every one finite")
    return found


def one_number(name, value):
    """A finite number of a number or a tensor that holds one. Raises `ValueError` for anything else."""
    found = numbers(name, value)
    if len(found) != 1:
        raise ValueError(f"the {name} is one number, not {len(found)}")
    return found.item()


def number(value, decimals=2):
    """A number in words for a drawing: with a true minus, and none before a zero."""
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def decimals_for(values, digits=3):
    """How many decimals show `digits` digits of the largest of some numbers; from 0 to 6."""
    largest = max((abs(value) for value in values), default=0)
    return min(6, max(0, digits - 1 - math.floor(math.log10(largest)))) if largest > 0 else digits - 1


def percent(share):
    """A share in words that never claims certainty: 100 % only where it is."""
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return "< 0.1 %" if 0 < share < 0.0005 else f"{share:.1%}".replace("%", " %")
