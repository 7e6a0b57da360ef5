"""All that a training needs to go on where it was."""

from dataclasses import dataclass, field

import torch

from .checkpoints import save_checkpoint
from .history import History
from .optimizer import make_optimizer, make_schedule


@dataclass
class State:
    """A training of `model` with `settings`, as it is at the end of an epoch of `steps_per_epoch` steps.

    Attributes:
        generator: of the random numbers of the batches.
        optimizer, schedule, history: made anew; `resuming.restore` brings them to where a checkpoint was saved.
    """

    model: torch.nn.Module
    settings: dict
    generator: torch.Generator
    steps_per_epoch: int
    history: History = field(default_factory=History)

    def __post_init__(self):
        rate, epochs = self.settings["learning_rate"], self.settings["epochs"]
        self.optimizer = make_optimizer(self.model, rate, self.settings["weight_decay"])
        self.schedule = make_schedule(self.optimizer, rate, epochs * self.steps_per_epoch, self.settings["one_cycle"])

    def save(self, path):
        """Write all of it to `path`, whole or not at all; see `save_checkpoint`."""
        parts = ("optimizer", "schedule", "generator", "history", "settings")
        save_checkpoint(path, self.model, **{part: getattr(self, part) for part in parts})
