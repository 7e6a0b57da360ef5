"""Evaluation: accuracy with its interval, the confusion matrix, the most confident mistakes, and calibration."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .devices import sensible_threads
from .models import predict_logits


@dataclass(frozen=True)
class Evaluation:
    """How a model does on a split of N images. All tensors are on the CPU.

    Attributes:
        loss: mean cross-entropy in nats.
        accuracy: share of right predictions, 0 to 1.
        interval: the 95 % Wilson interval of the accuracy, `(low, high)`.
        confusion: `int64 (10, 10)`; row = true digit, column = predicted digit.
        probabilities: `float32 (N, 10)`.
        labels, predictions: `int64 (N,)`.
        mistakes: `int64 (K,)`, the positions of the wrong predictions, the most confident first.
    """

    loss: float
    accuracy: float
    interval: tuple[float, float]
    confusion: torch.Tensor
    probabilities: torch.Tensor
    labels: torch.Tensor
    predictions: torch.Tensor
    mistakes: torch.Tensor

    def __repr__(self):
        low, high = self.interval
        return (
            f"accuracy {self.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%}), loss {self.loss:.4f}, "
            f"{len(self.mistakes):,} mistakes in {len(self.labels):,} images"
        )


def evaluate(model, split):
    """Evaluate `model` on a `Split` and return the `Evaluation`. Every image weighs the same.

    Raises:
        ValueError: the split is empty, holds impossible numbers, or has probabilities for labels.
    """
    split.check_values()
    if split.labels.dim() != 1:
        raise ValueError("to be evaluated, a split needs one label (N,) for each image, not probabilities (N, 10)")
    with sensible_threads():
        logits = predict_logits(model, split.images).cpu()
    labels = split.labels.cpu()
    probabilities = logits.softmax(1)
    confidence, predictions = probabilities.max(1)
    wrong = (predictions != labels).nonzero().squeeze(1)
    correct = len(labels) - len(wrong)
    return Evaluation(
        loss=F.cross_entropy(logits, labels).item(),
        accuracy=correct / len(labels),
        interval=wilson_interval(correct, len(labels)),
        confusion=torch.bincount(10 * labels + predictions, minlength=100).view(10, 10),
        probabilities=probabilities,
        labels=labels,
        predictions=predictions,
        mistakes=wrong[confidence[wrong].argsort(descending=True)],
    )


def wilson_interval(correct, count, z=1.959964):
    """The score interval of a share `correct / count` (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    `z` is the normal quantile: 1.96 for 95 %. Unlike share ± z·σ it stays within 0 to 1 and has a width at 0 and 100 %.
    """
    share = correct / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Calibration:
    """Predictions binned by their confidence. `confidence` and `accuracy`: means, `float (bins,)`, NaN in an empty bin;
    `counts`: `int64 (bins,)`; `error`: the expected calibration error, 0 to 1."""

    confidence: torch.Tensor
    accuracy: torch.Tensor
    counts: torch.Tensor
    error: float


def calibration(result, bins=10):
    """How well the confidences of an `Evaluation` match its accuracy, in `bins` equal bins from 0 to 1.

    The expected calibration error is the mean of |accuracy − confidence| over the bins, weighted by their counts
    (Guo et al. 2017, arXiv:1706.04599).
    """
    confidence = result.probabilities.max(1).values.double()
    right = (result.predictions == result.labels).double()
    index = (confidence * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(index, minlength=bins)
    mean_confidence = torch.bincount(index, confidence, minlength=bins) / counts
    mean_accuracy = torch.bincount(index, right, minlength=bins) / counts
    gap = (mean_accuracy - mean_confidence).abs().nan_to_num()
    return Calibration(mean_confidence, mean_accuracy, counts, (gap * counts).sum().item() / len(right))
