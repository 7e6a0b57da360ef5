"""What a training runs on: the device, its random numbers, and on a CPU the threads and the memory."""

import copy
import ctypes
import os
import random
import sys
import time
import warnings
from contextlib import contextmanager, suppress

import joblib
import numpy as np
import torch

from .models import MLP, count_parameters
from .optimizer import make_optimizer

_THREADS_AT_IMPORT = torch.get_num_threads()
_MOST_THREADS = 4  # our layers are too small to gain from more
_CLEAR_GAIN = 1.15  # several threads must be so many times as quick as one: less is noise, and costs a core
_TURN = 0.015  # seconds that each number of threads is tried for, in each of
_TURNS = 3  # turns
_quickest = {}  # what quick_threads has decided


def pick_device(name="auto"):
    """The `torch.device` called `name`; `"auto"` takes CUDA, else Apple's MPS, else the CPU.

    A GPU that is there but has no memory to give, as on a virtual Mac, is passed over by `"auto"` with a warning.

    Raises:
        ValueError: `name` is unknown, or this machine has no such device.
    """
    if name == "auto":
        for accelerator in (torch.cuda, torch.backends.mps):
            if accelerator.is_available():
                try:
                    return _usable(accelerator.__name__.rpartition(".")[2])
                except ValueError as error:
                    warnings.warn(f"{error}; the CPU computes", stacklevel=2)
        return torch.device("cpu")
    try:
        return _usable(name)
    except ValueError as error:
        raise ValueError(f"{error}; try 'auto' or 'cpu'") from error


def _usable(name):
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"device {name!r} cannot be used here ({reason})") from error
    return device


def set_seed(seed):
    """Seed Python's, NumPy's and PyTorch's global generators, on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - seeds the global generator for code that still uses it
    torch.manual_seed(seed)


@contextmanager
def sensible_threads(count=None, model=None, batch_size=512):
    """Compute with `count` threads, by default `quick_threads(model, batch_size)`, afterwards as before, and yield how
    many they are. A number that the user has chosen, by `OMP_NUM_THREADS`, `MKL_NUM_THREADS` or
    `torch.set_num_threads`, is left alone."""
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ or "MKL_NUM_THREADS" in os.environ or before != _THREADS_AT_IMPORT:
        count = before
    count = count or quick_threads(model, batch_size)
    torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)


def quick_threads(model=None, batch_size=512):
    """As many threads as PyTorch would take, but at most four and no more than there are cores; or one, unless several
    are clearly quicker. They often are not: threads wait for each other at every layer, in vain if a layer is small,
    and for long if other programs want the cores too.

    A few steps of training decide, of a copy of `model` (by default an `MLP`; one on a GPU counts as that) with
    `batch_size` images. It is decided once in a process, because the last bits of a training depend on it, for each
    kind of network and each power of two of its work: parameters times images.
    """
    most = min(_THREADS_AT_IMPORT, joblib.cpu_count(), _MOST_THREADS)
    if most == 1:
        return 1
    if model is not None and next(model.parameters()).device.type != "cpu":
        model = None
    work = batch_size * (count_parameters(model) if model is not None else 0)
    kind = type(model), work.bit_length()
    if kind not in _quickest:
        before, many, one = torch.get_num_threads(), [], []
        try:
            with torch.random.fork_rng(devices=[]):  # whoever seeds and then trains gets the same numbers as without
                step = _step(MLP() if model is None else _twin(model), batch_size)
                for _ in range(_TURNS):  # in turn: what else the machine does changes meanwhile
                    many.append(_seconds(step, most))
                    one.append(_seconds(step, 1))
                    if one[-1] > _TURN:  # a step that takes so long tells enough
                        break
        finally:
            torch.set_num_threads(before)
        _quickest[kind] = most if _CLEAR_GAIN * sum(many) < sum(one) else 1
    return _quickest[kind]


def _twin(model):
    """A copy to try; an `MLP` of a network that cannot be copied. What watches the network is not to see the trial."""
    try:
        twin = copy.deepcopy(model)
    except Exception:
        return MLP()
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


def _step(network, batch_size):
    """A function that does what a step of training does."""
    optimizer, images = make_optimizer(network, learning_rate=0.0, weight_decay=0.0), torch.ones(batch_size, 1, 28, 28)

    def step():
        optimizer.zero_grad()
        network(images).sum().backward()
        optimizer.step()

    return step


def _seconds(step, threads):
    """Mean time of a `step` with so many threads."""
    torch.set_num_threads(threads)
    step()  # starts the threads
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _TURN:
        step()
        count += 1
    return elapsed / count


def keep_memory():
    """Let the C library keep what is freed for the next batch. By default it gives large pieces back to the system,
    which has to clear them again in every step: up to a quarter of the time of a CNN's epoch."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            mallopt = ctypes.CDLL(None).mallopt
            if mallopt(-3, 1 << 30):  # M_MMAP_THRESHOLD, which not every version allows to be so high
                mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
