"""Helpers of the course:
data → models → training → evaluation → drawing → prediction → neighbours → plotting → widgets.

Neighbours, figures and widgets are imported when first used, so that a program that only trains needs none of them.
"""

from importlib import import_module

from .data import (
    MEAN,
    STD,
    Augmentation,
    Batches,
    DataError,
    Split,
    affine,
    load_mnist,
    normalize,
)
from .drawing import Drawing, ImageError, as_split, load_drawings, render, save_drawings
from .evaluation import calibration, evaluate, load_results, wilson_interval
from .models import CNN, MLP, activations, count_parameters, predict_logits
from .prediction import predict, to_mnist
from .training import (
    CheckpointError,
    History,
    fit,
    load_checkpoint,
    load_pretrained,
    pick_device,
    save_checkpoint,
    set_seed,
)

_LATER = {
    "neighbours": ("Judge", "Neighbours"),
    "plotting": (
        "plot_calibration",
        "plot_confusion",
        "plot_digits",
        "plot_history",
        "plot_mistakes",
        "plot_pixel_values",
        "plot_prediction",
        "plot_probabilities",
        "plot_weights",
    ),
    "widgets": ("browse", "draw", "read_picture", "transform"),
}
_ROOM = {name: room for room, names in _LATER.items() for name in names}

__all__ = [
    "CNN",
    "MEAN",
    "MLP",
    "STD",
    "Augmentation",
    "Batches",
    "CheckpointError",
    "DataError",
    "Drawing",
    "History",
    "ImageError",
    "Split",
    "activations",
    "affine",
    "as_split",
    "calibration",
    "count_parameters",
    "evaluate",
    "fit",
    "load_checkpoint",
    "load_drawings",
    "load_mnist",
    "load_pretrained",
    "load_results",
    "normalize",
    "pick_device",
    "predict",
    "predict_logits",
    "render",
    "save_checkpoint",
    "save_drawings",
    "set_seed",
    "to_mnist",
    "wilson_interval",
    *_ROOM,
]


def __getattr__(name):
    if name not in _ROOM:
        raise AttributeError(f"module 'mnist_helpers' has no attribute {name!r}")
    return getattr(import_module(f".{_ROOM[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})
