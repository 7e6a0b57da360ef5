"""The optimizer, and the schedule that sets its learning rate in every step."""

import inspect

import torch
from torch.optim.lr_scheduler import ConstantLR, OneCycleLR


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` without the wrappers by which it imports PyTorch's compiler at its first use. That would take
    more than a second and 150 MB, and nothing here is compiled.

    `inspect.unwrap` takes off what `functools.wraps` has put on. Where there is nothing to take off, this is AdamW.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def make_optimizer(model, learning_rate, weight_decay):
    """AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101) for the parameters of `model`, in PyTorch's quickest form
    for their device."""
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    return AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=fused)


def make_schedule(optimizer, learning_rate, steps, one_cycle):
    """What sets the learning rate of `optimizer` before each of `steps` steps: up to `learning_rate` and down to almost
    0, in one cycle (Smith and Topin, 2018, arXiv:1708.07120); or always the same."""
    if one_cycle:
        return OneCycleLR(optimizer, learning_rate, total_steps=steps)
    return ConstantLR(optimizer, factor=1)
