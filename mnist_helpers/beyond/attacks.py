"""Attacks on a network: changes of an image that a person hardly sees."""

import torch
import torch.nn.functional as F

from ..devices import sensible_threads
from ..images import normalize


def attack(model, images, labels, epsilon, *, steps=1, seed=0, batch_size=500):
    """Change every pixel by at most `epsilon` so that `model` errs: each step goes up the slope of its loss.

    One step is FGSM, the whole way at once (Goodfellow et al. 2015, arXiv:1412.6572). With more it is PGD, which starts
    at a random point of the allowed box, takes steps of 2.5 · epsilon / steps and returns into the box after each
    (Madry et al. 2018, arXiv:1706.06083). The model's weights and their gradients stay as they are.

    Args:
        images: `(N, 28, 28)`, `uint8` or floating point on a scale of 0 to 255.
        labels: the true digits `int64 (N,)`.
        epsilon: from 0 to 1, where 1 is the way from paper to full ink.
        steps: at least 1.
        seed: of PGD's random start.
        batch_size: images at a time, which bounds the memory.

    Returns:
        `float32 (N, 28, 28)` on a scale of 0 to 255, on the device of `images`.

    Raises:
        ValueError: `epsilon` or `steps` is out of range, or there are not as many labels as images.
    """
    if isinstance(epsilon, bool) or not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon is {epsilon}, but must be from 0 to 1, where 1 is the way from paper to full ink")
    if steps < 1:
        raise ValueError(f"steps is {steps}, but must be at least 1")
    if len(images) != len(labels):
        raise ValueError(f"there are {len(images)} images and {len(labels)} labels")
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    was_training = model.training
    model.eval()
    parts = [torch.empty(0, 28, 28, device=images.device)]
    try:
        with sensible_threads():
            for few, truth in zip(images.split(batch_size), labels.split(batch_size), strict=True):
                start = few.detach().to(device, torch.float32)
                low, high = (start - 255 * epsilon).clamp(min=0), (start + 255 * epsilon).clamp(max=255)
                changed, step = start, 255 * epsilon
                if steps > 1:
                    changed = low + (high - low) * torch.rand(start.shape, generator=generator).to(device)
                    step *= 2.5 / steps
                for _ in range(steps):
                    changed = (changed + step * _slope(model, changed, truth.to(device)).sign()).clamp(low, high)
                parts.append(changed.to(images.device))
    finally:
        model.train(was_training)
    return torch.cat(parts)


def _slope(model, images, labels):
    """The gradient of the loss with respect to the pixels, `(N, 28, 28)`."""
    images = images.detach().requires_grad_()
    loss = F.cross_entropy(model(normalize(images)), labels, reduction="sum")
    return torch.autograd.grad(loss, images)[0]
