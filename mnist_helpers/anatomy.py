"""What a network is made of, as a picture: one neuron, and the whole of it. Drawn from real numbers, with one sentence
that tells the same."""

import math
from itertools import pairwise

import numpy as np
import torch

from .colours import BLUE, GREY
from .models import MLP, activations
from .plotting import plural
from .svg import LARGE, MINUS, PLUS, SMALL, Diagram, number, numbers, one_number, percent

FEW = 4  # inputs of a neuron that are shown one by one


def draw_neuron(inputs, weights, bias=0.0):
    """One neuron at work: every input times its weight, the sum of it all and the bias, ReLU, and the output.

    Args:
        inputs, weights: tensors or lists of as many numbers `(N,)`. Of more than `FEW`, the first are shown one by one
            and the others together.
        bias: a number.

    Returns:
        A `Diagram`.

    Raises:
        ValueError: there are no inputs, not as many inputs as weights, or a number is not finite.
    """
    inputs, weights, bias = numbers("inputs", inputs), numbers("weights", weights), one_number("bias", bias)
    if len(inputs) != len(weights):
        raise ValueError(f"there are {len(inputs)} inputs and {len(weights)} weights: a neuron has a weight for each")
    products = inputs * weights
    total = products.sum().item() + bias
    output = max(0.0, total)
    shown = len(inputs) if len(inputs) <= FEW else FEW
    others = f" and {len(inputs) - shown:,} more" if len(inputs) > shown else ""
    terms = " + ".join(f"{number(x)} × {number(w, 3)}" for x, w in zip(inputs[:shown], weights[:shown], strict=True))
    diagram = Diagram(
        60 + 44 * max(3, shown + bool(others)),
        "One neuron",
        f"A neuron with {plural(len(inputs), 'input')}: {terms}{others}, plus the bias {number(bias)}, is "
        f"{number(total, 3)}; after ReLU the output is {number(output, 3)}.",
    )
    _terms(diagram, inputs, weights, products, shown)
    middle = 50 + 22 * max(3, shown + bool(others)) - 8
    _sum(diagram, middle, number(bias), number(total, 3), number(output, 3), total > 0)
    return diagram


def _terms(diagram, inputs, weights, products, shown):
    """A row for each of the first inputs, and one for all others: input, weight, product."""
    rows = shown + (len(inputs) > shown)
    top, middle = 64 + 22 * max(0, 3 - rows), 42 + 22 * max(3, rows)
    for x, words in ((50, "inputs"), (151, "weights"), (245, "products")):
        diagram.text(x, 16, words, size=SMALL)
    largest = max(abs(weights[:shown])) or 1
    for i in range(shown):
        y, colour = top + 44 * i, PLUS if weights[i] > -0.0005 else MINUS
        diagram.box(14, y - 15, 72, 30, radius=15)
        diagram.text(50, y, number(inputs[i]))
        thickness = 1 + 2.5 * abs(weights[i]) / largest
        diagram.line((86, y), (106, y), colour=colour, width=thickness)
        diagram.text(151, y, f"× {number(weights[i], 3)}", colour=colour)
        diagram.arrow((194, y), (212, y), colour=colour)
        diagram.text(270, y, number(products[i], 3), anchor="end")
        _join(diagram, y, middle)
    if len(inputs) > shown:
        y = top + 44 * shown
        diagram.text(14, y, f"… and {len(inputs) - shown:,} more, together", anchor="start")
        diagram.text(270, y, number(products[shown:].sum(), 3), anchor="end")
        _join(diagram, y, middle)


def _join(diagram, y, middle):
    """From a product to the sum, softly bent."""
    start, end = (278, y), (342, middle + 0.14 * (y - middle))
    bends = [(start[0] + t * (end[0] - start[0]), y + (3 * t * t - 2 * t**3) * (end[1] - y))
             for t in np.linspace(0, 1, 17)]  # fmt: skip
    diagram.line(*bends, width=1.2)


def _sum(diagram, y, bias, total, output, passes):
    """The sum with the bias, the bend of ReLU, and the output."""
    colour = BLUE if passes else GREY
    for x, words in ((370, "sum"), (497, "ReLU"), (600, "output")):
        diagram.text(x, y - 46, words, size=SMALL)
    diagram.box(342, y - 28, 56, 56, radius=28)
    diagram.text(370, y, "Σ", size=24)
    diagram.arrow((370, y + 58), (370, y + 31))
    diagram.text(370, y + 70, f"bias {bias}", size=SMALL)
    diagram.arrow((399, y), (468, y))
    diagram.text(433, y - 14, total, size=SMALL)
    diagram.box(470, y - 27, 54, 54, radius=8)
    diagram.line((478, y + 12), (497, y + 12), (516, y - 14), width=2.5, colour=BLUE)
    diagram.arrow((525, y), (560, y), colour=colour)
    diagram.box(562, y - 20, 76, 40, radius=20, colour=colour, fill=0.12 if passes else 0, line=2)
    diagram.text(600, y, output, colour=colour, bold=True)


