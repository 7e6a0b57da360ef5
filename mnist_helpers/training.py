"""Training: `fit`, its `History`, checkpoints that resume to the bit, seeds, devices and threads."""

import functools
import os
import random
import time
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from .data import Batches, atomic_write
from .models import CNN, MLP, predict_logits

FORMAT = "mnist_helpers checkpoint, version 1"
PRETRAINED = ("mlp", "cnn")
PRECISIONS = ("float32", "bfloat16")
NETWORKS = {"MLP": MLP, "CNN": CNN}  # what a checkpoint may name and load_checkpoint may build


class CheckpointError(ValueError):
    """A file is not a checkpoint that can be used here; the message says why."""


def pick_device(name="auto"):
    """The `torch.device` called `name`; `"auto"` takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: `name` is unknown, or this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"device {name!r} cannot be used here ({reason}); try 'auto' or 'cpu'") from error
    return device


def set_seed(seed):
    """Seed Python's, NumPy's and PyTorch's global generators, on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - seeds the global generator for code that still uses it
    torch.manual_seed(seed)


_THREADS_AT_IMPORT = torch.get_num_threads()


def usable_cores():
    """CPU cores that this process may use: its affinity mask and, in a container, the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no control groups here, or no quota ("max")
        pass
    return cores


@contextmanager
def sensible_threads(count=None):
    """Compute with `count` threads, by default `quick_threads()`, afterwards as before, and yield how many they are. A
    number that the user has chosen, by `OMP_NUM_THREADS`, `MKL_NUM_THREADS` or `torch.set_num_threads`, is left alone.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ or "MKL_NUM_THREADS" in os.environ or before != _THREADS_AT_IMPORT:
        count = before
    count = count or quick_threads()
    torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)


@functools.cache
def quick_threads():
    """As many threads as PyTorch would take, but at most four and no more than `usable_cores()`: our layers are too
    small to gain from more. Or one, if that is quicker because other programs want the cores too: threads wait for each
    other at every layer. Decided once in a process, because the last bits of a training depend on it."""
    most = min(_THREADS_AT_IMPORT, usable_cores(), 4)
    before = torch.get_num_threads()
    try:
        return most if most == 1 or _seconds_with(most) < _seconds_with(1) else 1
    finally:
        torch.set_num_threads(before)


def _seconds_with(threads):
    """Time of 20 products of the size of the first layer's, with `threads` threads."""
    torch.set_num_threads(threads)
    images, weights = torch.ones(512, 784), torch.ones(784, 128)
    images @ weights  # starts the threads
    start = time.perf_counter()
    for _ in range(20):
        images @ weights
    return time.perf_counter() - start


@dataclass
class History:
    """What `fit` saw, one entry an epoch: mean cross-entropy and accuracy (0 to 1) on train and validation, and the
    seconds of the training part. `interrupted` says that fewer epochs than asked for were finished.

    The train values are running means over the epoch, taken while the weights changed; the validation values are those
    of the weights at its end.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False

    def append(self, *values):
        """Add one epoch's values, in the order of the fields."""
        columns = (self.train_loss, self.train_accuracy, self.validation_loss, self.validation_accuracy, self.seconds)
        for column, value in zip(columns, values, strict=True):
            column.append(value)

    def __len__(self):
        return len(self.train_loss)

    def __repr__(self):
        if not self.train_loss:
            return "History(no epoch finished)"
        return (
            f"History({len(self)} epochs, train loss {self.train_loss[-1]:.4f}, "
            f"validation loss {self.validation_loss[-1]:.4f}, validation accuracy {self.validation_accuracy[-1]:.2%})"
        )


