"""What the numbers were measured on, where they are stored, and training that a Ctrl-C ends for good."""

import json
import platform
from pathlib import Path

import joblib
import torch

import mnist_helpers as mh
from mnist_helpers.atomic import atomic_write


def describe():
    """Processor or GPU, cores that may be used, and versions, in one line."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
            name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        except (OSError, StopIteration):
            name = platform.processor() or platform.machine()
    return f"{name}, {joblib.cpu_count()} cores, Python {platform.python_version()}, PyTorch {torch.__version__}"


def fit(*arguments, **options):
    """`mh.fit`, but Ctrl-C ends the program: a half-trained network is not to be measured."""
    history = mh.fit(*arguments, **options)
    if history.interrupted:
        raise KeyboardInterrupt
    return history


def store(name, command, results, folder=None):
    """Write `results` (plain values) as `mnist_helpers/results/NAME.json`, where `mh.load_results(NAME)` finds them, or
    as `NAME.json` in `folder`."""
    path = (folder or Path(__file__).resolve().parent.parent / "mnist_helpers" / "results") / f"{name}.json"
    content = {"command": command, "hardware": describe(), "results": results}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
