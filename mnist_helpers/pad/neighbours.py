"""Neighbours: which training digits an image is most like, and where it lies among the test digits."""

import functools

import torch
import torch.nn.functional as F

from ..devices import sensible_threads
from ..models import FEW, activations

SPACES = ("last hidden layer", "pixels")
COMPONENTS = 50  # principal components that distances are measured in; the map shows the first two
NEAREST = 5  # an image is as far from the digits as from the fifth nearest: a single odd training digit is not enough
AT_ONCE = 100  # images whose distances are computed together: as quick as scikit-learn's search, and quicker for one


class Neighbours:
    """MNIST as points in a space where near means alike: by pixels, or by what a network's last hidden layer makes of
    them. There the direction of the activations counts, not their size.

    Attributes:
        train: `float32 (N, 50)`, the training digits.
        map: `float32 (M, 2)`, the test digits, made when it is first asked for; `corners`: its least and largest
            `(x, y)`, each `(2,)`.

    Raises:
        ValueError: `space` is none of `SPACES`, or the model has no `nn.ReLU`.
    """

    def __init__(self, model, mnist, space=SPACES[0]):
        if space not in SPACES:
            raise ValueError(f"the space is one of {SPACES}, not {space!r}")
        self.model, self.space, self._test = model, space, mnist.test
        images = mnist.train.images
        with sensible_threads():
            some = self._features(images[:: max(1, len(images) // 10_000)])  # enough to find the components
            self._mean, self._components = _principal_components(some)
            self.train = self._project(images)
            self._squares = self.train.square().sum(1)

    @functools.cached_property
    def map(self):
        with sensible_threads():
            return self._project(self._test.images)[:, :2]

    @functools.cached_property
    def corners(self):
        return self.map.amin(0), self.map.amax(0)

    def __call__(self, images, count=NEAREST):
        """For raw images `uint8 (n, 28, 28)`: their places on the map `float32 (n, 2)`, the positions of the `count`
        nearest training digits `int64 (n, count)`, nearest first, and their distances `float32 (n, count)`."""
        points = self._project(images)
        squares, positions = [], []
        # The same memory for all. Between new pieces the small results would lie, and keep their places from being used
        # again: a gigabyte was seen to be lost so.
        products = torch.empty(min(AT_ONCE, len(points)), len(self.train))
        for few in points.split(AT_ONCE):
            # |a - b|² is |b|² - 2ab + |a|², and |a|² is the same for all b, so that it can wait: one product, which
            # for a single point is five times as quick as torch.cdist.
            torch.addmm(self._squares, few, self.train.T, alpha=-2, out=products[: len(few)])
            best = products[: len(few)].topk(count, largest=False)
            squares.append(best.values + few.square().sum(1, keepdim=True))
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


def _principal_components(features):
    """The mean of `features` and their principal components, at most `COMPONENTS`, as rows: the eigenvectors of the
    covariance, largest eigenvalue first. For so few dimensions that is by far the quickest way. The largest number of
    each is positive: an eigenvector's sign is arbitrary, and a map is to be the same on every machine."""
    mean = features.mean(0)
    centred = features - mean
    _, vectors = torch.linalg.eigh((centred.T @ centred).double())  # in ascending order
    components = vectors.T.flip(0)[: min(COMPONENTS, *features.shape)].float()
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    return mean, components * largest.sign()
