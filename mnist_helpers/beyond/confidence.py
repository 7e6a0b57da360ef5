"""Honest confidence: a temperature for a network's probabilities, and sets of answers with a guarantee."""

import math

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar


def fit_temperature(logits, labels):
    """The temperature by which to divide logits so that their softmax is honest: the one with the least cross-entropy
    (Guo et al. 2017, arXiv:1706.04599), from 0.05 to 20. Above 1 it makes a network more modest, below 1 surer.

    Args:
        logits: `(N, 10)` of images that were not trained on.
        labels: `int64 (N,)`.

    Raises:
        ValueError: there are no logits, or some are NaN or infinite.
    """
    logits, labels = logits.detach().cpu().double(), labels.cpu()
    if not len(logits) or not logits.isfinite().all():
        raise ValueError("a temperature needs at least one image, and logits without NaN or infinity")

    def loss(log_temperature):
        return F.cross_entropy(logits / math.exp(log_temperature), labels).item()

    # The loss is convex in 1/T, so over log T it has a single valley, which a search within bounds finds.
    bounds = math.log(0.05), math.log(20)
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)


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
