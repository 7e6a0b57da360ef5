"""Neighbours: which training digits an image is most like, where it lies among the test digits, and when to say "not
sure"."""

import math

import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import nn

from .evaluation import evaluate
from .models import activations
from .training import sensible_threads

SPACES = ("last hidden layer", "pixels")
COMPONENTS = 50  # principal components that distances are measured in; the map shows the first two
NEAREST = 5  # an image is as far from the digits as from the fifth nearest: a single odd training digit is not enough
UNFAMILIAR = 0.02  # the share of true digits that may be called unlike any digit,
UNDECIDED = 0.01  # and the share that may be called undecided
FEW = 200  # images looked at together: the feature maps of more do not fit the processor's cache, at half the speed


class Neighbours:
    """MNIST as points in a space where near means alike: by pixels, or by what a network's last hidden layer makes of
    them. There the direction of the activations counts, not their size.

    Attributes:
        train: `float32 (N, 50)`, the training digits.
        map: `float32 (M, 2)`, the test digits; `corners`: its least and largest `(x, y)`, each `(2,)`.

    Raises:
        ValueError: `space` is none of `SPACES`, or the model has no `nn.ReLU`.
    """

    def __init__(self, model, mnist, space=SPACES[0]):
        if space not in SPACES:
            raise ValueError(f"the space is one of {SPACES}, not {space!r}")
        self.model, self.space = model, space
        images = mnist.train.images
        with sensible_threads():
            features = self._features(images[:: max(1, len(images) // 10_000)])  # enough to find the components
            pca = PCA(min(COMPONENTS, *features.shape), svd_solver="covariance_eigh").fit(features)
            self._mean, self._components = (torch.from_numpy(part).float() for part in (pca.mean_, pca.components_))
            self.train = self._project(images)
            self._squares = self.train.square().sum(1)
            self.map = self._project(mnist.test.images)[:, :2]
            self.corners = self.map.amin(0), self.map.amax(0)

    def __call__(self, images, count=NEAREST):
        """For raw images `uint8 (n, 28, 28)`: their places on the map `float32 (n, 2)`, the positions of the `count`
        nearest training digits `int64 (n, count)`, nearest first, and their distances `float32 (n, count)`."""
        points = self._project(images)
        squares, positions = [], []
        for few in points.split(FEW):
            # |a - b|² as |a|² - 2ab + |b|²: five times as quick as torch.cdist for a single point
            all_squares = few.square().sum(1, keepdim=True) - 2 * few @ self.train.T + self._squares
            best = all_squares.topk(count, largest=False)
            squares.append(best.values)
            positions.append(best.indices)
        return points[:, :2], torch.cat(positions), torch.cat(squares).clamp(min=0).sqrt()

    def _features(self, images):
        if self.space == "pixels":
            return images.cpu().flatten(1).float() / 255
        features = []
        for few in images.split(FEW):
            layers = activations(self.model, few)
            if len(layers) < 2:
                raise ValueError("the model has no nn.ReLU, after which its last hidden layer could be read")
            features.append(F.normalize(layers[-2].flatten(1)))
        return torch.cat(features)

    def _project(self, images):
        return torch.cat([(self._features(few) - self._mean) @ self._components.T for few in images.split(5000)])


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
        if not self.familiar(prediction.image.unsqueeze(0)).item():
            return "unfamiliar"
        return "sure" if prediction.probabilities.max() >= self.confidence else "undecided"


def _conformal(scores, share):
    """The score that a new one from the same source falls below with a probability of at most `share`."""
    rank = math.floor(share * (len(scores) + 1))
    return scores.sort().values[rank - 1].item() if rank else -math.inf  # too few to say


def first_weights(model):
    """The weights of the first layer as pictures, `float32 (units, height, width)` on the CPU: 28×28 of a `Linear` that
    reads pixels, the kernels of a convolution. None if the model has neither."""
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.in_features == 784:
            return module.weight.detach().cpu().view(-1, 28, 28)
        if isinstance(module, nn.Conv2d):
            return module.weight.detach().cpu()[:, 0]
    return None


def most_exciting(model, images, count=8):
    """Which of the raw images `uint8 (N, 28, 28)` each unit of the first layer answers most strongly, the strongest
    first: `int64 (units, count)`. A feature map answers with its largest value."""
    answers = []
    with sensible_threads():
        for few in images.split(FEW):
            answer = activations(model, few)[0]
            answers.append(answer if answer.dim() == 2 else answer.amax((2, 3)))
    return torch.cat(answers).topk(count, dim=0).indices.T
