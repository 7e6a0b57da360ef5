"""The neurons of a network's first layer: what each looks for, and which digits excite it most."""

import torch
from torch import nn

from ..devices import sensible_threads
from ..models import FEW, activations


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
    """Which of the raw images `uint8 (N, 28, 28)` each neuron of the first layer answers most strongly, the strongest
    first: `int64 (units, count)`. A feature map answers with its largest value."""
    answers = []
    with sensible_threads():
        for few in images.split(FEW):
            answer = activations(model, few)[0]
            answers.append(answer if answer.dim() == 2 else answer.amax((2, 3)))
    return torch.cat(answers).topk(count, dim=0).indices.T
