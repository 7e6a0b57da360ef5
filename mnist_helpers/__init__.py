"""Helpers of the course:
data → models → training → evaluation → corruptions → robustness →
drawing → prediction → neighbours → plotting → widgets.

Neighbours, figures and widgets are imported when first used, so that a program that only trains needs none of them.
"""

from importlib import import_module

from .corruptions import CORRUPTIONS, corrupt
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
from .models import CNN, MLP, Ensemble, activations, count_parameters, predict_logits
from .prediction import predict, to_mnist
from .robustness import attack, fit_temperature, prediction_sets
from .training import (
    CheckpointError,
    History,
    fit,
    join_processes,
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
    "widgets": ("browse", "draw", "mislead", "read_picture", "transform"),
}
_ROOM = {name: room for room, names in _LATER.items() for name in names}

__all__ = [
    "CNN",
    "CORRUPTIONS",
    "MEAN",
    "MLP",
    "STD",
    "Augmentation",
    "Batches",
    "CheckpointError",
    "DataError",
    "Drawing",
    "Ensemble",
    "History",
    "ImageError",
    "Split",
    "activations",
    "affine",
    "as_split",
    "attack",
    "calibration",
    "corrupt",
    "count_parameters",
    "evaluate",
    "fit",
    "fit_temperature",
    "join_processes",
    "load_checkpoint",
    "load_drawings",
    "load_mnist",
    "load_pretrained",
    "load_results",
    "normalize",
    "pick_device",
    "predict",
    "predict_logits",
    "prediction_sets",
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
