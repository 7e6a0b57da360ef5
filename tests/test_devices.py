"""Devices and threads."""

import os
import subprocess
import sys
import threading

import pytest
import torch

import mnist_helpers as mh
from mnist_helpers import devices


def test_pick_device():
    assert mh.pick_device("cpu") == torch.device("cpu")
    assert mh.pick_device().type in ("cpu", "cuda", "mps")
    for name in ("abacus", "", "meta"):  # meta is a device of PyTorch's whose tensors hold no numbers
        with pytest.raises(ValueError, match=f"'{name}' cannot be used here"):
            mh.pick_device(name)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="try 'auto' or 'cpu'"):
            mh.pick_device("cuda")


@pytest.mark.parametrize("there", [torch.cuda, torch.backends.mps])
def test_a_gpu_without_memory_is_passed_over(there, monkeypatch):
    """Virtual Macs show a GPU that refuses every tensor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there is torch.cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there is torch.backends.mps)
    zeros = torch.zeros

    def refuse(*size, device):
        if device.type != "cpu":
            raise RuntimeError("backend out of memory")
        return zeros(*size, device=device)

    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.warns(
        UserWarning, match=r"'(cuda|mps)' cannot be used here \(backend out of memory\); the CPU computes"
    ):
        assert mh.pick_device() == torch.device("cpu")
    monkeypatch.setattr(torch, "zeros", lambda *size, device: zeros(*size))
    assert mh.pick_device().type == there.__name__.rpartition(".")[2]


# Threads


@pytest.fixture
def machine(monkeypatch):
    """A machine of 16 cores, on which `speed(threads, batch_size)` tells the seconds of a step."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    current, asked = [16], []
    monkeypatch.setattr(torch, "get_num_threads", lambda: current[-1])
    monkeypatch.setattr(torch, "set_num_threads", current.append)
    monkeypatch.setattr(devices, "_THREADS_AT_IMPORT", 16)
    monkeypatch.setattr(devices, "_quickest", {})

    def set_up(cores=16, speed=lambda threads, size: 0.01 / threads, before=16, **environment):
        def seconds(size, threads):
            asked.append(size)
            return speed(threads, size)

        current[:] = [before]
        devices._quickest.clear()
        monkeypatch.setattr(devices, "_step", lambda network, size: size)
        monkeypatch.setattr(devices, "_seconds", seconds)
        monkeypatch.setattr(devices.joblib, "cpu_count", lambda: cores)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        asked.clear()
        return asked

    return set_up


def chosen(**options):
    before = torch.get_num_threads()
    with devices.sensible_threads(**options) as count:
        assert torch.get_num_threads() == count
    assert torch.get_num_threads() == before
    return count


def test_threads_are_few_and_the_users_own_choice_stands(machine):
    machine()
    assert chosen() == 4
    machine(cores=2)
    assert chosen() == 2
    asked = machine(cores=1)
    assert chosen() == 1
    assert not asked  # there was nothing to try
    machine(before=7)
    assert chosen() == 7  # by torch.set_num_threads
    machine(OMP_NUM_THREADS="16")
    assert chosen() == 16


def test_several_threads_must_be_clearly_quicker(machine):
    """On a busy machine they wait for each other, and a small gain may be noise."""
    machine(speed=lambda threads, size: threads / 1000)
    assert chosen() == 1
    machine(speed=lambda threads, size: 0.01 if threads == 1 else 0.009)
    assert chosen() == 1
    machine(speed=lambda threads, size: 0.01 if threads == 1 else 0.008)
    assert chosen() == 4


def test_threads_fit_the_network_and_the_batch_and_stay_the_same(machine):
    asked = machine(speed=lambda threads, size: 0.01 if threads == 1 or size < 300 else 0.005)
    model = mh.MLP(hidden=(8, 8))
    assert chosen(model=model, batch_size=64) == 1
    assert chosen(model=model, batch_size=512) == 4
    assert asked == 6 * [64] + 6 * [512]
    for width in (8, 9):  # what was decided is not tried again, nor for almost the same
        assert chosen(model=mh.MLP(hidden=(width, width)), batch_size=64) == 1
    assert len(asked) == 12
    for other in (mh.MLP(hidden=(40, 9)), mh.CNN(width=4)):
        assert chosen(model=other, batch_size=64) == 1
    assert asked[12:] == 12 * [64]


class Forgetful(torch.nn.Sequential):
    """A network with random numbers, statistics and gradients of its own."""

    def __init__(self):
        super().__init__(torch.nn.Flatten(), torch.nn.BatchNorm1d(784), torch.nn.Dropout(0.5), torch.nn.Linear(784, 10))


def test_trying_threads_leaves_network_and_random_numbers_alone(monkeypatch):
    monkeypatch.setattr(devices, "_quickest", {})
    monkeypatch.setattr(devices, "_THREADS_AT_IMPORT", 2)
    monkeypatch.setattr(devices.joblib, "cpu_count", lambda: 2)
    mh.set_seed(0)
    model = Forgetful()
    before, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    devices.quick_threads(model, 32)
    assert len(devices._quickest) == 1
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_watches_a_network_does_not_see_the_trial(monkeypatch):
    monkeypatch.setattr(devices, "_quickest", {})
    monkeypatch.setattr(devices, "_THREADS_AT_IMPORT", 2)
    monkeypatch.setattr(devices.joblib, "cpu_count", lambda: 2)
    model, seen = Forgetful(), []
    model.register_forward_hook(lambda *what: seen.append(what))
    model[3].register_forward_pre_hook(lambda *what: seen.append(what))
    devices.quick_threads(model, 32)
    assert len(devices._quickest) == 1
    assert not seen
    model.lock = threading.Lock()  # which cannot be copied
    devices._quickest.clear()
    devices.quick_threads(model, 32)
    assert len(devices._quickest) == 1


def test_slow_steps_are_tried_once(machine):
    asked = machine(speed=lambda threads, size: 2 / threads)
    assert chosen(model=mh.CNN(), batch_size=512) == 4
    assert len(asked) == 2


def test_an_interrupted_trial_leaves_the_threads_as_they_were(machine):
    def interrupt(threads, size):
        torch.set_num_threads(1)
        raise KeyboardInterrupt

    machine(speed=interrupt)
    with pytest.raises(KeyboardInterrupt), devices.sensible_threads():
        pass
    assert torch.get_num_threads() == 16


def test_training_does_not_import_pytorchs_compiler():
    """It would take a second and 150 MB. And the optimizer is PyTorch's all the same."""
    program = (
        "import sys, torch, mnist_helpers as mh\n"
        "split = mh.Split(torch.zeros(20, 28, 28), torch.zeros(20, dtype=torch.int64))\n"
        "mh.fit(mh.MLP(), split, split, epochs=1, batch_size=10, progress=False)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert done.stdout.strip() == "False"
