"""What notebook 02 asks."""

import math
from contextlib import contextmanager
from functools import cached_property, wraps

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from .answers import NotYet, call, compare, function, require, tensor, whole
from .exercise import Exercise, Wrong
from .guess import Guess
from .plainly import plainly
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "02-first-layer",
        "What share of all parameters belongs to the first of the three layers?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (45, "A third each? A layer has a weight for every pair of input and neuron, and pixels are many."),
                (80, "Between 784 pixels and 128 neurons there are far more pairs than between 64 neurons and 10."),
                (96, "You thought of pairs: a weight for every pixel and every neuron."),
                (100, "Almost nothing left for the others? The second layer still has 128 · 64 pairs."),
            ),
        ),
        span=(0.918, 0.919),
    ),
    Guess(
        "02-untrained-loss",
        "What loss does a network have that has learnt nothing yet, on average over the images?",
        Scale(
            0,
            10,
            step=0.1,
            bands=(
                (0.4, "A loss near 0 is what being sure and right costs, and this network is neither."),
                (1.6, "That would be a belief in the truth of 20 % or more; ten digits have to share it."),
                (3.2, "You took the belief in each digit to be about one in ten, and its logarithm."),
                (10, "Being so wrong takes a firm belief in a wrong digit, and this network believes in none."),
            ),
        ),
        span=(2.15, 2.45),
    ),
    Guess(
        "02-unseen",
        "It has 32 images by heart. What share of the 5,000 validation images will it read correctly?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (15, "Blind guessing gives 10 %; a few examples of each digit do say more than nothing."),
                (40, "You expect little from 32 examples. Yet many sevens look like one of its sevens."),
                (75, "You expect something to carry over, and much to be missing."),
                (100, "What was learnt by heart need not be understood: 32 images hold few ways to write a 7."),
            ),
        ),
        span=(0.25, 0.75),
    ),
    Guess(
        "02-raw",
        "What share of the validation images does it read correctly after a hundred steps on raw pixels?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (15, "You expect it to learn nothing: inputs of up to 255 make wild steps."),
                (60, "You expect large inputs to slow it down. Yet steps grow with them, and soon tear it apart."),
                (100, "Nothing is lost in raw pixels, true. But the size of a step grows with that of the inputs."),
            ),
        ),
        span=(0.05, 0.3),
    ),
    Guess(
        "02-equal-start",
        "All weights begin equal, and the network trains. What are the 128 neurons of the first layer like afterwards?",
        Choices(
            {
                "all different": "Something must tell neurons apart: equal weights get equal gradients and steps.",
                "of ten kinds": "Ten outputs do not make ten kinds: the neurons read, and are read, all alike.",
                "unchanged": "They do move, for their gradient is not zero. But what moves one of them moves all.",
                "still all alike": "You saw that nothing tells them apart: same inputs, same gradient, same step.",
            }
        ),
        span=("still all alike",),
    ),
)


