"""Training loops: the course's own, one that keeps a diary of what another does, and four that are broken."""

import inspect

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .answers import call, require


class Watched(nn.Module):
    """A tiny network (N, 1, 2, 2) → (N, 3) that keeps a diary: which images it was asked, and when gradients came."""

    def __init__(self, diary):
        super().__init__()
        self.layer, self.diary = nn.Linear(4, 3), diary
        self.layer.bias.register_post_accumulate_grad_hook(lambda parameter: diary.append(("backward", None)))

    def forward(self, images):
        pair = "`model` got a whole batch, a pair: `for images, labels in batches` takes it apart."
        require(isinstance(images, torch.Tensor), pair)
        require(images.shape[1:] == (1, 2, 2), "`model` got something else than the images of `batches`.")
        self.diary.append(("asked", images))
        return self.layer(images.flatten(1))


class WatchedSGD(torch.optim.SGD):
    """SGD that writes into a diary the gradient with which it was asked to step."""

    def __init__(self, model, diary):
        super().__init__(model.parameters(), lr=0.5)
        self.weight, self.diary = model.layer.weight, diary

    def step(self, closure=None):
        gradient = self.weight.grad
        self.diary.append(("step", torch.zeros(3, 4) if gradient is None else gradient.clone()))
        return super().step(closure)


class Few:
    """A few batches, to be gone through as often as one likes."""

    def __init__(self, *batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def watched(loop, batches):
    """What a loop returns, and what it did meanwhile: a list of pairs of what happened, "asked", "backward" or "step",
    and the images or the gradient."""
    diary = []
    torch.manual_seed(1)
    model = Watched(diary)
    found = call(loop, model, batches, WatchedSGD(model, diary))
    return found, diary


def epoch(model, batches, optimizer):
    losses = []
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def altered(*changes):
    """The course's own loop with pairs of (old, new) text changed in its source."""
    code = inspect.getsource(epoch)
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    names = {"F": F, "torch": torch, "np": np, "nn": nn}
    exec(code, names)
    return names["epoch"]


def loop_a(model, batches, optimizer):
    losses = []
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        losses.append(loss.item())
    return losses


def loop_b(model, batches, optimizer):
    losses = []
    optimizer.zero_grad()
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def loop_c(model, batches, optimizer):
    losses = []
    for images, labels in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images).softmax(1), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def loop_d(model, batches, optimizer):
    losses = []
    for images, labels in batches:
        images = images[torch.randperm(len(images))]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


BROKEN = {"A": 6, "B": 3, "C": 5, "D": 4}  # the line, counted from the `def`
NOT_TO_BLAME = {
    "def": "it only names what the loop is given.",
    "losses = []": "it makes the empty list that the losses go into.",
    "for": "it goes through all batches once, which is one epoch.",
    "optimizer.zero_grad()": "it clears the gradients before new ones come, as it should.",
    "loss = ": "the logits, the labels and their cross-entropy: that is the loss of this batch.",
    "loss.backward()": "it computes the gradients of this batch's loss, as it should.",
    "optimizer.step()": "it moves the weights by the gradients that it finds. Are they what they should be?",
    "losses.append": "it keeps the loss as a plain number.",
    "return": "it stands after the `for`, and returns all losses.",
}
CLOSE = {
    ("A", 5): "the gradients that it computes are right. What becomes of them before the step?",
    ("A", 7): "it steps with what it finds, and finds zeros. Which line is to blame for that?",
    ("B", 4): "it goes through all batches. What should happen in each round, and happens only before the first?",
    ("B", 6): "it adds to what is there, as ever. Who should have cleared it, and how often does that line run?",
    ("B", 7): "it steps with what it finds: the sum of all gradients so far. Which line should have prevented that?",
    ("D", 6): "image by image it is right, if each image still stands beside its own label. Does it?",
}


class Listings(dict):
    """Functions by name, shown as numbered lines."""

    def __repr__(self):
        parts = []
        for name, loop in self.items():
            lines = enumerate(inspect.getsource(loop).splitlines(), 1)
            parts.append("\n".join([f"Loop {name}", *(f"{number:3}  {line}" for number, line in lines)]))
        return "\n\n".join(parts)


def broken_loops():
    """Four training loops with one broken line each: a dict of the names "A" to "D" to functions of a model, batches
    and an optimizer that return the losses, shown as numbered lines."""
    return Listings(A=loop_a, B=loop_b, C=loop_c, D=loop_d)


def blame(name, line):
    """Why a line of the loop with this name is not to blame."""
    lines = inspect.getsource(broken_loops()[name]).splitlines()
    if not 1 <= line <= len(lines):
        return f"Loop {name} has no line {line}: its lines are numbered from 1 to {len(lines)}."
    code = lines[line - 1].strip()
    why = CLOSE.get((name, line)) or next(text for start, text in NOT_TO_BLAME.items() if code.startswith(start))
    return f"Loop {name}, line {line}, `{code}`: {why}"
