"""The pad as a still picture, for where nothing runs: what was drawn, what the network sees, what it answers."""

import io
import textwrap

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..colours import BLUE, GREY, ORANGE
from .panels import percent

LETTERS = {"color": GREY, "fontsize": 9}
SIDE = 2.1  # inches of the pad in the picture
POINTS = 72 * SIDE  # the same in points, of which an inch has 72


def still(drawing, prediction, verdict, sentence):
    """The pad as a picture, PNG bytes, 1,800 × 600 pixels, on a transparent ground and legible on light and dark pages.

    Args:
        drawing: the `Drawing` on the pad.
        prediction: the `Prediction` for it, None if the pad is empty.
        verdict: one character, the digit or "?"; bars have the colour of the verdict.
        sentence: what the pad says, under the picture.
    """
    figure = Figure(figsize=(9, 3), dpi=200, layout="none")
    FigureCanvasAgg(figure)
    width, height = SIDE / 9, SIDE / 3
    places = {"Draw a digit": 0.02, "What the network sees": 0.28, "What it answers": 0.645}
    pad, image, bars = (figure.add_axes((left, 0.19, width, height)) for left in places.values())
    bars.set_position((0.645, 0.19, 0.34, height))
    for axes, title in zip((pad, image, bars), places, strict=True):
        axes.set_title(title, loc="left", **LETTERS)
        axes.set(xticks=[], yticks=[], facecolor="none")
        axes.spines[:].set_color(GREY)
    _strokes(pad, drawing)
    _image(image, prediction)
    _answer(bars, prediction, verdict)
    figure.text(0.02, 0.1, textwrap.fill(sentence, 120), va="top", **LETTERS)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return buffer.getvalue()


def _strokes(axes, drawing):
    """As vectors, inked with the drawing's pen."""
    axes.set(xlim=(0, 1), ylim=(1, 0))
    round_ends = {"solid_capstyle": "round", "solid_joinstyle": "round"}
    for stroke in drawing.strokes:
        x, y = stroke.repeat(2, axis=0).T  # a dot is a line to itself
        axes.plot(x, y, color=GREY, linewidth=POINTS * drawing.pen / 28, **round_ends)
    if not drawing.strokes:
        axes.text(0.5, 0.5, "draw here", ha="center", va="center", **LETTERS)


def _image(axes, prediction):
    if prediction is None:
        axes.text(0.5, 0.5, "28×28 pixels,\nonce you draw", ha="center", va="center", **LETTERS)
    else:
        axes.imshow(prediction.image.numpy(), cmap="gray", vmin=0, vmax=255)


def _answer(axes, prediction, verdict):
    """The verdict, as large as on the pad, and ten bars."""
    is_sure = prediction is not None and verdict == str(prediction.digit)
    colour = BLUE if is_sure else ORANGE
    axes.spines[:].set_visible(False)
    axes.set(xlim=(0, 1.29), ylim=(9.5, -0.5))
    axes.set_yticks(range(10), range(10), **LETTERS)
    axes.tick_params(length=0)
    axes.barh(range(10), 1, color=GREY, alpha=0.2)
    if prediction is None:
        return
    shares = prediction.probabilities.tolist()
    axes.barh(range(10), shares, color=[colour if digit == prediction.digit else GREY for digit in range(10)])
    for digit, share in enumerate(shares):
        axes.text(1.28, digit, percent(share).replace("more than", ">"), ha="right", va="center", **LETTERS)
    axes.text(-0.22, 4.5, verdict, ha="center", va="center", color=colour, fontsize=34, fontweight="bold")
