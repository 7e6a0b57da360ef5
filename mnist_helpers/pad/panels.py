"""What the pad's panels show: each as a dict of words, numbers and bytes that the browser paints."""

import torch

from ..colours import DIGIT_COLOURS
from ..devices import sensible_threads
from ..evaluation import evaluate
from ..models import activations
from .drawings import as_split
from .flow import flow
from .judge import UNFAMILIAR
from .neighbours import SPACES
from .strokes import render
from .units import first_weights, most_exciting

SHOWN = 100  # of the kept drawings, the last: the pictures of all could take seconds to travel


def answer(prediction):
    """The image that the network saw, its ten probabilities, and the likeliest digit."""
    return {
        "image": prediction.image.numpy().tobytes(),
        "probabilities": [round(share, 4) for share in prediction.probabilities.tolist()],
        "digit": prediction.digit,
    }


def judged(prediction, verdict):
    """A `Judge`'s verdict as one character, and the sentence that explains it."""
    first, second = prediction.probabilities.topk(2).indices.tolist()
    likeliest, other = (f"{digit} with {percent(prediction.probabilities[digit])}" for digit in (first, second))
    if verdict == "sure":
        return str(first), f"The network says {likeliest}."
    if verdict == "unfamiliar":
        return "?", f"Not sure: this is unlike the digits that it learnt from. If it must be one: {likeliest}."
    return "?", f"Not sure: {likeliest}, or {other}."


def percent(probability):
    """In words; what would round to 100 is not certain either. The space does not break."""
    return "more than 99.9\u00a0%" if probability >= 0.9995 else f"{100 * probability:.1f}\u00a0%"


def layers(model, image):
    """What every layer answers to an image `uint8 (28, 28)`, from 0 to the layer's largest, last the probabilities; and
    the `flow` between them."""
    answers = [layer[0] for layer in activations(model, image.unsqueeze(0))]
    lines = flow(model, image, answers)
    answers[-1] = answers[-1].softmax(0)
    shown = [
        {
            "name": _name(model, layer.shape, is_first=layer is answers[0], is_last=layer is answers[-1]),
            "shape": list(layer.shape),
            "values": (255 * layer / layer.max().clamp(min=1e-9)).clamp(0, 255).byte().numpy().tobytes(),
        }
        for layer in answers
    ]
    return {"layers": shown, "flow": lines}


def _name(model, shape, is_first, is_last):
    name = f"{'×'.join(map(str, shape))} {'probabilities' if is_last else 'neurons'}"
    if not is_first or first_weights(model) is None:
        return name
    return f"{name}: click a {'square' if len(shape) == 1 else 'picture'} to see what it looks for"


class Units:
    """The neurons of a network's first layer, as one chooses them. The digits that excite them are looked for once."""

    def __init__(self, model, split):
        self.model, self.split, self.exciting = model, split, None

    def has(self, unit):
        weights = first_weights(self.model)
        return weights is not None and 0 <= unit < len(weights)

    def prepare(self):
        self.exciting = most_exciting(self.model, self.split.images)

    def describe(self, unit):
        """The weights of a neuron, and the training digits that excite it most. Empty if the first `nn.ReLU` does not
        follow the first weights, so that its answers belong to other neurons."""
        weights = first_weights(self.model)
        if len(self.exciting) != len(weights):
            return {}
        best = self.exciting[unit]
        limit = weights.abs().quantile(0.995)  # as in plot_weights
        picture = (128 + 127 * weights[unit] / limit).clamp(0, 255).byte()
        return {
            "sentence": f"Neuron {unit} of the first layer: what it looks for (purple: ink wanted, orange: ink "
            f"unwanted), and the training digits that excite it most.",
            "weights": picture.numpy().tobytes(),
            "shape": list(picture.shape),
            "images": self.split.images[best].cpu().numpy().tobytes(),
            "labels": self.split.labels[best].tolist(),
        }


def map_of(neighbours, split):
    """The map: every digit of the test `split` as a point, from 0 to 255, and the ten colours of the digits."""
    low, high = neighbours.corners
    return {
        "points": (255 * (neighbours.map - low) / (high - low)).byte().numpy().tobytes(),
        "labels": split.labels.byte().cpu().numpy().tobytes(),
        "colours": list(DIGIT_COLOURS),
    }


def place(neighbours, near, split, limit):
    """Where an image lies on the map, and its nearest digits of the training `split`. `near` is what `neighbours` say
    of it, and `limit` the largest familiar distance in the last hidden layer."""
    points, positions, distances = near
    nearest, (low, high) = split[positions[0].to(split.labels.device)], neighbours.corners
    x, y = ((points[0] - low) / (high - low)).clamp(0, 1).tolist()
    fifth = f"{distances[0, -1]:.2f}"
    if neighbours.space == SPACES[0]:
        how_far = f"{100 * (1 - UNFAMILIAR):.0f} of 100 real digits are nearer than {limit:.2f}; yours is at {fifth}."
    else:
        how_far = f"The fifth is at a distance of {fifth}."
    return {
        "x": x,
        "y": y,
        "sentence": f"The nearest training digits, by the {neighbours.space}. {how_far}",
        "images": nearest.images.cpu().numpy().tobytes(),
        "labels": nearest.labels.tolist(),
    }


def kept(drawings, right):
    """The kept drawings. `right` tells of those that can be read whether they are read right, `(as drawn, centred like
    MNIST)`."""
    readable = [right[drawing] for drawing in drawings if drawing in right]
    if readable:
        as_drawn, as_made = map(sum, zip(*readable, strict=True))
        sentence = f"{len(readable)} kept. Read right as drawn: {as_drawn}; centred like MNIST: {as_made}."
    else:
        sentence = "None kept yet. Draw a digit, then say which it was meant to be."
    shown = drawings[-SHOWN:]
    if len(shown) < len(drawings):
        sentence += f" The last {SHOWN} are shown."
    return {
        "sentence": sentence,
        "first": len(drawings) - len(shown),
        "images": b"".join(render(drawing, fit=False).numpy().tobytes() for drawing in shown),
        "captions": ["?" if drawing.label is None else str(drawing.label) for drawing in shown],
    }


def read(model, drawings):
    """Whether `model` reads each of the labelled `drawings` right: `{drawing: (as drawn, centred like MNIST)}`."""
    if not drawings:
        return {}
    results = [evaluate(model, as_split(drawings, fit=fit)) for fit in (False, True)]
    right = torch.stack([result.predictions == result.labels for result in results], dim=1)
    return dict(zip(drawings, map(tuple, right.tolist()), strict=True))


def nearby(neighbours, image):
    """What `neighbours` say of one image; for one, a second thread would only be waited for."""
    with sensible_threads(1):
        return neighbours(image.unsqueeze(0))
