"""Helpers of the course: data → models → training → evaluation → prediction → plotting → widgets.

Figures and widgets are imported when first used, so that a program that only trains needs neither.
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
from .evaluation import calibration, evaluate, wilson_interval
from .models import MLP, count_parameters, predict_logits
from .prediction import ImageError, predict, to_mnist
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
    "widgets": ("browse", "read_picture", "transform"),
}
_ROOM = {name: room for room, names in _LATER.items() for name in names}

__all__ = [
    "MEAN",
    "MLP",
    "STD",
    "Augmentation",
    "Batches",
    "CheckpointError",
    "DataError",
    "History",
    "ImageError",
    "Split",
    "affine",
    "calibration",
    "count_parameters",
    "evaluate",
    "fit",
    "load_checkpoint",
    "load_mnist",
    "load_pretrained",
    "normalize",
    "pick_device",
    "predict",
    "predict_logits",
    "save_checkpoint",
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
