"""How several processes share one training. `beyond/torchrun.py` starts them; here is what `fit` needs of them.

Every function does nothing where there is only one process.
"""

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


def rank_and_processes():
    """Which process this is, counted from 0, and how many train together: `(0, 1)` without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def share_gradients(model, processes):
    """`model`, or a wrapper of it that averages the gradients over the processes in every backward pass
    (`DistributedDataParallel`; Li et al. 2020, arXiv:2006.15704)."""
    return DistributedDataParallel(model) if processes > 1 else model


def share_of_mean(batches, step, count):
    """The factor for the mean loss of this process's part of a batch, of `count` images, with which the mean over the
    processes is the mean over the batch. The parts of a last, shorter batch may differ in size."""
    size = min(batches.batch_size, len(batches.split) - step * batches.batch_size)
    return batches.processes * count / size


def agree_on_buffers(model, processes):
    """Take the first process's statistics of batch normalisation, which the checkpoint will hold."""
    if processes > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)


def mean_over_all(device, count, *sums):
    """Each of `sums`, added up over the processes, divided by `count`."""
    if rank_and_processes()[1] > 1:
        total = torch.tensor(sums, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        sums = total.tolist()
    return [value / count for value in sums]