def draw_network(model, image):
    """A fully connected network with what every neuron answers to one image, and the ten probabilities.

    Args:
        model: an `MLP` of any widths.
        image: raw image `(28, 28)` on a scale of 0 to 255.

    Returns:
        A `Diagram`.

    Raises:
        ValueError: the model is no `MLP`, or the image has another shape.
    """
    if not isinstance(model, MLP):
        raise ValueError(f"an mh.MLP can be drawn, not {type(model).__name__}")
    if not isinstance(image, torch.Tensor) or image.shape != (28, 28):
        raise ValueError(f"the image is a tensor (28, 28), not {getattr(image, 'shape', type(image).__name__)}")
    *hidden, logits = (layer[0] for layer in activations(model, image.unsqueeze(0)))
    shares = logits.softmax(0)
    (best, second), widths = shares.topk(2).indices.tolist(), [784, *map(len, hidden), len(logits)]
    awake = [int((layer > 0).sum()) for layer in hidden]
    diagram = Diagram(
        262,
        "The network and its answer to one image",
        f"The network {'-'.join(map(str, widths))} reads one image: {awake[0]} of {widths[1]} neurons of the first "
        f"hidden layer answer with more than 0, {awake[1]} of {widths[2]} of the second; it says {best} with "
        f"{percent(shares[best].item())}, then {second} with {percent(shares[second].item())}.",
    )
    middle = 146
    edges = [(4, 116), (190, 274), (346, 430), (502, 644)]
    heights = [
        140,
        *(_neurons(diagram, left, middle, layer) for (left, _), layer in zip(edges[1:3], hidden, strict=True)),
        200,
    ]
    for i, (before, after) in enumerate(pairwise(edges)):
        x, end = before[1] + 6, after[0] - 6
        up, down = heights[i] / 2, heights[i + 1] / 2
        diagram.area((x, middle - up), (end, middle - down), (end, middle + down), (x, middle + up), opacity=0.14)
        diagram.text((x + end) / 2, middle - 8, f"{widths[i] * widths[i + 1]:,}", size=SMALL)
        diagram.text((x + end) / 2, middle + 9, "weights", size=SMALL)
    diagram.image(4, middle - 56, image.cpu().float().numpy() / 255, 4)
    _answers(diagram, middle, shares.tolist(), best)
    for (left, right), count, kind in zip(edges, widths, ("pixels", "neurons", "neurons", "outputs"), strict=True):
        diagram.text((left + right) / 2, 12, f"{count:,}", size=LARGE, bold=True)
        diagram.text((left + right) / 2, 31, kind, size=SMALL)
    return diagram


def _neurons(diagram, left, middle, layer):
    """A hidden layer as a grid of cells, 84 wide, the fuller the more a neuron answers; returns the grid's height."""
    columns = 8 if len(layer) <= 160 else math.ceil(math.sqrt(len(layer) / 2))
    size = 84 / columns
    rows = math.ceil(len(layer) / columns)
    values = np.zeros(rows * columns)
    values[: len(layer)] = (layer / layer.max().clamp(min=1e-9)).numpy()
    top, gap = middle - rows * size / 2, 0.16 * size
    frames = np.zeros(rows * columns)
    frames[: len(layer)] = 0.22
    diagram.cells(left, top, frames.reshape(rows, columns), size, colour=GREY, gap=gap)
    diagram.cells(left, top, values.reshape(rows, columns), size, colour=BLUE, gap=gap)
    return rows * size


def _answers(diagram, middle, shares, best):
    for digit, share in enumerate(shares):
        y, colour = middle - 90 + 20 * digit, BLUE if digit == best else GREY
        diagram.text(508, y, digit, colour=colour, bold=digit == best)
        diagram.box(520, y - 6, 50, 12, line=0, fill=0.2, radius=2)
        if share >= 0.005:
            diagram.box(520, y - 6, 50 * share, 12, line=0, fill=1, radius=2, colour=colour)
        diagram.text(646, y, percent(share), size=SMALL, anchor="end", colour=colour, bold=digit == best)
