"""What comes with the package: trained networks, and the results of runs too long for a notebook."""

import json
from importlib.resources import files

from .checkpoints import load_checkpoint

PRETRAINED = ("mlp", "cnn")


def load_pretrained(device="cpu", *, name="mlp"):
    """A trained network that comes with the package, in evaluation mode on `device`: the `"mlp"` or the `"cnn"`.

    It was trained on the 55,000 images of the standard `train` split; `pretrained/NAME.json` beside this file holds
    how, and its results on validation and test.

    Raises:
        ValueError: no such network comes with the package.
    """
    if name not in PRETRAINED:
        raise ValueError(f"there is no pretrained {name!r}: choose one of {PRETRAINED}")
    return load_checkpoint(files("mnist_helpers") / "pretrained" / f"{name}.pth", device=device).model


def load_results(name):
    """What a run too long for a notebook has measured: a dict with the `"command"` that made it, the `"hardware"` it
    ran on, and the `"results"`, from `results/NAME.json` beside this file.

    Raises:
        ValueError: there are no results of that name.
    """
    folder = files("mnist_helpers") / "results"
    names = sorted(path.name.removesuffix(".json") for path in folder.iterdir() if path.name.endswith(".json"))
    if name not in names:
        raise ValueError(f"there are no stored results {name!r}: choose one of {names}")
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
