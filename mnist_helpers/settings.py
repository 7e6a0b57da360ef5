"""What `fit` is asked for, checked before anything is trained. The learning rate is set in `optimizer`."""

import operator

from .atomic import check_writable

PRECISIONS = ("float32", "bfloat16")


def checked_settings(
    epochs, batch_size, learning_rate, weight_decay, label_smoothing, one_cycle, precision, augment, seed
):
    """The settings of a training as a dict of plain values, as a checkpoint keeps them.

    Raises:
        ValueError: one of them is out of range.
        TypeError: one that must be a number is none.
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
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "label_smoothing": label_smoothing,
        "one_cycle": bool(one_cycle),
        "precision": str(precision),
        "augment": repr(augment),
        "seed": seed,
    }


def check_data(device, train, validation, processes):
    """Look whether a model on `device` can be trained with these `Split`s by so many processes.

    Raises:
        ValueError: the devices differ, a split is empty or holds impossible numbers, `validation` has probabilities for
            labels, or several processes cannot train on such a device.
    """
    for name, split in (("train", train), ("validation", validation)):
        if split.images.device != device:
            raise ValueError(f"the model is on {device}, {name} on {split.images.device}: use model.to(device)")
        split.check_values(name)
    if validation.labels.dim() != 1:
        raise ValueError("validation needs one label (N,) for each image; only train may have probabilities (N, 10)")
    if processes > 1 and device.type not in ("cpu", "cuda"):
        raise ValueError(f"several processes train on cpu or cuda, not on {device.type}")


def check_checkpoint(checkpoint, resume):
    """Look whether the state of a training can be saved to `checkpoint`, if it is not None.

    Raises:
        ValueError: it is to be resumed, but from no file; or the file's name is empty.
        OSError: nothing can be written there. `FileNotFoundError`: there is no folder for it.
    """
    if checkpoint is not None:
        check_writable(checkpoint)
    elif resume:
        raise ValueError("resume needs the path of the checkpoint")
