"""The networks: plain `nn.Module`s from `float32 (N, 1, 28, 28)` to ten logits `(N, 10)`."""

import torch
from torch import nn

from .images import normalize


class MLP(nn.Module):
    """The fully connected network 784-128-64-10 with ReLU between: 109,386 parameters.

    Args:
        hidden: widths of the two hidden layers.
    """

    def __init__(self, hidden=(128, 64)):
        super().__init__()
        first, second = map(int, hidden)
        self.config = {"hidden": [first, second]}
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, 10),
        )

    def forward(self, images):
        """Logits `(N, 10)` of normalised images `(N, 1, 28, 28)`."""
        return self.layers(images)


class CNN(nn.Module):
    """A small convolutional network: four blocks of convolution, batch normalisation and ReLU, and a linear layer.
    28,794 parameters.

    Images `(N, 1, 28, 28)` become 16 maps of 24×24, pooled to 12×12, then 32 maps of 10×10, 32 of 8×8, pooled to 4×4,
    and 32 of 4×4.

    Args:
        width: maps of the first convolution; the others have twice as many.
    """

    def __init__(self, width=16):
        super().__init__()
        width = int(width)
        self.config = {"width": width}
        self.layers = nn.Sequential(
            *_convolution(1, width, kernel_size=5),
            nn.MaxPool2d(2),
            *_convolution(width, 2 * width),
            *_convolution(2 * width, 2 * width),
            nn.MaxPool2d(2),
            *_convolution(2 * width, 2 * width, padding=1),
            nn.Flatten(),
            nn.Linear(32 * width, 10),
        )
        self.to(memory_format=torch.channels_last)  # on CPUs up to twice as quick, and never slower

    def forward(self, images):
        """Logits `(N, 10)` of normalised images `(N, 1, 28, 28)`."""
        return self.layers(images)


class Ensemble(nn.Module):
    """Several trained networks that answer together: its logits are the logarithms of their mean probabilities.

    Args:
        models: networks from normalised images `(N, 1, 28, 28)` to logits `(N, 10)`, on one device.
        shifts: rows and columns, in whole pixels, by which an image is moved before each network sees it; each sees it
            once for every shift. What leaves at one side comes in at the other.

    Raises:
        ValueError: there are no models or no shifts.
    """

    def __init__(self, models, shifts=((0, 0),)):
        super().__init__()
        self.models, self.shifts = nn.ModuleList(models), tuple(shifts)
        if not self.models or not self.shifts:
            raise ValueError("an ensemble needs at least one model and one shift")

    def forward(self, images):
        """Logits `(N, 10)` of normalised images `(N, 1, 28, 28)`."""
        views = [torch.roll(images, shift, dims=(2, 3)) for shift in self.shifts]
        probabilities = torch.stack([model(view).softmax(1) for model in self.models for view in views])
        return probabilities.mean(0).clamp(min=1e-30).log()  # a probability that underflowed to 0 has no logarithm


def _convolution(inputs, outputs, kernel_size=3, padding=0):
    # The batch normalisation adds an offset of its own, so the convolution needs none.
    yield nn.Conv2d(inputs, outputs, kernel_size, padding=padding, bias=False)
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU()


def count_parameters(model):
    """The number of trainable parameters of `model`."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


# Images that are forwarded together. The feature maps of so few stay in the processor's cache, and the C library keeps
# their memory instead of asking the system for it each time: for the CNN twice as quick as 1,000.
FEW = 250


@torch.no_grad()
def predict_logits(model, images, batch_size=FEW):
    """Logits `float32 (N, 10)` of raw images `(N, 28, 28)` on a scale of 0 to 255, in evaluation mode.

    The images are normalised and forwarded `batch_size` at a time, which bounds the memory, and travel to the model's
    device if they are elsewhere. The model is left in the mode (training or evaluation) that it was in.
    """
    device = next(model.parameters()).device
    was_training = model.training
    if was_training:  # of a single image, telling every layer would take a third of the time
        model.eval()
    try:
        return torch.cat([model(normalize(batch.to(device))) for batch in images.split(batch_size)])
    finally:
        if was_training:
            model.train()


def activations(model, images, batch_size=FEW):
    """What each layer answers to raw images `(N, 28, 28)`: the outputs of every `nn.ReLU` in the order of their use,
    `(N, units)` or `(N, channels, height, width)`, and last the logits `(N, 10)`; `float32` on the CPU. See
    `predict_logits`."""
    answers = []
    units = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    hooks = [unit.register_forward_hook(lambda unit, inputs, output: answers.append(output.cpu())) for unit in units]
    batches = []
    try:
        for batch in images.split(batch_size):
            answers.clear()
            logits = predict_logits(model, batch, batch_size).cpu()
            batches.append([*answers, logits])
    finally:
        for hook in hooks:
            hook.remove()
    return [torch.cat(layer) for layer in zip(*batches, strict=True)]
