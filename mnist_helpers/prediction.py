"""Prediction: what a network reads in a picture."""

from dataclasses import dataclass

import torch

from .centring import to_mnist
from .models import predict_logits


@dataclass(frozen=True)
class Prediction:
    """The `digit`, the ten `probabilities` (`float32 (10,)`, CPU), and the `image` that the network saw
    (`uint8 (28, 28)`)."""

    digit: int
    probabilities: torch.Tensor
    image: torch.Tensor

    def __repr__(self):
        return f"{self.digit} with probability {self.probabilities[self.digit]:.1%}"


def predict(model, image, *, fit=True):
    """What `model` reads in `image`: the `Prediction`.

    Args:
        image: a `uint8 (28, 28)` tensor such as `split.images[0]` goes to the network as it is; anything else is made
            one by `to_mnist`.
        fit: see `to_mnist`.

    Raises:
        ImageError: see `to_mnist`.
    """
    if not (isinstance(image, torch.Tensor) and image.dtype == torch.uint8 and image.shape == (28, 28)):
        image = to_mnist(image, fit=fit)
    probabilities = predict_logits(model, image.unsqueeze(0))[0].softmax(0).cpu()
    return Prediction(int(probabilities.argmax()), probabilities, image.cpu())
