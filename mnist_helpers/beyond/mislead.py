"""A widget that attacks a network while one watches."""

import ipywidgets as widgets
import torch

from ..prediction import predict
from ..widgets import WIDE, Interactive, picture_and_sentence
from .attacks import attack

STEP, LARGEST = 0.01, 0.5  # of the slider


def mislead(model, image, truth):
    """Attack `model` on a digit `uint8 (28, 28)` whose true digit is `truth`: a slider for epsilon and a switch between
    one step (FGSM) and twenty (PGD). Shown are the noise, ink added white and ink taken black, what the network sees,
    and its ten probabilities. It opens on the smallest attack that succeeds, if one does."""

    def attacked(epsilon, steps):
        images, labels = image.unsqueeze(0), torch.tensor([truth])
        return attack(model, images, labels, epsilon, steps=steps)[0].round().byte().cpu()

    size, count = smallest(lambda *how: predict(model, attacked(*how)).digit != truth)
    slider = widgets.FloatSlider(size, min=0, max=LARGEST, step=STEP, description="epsilon", layout=WIDE)
    steps = widgets.ToggleButtons(
        options={"one step": 1, "twenty steps": 20}, value=count, style={"button_width": "12em"}
    )

    def draw():
        seen = attacked(slider.value, steps.value)
        noise = (seen.float() - image.cpu()).numpy() + 128
        return picture_and_sentence(predict(model, seen), truth=truth, original=noise, title="the noise")

    return Interactive([slider, steps], draw)


def smallest(misleads):
    """Of the slider's sizes above 0 the smallest for which `misleads(size, steps)`, and its steps, which are one if any
    size is enough for one; (0.1, 1) if nothing misleads."""
    sizes = [round(STEP * count, 2) for count in range(1, round(LARGEST / STEP) + 1)]
    return next(((size, steps) for steps in (1, 20) for size in sizes if misleads(size, steps)), (0.1, 1))
