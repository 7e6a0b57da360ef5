"""Being one of the processes that torchrun starts, and starts again when one of them dies."""

import os
import signal
import sys
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta

import torch
import torch.distributed as dist


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
