"""Mini-batches, made where the split lives."""

import torch

from .images import normalize


class Batches:
    """Shuffled, normalised mini-batches of a split, made where the split lives.

    Every `for images, labels in Batches(split):` is one epoch, in a new order drawn from `generator`. It yields images
    `float32 (B, 1, 28, 28)` and labels as the split has them, `int64 (B,)` or `float32 (B, 10)`; the last batch may be
    shorter.

    Args:
        split: the `Split`, at least `batch_size` long.
        batch_size: B.
        seed: of the generator that shuffles and augments.
        augment: None or an `Augmentation` (any function of images `(B, 28, 28)` and the generator; to be shared, also
            of the slice of the images to change and return).
        share: `(rank, count)` for one of `count` processes that share every batch: with the same seed each gets its
            part of what one process would get. A shorter last batch is shared as evenly as may be.

    Raises:
        ValueError: `batch_size` is below 1, above the number of images, or no multiple of the processes; or the last
            batch has fewer images than there are processes.
    """

    def __init__(self, split, batch_size=512, *, seed=0, augment=None, share=(0, 1)):
        if not 1 <= batch_size <= len(split):
            raise ValueError(f"batch_size is {batch_size}, but must be from 1 to the {len(split):,} images there are")
        self.rank, self.processes = share
        if batch_size % self.processes:
            raise ValueError(f"batch_size is {batch_size}, but must be a multiple of the {self.processes} processes")
        if 0 < len(split) % batch_size < self.processes:
            raise ValueError(
                f"the last of the batches of {batch_size} has {len(split) % batch_size} images, too few for "
                f"{self.processes} processes: choose another batch_size"
            )
        self.split, self.batch_size, self.augment = split, batch_size, augment
        self.generator = torch.Generator(split.images.device).manual_seed(seed)

    def __len__(self):
        return -(-len(self.split) // self.batch_size)

    def __iter__(self):
        order = torch.randperm(len(self.split), generator=self.generator, device=self.split.images.device)
        for chosen in order.split(self.batch_size):
            images = self.split.images.index_select(0, chosen)  # on the CPU several times faster than [chosen]
            if self.processes > 1:
                first, end = (len(chosen) * rank // self.processes for rank in (self.rank, self.rank + 1))
                share, chosen = slice(first, end), chosen[first:end]
                images = self.augment(images.float(), self.generator, share) if self.augment else images[share]
            elif self.augment:
                images = self.augment(images.float(), self.generator)
            yield normalize(images), self.split.labels.index_select(0, chosen)
