"""Going on where a training was interrupted. Nothing of a checkpoint is used before it was found to fit: PyTorch takes
the state of an optimizer on trust, and its quickest kernels write where a wrong one tells them to."""

import math
import reprlib
from dataclasses import fields

import joblib
import torch

from .archive import CheckpointError
from .checkpoints import check_fit, read_checkpoint
from .history import History


def restore(path, training):
    """Bring the `State` of a training that has not begun back to where the checkpoint at `path` was saved.

    Returns:
        The number of threads that it was trained with, or as many as there are cores if these are fewer.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is no checkpoint of a training, or it is damaged.
        ValueError: it comes from other settings, data or another kind of device.
    """
    state = read_checkpoint(path)
    if any(key not in state for key in ("optimizer", "schedule", "generator", "history", "settings")):
        raise CheckpointError(f"{path} holds a network, but not the state of its training, so it cannot be resumed")
    try:
        _check_settings(path, state["settings"], training.settings)
        check_fit(path, training.model, state)
        threads = state["settings"]["threads"]
        _require(type(threads) is int and threads >= 1)
        columns = _checked_history(state["history"], training.settings["epochs"])
        done, steps = state["schedule"]["last_epoch"], training.steps_per_epoch * len(columns["train_loss"])
        _require(type(done) is int and done == steps)
        moments, groups = _checked_optimizer(state["optimizer"], training.optimizer)
        _check_random_numbers(path, state, training.generator.device)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} holds a state of training that is damaged, so it cannot be resumed") from error
    training.model.load_state_dict(state["model"])
    training.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    counts = {"last_epoch": steps, "_step_count": steps + 1, "_last_lr": [group["lr"] for group in groups]}
    training.schedule.load_state_dict(training.schedule.state_dict() | counts)
    training.history = History(**columns)
    training.generator.set_state(state["generator"])
    torch.set_rng_state(state["torch_random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"][: torch.cuda.device_count()])
    return min(threads, joblib.cpu_count())


def _require(condition):
    if not condition:
        raise TypeError("not what save_checkpoint wrote")


def _check_settings(path, saved, settings):
    differing = [
        f"{key} was {reprlib.repr(saved.get(key)):.60}, now {settings[key]!r}"
        for key in settings
        if type(saved.get(key)) is not type(settings[key]) or saved[key] != settings[key]
    ]
    if differing:
        raise ValueError(f"{path} comes from another training: {'; '.join(differing)}")


def _checked_history(saved, epochs):
    """The fields of the `History`: as many numbers in each, and no more than epochs were asked for."""
    columns = {name: values for name, values in saved.items() if name != "interrupted"}
    _require({*columns, "interrupted"} == {field.name for field in fields(History)})
    _require(all(isinstance(values, list) for values in columns.values()))
    _require(len({len(values) for values in columns.values()}) == 1)
    _require(all(type(value) is float for values in columns.values() for value in values))
    _require(1 <= len(columns["train_loss"]) <= epochs)
    return columns


def _checked_optimizer(saved, optimizer):
    """What `optimizer.load_state_dict` takes: copies of the tensors of each parameter that was trained, which must have
    its shape, and the groups of parameters as this optimizer has them, but with the rates in the file."""
    groups = optimizer.state_dict()["param_groups"]
    _require(len(saved["param_groups"]) == len(groups))
    for group, theirs in zip(groups, saved["param_groups"], strict=True):
        group["lr"], group["betas"] = theirs["lr"], tuple(theirs["betas"])
        _require(all(type(rate) is float and math.isfinite(rate) for rate in (group["lr"], *group["betas"])))
        _require(group["lr"] >= 0 and len(group["betas"]) == 2 and all(0 <= beta < 1 for beta in group["betas"]))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = {}
    for number, tensors in saved["state"].items():  # none for a parameter that is frozen or that nothing depends on
        _require(type(number) is int and 0 <= number < len(parameters) and isinstance(tensors, dict))
        _require(set(tensors) == {"step", "exp_avg", "exp_avg_sq"})
        moments[number] = {}
        for name, tensor in tensors.items():
            like = torch.zeros(()) if name == "step" else parameters[number].detach()
            _require(isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided)
            _require(tensor.dtype == like.dtype and tensor.shape == like.shape)
            moments[number][name] = torch.empty_like(like).copy_(tensor)  # an expanded one has less memory than it says
    _require(moments)
    return moments, groups


def _check_random_numbers(path, state, device):
    """Whether the generators of this machine can go on from the states in the file."""
    for numbers in (state["generator"], state["torch_random"], *state["cuda_random"]):
        _require(isinstance(numbers, torch.Tensor) and numbers.dtype == torch.uint8 and numbers.dim() == 1)
    try:
        torch.Generator(device).set_state(state["generator"])
    except RuntimeError as error:
        raise ValueError(
            f"{path} comes from a training on another kind of device than {device}, whose random numbers cannot go on "
            "here: resume it there, or load its weights with load_checkpoint"
        ) from error
    try:
        torch.Generator().set_state(state["torch_random"])
        for numbers in state["cuda_random"] if torch.cuda.is_available() else ():
            torch.Generator("cuda").set_state(numbers)
    except RuntimeError as error:
        raise TypeError("not the state of a generator") from error
