"""Small trainings, for the tests of everything that happens around them."""

import torch

import mnist_helpers as mh


def new_model(seed=0):
    mh.set_seed(seed)
    return mh.MLP()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def quick(model, digits, **options):
    return mh.fit(model, *digits, **{"epochs": 4, "batch_size": 64, "progress": False} | options)


class Dropout(torch.nn.Sequential):
    """A network that draws from the global generator while it trains."""

    def __init__(self):
        super().__init__(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(784, 10))
