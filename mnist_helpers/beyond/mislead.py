"""A widget that attacks a network while one watches."""

import ipywidgets as widgets
import torch

from ..prediction import predict
from ..widgets import WIDE, Interactive, picture_and_sentence
from .attacks import attack


def mislead(model, image, truth):
    """Attack `model` on a digit `uint8 (28, 28)` whose true digit is `truth`: a slider for epsilon and a switch between
    one step (FGSM) and twenty (PGD). Shown are the noise, ink added white and ink taken black, what the network sees,
    and its ten probabilities."""
    size = widgets.FloatSlider(0.1, min=0, max=0.5, step=0.01, description="epsilon", layout=WIDE)
    steps = widgets.ToggleButtons(options={"one step": 1, "twenty steps": 20}, style={"button_width": "12em"})

    def draw():
        images, labels = image.unsqueeze(0), torch.tensor([truth])
        attacked = attack(model, images, labels, size.value, steps=steps.value)[0].round().byte().cpu()
        noise = (attacked.float() - image.cpu()).numpy() + 128
        return picture_and_sentence(predict(model, attacked), truth=truth, original=noise, title="the noise")

    return Interactive([size, steps], draw)
