"""Training: `fit`, its `History`, checkpoints that resume to the bit, seeds, devices and threads."""

import functools
import io
import operator
import os
import random
import signal
import sys
import time
import zipfile
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel
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
    one_cycle=True,
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

    Where `torch.distributed` has a process group, its processes share the work: each takes its part of every batch, and
    the gradients are averaged (`DistributedDataParallel`; Li et al. 2020, arXiv:2006.15704). They all call `fit` with
    the same arguments and end with the same weights and `History`, those of one process but for rounding; only the
    first writes the checkpoint and shows progress. Two things are not as in one process: batch normalisation takes each
    process's part of a batch for itself and keeps the first one's statistics (`torch.nn.SyncBatchNorm` is for GPUs
    only), and dropout draws in each process. An interruption is raised, since it comes to each process elsewhere.

    Args:
        model: maps normalised images `float32 (B, 1, 28, 28)` to logits `(B, 10)`.
        train, validation: `Split`s on the model's device. The labels of `train` may be probabilities, a teacher's for
            example: `float32 (N, 10)`.
        epochs: passes over `train`, at least 1.
        batch_size: images per step.
        learning_rate: of AdamW, the peak of the one-cycle schedule (Smith and Topin, 2018, arXiv:1708.07120).
        weight_decay: of AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101).
        label_smoothing: share of the target spread evenly over the ten classes (Szegedy et al. 2015, arXiv:1512.00567).
        one_cycle: raise the learning rate to `learning_rate` and lower it to almost 0; if False it stays the same.
        augment: None, or an `Augmentation` for the training images (to resume, its `repr` must be the same).
        precision: `"float32"`, or `"bfloat16"` for the network's layers where PyTorch's autocast thinks it safe;
            weights and loss stay `float32`. Quicker only on hardware with bfloat16 units.
        seed: of the shuffling and the augmentation. The initial weights are the caller's: see `set_seed`.
        checkpoint: a path; after every epoch the whole state is saved there.
        resume: go on from the file at `checkpoint`, which must come from the same settings and data, with as many
            threads as it was made with. The weights end up bit-identical to those of an uninterrupted run with that
            number of threads on the same CPU; `torch.set_num_threads(1)` in both runs makes sure of it. On a GPU, and
            with another number of processes, they end up the same but for rounding.
        on_epoch: called with the `History` after every epoch.
        progress: show a bar of the epochs.

    Raises:
        ValueError: an argument is out of range, the devices differ, the processes cannot share the batches, or `resume`
            does not fit the checkpoint.
        FileNotFoundError: there is no folder for the checkpoint, or nothing to resume.
        FloatingPointError: the loss became infinite or NaN. The checkpoint of the last sound epoch stays.
        CheckpointError: `resume` is set and the file is no checkpoint.
    """
    # Numbers of NumPy's, from a `logspace` for example, become plain ones: load_checkpoint refuses anything else.
    epochs, batch_size, seed = map(operator.index, (epochs, batch_size, seed))
    learning_rate, weight_decay, label_smoothing = map(float, (learning_rate, weight_decay, label_smoothing))
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, but must be at least 1")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing is {label_smoothing}, but must be at least 0 and below 1")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, but must be one of {PRECISIONS}")
    device = next(model.parameters()).device
    for name, split in (("train", train), ("validation", validation)):
        if split.images.device != device:
            raise ValueError(f"the model is on {device}, {name} on {split.images.device}: use model.to(device)")
        if len(split) == 0:
            raise ValueError(f"{name} is empty")
    if validation.labels.dim() != 1:
        raise ValueError("validation needs one label (N,) for each image; only train may have probabilities (N, 10)")
    if resume and not checkpoint:
        raise ValueError("resume needs the path of the checkpoint")
    if checkpoint:
        _check_folder(checkpoint)  # now, not after the first epoch

    rank, processes = _rank_and_processes()
    if processes > 1 and device.type not in ("cpu", "cuda"):
        raise ValueError(f"several processes train on cpu or cuda, not on {device.type}")
    batches = Batches(train, batch_size, seed=seed, augment=augment, share=(rank, processes))
    own_validation = validation[rank::processes]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=device.type in ("cpu", "cuda")
    )
    if one_cycle:
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * len(batches))
    else:
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    history = History()
    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "label_smoothing": label_smoothing,
        "one_cycle": one_cycle,
        "precision": precision,
        "augment": repr(augment),
        "seed": seed,
        "train_data": train.fingerprint() if checkpoint else None,
    }
    state = {"optimizer": optimizer, "schedule": schedule, "generator": batches.generator, "history": history}
    threads = _restore(checkpoint, model, settings, **state) if resume else None
    settings["processes"] = processes
    shared = DistributedDataParallel(model) if processes > 1 else model
    if processes > 1:
        threads = threads or 1  # as torchrun has it: the processes are there to use the cores

    with (
        sensible_threads(threads) as settings["threads"],
        tqdm(total=epochs, initial=len(history), unit="epoch", disable=not progress or rank > 0) as bar,
    ):
        try:
            while len(history) < epochs:
                loss, accuracy, seconds = _train_epoch(shared, batches, optimizer, schedule, label_smoothing, precision)
                if processes > 1:
                    for buffer in model.buffers():  # batch normalisation's statistics, as the checkpoint will hold them
                        dist.broadcast(buffer, 0)
                logits = predict_logits(model, own_validation.images)
                validation_loss = F.cross_entropy(logits, own_validation.labels, reduction="sum").item()
                correct = (logits.argmax(1) == own_validation.labels).sum().item()
                validation_loss, validation_accuracy = _mean(device, len(validation), validation_loss, correct)
                for name, value in (("training", loss), ("validation", validation_loss)):
                    if not np.isfinite(value):
                        raise FloatingPointError(
                            f"the {name} loss became {value} in epoch {len(history) + 1}: "
                            f"lower the learning rate ({learning_rate:g}) or look for bad numbers in the data"
                        )
                history.append(loss, accuracy, validation_loss, validation_accuracy, seconds)
                if checkpoint and rank == 0:
                    save_checkpoint(checkpoint, model, settings=settings, **state)
                bar.set_postfix_str(f"validation accuracy {validation_accuracy:.2%}", refresh=False)
                bar.update()
                if on_epoch:
                    on_epoch(history)
        except KeyboardInterrupt:
            if processes > 1:
                raise
            history.interrupted = True
    model.eval()
    return history


def _train_epoch(model, batches, optimizer, schedule, label_smoothing, precision):
    """One pass over `batches`: mean loss, accuracy, seconds."""
    model.train()
    start = time.perf_counter()
    device, count = batches.split.labels.device, len(batches.split)
    # Sums stay on the device: reading them in every step would make a GPU wait for the CPU each time.
    loss_sum, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
    for step, (images, labels) in enumerate(batches):
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)

        optimizer.zero_grad()
        if batches.processes == 1:
            loss.backward()
        else:  # the gradients' mean is taken over the processes, whose parts of a last, shorter batch may differ
            size = min(batches.batch_size, count - step * batches.batch_size)
            (loss * (batches.processes * len(labels) / size)).backward()
        optimizer.step()
        schedule.step()

        loss_sum += loss.detach() * len(labels)  # by example: the last batch may be shorter
        correct += (logits.argmax(1) == (labels if labels.dim() == 1 else labels.argmax(1))).sum()
    loss, accuracy = _mean(device, count, loss_sum.item(), correct.item())
    return loss, accuracy, *_mean(device, batches.processes, time.perf_counter() - start)


# Several processes


@contextmanager
def join_processes(device, checkpoint):
    """Under `torchrun`, be one of the group of processes that `fit` shares its work with; elsewhere do nothing.

    Only the first process prints: what the others print is dropped. Ctrl-C ends a process at once, since it could not
    answer while it waits for another one; a process that has waited for five minutes gives up.

    Args:
        device: what the processes train on; on `cuda` each gets a GPU of its own.
        checkpoint: the path that `fit` will save to, which all processes must see.

    Yields:
        True if `torchrun` has restarted the processes after they had saved `checkpoint`: then it is to be resumed. A
        file that was there when they were first started does not count.

    Raises:
        ValueError: there are more processes than GPUs, or `device` is one of them by number.
    """
    if not dist.is_available() or not dist.is_torchelastic_launched():
        yield False
        return
    answer_to_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    if device.type == "cuda":
        if device.index is not None:
            raise ValueError(f"each process needs a GPU of its own, not {device}: name it cuda, without a number")
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise ValueError(f"each process needs a GPU of its own, but there are {gpus}: lower --nproc_per_node")
        torch.cuda.set_device(local)
    rank, agent = int(os.environ["RANK"]), os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "True"
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(*address, is_master=rank == 0 and not agent)
    # torchrun's own store outlives the processes that it restarts. So it remembers which file there was at first, but
    # also where the dead ones listened: each start needs a part of the store for itself.
    part = dist.PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
    if rank == 0:  # which decides for all: another machine may see the file a moment later
        file = str(os.stat(checkpoint).st_mtime_ns) if os.path.exists(checkpoint) else "none"
        part.set("restarted", str(store.compare_set("checkpoint", "", file).decode() != file))
    restarted = part.get("restarted") == b"True"  # waits for it
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=part,
        rank=rank,
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=timedelta(minutes=5),
    )
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere if rank else sys.stdout):
        yield restarted
    # The others have nothing to write and would end first. One that did was seen to abort, it seems because a thread of
    # gloo, which DistributedDataParallel keeps alive, still held a tensor of the last exchange when Python ended.
    dist.barrier()
    dist.destroy_process_group()
    signal.signal(signal.SIGINT, answer_to_interrupt)


def _rank_and_processes():
    """Which process this is, counted from 0, and how many train together: `(0, 1)` without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def _mean(device, count, *sums):
    """Each of `sums`, added up over the processes, divided by `count`."""
    if _rank_and_processes()[1] > 1:
        total = torch.tensor(sums, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        sums = total.tolist()
    return [value / count for value in sums]


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
    buffer = io.BytesIO()
    torch.save(state, buffer)  # not into the file: if the disk is full, it raises a RuntimeError that does not say so
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _check_folder(path):
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r} to save {Path(path).name!r} in")


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
    if device is not None:
        model.to(device)
    return Checkpoint(model.eval(), {k: v for k, v in state.items() if k != "model"})


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
    try:
        generator.set_state(state["generator"])
    except RuntimeError as error:
        raise ValueError(
            f"{path} comes from a training on another kind of device than {generator.device}, whose random numbers "
            "cannot go on here: resume it there, or load its weights with load_checkpoint"
        ) from error
    _load_weights(path, model, state)
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    for name, values in state["history"].items():
        setattr(history, name, values)
    torch.set_rng_state(state["torch_random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"][: torch.cuda.device_count()])
    return saved["threads"]
