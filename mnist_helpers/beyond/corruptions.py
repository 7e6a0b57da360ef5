"""Corruptions: fifteen ways to spoil an image so that people can still read the digit, in the manner of MNIST-C."""

import math
import numbers

import torch
import torch.nn.functional as F

from ..images import affine

SEVERITIES = range(1, 6)
_CHUNK = 250  # images at a time: so few stay in the processor's cache, which makes it several times as quick


def corrupt(images, name, severity=3, seed=0):
    """Spoil every image in its own random way.

    The kinds of corruption are those of MNIST-C (Mu and Gilmer 2019, arXiv:1906.02337), which took seven of them from
    ImageNet-C (Hendrycks and Dietterich 2019, arXiv:1903.12261). The definitions here are the course's own, with a
    scale of severity chosen so that people read most digits well at 3: results are like those published for MNIST-C,
    but not to be compared number by number.

    Args:
        images: `(N, 28, 28)`, `uint8` or floating point on a scale of 0 (paper) to 255 (ink).
        name: one of `CORRUPTIONS`.
        severity: 1 (mild) to 5 (hard).
        seed: of the random draws, an integer. They are made on the CPU, so that a seed means the same on every device.

    Returns:
        A new tensor of the same shape, dtype and device; values from 0 to 255.

    Raises:
        ValueError: there is no such corruption or severity, or `images` are of another shape or type.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"there is no corruption {name!r}: choose one of {', '.join(CORRUPTIONS)}")
    if isinstance(severity, bool) or not isinstance(severity, numbers.Integral) or severity not in SEVERITIES:
        raise ValueError(f"there is no severity {severity!r}: choose 1, 2, 3, 4 or 5")
    if images.shape[1:] != (28, 28) or not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise ValueError(f"images are (N, 28, 28), uint8 or float, not {tuple(images.shape)} of {images.dtype}")
    change, settings = _KINDS[name]
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for few in images.split(_CHUNK):
        pixels = few.detach().to("cpu", torch.float32) / 255
        changed = 255 * change(pixels, settings[severity - 1], generator).clamp(0, 1) if len(few) else pixels
        parts.append((changed if images.is_floating_point() else changed.round()).to(images))
    return torch.cat(parts)


# Each function below takes pixels `float32 (N, 28, 28)` from 0 to 1, the setting for one severity, and a generator.


def _shot_noise(pixels, photons, generator):
    """Light comes in grains: a pixel counts a Poisson number of them, on average `photons` where there is full ink."""
    return torch.poisson(pixels * photons, generator) / photons


def _impulse_noise(pixels, share, generator):
    """Salt and pepper: a share of the pixels becomes full ink or paper."""
    draws = _uniform(pixels, generator, 28, 28)
    return pixels.masked_fill(draws < share / 2, 0).masked_fill(draws > 1 - share / 2, 1)


def _glass_blur(pixels, setting, generator):
    """Frosted glass: blur, let half of the pixels show a neighbour instead, chosen at random, some times over, and blur
    again."""
    sigma, reach, times = setting
    pixels = _blur(pixels, sigma)
    rows, columns = torch.arange(28).view(28, 1), torch.arange(28)
    for _ in range(times):
        down, right = torch.randint(-reach, reach + 1, (2, len(pixels), 28, 28), generator=generator) * (
            _uniform(pixels, generator, 28, 28) < 0.5
        )
        source = 28 * (rows + down).clamp(0, 27) + (columns + right).clamp(0, 27)
        pixels = pixels.flatten(1).gather(1, source.flatten(1)).view_as(pixels)
    return _blur(pixels, sigma)


def _motion_blur(pixels, length, generator):
    """The mean of the image along a path of `length` pixels, up to 45° from the horizontal."""
    angle = (_uniform(pixels, generator) - 0.5) * math.pi / 2
    steps = torch.linspace(-length / 2, length / 2, length + 1).tolist()
    return sum(affine(pixels, shift=(step * angle.cos(), step * angle.sin())) for step in steps) / len(steps)


def _shear(pixels, degrees, generator):
    return affine(pixels, shear=degrees * _sign(pixels, generator))


def _scale(pixels, factor, generator):
    return affine(pixels, scale=factor)


def _rotate(pixels, degrees, generator):
    return affine(pixels, rotation=degrees * _sign(pixels, generator))


def _brightness(pixels, amount, generator):
    """More light on everything: the paper becomes grey, the ink cannot become more than full."""
    return pixels + amount


def _translate(pixels, distance, generator):
    """By `distance` pixels in a random direction."""
    angle = 2 * math.pi * _uniform(pixels, generator)
    return affine(pixels, shift=(distance * angle.cos(), distance * angle.sin()))


def _stripe(pixels, width, generator):
    """A vertical stripe near the middle, in which ink and paper are exchanged."""
    left = 14 - width // 2 + torch.randint(-2, 3, (len(pixels), 1, 1), generator=generator)
    columns = torch.arange(28)
    return torch.where((columns >= left) & (columns < left + width), 1 - pixels, pixels)


def _fog(pixels, strength, generator):
    """A cloud in front: noise at four scales, the coarsest strongest, of `strength` times the ink, and then exposed so
    that the brightest spot still fits."""
    cloud = 0
    for size in (3, 5, 9, 17):
        noise = _uniform(pixels, generator, 1, size, size)
        cloud = cloud + F.interpolate(noise, (28, 28), mode="bicubic", align_corners=True).squeeze(1) / size
    low, high = cloud.amin((1, 2), keepdim=True), cloud.amax((1, 2), keepdim=True)
    return (pixels + strength * (cloud - low) / (high - low)) / (1 + strength)


def _spatter(pixels, level, generator):
    """Grey mud: blurred noise, wherever it is more than `level` standard deviations high, hides what is under it."""
    sigma = 1.5
    noise = torch.randn(pixels.shape, generator=generator)
    height = _blur(noise, sigma) * (2 * math.sqrt(math.pi) * sigma)  # of deviation 1, as the blur's weights are known
    mud = (4 * (height - level)).clamp(0, 1)
    return pixels * (1 - mud) + 0.5 * mud


def _dotted_line(pixels, setting, generator):
    """Straight lines of dots, two pixels of ink and two of paper."""
    lines, width = setting
    for _ in range(lines):
        along, across = _random_line(pixels, generator)
        pixels = torch.maximum(pixels, _stroke(across, width) * (along % 4 < 2))
    return pixels


def _zigzag(pixels, setting, generator):
    """Zigzag lines with teeth of four pixels, one every six."""
    lines, width = setting
    for _ in range(lines):
        along, across = _random_line(pixels, generator)
        tooth = (along % 6 - 3).abs() / 3  # from 1 down to 0 and up again
        slope = math.atan2(4, 3)  # across the line, a slanted stroke is wider than its pen
        pixels = torch.maximum(pixels, _stroke((across - 4 * (tooth - 0.5)) * math.cos(slope), width))
    return pixels


def _canny_edges(pixels, sigma, generator):
    """Outlines instead of strokes (Canny 1986, doi:10.1109/TPAMI.1986.4767851), after a blur of `sigma` pixels."""
    soft = F.pad(_blur(pixels, sigma), (1, 1, 1, 1))
    right, down = soft[:, :, 2:] - soft[:, :, :-2], soft[:, 2:] - soft[:, :-2]
    right = right[:, :-2] + 2 * right[:, 1:-1] + right[:, 2:]  # Sobel's filters
    down = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    size = torch.hypot(right, down)
    # Only ridges stay: pixels as strong as both neighbours in the direction of the slope, one of four.
    direction = (torch.atan2(down, right) / (math.pi / 4)).round().long() % 4
    around = F.pad(size, (1, 1, 1, 1))
    ridge = torch.zeros_like(size, dtype=torch.bool)
    for number, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        before, after = around[:, 1 - y : 29 - y, 1 - x : 29 - x], around[:, 1 + y : 29 + y, 1 + x : 29 + x]
        ridge |= (direction == number) & (size >= before) & (size > after)
    strongest = size.amax((1, 2), keepdim=True)
    return _connected(ridge & (size > 0.3 * strongest), ridge & (size > 0.1 * strongest)).float()


def _connected(strong, weak):
    """The weak pixels `bool (N, 28, 28)` that are connected to a strong one, also by a corner."""
    while True:
        grown = (F.max_pool2d(strong.float().unsqueeze(1), 3, 1, 1).squeeze(1) > 0) & weak
        if torch.equal(grown, strong):
            return strong
        strong = grown


# What several of them need


def _uniform(pixels, generator, *shape):
    """Random numbers from 0 to 1, `float32 (N, *shape)`."""
    return torch.rand(len(pixels), *shape, generator=generator)


def _sign(pixels, generator):
    return torch.randint(0, 2, (len(pixels),), generator=generator) * 2.0 - 1


def _blur(pixels, sigma):
    """Gaussian blur, cut off at four standard deviations, with paper outside: a product with a band matrix from either
    side, which for so small images is far quicker than a convolution."""
    distance = (torch.arange(28).view(28, 1) - torch.arange(28)).abs()
    reach = int(4 * sigma + 0.5)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    band = torch.exp(-0.5 * (distance / sigma) ** 2) * (distance <= reach) / weights.sum()
    return band @ pixels @ band


def _random_line(pixels, generator):
    """For each image a line at a random angle that passes within 7 pixels of the middle: how far each pixel lies along
    it, and across, `float32 (N, 28, 28)` each."""
    angle = math.pi * _uniform(pixels, generator, 1, 1)
    offset = 14 * _uniform(pixels, generator, 1, 1) - 7
    rows, columns = torch.arange(28).view(28, 1) - 13.5, torch.arange(28) - 13.5
    cos, sin = angle.cos(), angle.sin()
    return columns * cos + rows * sin, rows * cos - columns * sin + offset


def _stroke(distance, width):
    """Coverage by a pen of `width` pixels at a `distance` from the middle of its stroke."""
    return (width / 2 + 0.5 - distance.abs()).clamp(0, 1)


# The settings for severities 1 to 5. Those of the two noises are ImageNet-C's.
_KINDS = {
    "shot_noise": (_shot_noise, (60, 25, 12, 5, 3)),
    "impulse_noise": (_impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "glass_blur": (_glass_blur, ((0.6, 1, 1), (0.7, 1, 2), (0.7, 2, 1), (0.8, 2, 2), (0.9, 2, 3))),
    "motion_blur": (_motion_blur, (3, 5, 7, 9, 11)),
    "shear": (_shear, (10, 20, 30, 40, 50)),
    "scale": (_scale, (0.9, 0.8, 0.7, 0.6, 0.5)),
    "rotate": (_rotate, (10, 20, 30, 40, 50)),
    "brightness": (_brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "translate": (_translate, (2, 3, 4, 5, 6)),
    "stripe": (_stripe, (2, 4, 6, 8, 10)),
    "fog": (_fog, (0.4, 0.7, 1.0, 1.5, 2.0)),
    "spatter": (_spatter, (1.7, 1.4, 1.1, 0.9, 0.7)),
    "dotted_line": (_dotted_line, ((1, 1), (1, 1.5), (2, 1.5), (2, 2), (3, 2))),
    "zigzag": (_zigzag, ((1, 0.5), (1, 1), (1, 1.5), (2, 1.5), (3, 1.5))),
    "canny_edges": (_canny_edges, (0.6, 0.8, 1.0, 1.3, 1.6)),
}
CORRUPTIONS = tuple(_KINDS)
