"""When to believe a prediction, and when to say "not sure"."""

import math

from ..devices import sensible_threads
from ..evaluation import evaluate
from .neighbours import Neighbours

UNFAMILIAR = 0.02  # the share of true digits that may be called unlike any digit,
UNDECIDED = 0.01  # and the share that may be called undecided


class Judge:
    """When to believe a `Prediction`, by two limits set on the validation digits.

    A prediction is believed if the image is familiar, that is, its distance to the fifth nearest training digit in
    the last hidden layer is one that 98 % of digits keep (the score of Sun et al. 2022, arXiv:2204.06507), and if the
    answer is decided, that is, 99 % of digits are answered with less confidence or as much. Both limits are
    split-conformal quantiles (Vovk et al. 2005): of digits that come from where `mnist.validation` came from, at most
    2 % and 1 % are refused on average.

    Attributes:
        neighbours: the `Neighbours` in the last hidden layer.
        distance: the largest familiar distance.
        confidence: the smallest decided probability.
    """

    def __init__(self, model, mnist):
        self.neighbours = Neighbours(model, mnist)
        with sensible_threads():
            distances = self.neighbours(mnist.validation.images)[2][:, -1]
        confidences = evaluate(model, mnist.validation).probabilities.max(1).values
        self.distance = -_conformal(-distances, UNFAMILIAR)
        self.confidence = _conformal(confidences, UNDECIDED)

    def familiar(self, images):
        """Which of the raw images `uint8 (n, 28, 28)` are as near to the training digits as digits are: `bool (n,)`."""
        return self.neighbours(images)[2][:, -1] <= self.distance

    def __call__(self, prediction):
        """`"sure"`, `"unfamiliar"` or `"undecided"`."""
        return self.verdict(prediction, self.neighbours(prediction.image.unsqueeze(0))[2][0, -1])

    def verdict(self, prediction, distance):
        """The same of a `Prediction` whose image lies at that `distance` from its fifth nearest training digit."""
        if not distance <= self.distance:  # NaN, which is no distance, is none that digits keep
            return "unfamiliar"
        return "sure" if prediction.probabilities.max() >= self.confidence else "undecided"


def _conformal(scores, share):
    """The score that a new one from the same source falls below with a probability of at most `share`."""
    rank = math.floor(share * (len(scores) + 1))
    return scores.sort().values[rank - 1].item() if rank else -math.inf  # too few to say
