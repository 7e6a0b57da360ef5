"""What a training has seen."""

from dataclasses import dataclass, field


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
