"""Robustness: attacks on a network, honest confidence, and sets of answers with a guarantee."""

import math

import torch
import torch.nn.functional as F

from .data import normalize
from .training import sensible_threads


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


def fit_temperature(logits, labels):
    """The temperature by which to divide logits so that their softmax is honest: the one with the least cross-entropy
    (Guo et al. 2017, arXiv:1706.04599), from 0.05 to 20. Above 1 it makes a network more modest, below 1 surer.

    Args:
        logits: `(N, 10)` of images that were not trained on.
        labels: `int64 (N,)`.

    Raises:
        ValueError: there are no logits, or some are NaN or infinite.
    """
    logits, labels = logits.detach().double().cpu(), labels.cpu()
    if not len(logits) or not logits.isfinite().all():
        raise ValueError("a temperature needs at least one image, and logits without NaN or infinity")

    def loss(log_temperature):
        return F.cross_entropy(logits / math.exp(log_temperature), labels).item()

    # The loss is convex in 1/T, so over log T it has a single valley, and golden-section search closes in on it.
    low, high, golden = math.log(0.05), math.log(20), (math.sqrt(5) - 1) / 2
    while high - low > 1e-6:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)


def prediction_sets(probabilities, known, labels, alpha):
    """For each image the digits that it may be, so that the true one is among them with probability 1 - `alpha` or
    more, whatever the network (split-conformal prediction: Vovk et al. 2005; Angelopoulos and Bates 2021,
    arXiv:2107.07511). This holds on average over images from where the known ones came from, and for no others.

    Args:
        probabilities: `(N, 10)` of the images in question.
        known: `(M, 10)`, probabilities of other images, not trained on, whose `labels` `int64 (M,)` are known.
        alpha: the share of misses allowed, above 0 and below 1.

    Returns:
        `bool (N, 10)`; a row may be empty.

    Raises:
        ValueError: `alpha` is out of range, or so small that M images cannot promise it, or there are not M labels.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, but must be above 0 and below 1")
    if len(known) != len(labels):
        raise ValueError(f"there are {len(known)} known images and {len(labels)} labels")
    count = len(labels)
    rank = math.ceil(round((count + 1) * (1 - alpha), 6))  # rounded: 950.0000001 is 950
    if rank > count:
        raise ValueError(f"{count} known images cannot promise alpha = {alpha}: it takes {math.ceil(1 / alpha) - 1}")
    doubts = 1 - known[torch.arange(count, device=known.device), labels.to(known.device)]
    return 1 - probabilities <= doubts.sort().values[rank - 1].to(probabilities.device)
