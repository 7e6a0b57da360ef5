"""Checkpoints: a network, and all that its training needs to go on, in one file."""

import io
import reprlib
from dataclasses import asdict, dataclass

import torch

from .archive import CheckpointError, read_archive
from .atomic import atomic_write, check_writable
from .models import CNN, MLP

FORMAT = "mnist_helpers checkpoint, version 1"
NETWORKS = {"MLP": MLP, "CNN": CNN}  # what a checkpoint may name and load_checkpoint may build


@dataclass
class Checkpoint:
    """A loaded checkpoint: the `model`, ready and in evaluation mode, and everything else that the file holds.

    `state` maps names to what was saved, e.g. `"epoch"` (int), `"history"` (dict of lists) and `"settings"` (dict).
    """

    model: torch.nn.Module
    state: dict


def save_checkpoint(path, model, *, optimizer=None, schedule=None, generator=None, history=None, settings=None):
    """Write `model` and the state of its training to `path`, all or nothing.

    The file is a dict that plain `torch.load(path, weights_only=True)` reads; its `"model"` is the `state_dict`.

    Args:
        optimizer, schedule, generator: whose states to keep, to resume the training exactly.
        history: the `History` so far.
        settings: dict of the training's arguments and its data's fingerprint; plain values only.

    Raises:
        ValueError: the name of the file is empty.
        OSError: the file cannot be written; an older one at `path` is still whole.
    """
    check_writable(path)
    state = {
        "format": FORMAT,
        "architecture": {"name": type(model).__name__, "config": getattr(model, "config", {})},
        "model": model.state_dict(),
        "torch_random": torch.get_rng_state(),  # dropout draws from the global generators
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }
    for key, part in (("optimizer", optimizer), ("schedule", schedule)):
        if part is not None:
            state[key] = part.state_dict()
    if generator is not None:
        state["generator"] = generator.get_state()
    if history is not None:
        state |= {"history": asdict(history), "epoch": len(history)}
    if settings is not None:
        state["settings"] = settings
    buffer = io.BytesIO()
    torch.save(state, buffer)  # not into the file: if the disk is full, it raises a RuntimeError that does not say so
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_checkpoint(path, *, model=None, device=None):
    """Read a file that `save_checkpoint` wrote. No code in it can run: only tensors and plain values are read.

    Args:
        model: loads the weights into this model; by default a new one is built from the architecture in the file.
        device: where to put the model; by default the given one stays where it is, and a new one is on the CPU.

    Returns:
        `Checkpoint`.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, is something else, or holds another architecture.
    """
    state = read_checkpoint(path)
    if model is None:
        model = _build(path, state)
    else:
        check_fit(path, model, state)
    model.load_state_dict(state["model"])
    if device is not None:
        model.to(device)
    return Checkpoint(model.eval(), {k: v for k, v in state.items() if k != "model"})


def read_checkpoint(path):
    """The dict in the file `path`, in which `"architecture"` and `"model"` are of the right form. Raises as
    `load_checkpoint` does."""
    state = read_archive(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT or not {"architecture", "model"} <= set(state):
        raise CheckpointError(f"{path} is a file of PyTorch's, but not one that save_checkpoint wrote")
    architecture, weights = state["architecture"], state["model"]
    if not (
        isinstance(architecture, dict)
        and isinstance(architecture.get("name"), str)
        and isinstance(architecture.get("config"), dict)
    ):
        raise CheckpointError(f"{path} does not say in the usual form which network it holds")
    if not (isinstance(weights, dict) and all(isinstance(n, str) and _is_whole(w) for n, w in weights.items())):
        raise CheckpointError(f"{path} holds something else than weights where the weights should be")
    return state


def _is_whole(weights):
    """Whether this is a tensor that has as many numbers as it shows. Of an expanded one, the file holds fewer."""
    return (
        isinstance(weights, torch.Tensor)
        and weights.layout == torch.strided
        and weights.untyped_storage().nbytes() >= weights.numel() * weights.element_size()
    )


def _build(path, state):
    """The network that the file names, without numbers. None is made that is larger than the weights in the file."""
    # The name in the file is looked up among this package's own networks only.
    name, config = state["architecture"]["name"], state["architecture"]["config"]
    if name not in NETWORKS:
        raise CheckpointError(f"{path} holds a {name:.60}; pass such a network as model=")
    try:
        with torch.device("meta"):  # of tensors without memory
            model = NETWORKS[name](**config)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path} holds a {name} that cannot be built: {error!s:.200}") from error
    check_fit(path, model, state)
    return model.to_empty(device="cpu")


def check_fit(path, model, state):
    """Raise `CheckpointError` if the checkpoint `state`, read from `path`, is of another network than `model`."""
    theirs, ours = state["architecture"], {"name": type(model).__name__, "config": getattr(model, "config", {})}
    if theirs != ours:
        raise CheckpointError(f"{path} holds a {_named(theirs)}, which does not fit this {_named(ours)}")
    wanted = {name: weights.shape for name, weights in model.state_dict().items()}
    if wanted != {name: weights.shape for name, weights in state["model"].items()}:
        raise CheckpointError(f"{path} says that it holds a {_named(theirs)}, but its weights do not fit")


def _named(architecture):
    return f"{architecture['name']:.60} with {reprlib.repr(architecture['config'])}"
