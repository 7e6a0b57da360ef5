"""Prediction: any picture of a digit to a 28×28 image made as MNIST's were, and what the network thinks of it."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from .drawing import Drawing, ImageError, place, render
from .models import predict_logits

MAX_PIXELS = 50_000_000  # 200 MB as RGBA; larger pictures are refused before they are decoded
TOO_LARGE = f"the picture has more than {MAX_PIXELS:,} pixels: make it smaller"
MIN_CONTRAST = 0.1  # of the range from black to white; less is taken for an empty page
NOISE = 4  # the paper's own variation, its upper quartile at the border, times this, is not ink; nor is less than 5 %


@dataclass(frozen=True)
class Prediction:
    """The `digit`, the ten `probabilities` (`float32 (10,)`, CPU), and the `image` that the network saw
    (`uint8 (28, 28)`)."""

    digit: int
    probabilities: torch.Tensor
    image: torch.Tensor

    def __repr__(self):
        return f"{self.digit} with probability {self.probabilities[self.digit]:.1%}"


def predict(model, image, *, fit=True):
    """What `model` reads in `image`: the `Prediction`.

    Args:
        image: a `uint8 (28, 28)` tensor such as `split.images[0]` goes to the network as it is; anything else is made
            one by `to_mnist`.
        fit: see `to_mnist`.

    Raises:
        ImageError: see `to_mnist`.
    """
    if not (isinstance(image, torch.Tensor) and image.dtype == torch.uint8 and image.shape == (28, 28)):
        image = to_mnist(image, fit=fit)
    probabilities = predict_logits(model, image.unsqueeze(0))[0].softmax(0).cpu()
    return Prediction(int(probabilities.argmax()), probabilities, image.cpu())


def to_mnist(image, *, fit=True):
    """Turn a picture of one digit into a 28×28 image made as MNIST's were.

    The ink is boxed, the box fitted into 20×20 pixels keeping its aspect, antialiased, and placed so that the ink's
    centre of mass is in the middle. The shift is a whole number of pixels, rounded so that the centre of mass (in
    pixel indices from 0 to 27) ends in [13.5, 14.5) in both directions, as in 59,998 of MNIST's 60,000 training
    images. Where that would push the box over the edge, it stays at the edge.

    Dark ink on light or light on dark is told by the border; transparency is put on whatever contrasts with the ink;
    a phone's rotation mark is obeyed; of an animation, the first frame counts.

    Args:
        image: a path, a PIL image of any mode, or an array or tensor `(H, W)`, `(H, W, C)` or `(C, H, W)` with 1 to 4
            channels: unsigned integers, booleans, or floats on a scale of 0 to 1, 255 or 65535. Of a `Drawing`, the
            strokes are fitted, not their picture: see `render`.
        fit: with False the whole picture is only shrunk to 28×28, not boxed and centred.

    Returns:
        `uint8 (28, 28)` tensor on the CPU: 0 is paper, 255 the strongest ink.

    Raises:
        ImageError: the picture cannot be read, has over 50 million pixels, holds NaN or negative numbers, or is blank.
        FileNotFoundError: there is no such file.
    """
    if isinstance(image, Drawing):
        if not image.strokes:
            raise ImageError("the drawing is blank: it has no strokes")
        return render(image, fit=fit)
    ink = _ink(read_grey(image))
    if fit:
        rows, columns = np.flatnonzero((ink > 0).any(1)), np.flatnonzero((ink > 0).any(0))
        digit = _resize(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 20)
        top, left = (place(digit.sum(axis)) for axis in (1, 0))
    else:
        digit = _resize(ink, 28)
        top, left = ((28 - size) // 2 for size in digit.shape)
    canvas = np.zeros((28, 28), np.float32)
    canvas[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return torch.from_numpy((canvas * (255 / canvas.max())).round().astype(np.uint8))


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


def read_grey(image):
    """Any picture that `to_mnist` takes as a `float32 (H, W)` array from 0 (black) to 1 (white); raises as it does."""
    if isinstance(image, (str, Path)) and not Path(image).is_file():
        raise FileNotFoundError(f"there is no picture {str(image)!r}")
    if isinstance(image, (str, Path, Image.Image)):
        try:
            # Image.open reads the header alone, so that the size is checked before the pixels take memory.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                return _grey_picture(image if isinstance(image, Image.Image) else Image.open(image))
        except ImageError:
            raise
        except Image.DecompressionBombError as error:
            raise ImageError(TOO_LARGE) from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise ImageError(f"this file cannot be read as a picture ({error})") from error
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()  # NumPy has no bfloat16
    return _grey_array(np.asarray(image))


def _grey_picture(picture):
    _check_size(picture.width * picture.height)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):  # 16-bit and float pictures, which convert("L") would clip
        return _grey_array(np.asarray(picture))
    if "A" in picture.getbands() or "transparency" in picture.info:
        return _grey_array(np.asarray(picture.convert("RGBA")))
    return np.asarray(picture.convert("L"), np.float32) / 255


def _grey_array(array):
    if array.ndim == 3 and array.shape[-1] > 4:
        array = np.moveaxis(array, 0, -1)
    if not (array.ndim == 2 or (array.ndim == 3 and 1 <= array.shape[-1] <= 4)) or array.size == 0:
        raise ImageError(
            f"a picture has the shape (H, W), (H, W, C) or (C, H, W) with C from 1 to 4, not {array.shape}"
        )
    _check_size(array.shape[0] * array.shape[1])
    if array.dtype.kind not in "buif":
        raise ImageError(f"a picture holds numbers, not {array.dtype}")
    pixels = array.astype(np.float32)
    if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 65535:
        raise ImageError(
            "the picture holds NaN, infinite, negative or too large numbers; scale it to 0 to 1 or 0 to 255"
        )
    white = (
        next(top for top in (1, 255, 65535) if pixels.max() <= top)
        if array.dtype not in (np.uint8, np.uint16)
        else np.iinfo(array.dtype).max
    )
    pixels /= white
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[-1]
    colours = pixels[..., :3] if channels > 2 else pixels[..., :1]
    # The weights of ITU-R BT.601, which Pillow's convert("L") uses too.
    grey = colours @ np.float32([0.299, 0.587, 0.114]) if channels > 2 else colours[..., 0]
    if channels in (1, 3):
        return grey
    opacity = pixels[..., -1]
    paper = 1.0 if (grey * opacity).sum() < 0.5 * opacity.sum() else 0.0  # white under dark ink, black under light
    return grey * opacity + paper * (1 - opacity)


def _check_size(pixels):
    if pixels > MAX_PIXELS:
        raise ImageError(TOO_LARGE)
