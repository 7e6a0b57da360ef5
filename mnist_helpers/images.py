"""What is done to whole batches of images: normalising, affine maps, and the random maps of augmentation."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

# Mean and standard deviation of the 60,000 training images' pixels on a scale of 0 to 1; notebook 01 computes them.
MEAN, STD = 0.1307, 0.3081


def normalize(images):
    """`uint8` or float images on a scale of 0 to 255, `(N, 28, 28)`, to what the networks read: `float32
    (N, 1, 28, 28)` with `(pixel / 255 - MEAN) / STD`."""
    if images.is_floating_point():
        images = images.float()
    pixels = images - 255 * MEAN  # of uint8 in PyTorch's default dtype, float32, which saves a pass for the conversion
    return pixels.div_(255 * STD).unsqueeze(1)


def affine(images, *, rotation=0.0, shift=(0.0, 0.0), scale=1.0, shear=0.0):
    """Rotate, scale, shear and shift a batch of images about their centre, with bilinear sampling and black outside.

    Each argument is one number for all images or a tensor `(N,)` with one for each.

    Args:
        images: `(N, 28, 28)`, `uint8` or floating point.
        rotation: degrees, counter-clockwise.
        shift: pixels to the right and pixels down.
        scale: factor; above 1 enlarges.
        shear: degrees by which upright strokes lean to the right.

    Returns:
        A new tensor of the same shape, dtype and device.
    """
    count, device = len(images), images.device

    def column(value):
        return torch.as_tensor(value, dtype=torch.float32, device=device).expand(count)

    angle, lean, size = column(rotation).deg2rad(), column(shear).deg2rad().tan(), column(scale)
    right, down = column(shift[0]), column(shift[1])
    # grid_sample asks where each output pixel comes from, so this is the inverse map: un-shift, un-rotate, un-shear,
    # un-scale. Its coordinates run from -1 to 1 over 28 pixels, with y pointing down.
    cos, sin = angle.cos() / size, angle.sin() / size
    matrix = torch.stack([cos + lean * sin, lean * cos - sin, sin, cos], dim=1).view(count, 2, 2)
    offset = -matrix @ (torch.stack([right, down], dim=1).unsqueeze(2) * (2 / images.shape[-1]))  # (N, 2, 1)
    pixels = images.to(torch.float32).unsqueeze(1)
    moved = F.grid_sample(pixels, _places(matrix, offset, images.shape[1:]), align_corners=False).squeeze(1)
    return (moved if images.is_floating_point() else moved.round()).to(images.dtype)


def _places(matrix, offset, size):
    """Where each pixel of `size` comes from under the maps `matrix` `(N, 2, 2)` and `offset` `(N, 2, 1)`: the places
    `(N, height, width, 2)` that `F.affine_grid` computes, each as the sum of what its column and what its row give.
    That takes a third of the time of the products of matrices that `F.affine_grid` does for every image."""
    still = F.affine_grid(torch.eye(2, 3, device=matrix.device)[None], (1, 1, *size), align_corners=False)[0]
    x, y = still[0, :, 0], still[:, 0, 1]
    across, down = matrix[:, :, :1] * x + offset, matrix[:, :, 1:] * y  # (N, 2, width) and (N, 2, height)
    return (across.unsqueeze(2) + down.unsqueeze(3)).permute(0, 2, 3, 1)


@dataclass(frozen=True)
class Augmentation:
    """A random `affine` per image: each amount is drawn uniformly, for every image anew.

    `rotation` and `shear` in degrees and `shift` in pixels are drawn from ± the value, `scale` from 1 ± the value.
    """

    rotation: float = 10.0
    shift: float = 2.0
    scale: float = 0.1
    shear: float = 10.0

    def __call__(self, images, generator=None, share=slice(None)):
        """Change a whole batch `(N, 28, 28)` at once. `generator` lives on the device of `images`.

        Of a batch that several processes share, only `images[share]` are changed and returned; the amounts are drawn
        for all, so that together the processes draw what one would.
        """
        limits = torch.tensor([self.rotation, self.shift, self.shift, self.scale, self.shear], device=images.device)
        draws = torch.rand(len(images), 5, generator=generator, device=images.device)
        rotation, right, down, scale, shear = ((2 * draws[share] - 1) * limits).unbind(1)
        return affine(images[share], rotation=rotation, shift=(right, down), scale=1 + scale, shear=shear)