def fit(
    model,
    train,
    validation,
    *,
    epochs=10,
    batch_size=512,
    learning_rate=8e-3,
    weight_decay=0.3,
    label_smoothing=0.0,
    targets=None,
    augment=None,
    precision="float32",
    seed=0,
    checkpoint=None,
    resume=False,
    on_epoch=None,
    progress=True,
):
    """Train `model` in place with AdamW under a one-cycle learning rate, and return its `History`.

    Interrupting it (Ctrl-C, or the notebook's stop button) returns early with the weights learnt so far.

    Args:
        model: maps normalised images `float32 (B, 1, 28, 28)` to logits `(B, 10)`.
        train, validation: `Split`s on the model's device.
        epochs: passes over `train`, at least 1.
        batch_size: images per step.
        learning_rate: the peak of the one-cycle schedule (Smith and Topin, 2018, arXiv:1708.07120).
        weight_decay: of AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101).
        label_smoothing: share of the target spread evenly over the ten classes (Szegedy et al. 2015, arXiv:1512.00567).
        targets: None, or a function of a batch's normalised images and labels that gives what to learn instead of the
            labels: probabilities `(B, 10)`, as when a teacher's answers are learnt. It is called without gradients.
        augment: None, or an `Augmentation` for the training images (to resume, its `repr` must be the same).
        precision: `"float32"`, or `"bfloat16"` for the network's layers where PyTorch's autocast thinks it safe; weights
            and loss stay `float32`. Quicker only on hardware with bfloat16 units.
        seed: of the shuffling and the augmentation. The initial weights are the caller's: see `set_seed`.
        checkpoint: a path; after every epoch the whole state is saved there.
        resume: go on from the file at `checkpoint`, which must come from the same settings and data, with as many
            threads as it was made with. The weights end up bit-identical to those of an uninterrupted run with that
            number of threads on the same machine; `torch.set_num_threads(1)` in both runs makes sure of it.
        on_epoch: called with the `History` after every epoch.
        progress: show a bar of the epochs.

    Raises:
        ValueError: an argument is out of range, the devices differ, or `resume` does not fit the checkpoint.
        FileNotFoundError: there is no folder for the checkpoint, or nothing to resume.
        FloatingPointError: the training loss became infinite or NaN. The checkpoint of the last sound epoch stays.
        CheckpointError: `resume` is set and the file is no checkpoint.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, but must be at least 1")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing is {label_smoothing}, but must be at least 0 and below 1")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, but must be one of {PRECISIONS}")
    device = next(model.parameters()).device
    for name, split in (("train", train), ("validation", validation)):
        if split.images.device.type != device.type:
            raise ValueError(f"the model is on {device}, {name} on {split.images.device}: use model.to(device)")
        if len(split) == 0:
            raise ValueError(f"{name} is empty")
    if resume and not checkpoint:
        raise ValueError("resume needs the path of the checkpoint")
    if checkpoint:
        _check_folder(checkpoint)  # now, not after the first epoch

    batches = Batches(train, batch_size, seed=seed, augment=augment)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=device.type in ("cpu", "cuda")
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * len(batches))
    history = History()
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "label_smoothing": label_smoothing,
        "targets": targets and getattr(targets, "__name__", repr(targets)),
        "precision": precision,
        "augment": repr(augment),
        "seed": seed,
        "train_data": train.fingerprint() if checkpoint else None,
    }
    state = {"optimizer": optimizer, "schedule": schedule, "generator": batches.generator, "history": history}
    threads = _restore(checkpoint, model, settings, **state) if resume else None

    with (
        sensible_threads(threads) as settings["threads"],
        tqdm(total=epochs, initial=len(history), unit="epoch", disable=not progress) as bar,
    ):
        try:
            while len(history) < epochs:
                loss, accuracy, seconds = _train_epoch(
                    model, batches, optimizer, schedule, label_smoothing, targets, precision
                )
                if not np.isfinite(loss):
                    raise FloatingPointError(
                        f"the training loss became {loss} in epoch {len(history) + 1}: "
                        f"lower the learning rate ({learning_rate:g}) or look for bad numbers in the data"
                    )
                logits = predict_logits(model, validation.images)
                validation_loss = F.cross_entropy(logits, validation.labels).item()
                validation_accuracy = (logits.argmax(1) == validation.labels).sum().item() / len(validation)
                history.append(loss, accuracy, validation_loss, validation_accuracy, seconds)
                if checkpoint:
                    save_checkpoint(checkpoint, model, settings=settings, **state)
                bar.set_postfix_str(f"validation accuracy {validation_accuracy:.2%}", refresh=False)
                bar.update()
                if on_epoch:
                    on_epoch(history)
        except KeyboardInterrupt:
            history.interrupted = True
    model.eval()
    return history


def _train_epoch(model, batches, optimizer, schedule, label_smoothing, targets, precision):
    """One pass over `batches`: mean loss, accuracy, seconds."""
    model.train()
    start = time.perf_counter()
    device = batches.split.labels.device
    # Sums stay on the device: reading them in every step would make a GPU wait for the CPU each time.
    loss_sum, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
    for images, labels in batches:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(images)
        with torch.no_grad():
            wanted = targets(images, labels) if targets else labels
        loss = F.cross_entropy(logits.float(), wanted, label_smoothing=label_smoothing)

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

        loss_sum += loss.detach() * len(labels)  # by example: the last batch may be shorter
        correct += (logits.argmax(1) == labels).sum()
    count = len(batches.split)
    return loss_sum.item() / count, correct.item() / count, time.perf_counter() - start


# Checkpoints


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
        OSError: the file cannot be written; an older one at `path` is still whole.
    """
    _check_folder(path)
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
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def _check_folder(path):
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r} to save {Path(path).name!r} in")


