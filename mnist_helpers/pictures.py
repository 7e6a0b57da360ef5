"""Any picture, in a file, as an object of Pillow's or as numbers, as grey levels from black to white."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

# Pillow's readers of pictures made of pixels. Others draw, and that for PostScript starts a program to do so.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
MAX_PIXELS = 50_000_000  # larger pictures are refused before they are decoded, which takes up to 0.4 GB
TOO_LARGE = f"the picture has more than {MAX_PIXELS:,} pixels: make it smaller"
ENOUGH = 2000  # pixels of the longer side; larger pictures are shrunk first, by a whole number
LUMA = np.float32([0.299, 0.587, 0.114])  # weights of red, green and blue by ITU-R BT.601, as in convert("L")


class ImageError(ValueError):
    """A picture or drawing cannot be read as a digit; the message says why."""


def read_grey(image):
    """A picture as grey levels: `float32 (H, W)` from 0 (black) to 1 (white), with sides of 2,000 pixels at most.

    Transparency is put on whatever contrasts with the ink; a phone's rotation mark is obeyed; of an animation, the
    first frame counts.

    Args:
        image: a path or an open binary file, a PIL image of any mode, or an array or tensor `(H, W)`, `(H, W, C)` or
            `(C, H, W)` with 1 to 4 channels: unsigned integers, booleans, or floats on a scale of 0 to 1, 255 or 65535.

    Raises:
        ImageError: the picture cannot be read, has over 50 million pixels, or holds NaN or negative numbers.
        FileNotFoundError: there is no such file.
    """
    if isinstance(image, (str, Path)) and not Path(image).is_file():
        raise FileNotFoundError(f"there is no picture {str(image)!r}")
    try:
        if isinstance(image, Image.Image):
            return _grey_picture(image)
        if isinstance(image, (str, Path)) or hasattr(image, "read"):
            return _grey_file(image)
    except ImageError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds, by how the file is damaged
        raise ImageError(f"this file cannot be read as a picture ({error})") from error
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()  # NumPy has no bfloat16
    return _grey_array(np.asarray(image))


def _grey_file(file):
    """Image.open reads the header alone, so that the size is checked before the pixels take memory."""
    Image.init()  # of the formats, some builds of Pillow lack one
    formats = [name for name in FORMATS if name in Image.OPEN]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            picture = Image.open(file, formats=formats)
        except Image.DecompressionBombError as error:
            raise ImageError(TOO_LARGE) from error
        except UnidentifiedImageError as error:
            raise ImageError(f"this file cannot be read as a picture: it is none of {', '.join(FORMATS)}") from error
    with picture:
        _check_size(picture.width * picture.height)
        picture.draft(None, (ENOUGH, ENOUGH))  # of a JPEG, decode no more than is needed
        return _grey_picture(picture)


def _grey_picture(picture):
    _check_size(picture.width * picture.height)
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):  # 16-bit and float pictures, which convert("L") would clip
        return _grey_array(np.asarray(picture))
    transparent = "A" in picture.getbands() or "transparency" in picture.info
    mode = "RGBA" if transparent else "L"
    picture = picture if picture.mode == mode else picture.convert(mode)  # which copies in any case
    return _grey_array(np.asarray(picture.reduce(_factor(picture.size))))


def _grey_array(array):
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim == 3 and array.shape[-1] > 4:
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or not 1 <= array.shape[-1] <= 4 or array.size == 0:
        raise ImageError(
            f"a picture has the shape (H, W), (H, W, C) or (C, H, W) with C from 1 to 4, not {array.shape}"
        )
    height, width, count = array.shape
    _check_size(height * width)
    white, factor = _white(array), _factor((width, height))
    channels = np.stack([_shrunk(array[..., i], factor) for i in range(count)]) / white
    grey = np.tensordot(LUMA, channels[:3], 1) if count > 2 else channels[0]
    if count in (1, 3):
        return grey
    opacity = channels[-1]
    paper = 1.0 if (grey * opacity).sum() < 0.5 * opacity.sum() else 0.0  # white under dark ink, black under light
    return grey * opacity + paper * (1 - opacity)


def _white(array):
    """The number that stands for white in an array of pixels, as a `float32`."""
    if array.dtype.kind not in "buif":
        raise ImageError(f"a picture holds numbers, not {array.dtype}")
    if array.dtype in (np.uint8, np.uint16):
        return np.float32(np.iinfo(array.dtype).max)
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 65535:
        raise ImageError(
            "the picture holds NaN, infinite, negative or too large numbers; scale it to 0 to 1 or 0 to 255"
        )
    return np.float32(next(top for top in (1, 255, 65535) if array.max() <= top))


def _factor(size):
    """By what whole number the sides of a picture are divided, so that the longer has `ENOUGH` pixels at most."""
    return -(-max(size) // ENOUGH)


def _shrunk(channel, factor):
    """Means of squares of `factor` × `factor` pixels, `float32`."""
    if factor == 1:
        return channel.astype(np.float32)
    few = 100 * factor  # rows at a time: as float32 all of them could take much memory
    bands = (np.ascontiguousarray(channel[top : top + few], np.float32) for top in range(0, len(channel), few))
    return np.concatenate([np.asarray(Image.fromarray(band).reduce(factor)) for band in bands])


def _check_size(pixels):
    if pixels > MAX_PIXELS:
        raise ImageError(TOO_LARGE)
