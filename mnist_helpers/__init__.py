"""Helpers of the course.

The core is a row of rooms, each of which imports only from its left:

    atomic → idx → download → sources → data → images → batches → models →
    optimizer → devices → processes → history → settings → archive → checkpoints → state → resuming → training →
    evaluation → stored → pictures → centring → prediction → colours → plotting →
    svg → anatomy → diagrams → walking → widgets

Three wings import from the core, never the other way round, and each from its own left:

    pad/     strokes → drawings → neighbours → judge → units → flow → ink → panels → still → trophies → networks →
             widget
    beyond/  corruptions → attacks → confidence → torchrun → search → storage → mislead
    exercises/  plainly → answers → limit → progress → exercise → scales → guess → sample → goal → loops →
                catalogue → pooled → table

What each notebook asks stands in a file of `exercises/` that is named after it, imports from the rooms before
`catalogue` and is imported by none: `catalogue` finds it. `tune.py` is a program and imported by none. Figures, widgets
and wings are imported when first used, so that a program that only trains needs none of them.
"""

from importlib import import_module

from .archive import CheckpointError
from .batches import Batches
from .checkpoints import load_checkpoint, save_checkpoint
from .colours import BLUE, DIGIT_COLOURS, DIVERGING, GREEN, GREY, ORANGE
from .data import Split, load_mnist
from .devices import pick_device, set_seed
from .evaluation import calibration, evaluate, wilson_interval
from .history import History
from .idx import DataError
from .images import MEAN, STD, Augmentation, affine, normalize
from .models import CNN, MLP, Ensemble, activations, count_parameters, predict_logits
from .stored import load_pretrained, load_results
from .training import fit

_LATER = {
    "pictures": ("ImageError",),
    "centring": ("to_mnist",),
    "prediction": ("predict",),
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
        "style_figures",
    ),
    "anatomy": ("draw_network", "draw_neuron"),
    "diagrams": ("draw_all_reduce", "draw_loop", "draw_splits"),
    "walking": ("walk",),
    "widgets": ("browse", "read_picture", "transform"),
    "pad.strokes": ("Drawing", "render"),
    "pad.drawings": ("as_split", "load_drawings", "save_drawings"),
    "pad.neighbours": ("Neighbours",),
    "pad.judge": ("Judge",),
    "pad.widget": ("draw",),
    "beyond.corruptions": ("CORRUPTIONS", "corrupt"),
    "beyond.attacks": ("attack",),
    "beyond.confidence": ("fit_temperature", "prediction_sets"),
    "beyond.torchrun": ("join_processes",),
    "beyond.mislead": ("mislead",),
    "exercises.catalogue": ("exercise", "exercises", "guess"),
    "exercises.goal": ("reach_goal",),
    "exercises.loops": ("broken_loops",),
    "exercises.pooled": ("guesses",),
    "exercises.table": ("progress",),
}
_ROOM = {name: room for room, names in _LATER.items() for name in names}

__all__ = [
    "BLUE",
    "CNN",
    "DIGIT_COLOURS",
    "DIVERGING",
    "GREEN",
    "GREY",
    "MEAN",
    "MLP",
    "ORANGE",
    "STD",
    "Augmentation",
    "Batches",
    "CheckpointError",
    "DataError",
    "Ensemble",
    "History",
    "Split",
    "activations",
    "affine",
    "calibration",
    "count_parameters",
    "evaluate",
    "fit",
    "load_checkpoint",
    "load_mnist",
    "load_pretrained",
    "load_results",
    "normalize",
    "pick_device",
    "predict_logits",
    "save_checkpoint",
    "set_seed",
    "wilson_interval",
    *_ROOM,
]


def __getattr__(name):
    if name not in _ROOM:
        raise AttributeError(f"module 'mnist_helpers' has no attribute {name!r}")
    return getattr(import_module(f".{_ROOM[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})