def load_checkpoint(path, *, model=None, device="cpu"):
    """Read a file that `save_checkpoint` wrote. No code in it can run: only tensors and plain values are read.

    Args:
        model: loads the weights into this model; by default a new one is built from the architecture in the file.
        device: where to put the model.

    Returns:
        `Checkpoint`.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, is something else, or holds another architecture.
    """
    state = _read_checkpoint(path)
    if model is None:
        # The name in the file is looked up among this package's own networks only.
        name, config = state["architecture"]["name"], state["architecture"]["config"]
        if name not in NETWORKS:
            raise CheckpointError(f"{path} holds a {name}; pass such a network as model=")
        try:
            model = NETWORKS[name](**config)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path} holds a {name} that cannot be built: {error}") from error
    _load_weights(path, model, state)
    return Checkpoint(model.to(device).eval(), {k: v for k, v in state.items() if k != "model"})


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


def _read_checkpoint(path):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {str(path)!r}")
    try:
        with zipfile.ZipFile(path) as archive:  # what torch.save writes; torch.load does not look at its checksums
            if archive.testzip():
                raise zipfile.BadZipFile("wrong checksum")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds, by how the file is damaged
        raise CheckpointError(
            f"{path} is not a usable checkpoint: it is damaged, of another kind, or holds more than weights and plain "
            f"values, which is refused because that could run code ({type(error).__name__}). Train again for a new one."
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or not {"architecture", "model"} <= set(state):
        raise CheckpointError(f"{path} is a file of PyTorch's, but not one that save_checkpoint wrote")
    return state


def _load_weights(path, model, state):
    config = getattr(model, "config", {})
    theirs, ours = state["architecture"], {"name": type(model).__name__, "config": config}
    try:
        if theirs != ours:
            raise RuntimeError("architectures differ")
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} holds a {theirs['name']} with {theirs['config']}, which does not fit this {ours['name']} "
            f"with {ours['config']}"
        ) from error


def _restore(path, model, settings, *, optimizer, schedule, generator, history):
    """Bring the model and all of the training's state back to where the checkpoint at `path` was saved, and return the
    number of threads that it was trained with."""
    state = _read_checkpoint(path)
    saved = state.get("settings", {})
    if any(key not in state for key in ("optimizer", "schedule", "generator", "history")):
        raise CheckpointError(f"{path} holds a network, but not the state of its training, so it cannot be resumed")
    differing = [
        f"{key} was {saved.get(key)!r}, now {settings[key]!r}" for key in settings if saved.get(key) != settings[key]
    ]
    if differing:
        raise ValueError(f"{path} comes from another training: {'; '.join(differing)}")
    _load_weights(path, model, state)
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    generator.set_state(state["generator"])
    for name, values in state["history"].items():
        setattr(history, name, values)
    torch.set_rng_state(state["torch_random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"])
    return saved["threads"]
