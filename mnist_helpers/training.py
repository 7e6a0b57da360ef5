"""Training: one loop over epochs, and one over the batches of an epoch."""

import math
import time

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from .batches import Batches
from .devices import keep_memory, sensible_threads
from .models import predict_logits
from .processes import agree_on_buffers, mean_over_all, rank_and_processes, share_gradients, share_of_mean
from .resuming import restore
from .settings import check_checkpoint, check_data, checked_settings
from .state import State


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
    the gradients are averaged. They all call `fit` with the same arguments and end with the same weights and `History`,
    those of one process but for rounding; only the first writes the checkpoint and shows progress. Two things are not
    as in one process: batch normalisation takes each process's part of a batch for itself and keeps the first one's
    statistics (`torch.nn.SyncBatchNorm` is for GPUs only), and dropout draws in each process. An interruption is
    raised, since it comes to each process elsewhere.

    Args:
        model: maps normalised images `float32 (B, 1, 28, 28)` to logits `(B, 10)`.
        train, validation: `Split`s on the model's device. The labels of `train` may be probabilities, a teacher's for
            example: `float32 (N, 10)`.
        epochs: passes over `train`, at least 1.
        batch_size: images per step.
        learning_rate: of AdamW, the peak of the one-cycle schedule.
        weight_decay: of AdamW.
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
        ValueError: an argument is out of range, the devices differ, a split is empty or holds impossible numbers, the
            processes cannot share the batches, or `resume` does not fit the checkpoint.
        OSError: the checkpoint cannot be written. `FileNotFoundError`: there is no folder for it, or nothing to resume.
        FloatingPointError: the loss became infinite or NaN. The checkpoint of the last sound epoch stays.
        CheckpointError: `resume` is set and the file is no checkpoint.
    """
    settings = checked_settings(
        epochs, batch_size, learning_rate, weight_decay, label_smoothing, one_cycle, precision, augment, seed
    )
    rank, processes = rank_and_processes()
    check_data(next(model.parameters()).device, train, validation, processes)
    check_checkpoint(checkpoint, resume)
    batches = Batches(train, settings["batch_size"], seed=settings["seed"], augment=augment, share=(rank, processes))

    settings["train_data"] = train.fingerprint() if checkpoint else None
    state = State(model, settings, batches.generator, len(batches))
    threads = restore(checkpoint, state) if resume else None
    settings["processes"] = processes
    if processes > 1:
        threads = threads or 1  # as torchrun has it: the processes are there to use the cores

    keep_memory()
    history, shared = state.history, share_gradients(model, processes)
    with (
        sensible_threads(threads, model, settings["batch_size"]) as settings["threads"],
        tqdm(total=epochs, initial=len(history), unit="epoch", disable=not progress or rank > 0) as bar,
    ):
        try:
            while len(history) < epochs:
                loss, accuracy, seconds = _train_epoch(shared, batches, state)
                agree_on_buffers(model, processes)
                validation_loss, validation_accuracy = _validate(model, validation, rank, processes)
                _check_losses(len(history) + 1, learning_rate, training=loss, validation=validation_loss)
                history.append(loss, accuracy, validation_loss, validation_accuracy, seconds)

                if checkpoint and rank == 0:
                    state.save(checkpoint)
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


def _train_epoch(model, batches, state):
    """One pass over `batches`: mean loss, accuracy, seconds."""
    model.train()
    start = time.perf_counter()
    device, optimizer, schedule = batches.split.labels.device, state.optimizer, state.schedule
    smoothing, bfloat16 = state.settings["label_smoothing"], state.settings["precision"] == "bfloat16"
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)
    # Sums stay on the device: reading them in every step would make a GPU wait for the CPU each time.
    loss_sum, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
    for step, (images, labels) in enumerate(batches):
        # forward
        with mixed:
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)

        # backward
        optimizer.zero_grad()
        if batches.processes == 1:
            loss.backward()
        else:
            (loss * share_of_mean(batches, step, len(labels))).backward()

        # step
        optimizer.step()
        schedule.step()

        # bookkeeping, by example: the last batch may be shorter
        loss_sum += loss.detach() * len(labels)
        correct += (logits.argmax(1) == (labels if labels.dim() == 1 else labels.argmax(1))).sum()
    loss, accuracy = mean_over_all(device, len(batches.split), loss_sum.item(), correct.item())
    return loss, accuracy, *mean_over_all(device, batches.processes, time.perf_counter() - start)


def _validate(model, validation, rank, processes):
    """Mean loss and accuracy on the validation images, of which each process takes its part."""
    part = validation[rank::processes]
    logits = predict_logits(model, part.images)
    loss = F.cross_entropy(logits, part.labels, reduction="sum").item()
    correct = (logits.argmax(1) == part.labels).sum().item()
    return mean_over_all(part.labels.device, len(validation), loss, correct)


def _check_losses(epoch, learning_rate, **losses):
    for name, value in losses.items():
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the {name} loss became {value} in epoch {epoch}: lower the learning rate ({learning_rate:g}) or look "
                "for bad numbers in the data"
            )
