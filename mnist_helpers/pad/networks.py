"""Which networks a pad can show, and whether one of them has changed."""

import zlib

import torch
from torch import nn

from ..models import predict_logits


def named(model):
    """A dict of name to network, of one network or such a dict."""
    models = dict(model) if isinstance(model, dict) else {type(model).__name__: model}
    if not models:
        raise ValueError("there is no network in the dict: give at least one, as in {'MLP': model}")
    for name, network in models.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"the name of a network is a text that can be read, not {name!r}")
        if not isinstance(network, nn.Module):
            raise ValueError(f"{name} is no network: give an nn.Module, not {network!r}")
        if not any(isinstance(module, nn.ReLU) for module in network.modules()):
            raise ValueError(f"{name} has no nn.ReLU, after which its layers could be read")
        try:
            logits = predict_logits(network, torch.zeros(1, 28, 28, dtype=torch.uint8))
        except RuntimeError as error:
            raise ValueError(f"{name} cannot read an image of 28×28 pixels: {error}") from error
        if logits.shape != (1, 10) or not logits.isfinite().all():
            raise ValueError(f"{name} answers {logits.tolist()[0]} to a blank image, not ten finite logits")
    return models


def checksum(network):
    """Of all weights, by which it is seen that a network was trained on."""
    found = 0
    for tensor in network.state_dict().values():
        found = zlib.crc32(tensor.detach().flatten().view(torch.uint8).cpu().numpy(), found)
    return found
