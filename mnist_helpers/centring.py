"""A picture of a digit made a 28×28 image, as those of MNIST were made."""

import math

import numpy as np
import torch
from PIL import Image

from .pictures import ImageError, read_grey

MIN_CONTRAST = 0.1  # of the range from black to white; less is taken for an empty page
NOISE = 4  # the paper's own variation, its upper quartile at the border, times this, is not ink; nor is less than 5 %


def to_mnist(image, *, fit=True):
    """Turn a picture of one digit into a 28×28 image made as MNIST's were.

    The ink is boxed, the box fitted into 20×20 pixels keeping its aspect, antialiased, and placed so that the ink's
    centre of mass is in the middle. The shift is a whole number of pixels, rounded so that the centre of mass (in
    pixel indices from 0 to 27) ends in [13.5, 14.5) in both directions, as in 59,998 of MNIST's 60,000 training
    images. Where that would push the box over the edge, it stays at the edge.

    Dark ink on light or light on dark is told by the border.

    Args:
        image: whatever `read_grey` reads: a path, a PIL image of any mode, an array or a tensor. A `Drawing` comes with
            its own `to_mnist`, which fits the strokes, not their picture.
        fit: with False the whole picture is only shrunk to 28×28, not boxed and centred.

    Returns:
        `uint8 (28, 28)` tensor on the CPU: 0 is paper, 255 the strongest ink.

    Raises:
        ImageError: the picture cannot be read, or is blank; see `read_grey`.
        FileNotFoundError: there is no such file.
    """
    if hasattr(image, "to_mnist"):
        return image.to_mnist(fit=fit)
    ink = _ink(read_grey(image))
    if fit:
        rows, columns = np.flatnonzero((ink > 0).any(1)), np.flatnonzero((ink > 0).any(0))
        digit = _resize(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 20)
        top, left = (place(digit.sum(axis)) for axis in (1, 0))
    else:
        digit = _resize(ink, 28)
        top, left = ((28 - size) // 2 for size in digit.shape)
    return to_bytes(on_canvas(digit, top, left))


def place(mass):
    """Where to put a strip of ink `mass (n,)`, n ≤ 20, among 28: its centre of mass goes to [13.5, 14.5)."""
    centre = float(np.average(np.arange(len(mass)), weights=mass.astype(np.float64)))
    return min(max(math.ceil(round(13.5 - centre, 4)), 0), 28 - len(mass))  # rounded: 2.00001 is 2


def on_canvas(digit, top, left):
    """`digit` on an empty canvas `float32 (28, 28)`."""
    canvas = np.zeros((28, 28), np.float32)
    canvas[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return canvas


def to_bytes(ink):
    """Ink as an image `uint8` on which the strongest has 255."""
    strongest = ink.max()
    return torch.from_numpy((ink * (255 / strongest if strongest else 0)).round().astype(np.uint8))


def _resize(ink, longest):
    """Scale `ink` (float32) so that its longer side has `longest` pixels, and the other at least one."""
    height, width = ink.shape
    factor = longest / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    # Pillow's bilinear filter widens with the reduction, so that every pixel of a large picture counts.
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR))


def _ink(grey):
    """How much ink each pixel of `grey` (0 black to 1 white) holds, `float32` from 0 to 1: distance from the paper."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = np.median(border)
    darker, lighter = np.clip(paper - grey, 0, None), np.clip(grey - paper, 0, None)
    ink = darker if darker.sum() > lighter.sum() else lighter
    strongest = ink.max()
    if strongest < MIN_CONTRAST:
        raise ImageError("the picture is blank: no ink stands out from its background. Draw or choose a digit")
    variation = np.quantile(abs(border - paper), 0.75) / strongest
    ink = (ink / strongest).astype(np.float32)
    return np.where(ink > np.clip(NOISE * variation, 0.05, 0.5), ink, np.float32(0))