class Calls(TorchFunctionMode):
    """Notes down the names of PyTorch's functions that are called meanwhile."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_function__(self, function, types, arguments=(), named=None):
        self.names.add(getattr(function, "__name__", ""))
        return function(*arguments, **(named or {}))


def by_hand(answer, *arguments, without, instead):
    """What a student's function returns; `NotYet(instead)` if it calls one of PyTorch's functions in `without`."""
    with Calls() as calls:
        result = call(answer, *arguments)
    require(not calls.names & without, instead)
    return tensor(result)


@contextmanager
def explained(*meanings):
    """What a student's code stopped with is followed by what it means, in the place of what it means in general.

    Args:
        meanings: pairs of words that stand in the error, and its meaning; the first pair that fits is taken.
    """
    try:
        yield
    except NotYet as error:
        meaning = next((meaning for words, meaning in meanings if words in str(error)), "")
        plain = str(error).removesuffix(plainly(error.__cause__)) if meaning else str(error)
        raise NotYet(f"{plain} {meaning}".rstrip()) from error


RELU = ("name 'relu'", "PyTorch's is `torch.relu`.")


class Written(Exercise):
    """A function that the notebook goes on with: whatever form its numbers have, they become a tensor there."""

    kind, variable = "turn", None

    def taken(self, answer):
        @wraps(answer)
        def as_tensor(*arguments):
            plain = (one.detach() if isinstance(one, torch.Tensor) else one for one in arguments)  # as for the check
            return tensor(answer(*plain)).float()

        return as_tensor


def neuron(x, weights, bias):
    return torch.relu(weights @ x + bias)


class Neuron(Written):
    id = "02-write-neuron"
    points, minutes = 1, 4
    expects = "a function of x (N,), weights (N,) and a bias that returns one number"
    own = staticmethod(neuron)
    praise = "One such number, for one pattern of weights: that is all that a neuron knows of an image."
    hints = (
        "Three steps: multiply each input by its weight, add up, and look at the sign.",
        "`x * weights` holds the products. The bias joins their sum before ReLU looks at it.",
        "`.sum()` adds up, or `@` does both at once; `torch.relu` takes a tensor, and `max(0.0, …)` a number.",
    )

    def verify(self, answer):
        x, weights = torch.tensor([1.0, 2.0, -3.0]), torch.tensor([2.0, 1.5, 1.0])
        function(answer, "x, weights and bias")
        with explained(
            RELU,
            ("0-d", "One number has no largest: `max` needs a second one to compare it with."),
            ("ReLU(", "`nn.ReLU` makes a layer. `torch.relu` takes a number, and gives one."),
        ):
            found = tensor(call(answer, x, weights, 0.5)).flatten()
        require(len(found) == 1, f"You return {len(found)} numbers, and a neuron gives one: add the products up.")
        case = "For the inputs 1, 2, −3, the weights 2, 1.5, 1 and the bias"
        known = [
            (2, "The bias is missing from your sum."),
            (7 / 6, "You take the mean of the products; a neuron adds them up."),
            (5.5, "You cut off each product at 0. ReLU comes once, after all is added up."),
            (1.5, "You take the bias away: it is added."),
            (3.5, "You add the bias to each product. It is added once, to their sum."),
        ]
        compare(found.item(), 2.5, known, f"{case} 0.5 yours gives {found.item():g}. What do you get on paper?")
        with explained(("returned nothing", "This was for a negative sum: what is to come out then?")):
            found = tensor(call(answer, x, -weights, 0.5)).sum().item()
        known = [
            (-1.5, "Your neuron passes on a negative sum, −1.5. What does ReLU make of it?"),
            (1.5, "You drop the sign of a negative sum. ReLU makes 0 of it."),
            (0.5, "ReLU comes before the bias in yours. The bias belongs to the sum that ReLU looks at."),
        ]
        compare(found, 0, known, f"With all three weights negative, yours gives {found:g}. Is the sum positive?")
        x, weights = torch.rand(784), torch.rand(784)
        found = tensor(call(answer, x, weights, 0.5)).sum().item()
        compare(found, neuron(x, weights, 0.5), [], "Right for three inputs, wrong for 784. Is a 3 written in?", 0.01)

    right = (
        lambda x, weights, bias: max(0.0, sum(a * b for a, b in zip(x.tolist(), weights.tolist(), strict=True)) + bias),
        lambda x, weights, bias: np.maximum(0, np.dot(weights.numpy(), x.numpy()) + bias),
        lambda x, weights, bias: ((x * weights).sum() + bias).clamp(min=0),
    )
    wrong = (
        Wrong("no ReLU", lambda x, weights, bias: weights @ x + bias, "negative sum"),
        Wrong("no bias", lambda x, weights, bias: torch.relu(weights @ x), "bias is missing"),
        Wrong("bias last", lambda x, weights, bias: torch.relu(weights @ x) + bias, "before the bias"),
        Wrong("bias three times", lambda x, weights, bias: torch.relu((weights * x + bias).sum()), "added once"),
        Wrong("no sum", lambda x, weights, bias: torch.relu(weights * x + bias), "add the products up"),
        Wrong("ReLU of each", lambda x, weights, bias: torch.relu(weights * x).sum() + bias, "each product"),
        Wrong(
            "nothing for a negative sum", lambda x, weights, bias: s if (s := weights @ x + bias) > 0 else None, "then?"
        ),
        Wrong("a layer", lambda x, weights, bias: nn.ReLU(weights @ x + bias), "makes a layer"),
        Wrong("the mean", lambda x, weights, bias: torch.relu((weights * x).mean() + bias), "the mean of"),
        Wrong("the largest of one", lambda x, weights, bias: max(weights @ x + bias), "a second one"),
        Wrong("abs", lambda x, weights, bias: abs(weights @ x + bias), "drop the sign"),
    )


def bump(t):
    return 2 * torch.relu(t) - 4 * torch.relu(t - 1) + 2 * torch.relu(t - 2)


class Bump(Written):
    id = "02-write-bump"
    points, minutes = 2, 8
    expects = "a function of t (N,) that returns heights (N,)"
    own = staticmethod(bump)
    praise = "Three neurons, and a fourth that adds them up: a network, with weights that you chose."
    hints = (
        "Go from left to right, and ask only where the slope changes, and by how much.",
        "The slopes are 0, 2, −2 and 0. Each corner is one ReLU, and its factor is the change of slope there.",
        "`torch.relu(t - 1)` bends at t = 1. From slope 2 to slope −2, what is the change?",
    )

    def verify(self, answer):
        t = torch.linspace(-4, 6, 101)
        with explained(RELU, ("ambiguous", "`max` and `if` want one number; `torch.relu(t)` takes all of t at once.")):
            found = tensor(call(function(answer, "t"), t), (101,))
        left, top, low, right, height = found[40], found[50], found[60], found[-1], found.max()
        mirrored = found[30] == height and height > 0.5
        require(not mirrored, "Your bump stands at −1. `relu(t + 1)` bends where t + 1 is 0: at t = −1.")
        require(abs(found).max() > 1e-4, "Your curve is 0 everywhere: the three ReLUs must bend at different places.")
        require(abs(found[:40]).max() < 1e-4, "Left of 0 your curve is not 0. Nothing may begin before t = 0.")
        require(abs(left) < 1e-4, f"At t = 0 your curve has the height {left:g}, and is to begin at 0.")
        at_one = f"At t = 1 your curve has the height {top:g}, and is to have 2. How steep is the way up?"
        require(abs(top - 2) < 1e-4, at_one)
        flat = abs(low - 2) < 1e-4
        stays = "Behind t = 1 your curve stays at the height 2. To come down, the slope must change by more at t = 1."
        require(not flat, stays)
        at_two = f"At t = 2 your curve has the height {low:g}, and is to be 0. How steep is the way down from t = 1?"
        require(abs(low) < 1e-4, at_two)
        require(
            found[70] > -1e-4 and right > -1e-4,
            "Your curve comes down, and goes on below 0. What must the slope do at t = 2?",
        )
        require(right < 1e-4, f"To the right your curve climbs, to {right:g} at t = 6. What slope is left after t = 2?")
        compare(found, bump(t), [], "Top and ends are right, but between them the sides are not straight.", 1e-4)

    right = (
        lambda t: 2 * (torch.relu(t) - 2 * torch.relu(t - 1) + torch.relu(t - 2)),
        lambda t: torch.relu(2 - 2 * abs(t - 1)),
        lambda t: [max(0, 2 * x) - max(0, 4 * x - 4) + max(0, 2 * x - 4) for x in t.tolist()],
        lambda t: torch.relu(t[:, None] - torch.arange(3)) @ torch.tensor([2.0, -4.0, 2.0]),
    )
    wrong = (
        Wrong("one number only", lambda t: 2 * max(0, t) - 4 * max(0, t - 1), "all of t at once"),
        Wrong("shift", lambda t: 2 * F.relu(t + 2) - 4 * F.relu(t + 1) + 2 * F.relu(t), "stands at −1"),
        Wrong("one too early", lambda t: 2 * F.relu(t + 1) - 4 * F.relu(t) + 2 * F.relu(t - 1), "Left of 0"),
        Wrong("height 1", lambda t: F.relu(t) - 2 * F.relu(t - 1) + F.relu(t - 2), "How steep"),
        Wrong("a plateau", lambda t: 2 * F.relu(t) - 2 * F.relu(t - 1), "stays at the height 2"),
        Wrong("a plateau, then down", lambda t: 2 * F.relu(t) - 2 * F.relu(t - 1) - 2 * F.relu(t - 2), "stays at the"),
        Wrong("too slow", lambda t: 2 * F.relu(t) - 3 * F.relu(t - 1) + F.relu(t - 2), "is to be 0. How steep"),
        Wrong("one place", lambda t: 2 * F.relu(t) - 4 * F.relu(t) + 2 * F.relu(t), "different places"),
        Wrong("two ReLUs", lambda t: 2 * F.relu(t) - 4 * F.relu(t - 1), "below 0"),
        Wrong("too much at the end", lambda t: 2 * F.relu(t) - 4 * F.relu(t - 1) + 4 * F.relu(t - 2), "climbs"),
        Wrong("a smooth bump", lambda t: torch.where((t > 0) & (t < 2), 4 * t - 2 * t**2, 0.0), "not straight"),
    )


def cross_entropy(logits, labels):
    probabilities = logits.softmax(1)
    rows = torch.arange(len(labels))
    return -probabilities[rows, labels].log().mean()


class CrossEntropy(Written):
    id = "02-write-cross-entropy"
    points, minutes = 2, 7
    expects = "a function of logits (N, 10) and labels (N,) that returns one number"
    own = staticmethod(cross_entropy)
    praise = "This one number is all that training will ever try to make smaller."
    hints = (
        "Four steps: probabilities, the one of the true digit, minus its logarithm, and the mean over the images.",
        "`logits.softmax(1)` is (N, 10). From row i you want the entry with the number `labels[i]`.",
        "Two lists of indices pick pairs: `table[torch.arange(3), columns]` takes one entry from each of three rows.",
    )

    def verify(self, answer):
        logits, labels = 2 * torch.randn(4, 10), torch.tensor([3, 0, 7, 3])
        function(answer, "logits and labels")
        instead = "`F.cross_entropy` does it all. Here it is your turn."
        with explained(
            ("out of bounds", "A single list of indices, as in `table[labels]`, picks rows: labels are columns."),
            ("shape mismatch", "The two lists need the same length: one row and one column for each of the N images."),
            ("only one element", "`math.log` takes one number. A tensor has a logarithm of its own, `.log()`."),
            ("builtin_function", "A function is called with brackets: `.log()`."),
            ("return_types", "`max` finds the largest of each row. Which one belongs to the true digit?"),
            ("must match", "`labels` say in which column to look. They are nothing to compare probabilities with."),
        ):
            loss = by_hand(answer, logits.clone(), labels, without={"cross_entropy"}, instead=instead)
        p = logits.softmax(1)
        truth = p[torch.arange(4), labels]
        require(loss.shape != (4,), "These are four losses, one for each image. The loss of a batch is their mean.")
        require(loss.numel() == 1, f"One number is expected, and yours has the shape {tuple(loss.shape)}.")
        known = [
            (truth.log().mean(), "The sign is wrong: a logarithm of a probability is negative, and a loss never is."),
            (-truth.log().sum(), "You add up. With the mean, a loss does not depend on how many images there are."),
            (-truth.mean(), "The logarithm is missing."),
            (-truth.mean().log(), "First the logarithm of each, then the mean. You do it the other way round."),
            (-p[:, labels].log().mean(), "`[:, labels]` takes all four labels in every row. Each row has its own."),
            (-p.amax(1).log().mean(), "You take the largest probability in each row, whichever digit is the true one."),
            (
                -(logits.exp() / logits.exp().sum())[range(4), labels].log().mean(),
                "You divide by the sum of the whole table. Each row, one image, has its own.",
            ),
            (-p.log().mean(), "You take all ten probabilities. Only that of the true digit counts."),
            (-logits.softmax(0)[range(4), labels].log().mean(), "Your softmax runs over the images, not the digits."),
            (-p.softmax(1)[range(4), labels].log().mean(), "That is a softmax of a softmax: one is enough."),
            (-truth.log2().mean(), "That is the logarithm to the base 2; here it is the natural one, `log`."),
            (-truth.log10().mean(), "That is the logarithm to the base 10; here it is the natural one, `log`."),
            (-logits[range(4), labels].mean(), "You take the logits as they are. Softmax makes probabilities of them."),
        ]
        otherwise = f"For four made-up images yours gives {loss.item():.3f}. Which probability does the first one take?"
        compare(loss.reshape(()), -truth.log().mean(), known, otherwise, 1e-4)

    right = (
        lambda logits, labels: (logits.logsumexp(1) - logits[range(len(labels)), labels]).mean(),
        lambda logits, labels: -(F.one_hot(labels, 10) * logits.log_softmax(1)).sum(1).mean(),
        lambda logits, labels: -logits.softmax(1).gather(1, labels[:, None]).log().mean(),
        lambda logits, labels: -np.log(logits.softmax(1).numpy()[np.arange(len(labels)), labels.numpy()]).mean(),
    )
    wrong = (
        Wrong("PyTorch's own", lambda logits, labels: F.cross_entropy(logits, labels), "your turn"),
        Wrong("no minus", lambda logits, labels: logits.log_softmax(1)[range(len(labels)), labels].mean(), "sign"),
        Wrong("sum", lambda logits, labels: -logits.log_softmax(1)[range(len(labels)), labels].sum(), "add up"),
        Wrong("no mean", lambda logits, labels: -logits.log_softmax(1)[range(len(labels)), labels], "four losses"),
        Wrong("no logarithm", lambda logits, labels: -logits.softmax(1)[range(len(labels)), labels].mean(), "missing"),
        Wrong("every label", lambda logits, labels: -logits.softmax(1)[:, labels].log().mean(), "in every row"),
        Wrong("the largest", lambda logits, labels: -logits.softmax(1).amax(1).log().mean(), "largest probability"),
        Wrong("rows", lambda logits, labels: -logits.softmax(1)[labels].log().mean(), "picks rows"),
        Wrong("too many rows", lambda z, labels: -z.softmax(1)[range(10), labels].log().mean(), "the same length"),
        Wrong("one sum", lambda z, y: -(z.exp() / z.exp().sum())[range(4), y].log().mean(), "whole table"),
        Wrong("math.log", lambda z, y: -math.log(z.softmax(1)[range(4), y]), "takes one number"),
        Wrong("no brackets", lambda z, y: -z.softmax(1)[range(4), y].log, "with brackets"),
        Wrong("the largest, as a pair", lambda z, y: -z.softmax(1).max(1).log().mean(), "largest of each row"),
        Wrong("labels compared", lambda z, y: -(z.softmax(1) == y).log().mean(), "nothing to compare"),
        Wrong("all ten", lambda logits, labels: -logits.log_softmax(1).mean(), "Only that of the true digit"),
        Wrong("axis 0", lambda logits, labels: -logits.log_softmax(0)[range(4), labels].mean(), "over the images"),
        Wrong("logits", lambda logits, labels: -logits[range(len(labels)), labels].mean(), "as they are"),
    )


def logit_gradient(logits, truth):
    gradient = logits.softmax(0)
    gradient[truth] -= 1
    return gradient


class LogitGradient(Written):
    id = "02-write-gradient"
    points, minutes = 2, 8
    expects = "a function of logits (10,) and the true digit that returns gradients (10,)"
    own = staticmethod(logit_gradient)
    praise = "No trying, no derivative left to take: what the network said, and what was true, are enough."
    hints = (
        "The two terms of the loss have one derivative each. For a wrong digit, which of them is 0?",
        "The second term's derivative is a softmax: `logits` has one axis, number 0.",
        "The first term matters in one place only, `[truth]`. What does it add there?",
    )

    def verify(self, answer):
        logits, truth = torch.tensor([2.0, -1, 0.5, 0, 1, -2, 3, 0.1, 0.2, -0.5]), torch.tensor(3)
        function(answer, "logits and truth")
        by_autograd = "That is autograd at work. The next cell asks it; here find all ten by hand."
        with explained(
            ("Dimension out of range", "`logits` are those of one image: one axis, and its number is 0."),
            ('"dim"', "Softmax asks for an axis: `logits` has a single one, number 0."),
            ("and 'list'", "A list cannot be subtracted: make a tensor of it."),
        ):
            found = by_hand(answer, logits.clone(), truth, without={"backward", "grad"}, instead=by_autograd)
        require(found.numel() == 10, f"Ten gradients are expected, one for each logit, and you return {found.numel()}.")
        found = found.flatten()
        p, y = logits.softmax(0), F.one_hot(truth, 10)
        known = [
            (y - p, "All signs are the other way round: a higher logit of the true digit lowers the loss."),
            (p, "These are the probabilities. What does the first term, −z of the true digit, add to one of them?"),
            (-y, "This is the first term only. A logit also stands in the sum of the second."),
            (p + y, "The first term has the sign −, and you add it."),
            (p - 1, "You take 1 from all ten. The first term holds only the true digit's logit."),
            ((p - 1) * y, "For a wrong digit you have 0. Yet its logit stands in the sum, and takes belief away."),
            (logits - y, "You take the logits as they are. The second term's derivative is a probability."),
            (p - truth, "You take away the digit's name, 3. It should have said 1 for it, else 0."),
        ]
        for digit in set(range(10)) - {3}:
            written_in = f"Here the truth is 3, and you take the 1 from digit {digit}. Is a digit written in?"
            known.append((p - F.one_hot(torch.tensor(digit), 10), written_in))
        otherwise = f"For the true digit's logit you have {found[truth].item():+.3f}. Which two terms is it made of?"
        compare(found, p - y, known, otherwise, 1e-3)
        other = torch.tensor(6)
        found = by_hand(answer, logits.clone(), other, without=set(), instead="")
        written_in = "Right if the truth is 3, and wrong if it is 6. Is a digit written in?"
        compare(found, logit_gradient(logits, other), [], written_in, 1e-3)

    right = (
        lambda logits, truth: logits.softmax(0) - F.one_hot(truth, 10),
        lambda logits, truth: logits.exp() / logits.exp().sum() - torch.eye(10)[truth],
        lambda logits, truth: [p - int(digit == truth) for digit, p in enumerate(logits.softmax(0).tolist())],
    )
    wrong = (
        Wrong("turned round", lambda logits, truth: F.one_hot(truth, 10) - logits.softmax(0), "other way round"),
        Wrong("only p", lambda logits, truth: logits.softmax(0), "These are the probabilities"),
        Wrong("only y", lambda logits, truth: -F.one_hot(truth, 10), "first term only"),
        Wrong("1 from all", lambda logits, truth: logits.softmax(0) - 1, "from all ten"),
        Wrong("no softmax", lambda logits, truth: logits - F.one_hot(truth, 10), "as they are"),
        Wrong("the name", lambda logits, truth: logits.softmax(0) - truth, "digit's name"),
        Wrong("only the truth", lambda logits, truth: (logits.softmax(0) - 1) * F.one_hot(truth, 10), "wrong digit"),
        Wrong("digit 6", lambda logits, truth: logits.softmax(0) - F.one_hot(torch.tensor(6), 10), "from digit 6"),
        Wrong("axis 1", lambda logits, truth: logits.softmax(1), "one axis"),
        Wrong("a list", lambda logits, truth: logits.softmax(0) - [0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "A list cannot"),
        Wrong("one number", lambda logits, truth: logits.softmax(0)[truth] - 1, "Ten gradients"),
        Wrong("autograd", lambda z, t: torch.func.grad(lambda z: F.cross_entropy(z, t))(z), "autograd at work"),
    )


class Parameters(Exercise):
    id = "02-parameters"
    points, minutes = 1, 5
    expects = "a whole number"
    praise = "That is more than twice the lesson's network, and again most of it looks at pixels."
    hints = (
        "Three layers, from 784 to 256, from 256 to 128, from 128 to 10. Count each by itself.",
        "A neuron stores a weight for each number that it reads, and one number more.",
        "A layer of 10 neurons that each read 64 numbers stores 10 · 64 weights and 10 biases.",
    )

    @staticmethod
    def own():
        weights = 784 * 256 + 256 * 128 + 128 * 10
        return weights + 256 + 128 + 10

    def verify(self, answer):
        found = whole(answer)
        known = [
            (234_752, "These are the weights. Each neuron stores one number more."),
            (234_755, "You count one bias for each layer; each neuron has its own."),
            (235_930, "You gave the pixels a bias, too. They are inputs and compute nothing."),
            (394, "These are the neurons, or their biases. Each stores a weight for everything that it reads."),
            (1178, "You counted the pixels and neurons themselves. Each neuron stores many numbers."),
            (256_901_120, "You multiplied all widths. A layer only knows the one before it; layers are added."),
            (200_960, "That is the first layer. Two more follow."),
            (233_856, "The last layer, the ten neurons of the answer, is missing."),
            (203_530, "The layer of 128 neurons is missing: the ten read its outputs, not those of the 256."),
            (109_386, "That is the lesson's network. This one has the widths 784, 256, 128, 10."),
        ]
        size = "many" if found > 235_146 else "few"
        otherwise = f"{found:,} are too {size}. How many does each of the three layers store?"
        compare(found, 235_146, known, otherwise)

    right = (235_146, 235_146.0, "235,146", "235146", "235 146", np.int64(235_146), torch.tensor(235_146), [235_146])
    wrong = (
        Wrong("no biases", 234_752, "one number more"),
        Wrong("a bias a layer", 234_755, "each neuron has"),
        Wrong("pixels with a bias", "235,930", "gave the pixels"),
        Wrong("neurons", 394, "These are the neurons"),
        Wrong("circles in a drawing", 1178, "pixels and neurons"),
        Wrong("everything multiplied", 256_901_120, "multiplied all"),
        Wrong("first layer", 200_960, "Two more"),
        Wrong("no last layer", 233_856, "last layer"),
        Wrong("a half", 235_146.5, "whole number"),
    )


def safe_softmax(logits):
    below = logits - logits.amax(1, keepdim=True)  # 0 for the largest of each row
    return below.exp() / below.exp().sum(1, keepdim=True)


class SafeSoftmax(Exercise):
    id = "02-safe-softmax"
    points, minutes = 2, 10
    expects = "a function of logits (N, C) that returns probabilities (N, C)"
    variable = None
    own = staticmethod(safe_softmax)
    praise = "e to the power of 0 or less is at most 1, and never too large. PyTorch does the same inside."
    hints = (
        "Which number, taken from 1000, 999 and 0, leaves powers that are all small enough?",
        "Each row has its own largest logit. `logits.max(1)` gives values and places, `logits.amax(1)` the values.",
        "To take one number from each row of (N, C), it must have the shape (N, 1): `keepdim=True` keeps the place.",
    )

    def verify(self, answer):
        function(answer, "logits")
        usual = torch.tensor([[1.0, 2, 3, -1], [0, 0, 5, 1], [-3, 1, 2, 0]])
        found = self._by_hand(answer, usual)
        require(found.shape == usual.shape, f"The shape is to stay (3, 4), and yours is {tuple(found.shape)}.")
        require(not found.isnan().any(), "Even small logits give nan here: where all powers are 0, the sum is 0.")
        below = usual - usual.amax(1, keepdim=True)
        known = [
            (usual.softmax(0), "Your columns have the sum 1. Each row is an image, so its sum should be 1."),
            (usual.log_softmax(1), "These are logarithms of the probabilities: none is positive."),
            (
                _over(usual - usual.amax(0)),
                "You take another number from each column, which changes the result. Within a row it must be the same.",
            ),
            (below, "You have taken the largest away. Powers of e, and a division, are still to come."),
            (below.exp(), "The largest in each row is 1, but the sum is not: divide."),
            (usual.exp() / usual.exp().sum(), "You divide by the sum of the whole table. Each row has its own."),
            (
                _over(usual / usual.amax(1, keepdim=True)),
                "You divide by the largest: that changes the result. Subtract it.",
            ),
        ]
        total = found.sum(1)
        otherwise = f"For small logits your rows have the sums {', '.join(f'{one:.3f}' for one in total)}."
        otherwise += "" if abs(total - 1).max() > 1e-3 else " So far right, yet the shares within a row are not."
        compare(found, usual.softmax(1), known, otherwise, 1e-4)
        self._large(answer)

    def _large(self, answer):
        """Where the naive form fails: logits of 1000, rows far from each other, and a row far below 0."""
        for scale in (torch.float32, torch.float64):
            one = torch.tensor([[1000.0, 999, 0]], dtype=scale)
            found = self._by_hand(answer, one)
            if found.isnan().any():
                close = self._by_hand(answer, torch.tensor([[1000, 1000, 1000, 999]], dtype=scale))
                little = (
                    "What you subtract from 1000, 999, 0 is not enough: a power is still too large, and you get nan."
                )
                overflow = "For 1000, 999 and 0 you get nan: e to the power of 1000 is inf, and inf / inf is nan."
                raise NotYet(overflow if close.isnan().any() else little)
            compare(found, one.softmax(1), [], "Small logits come out right, and 1000, 999, 0 do not.", 1e-3)
            apart = torch.tensor([[1000.0, 999, 0], [-5, 2, 3], [-1000, -1001, -2000]], dtype=scale)
            found = self._by_hand(answer, apart)
            together = "One number for the whole table is not enough: beside a row with 1000, all powers of a row with"
            compare(found, apart.softmax(1), [], f"{together} −5, 2, 3 become 0. Each row needs its own.", 1e-3)
        far = torch.tensor([[5000.0, 0, 0, -5000]])
        found = self._by_hand(answer, far)
        mean = "For 5000, 0, 0, −5000 it still fails. Which number makes sure that no power is too large?"
        compare(found, far.softmax(1), [], mean, 1e-3)

    def _by_hand(self, answer, logits):
        instead = "PyTorch's own softmax is safe, indeed. Here write it yourself, from `exp`."
        with explained(
            ("return_types.max", "`max(1)` returns values and their places: take its `.values`."),
            ("must match", "What a row has one of has the shape (N,). To meet (N, C) it must become (N, 1)."),
            ("ambiguous", "Python's `max` compares single numbers. A tensor has its own, which takes an axis."),
        ):
            return by_hand(answer, logits, without={"softmax", "log_softmax"}, instead=instead)

    right = (
        lambda logits: (logits - logits.logsumexp(1, keepdim=True)).exp(),
        lambda logits: torch.stack([(row - row.max()).exp() / (row - row.max()).exp().sum() for row in logits]),
        lambda logits: _softmax_in_numpy(logits.numpy()),
        lambda logits: _softmax_in_numpy(logits.double().numpy()).tolist(),
        lambda logits: 1 / (logits[:, None] - logits[:, :, None]).exp().sum(2),
    )
    wrong = (
        Wrong("naive", lambda logits: logits.exp() / logits.exp().sum(1, keepdim=True), "inf / inf is nan"),
        Wrong("one for all", lambda logits: _over(logits - logits.max()), "whole table"),
        Wrong("the mean", lambda logits: _over(logits - logits.mean(1, keepdim=True)), "is not enough"),
        Wrong("a fixed number", lambda logits: _over(logits - 1000), "Even small logits"),
        Wrong("axis 0", lambda logits: logits.exp() / logits.exp().sum(0), "Your columns"),
        Wrong("log-softmax", lambda logits: logits - logits.logsumexp(1, keepdim=True), "logarithms"),
        Wrong("no division", lambda logits: (logits - logits.amax(1, keepdim=True)).exp(), "divide"),
        Wrong("no exp", lambda logits: logits - logits.amax(1, keepdim=True), "still to come"),
        Wrong("divided", lambda logits: _over(logits / logits.amax(1, keepdim=True)), "Subtract"),
        Wrong("PyTorch's", lambda logits: logits.softmax(1), "yourself"),
        Wrong("no keepdim", lambda logits: logits.exp() / logits.exp().sum(1), "(N, 1)"),
        Wrong("Python's max", lambda logits: _over(logits - max(logits)), "single numbers"),
        Wrong("one for each column", lambda logits: _over(logits - logits.amax(0)), "Within a row"),
        Wrong("values and places", lambda logits: logits - logits.max(1, keepdim=True), ".values"),
        Wrong("one sum", lambda logits: logits.exp() / logits.exp().sum(), "sum of the whole table"),
    )


def _over(logits):
    return logits.exp() / logits.exp().sum(1, keepdims=True)


def _softmax_in_numpy(logits):
    below = np.exp(logits - logits.max(axis=1, keepdims=True))
    return below / below.sum(axis=1, keepdims=True)


def shuffled_weight(weight, order):
    return weight[:, order]


class Twin(Exercise):
    id = "02-twin"
    points, minutes = 3, 12
    expects = "a function of weight (128, 784) and order (784,) that returns the twin's weight (128, 784)"
    variable = None
    own = staticmethod(shuffled_weight)
    praise = (
        "So for every network that reads originals there is one that reads shuffled images just as well: an MLP is "
        "never told which pixels are neighbours."
    )
    hints = (
        "Take three pixels and `order = [2, 0, 1]`. Which weight must the shuffled first pixel meet?",
        "Rows are neurons, columns are pixels. Only the columns must move.",
        "Place 0 of a shuffled image holds the original's pixel `order[0]`. Whose weight belongs into column 0?",
    )

    def verify(self, answer):
        weight, order = torch.randn(128, 784), torch.randperm(784)
        given = weight.clone()
        function(answer, "weight and order")
        with explained(("IndexError", "Rows are neurons, and there are 128; columns are pixels.")):
            found = tensor(call(answer, given, order), weight.shape)
        unharmed = "You changed `weight` itself, and with it the network that was to stay as it is. Return a new one."
        require(torch.equal(given, weight), unharmed)
        inverse = "You undo an order in place of following it: column 0 must hold the weight for pixel `order[0]`."
        known = [
            (weight, "These are the weights as they were: for shuffled images nothing has changed."),
            (weight[:, order.argsort()], inverse),
            (weight[:, order.sort().values], "`order` is sorted in yours, so nothing has moved."),
            (weight.flip(1), "You turn the columns round; they are to follow `order`."),
        ]
        image = torch.rand(784)
        original, shuffled = weight.double() @ image.double(), found @ image[order].double()
        equal = (original - shuffled).abs() < 1e-3
        otherwise = f"For a made-up image {equal.sum()} of the 128 neurons have the sum that they had. All must."
        compare(found, weight[:, order], known, otherwise, 1e-4)

    right = (
        lambda weight, order: torch.index_select(weight, 1, order),
        lambda weight, order: weight.T[order].T,
        lambda weight, order: torch.stack([weight[:, place] for place in order], 1).numpy(),
        lambda weight, order: torch.zeros(128, 784).index_copy_(1, order.argsort(), weight),
    )
    wrong = (
        Wrong("nothing done", lambda weight, order: weight, "as they were"),
        Wrong("inverse", lambda weight, order: weight[:, order.argsort()], "undo an order"),
        Wrong("rows", lambda weight, order: weight[order], "Rows are neurons"),
        Wrong("in place", lambda weight, order: weight.copy_(weight[:, order].clone()), "changed `weight` itself"),
        Wrong("one neuron", lambda weight, order: weight[0, order], "shape"),
        Wrong("another order", lambda weight, order: weight[:, torch.randperm(784)], "of the 128 neurons"),
    )


def small():
    network = nn.Sequential(
        nn.AvgPool2d(4),  # 28×28 pixels become 7×7
        nn.Flatten(),
        nn.Linear(49, 16),
        nn.ReLU(),
        nn.Linear(16, 10),
    )
    return network, torch.optim.Adam(network.parameters(), lr=0.03)


class ByHeart(Exercise):
    id = "02-by-heart"
    kind, points, minutes, seconds = "open", 5, 20, 30
    expects = "a function of nothing that returns a new network and its optimizer"
    variable = None
    own = staticmethod(small)
    most, goal = 1000, 0.05
    hints = (
        "Where do nine in ten of the lesson's parameters sit, and what would make that matrix smaller?",
        "Must it be 28×28 pixels? `nn.AvgPool2d(2)`, as first layer, makes one pixel out of each 2×2.",
        "With few parameters, each has a longer way to go in a hundred steps: try larger learning rates.",
    )

    @cached_property
    def given(self):
        """32 coarse patterns, as different as digits, and made-up labels."""
        patterns = torch.randn(32, 1, 7, 7, generator=torch.Generator().manual_seed(0))
        return {"inputs": patterns.repeat_interleave(4, 2).repeat_interleave(4, 3), "answers": torch.arange(32) % 10}

    def verify(self, answer, inputs, answers):
        function(answer, "nothing")
        count, ends = 0, []
        for seed in range(3):
            torch.manual_seed(seed)
            network, optimizer = self._new(answer)
            count = sum(parameter.numel() for parameter in network.parameters())
            self._fits(network, count)
            ends.append(self._train(network, optimizer, inputs, answers))
        worst = max(ends)
        shown = f"After a hundred steps the loss is {', '.join(f'{end:.3f}' for end in ends)} for three starts"
        positive = bool((network(inputs) >= 0).all())
        require(worst < self.goal, f"{shown}, and is to be below {self.goal} for each. {self._advice(worst, positive)}")
        return f"With {count:,} parameters it learns 32 images by heart, from each of three starts. How few will do?"

    def _new(self, answer):
        with explained(("can only optimize", "It is given the network's parameters: `network.parameters()`.")):
            made = call(answer)
        require(isinstance(made, tuple | list) and len(made) == 2, "Return two things: the network and its optimizer.")
        network, optimizer = made
        require(isinstance(network, nn.Module), "The first of the two is to be a network, an `nn.Module`.")
        steps = isinstance(optimizer, torch.optim.Optimizer)
        require(steps, "The second of the two is to be an optimizer, such as `torch.optim.Adam(…)`.")
        moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        own = {id(parameter) for parameter in network.parameters()}
        require(own and moved <= own, "The optimizer holds the parameters of another network, not those of this one.")
        return network, optimizer

    def _fits(self, network, count):
        name, largest = max(network.named_parameters(), key=lambda one: one[1].numel())
        large = f"{count:,} parameters, and at most {self.most:,} are allowed. Most of them: `{name}`, of shape "
        require(count <= self.most, f"{large}{tuple(largest.shape)}.")

    def _train(self, network, optimizer, inputs, answers):
        """The loss after a hundred steps."""
        arrives = "(Of the four numbers, the second is what arrives and the third what is expected.)"
        with explained(("mat1 and mat2", arrives)):
            logits = call(network, inputs)
        shape = (len(inputs), 10)
        require(logits.shape == shape, f"The logits' shape is to be {shape}, and it is {tuple(logits.shape)}.")
        start = F.cross_entropy(logits, answers).item()
        require(start > 1.5, f"Its loss is {start:.2f} before the first step. Make a new network in each call.")
        sure = (logits >= 0).all() and abs(logits.sum(1) - 1).max() < 1e-3
        require(not sure, "Its outputs are probabilities already: that is the softmax too many.")
        for _ in range(100):
            loss = F.cross_entropy(network(inputs), answers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        end = F.cross_entropy(network(inputs), answers).item()
        require(end == end, "The loss became nan: the steps are far too large.")
        require(end != start, "The loss has not moved at all. What learning rate has the optimizer?")
        return end

    def _advice(self, worst, positive):
        if positive:
            return "No logit is negative: does a ReLU stand behind the last layer?"
        if worst > 2:
            return "It has learnt next to nothing: are steps too large or too small, or has a layer too few neurons?"
        return "It is on its way: larger steps, or parameters in another place?"

    right = (
        lambda: _with_adam(0.1, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(49, 10)),
        lambda: _with_adam(0.03, nn.AvgPool2d(7), nn.Flatten(), nn.Linear(16, 30), nn.ReLU(), nn.Linear(30, 10)),
        lambda: list(small()),
    )

    @property
    def wrong(self):
        flat, pool = nn.Flatten(), nn.AvgPool2d(4)
        once, other = small(), small()
        return (
            Wrong("too large", lambda: _with_adam(0.01, flat, nn.Linear(784, 10)), "7,850 parameters"),
            Wrong(
                "one neuron", lambda: _with_adam(0.01, flat, nn.Linear(784, 1), nn.ReLU(), nn.Linear(1, 10)), "starts"
            ),
            Wrong("small steps", lambda: _with_adam(1e-5, pool, flat, nn.Linear(49, 10)), "next to nothing"),
            Wrong("no steps", lambda: _with_adam(0, pool, flat, nn.Linear(49, 10)), "not moved"),
            Wrong(
                "a softmax", lambda: _with_adam(0.1, pool, flat, nn.Linear(49, 10), nn.Softmax(1)), "softmax too many"
            ),
            Wrong(
                "ReLU last", lambda: _with_adam(0.1, pool, flat, nn.Linear(49, 10), nn.ReLU()), "behind the last layer"
            ),
            Wrong("no parameters()", lambda: (small()[0], torch.optim.Adam(small()[0])), "network.parameters()"),
            Wrong("nine digits", lambda: _with_adam(0.1, pool, flat, nn.Linear(49, 9)), "logits' shape"),
            Wrong("a wrong width", lambda: _with_adam(0.1, pool, flat, nn.Linear(196, 5)), "what arrives"),
            Wrong("no optimizer", lambda: small()[0], "two things"),
            Wrong("another's optimizer", lambda: (small()[0], other[1]), "another network"),
            Wrong("trained before", lambda: once, "new network"),
        )


def _with_adam(learning_rate, *layers):
    network = nn.Sequential(*layers)
    return network, torch.optim.Adam(network.parameters(), lr=learning_rate)
