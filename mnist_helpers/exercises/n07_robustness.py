"""What notebook 07 asks."""

import math
from functools import cached_property, wraps

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import mnist_helpers as mh

from .answers import NotYet, call, compare, converted, function, number, require, tensor, whole
from .exercise import Exercise, Wrong
from .guess import Guess
from .sample import digits
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "07-worst",
        "Which of these hurts the CNN most?",
        Choices(
            {
                "fog": "No pixel of the paper stays black: a person looks through that; a network has never met it.",
                "brightness": "It changes every neuron's input, and not one stroke. You suspected the right kind.",
                "stripe": "A stripe hides strokes and turns ink into paper; outside of it, everything is as it was.",
                "motion blur": "Smeared strokes are hard on the eye. But the paper around them is still black.",
                "rotate": "Turning was practised in training, if not so far.",
            }
        ),
        span=("fog",),
    ),
    Guess(
        "07-surest",
        "Of which kind of outlier is the CNN most confident?",
        Choices(
            {
                "noise": "To us noise is the least like a digit. You did not expect a network to see it that way.",
                "shuffled": "Shuffled digits have the right amount of ink, and no strokes that a kernel could find.",
                "upside down": "They have true strokes. In places where no digit of the training had them.",
                "two halves": "Half of it is a digit, each time. You expected the network to go by likeness.",
                "drawings": "Letters are written as digits are. You expected the network to go by likeness.",
            }
        ),
        span=("noise",),
    ),
    Guess(
        "07-coins",
        "If a coin decides for each pixel whether it goes up or down by a tenth, how many digits are misread, "
        "compared with the chosen noise?",
        Choices(
            {
                "about as many": "The amount of change is the same. It is the direction that does the harm.",
                "half as many": "Half of the coins fall as the attack would have it. But the others undo their work.",
                "hardly any": "Among 784 coins the good and the bad pushes cancel; chosen ones all add up.",
            }
        ),
        span=("hardly any",),
    ),
    Guess(
        "07-ten-steps",
        "Each pixel may move by a tenth, in ten steps. What share of the digits does the CNN still read?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (20, "You expect the worst of a clever attack. With a larger ε you would be right."),
                (70, "One step had misled few. You saw that this says more about the step than about the network."),
                (90, "One step misled few, so why should ten do more? Because each asks for the slope anew."),
                (100, "A tenth is little to the eye. But it is little for each of 784 pixels."),
            ),
        ),
        span=(0.15, 0.85),
    ),
    Guess(
        "07-least",
        "Promised are 95 %. For the digit that fares worst, how often does the set hold the truth?",
        Scale(
            80,
            100,
            step=0.5,
            unit="%",
            bands=(
                (92, "The promise is one on average, and you suspected that not every digit gets the average."),
                (94.5, "You took a little away for a difficult digit. How far one may fall, nobody has promised."),
                (95.5, "So one reads it: 95 % for everyone. What was promised is 95 % for all digits together."),
                (100, "The sets are made to keep the promise. On average over all digits, and some get more."),
            ),
        ),
        span=(0.8, 0.945),
    ),
)


def _known(slips, *given):
    """What the functions in a table of slips give, and what is said of it. Its rows are those of `Wrong`."""
    return [(slip(*given), message) for _, slip, message in slips]


def best_temperature(logits, labels):
    temperatures = [0.1 + 0.02 * step for step in range(146)]
    losses = [F.cross_entropy(logits / T, labels).item() for T in temperatures]
    return temperatures[losses.index(min(losses))]


def _scaled_loss(logits, labels, T):
    return F.cross_entropy(logits / T, labels)


def _over(loss=_scaled_loss, values=tuple(0.1 + 0.02 * step for step in range(146)), best=min, of=None):
    """A version of `best_temperature` with another loss, other values, another choice or another result."""

    def version(logits, labels):
        losses = [float(loss(logits, labels, T)) for T in values]
        return (of or values)[losses.index(best(losses))] if of != "losses" else best(losses)

    return version


class BestTemperature(Exercise):
    id = "07-write-temperature"
    kind, points, minutes = "turn", 2, 7
    expects = "a function of logits (N, 10) and labels (N,) that returns a number, T"
    variable = None
    own = staticmethod(best_temperature)
    praise = "One number, found in one valley: nothing else about the network changes."
    hints = (
        "Make a list of values of T, from 0.1 to 3, in small steps. What can be computed for each of them?",
        "`F.cross_entropy` takes logits, not probabilities. It may as well take logits that were divided by T.",
        "Two lists: the values of T, and their losses. The answer is the T at the place of the smallest loss.",
    )
    right = (
        mh.fit_temperature,
        lambda logits, labels: torch.tensor(best_temperature(logits, labels)),
        lambda logits, labels: min(np.arange(0.05, 4, 0.01), key=lambda T: _scaled_loss(logits, labels, T).item()),
        _over(lambda logits, labels, T: -(logits / T).log_softmax(1)[torch.arange(len(labels)), labels].mean()),
    )
    wrong = (
        Wrong("multiplied", _over(lambda z, y, T: F.cross_entropy(z * T, y)), "multiplied"),
        Wrong("the highest loss", _over(best=max), "highest loss"),
        Wrong("the loss", _over(of="losses"), "That is the loss"),
        Wrong("its place", _over(of=range(146)), "the place"),
        Wrong("the accuracy", _over(lambda z, y, T: ((z / T).argmax(1) != y).float().mean()), "Accuracy does not"),
        Wrong("back at once", lambda logits, labels: 0.1, "inside the loop"),
        Wrong("softmax twice", _over(lambda z, y, T: F.cross_entropy((z / T).softmax(1), y)), "softmax of its own"),
        Wrong("too coarse", _over(values=(0.25, 0.5, 1.0, 1.5, 2.0, 3.0)), "finer"),
        Wrong("only below 1", _over(values=tuple(0.1 + 0.02 * step for step in range(46))), "up to 3"),
        Wrong("from 0", lambda logits, labels: 0.0, "is above 0"),
        Wrong("a constant", lambda logits, labels: 1.0, "whatever it is given"),
        Wrong("all losses", lambda z, y: [F.cross_entropy(z / T, y).item() for T in (0.5, 1, 2)], "One number"),
    )  # fmt: skip

    def verify(self, answer):
        function(answer, "logits and labels")
        honest = 2 * torch.randn(1000, 10)
        labels = torch.multinomial(honest.softmax(1), 1).squeeze(1)
        modest, bold = honest * 0.47, honest * 2.2  # whose best T are about 0.47 and 2.2
        first, second = (number(call(answer, logits.clone(), labels)) for logits in (modest, bold))
        low, high = (mh.fit_temperature(logits, labels) for logits in (modest, bold))
        require(first > 0 and second > 0, "A temperature is above 0: with which value do yours begin?")
        least = F.cross_entropy(modest / low, labels).item()
        mistaken = [
            (1 / low, 0.06, "Your logits are multiplied by T: to divide by it is asked."),
            (least, 2e-3, "That is the loss at its lowest. Which T belongs to it?"),
            ((low - 0.1) / 0.02, 3, f"{first:g} is the place of the smallest loss in a list, not yet the T there."),
        ]
        for wrong, near, message in mistaken:
            require(abs(first - wrong) > near, message)
        if first < 0.15:
            self._say_why_the_smallest(answer, first, honest)
        require(first != second, f"It gives {first:.3g}, whatever it is given, and the two sets of logits tried need "
                "two temperatures.")  # fmt: skip
        for found, best, logits in ((first, low, modest), (second, high, bold)):
            if abs(found - best) > 0.03:
                loss = F.cross_entropy(logits / found, labels).item()
                require(best < 1 or found > 1.01, f"The second logits need a T above 1, and yours is {found:.3g}: let "
                        "T go up to 3.")  # fmt: skip
                raise NotYet(f"With {found:.3g} the loss is {loss:.4f}, and it can be lower. Are your steps of T finer "
                             "than 0.05, from 0.1 to 3?")  # fmt: skip

    @staticmethod
    def _say_why_the_smallest(answer, found, logits):
        """Three mistakes end at the smallest T; logits that are always right, and always wrong, tell them apart."""
        if_right, if_wrong = (
            number(call(answer, logits.clone(), labels)) for labels in (logits.argmax(1), logits.argmin(1))
        )
        require(if_right < 0.5, f"It gives {found:.3g}, which has the highest loss: it is the smallest that counts.")
        require(if_wrong < 0.5, f"It gives {found:.3g}, as if softmax were taken twice: `F.cross_entropy` has a "
                "softmax of its own, and takes logits, divided by T.")  # fmt: skip
        raise NotYet(f"It gives {found:.3g} for whatever logits and labels, perhaps the first of your values. Accuracy "
                     "does not change with T; or is there a `return` inside the loop?")  # fmt: skip

    def taken(self, answer):
        """As a number, whatever form the student's has."""
        return converted(answer, number)


def fgsm(network, pixels, labels, epsilon):
    pixels = pixels.detach().clone().requires_grad_()
    loss = F.cross_entropy(network(mh.normalize(255 * pixels)), labels)
    slope = torch.autograd.grad(loss, pixels)[0]
    return (pixels + epsilon * slope.sign()).clamp(0, 1).detach()


def _logits(network, pixels):
    return network(mh.normalize(255 * pixels))


def _slope(network, pixels, labels, logits=_logits):
    pixels = pixels.detach().clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(logits(network, pixels), labels), pixels)[0]


def _uphill(network, pixels, labels, epsilon, logits=_logits):
    return pixels + epsilon * _slope(network, pixels, labels, logits).sign()


def _backward(network, pixels, labels, epsilon):
    pixels = pixels.clone().requires_grad_()
    F.cross_entropy(_logits(network, pixels), labels, reduction="sum").backward()
    return torch.clamp(pixels + epsilon * torch.sign(pixels.grad), 0, 1)


def _with_respect_to(what):
    """The slope with respect to something that is not the pixels followed."""
    return lambda n, p, y, e: p + e * torch.autograd.grad(F.cross_entropy(_logits(n, p), y), what(n, p))[0].sign()


def _predicted(network, pixels):
    return mh.predict_logits(network, 255 * pixels).argmax(1)


def _not_scaled(network, pixels):
    return network(mh.normalize(pixels))


STEPS = (
    ("minus", lambda n, p, y, e: _uphill(n, p, y, -e).clamp(0, 1), "The signs are turned: your step goes downhill, and "
     "helps the network."),
    ("no sign", lambda n, p, y, e: (p + e * _slope(n, p, y)).clamp(0, 1), "You added the slope itself, which is tiny: "
     "of each pixel's slope only the direction counts here, and the size is epsilon."),
    ("no clamp either", lambda n, p, y, e: p + e * _slope(n, p, y), "Of each pixel's slope only the direction counts; "
     "and pixels must lie between 0 and 1 in the end."),
    ("from 0 to 255", lambda n, p, y, e: 255 * fgsm(n, p, y, e), "Your pixels go from 0 to 255; here, from 0 to 1."),
    ("only the noise", lambda n, p, y, e: e * _slope(n, p, y).sign(), "That is the noise alone: add it to the pixels."),
    ("the slope", lambda n, p, y, e: _slope(n, p, y), "That is the slope. Which step does it tell you to take?"),
    ("unchanged", lambda n, p, y, e: p, "No pixel has moved."),
    ("in the normalised space", lambda n, p, y, e: _uphill(n, p, y, e * mh.STD).clamp(0, 1), "Your pixels move by less "
     "than epsilon: was the step taken on the normalised image? Take it on the pixels."),
    ("against its own answers", lambda n, p, y, e: fgsm(n, p, _predicted(n, p), e), "Your loss is that of the "
     "network's own answers: hand over the true labels."),
    ("255 forgotten", lambda *given: _uphill(*given, _not_scaled).clamp(0, 1), "`mh.normalize` takes pixels from 0 to "
     "255, and the network saw nearly black images."),
    ("not normalised", lambda *given: _uphill(*given, lambda n, p: n(p)).clamp(0, 1), "The network saw your pixels as "
     "they are: it reads normalised ones."),
    ("softmax twice", lambda *given: _uphill(*given, lambda n, p: _logits(n, p).softmax(1)).clamp(0, 1),
     "`F.cross_entropy` has a softmax of its own: give it the logits."),
)  # fmt: skip


class Step(Exercise):
    id = "07-write-fgsm"
    kind, points, minutes = "turn", 3, 10
    expects = "a function of network, pixels (N, 28, 28), labels and epsilon that returns pixels (N, 28, 28)"
    variable = None
    own = staticmethod(fgsm)
    praise = "The gradient that trains a network, asked about the pixels instead of the weights, attacks it."
    hints = (
        "PyTorch follows a tensor after `pixels = pixels.clone().requires_grad_()`. Then go on to the loss.",
        "The network reads `mh.normalize(255 * pixels)`; `torch.autograd.grad(loss, ...)[0]` is the slope of the loss "
        "with respect to whatever you name there.",
        "Uphill, by the same amount for each pixel: only the slope's sign counts. Then `clamp` to what pixels can be.",
    )
    right = (
        _backward,
        lambda network, pixels, labels, epsilon: fgsm(network, pixels, labels, epsilon).numpy(),
        lambda network, pixels, labels, epsilon: mh.attack(network, 255 * pixels, labels, epsilon) / 255,
        lambda n, p, y, e: torch.where(_slope(n, p, y) > 0, p + e, p - e).clamp(0, 1),
    )
    wrong = (
        *(Wrong(*slip) for slip in STEPS),
        Wrong("not clamped", _uphill, "there is no such ink"),
        Wrong("the weights' slope", _with_respect_to(lambda n, p: list(n.parameters())), "of the weights"),
        Wrong("not followed", _with_respect_to(lambda n, p: p), "requires_grad_"),
        Wrong("no backward", lambda n, p, y, e: p + e * p.grad.sign(), "`loss.backward()`"),
        Wrong("half of it", lambda n, p, y, e: fgsm(n, p, y, e / 2), "not by epsilon each"),
        Wrong("always a tenth", lambda n, p, y, e: fgsm(n, p, y, 0.1), "whatever epsilon"),
        Wrong("chance", lambda n, p, y, e: (p + e * torch.randn_like(p).sign()).clamp(0, 1), "pixels go"),
        Wrong("normalised pixels", lambda n, p, y, e: mh.normalize(255 * fgsm(n, p, y, e)), "(N, 28, 28)"),
    )

    def verify(self, answer):
        function(answer, "network, pixels, labels and epsilon")
        mh.set_seed(1)
        network = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), nn.Tanh(), nn.Linear(30, 10)).eval()
        pixels = (1.6 * torch.rand(6, 28, 28) - 0.3).clamp(0, 1)  # some are paper, some full ink
        labels = (network(mh.normalize(255 * pixels)).argmax(1) + torch.tensor([0, 1, 2, 0, 5, 7])) % 10
        self._compare(self._result(answer, network, pixels, labels, 0.1), network, pixels, labels, 0.1)
        other = self._result(answer, network, pixels, labels, 0.03)
        moved = (other - pixels).abs().max().item()
        require(moved < 0.031, f"The pixels move by {moved:.2g}, whatever epsilon is: here it was 0.03.")

    @staticmethod
    def _result(answer, network, pixels, labels, epsilon):
        try:
            found = call(answer, network, pixels.clone(), labels, epsilon)
        except NotYet as error:
            if any(words in str(error) for words in ("does not require grad", "not have been used", "NoneType")):
                raise NotYet("PyTorch has no slope with respect to your pixels: it must be told to follow them, with "
                             "`requires_grad_`, before the loss is computed from them. (`pixels.grad` is there only "
                             "after `loss.backward()`.)") from error  # fmt: skip
            if "must match" in str(error):
                raise NotYet(f"{error} Is this the slope of the weights? Name the pixels.") from error
            raise
        shape = tuple(tensor(found).shape)
        require(shape == tuple(pixels.shape),
                f"Pixels of shape (N, 28, 28), here (6, 28, 28), are expected, and yours are {shape}.")  # fmt: skip
        return tensor(found).float()

    @staticmethod
    def _compare(found, network, pixels, labels, epsilon):
        right = fgsm(network, pixels, labels, epsilon)
        agree = ((found - pixels).sign() == (right - pixels).sign()).float().mean().item()
        otherwise = f"{agree:.0%} of the pixels go where the attack would have them go. Is it the sign of the slope "
        otherwise += "of the loss, with respect to the pixels?"
        if agree > 0.999:
            otherwise = "The pixels go the right way, but not by epsilon each: only the slope's sign counts."
        low, high = found.min(), found.max()
        if low < -1e-4 or high > 1 + 1e-4:
            otherwise = f"Your pixels go from {low:.2f} to {high:.2f}: there is no such ink. Bring them back, 0 to 1."
        compare(found, right, _known(STEPS, network, pixels, labels, epsilon), otherwise, within=1e-4)

    def taken(self, answer):
        """As a float tensor where the pixels are; the student's function gets pixels of its own."""

        @wraps(answer)
        def fgsm(network, pixels, labels, epsilon):
            found = answer(network, pixels.detach().clone(), labels, epsilon)
            return tensor(found).float().to(pixels.device)

        return fgsm


def limit_of(doubts, alpha):
    rank = math.ceil((len(doubts) + 1) * (1 - alpha))
    return doubts.sort().values[rank - 1]


def _rank(doubts, alpha):
    return math.ceil((len(doubts) + 1) * (1 - alpha))


def _at(doubts, rank):
    return doubts.sort().values[rank - 1]


LIMITS = (
    ("n for n + 1", lambda d, a: _at(d, math.ceil(round(len(d) * (1 - a), 9))), "This is one rank too low: is it n + 1 "
     "that is multiplied, and is it rounded up?"),
    ("counted from 1", lambda d, a: _at(d, _rank(d, a) + 1), "This is one rank too high: Python counts from 0, and "
     "ranks count from 1."),
    ("not sorted", lambda d, a: d[_rank(d, a) - 1], "The place is right, but the list is not sorted yet."),
    ("interpolated", lambda d, a: torch.quantile(d, 1 - a), "This lies between two of the doubts: with a proof that "
     "counts ranks, it has to be one of them."),
    ("the rank", _rank, "That is the rank itself: which doubt has it?"),
    ("where it stood", lambda d, a: d.sort().indices[_rank(d, a) - 1], "That is the number of an image: asked is its "
     "doubt."),
    ("as a probability", lambda d, a: 1 - limit_of(d, a), "That is a probability; a doubt is asked, as the doubts came "
     "in."),
    ("the largest", lambda d, a: d.max(), "That is the largest doubt: no known digit exceeds it, and a share of alpha "
     "may."),
)  # fmt: skip


class Limit(Exercise):
    id = "07-write-limit"
    kind, points, minutes = "turn", 2, 7
    expects = "a function of doubts (n,) and alpha that returns one of the doubts"
    variable = None
    own = staticmethod(limit_of)
    praise = "A sorted list and one place in it: this is the whole guarantee."
    hints = (
        "Take 9 known doubts and an alpha of 0.2: (9 + 1) · 0.8 is 8. The 8th smallest it must be; where does it "
        "stand in a sorted list?",
        "`math.ceil` rounds up. `doubts.sort().values` are the doubts, the smallest first.",
        "The 8th smallest of a sorted list has the index 7, for Python counts from 0.",
    )
    right = (
        lambda doubts, alpha: torch.kthvalue(doubts, _rank(doubts, alpha)).values,
        lambda doubts, alpha: sorted(doubts.tolist())[_rank(doubts, alpha) - 1],
        lambda doubts, alpha: np.sort(doubts.numpy())[-1 - math.floor(round((len(doubts) + 1) * alpha, 9)) + 1],
        lambda doubts, alpha: [limit_of(doubts, alpha)],
    )
    wrong = (
        *(Wrong(*slip) for slip in LIMITS),
        Wrong("no brackets", lambda d, a: _at(d, math.ceil(len(d) + 1 * (1 - a))), "brackets"),
        Wrong("the other end", lambda d, a: _at(d, math.ceil((len(d) + 1) * a)), "other end"),
        Wrong("the mean", lambda d, a: d.mean(), "no doubt of the list"),
        Wrong("alpha fixed", lambda d, a: limit_of(d, 0.1), "another alpha"),
    )

    def verify(self, answer):
        function(answer, "doubts and alpha")
        doubts, alpha = torch.rand(50) ** 2, 0.1
        ordered = doubts.sort().values
        try:
            found = number(call(answer, doubts.clone(), alpha))
        except NotYet as error:
            if "out of range" in str(error) or "out of bounds" in str(error):
                raise NotYet("With 50 doubts your index lies beyond the last: has n + 1 its brackets, and is it "
                             "`sort().values` that you index?") from error  # fmt: skip
            raise
        known = _known(LIMITS, doubts, alpha)
        known += [(low, "This is the other end of the list: nearly every doubt is larger.") for low in ordered[:8]]
        near = (ordered - found).abs().min() < 1e-6
        otherwise = f"{found:.3g} is no doubt of the list." if not near else (
            f"Of 50 doubts yours is number {int((ordered < found - 1e-6).sum()) + 1} by size. Compute the rank once "
            "more, on paper, for alpha = 0.1.")  # fmt: skip
        compare(found, ordered[45].item(), known, otherwise)
        other = torch.rand(119)
        second = number(call(answer, other.clone(), 0.2))
        compare(second, other.sort().values[95].item(), [], "Right for 50 doubts and alpha = 0.1, but not for another "
                "alpha or another number of doubts: use `alpha` and `len(doubts)`.")  # fmt: skip

    def taken(self, answer):
        """As a number, whatever form the student's has."""
        return converted(answer, lambda limit: torch.tensor(number(limit)))


class HowMany(Exercise):
    id = "07-how-many"
    points, minutes = 1, 5
    expects = "a whole number"
    praise = "With fewer, even the largest known doubt is no limit: the rank would lie beyond the end of the list."
    hints = (
        "Your limit is one of the known doubts. Which one is it at most?",
        "The rank, (n + 1)(1 − alpha), rounded up, must not lie beyond n. Try an alpha of one tenth first.",
        "With alpha = 0.1 and n = 8 the rank is 9, too many; with n = 9 it is 9. Now the same for a thousandth.",
    )

    @staticmethod
    def own():
        n = 1
        while math.ceil(round((n + 1) * 0.999, 6)) > n:
            n += 1
        return n

    def verify(self, answer):
        n = whole(answer)
        require(n > 0, "At least one known digit is needed.")
        known = [
            (1000, "1000 are enough, but they are not the fewest: what does the + 1 in the rank do?"),
            (1001, "1001 are enough. The + 1 works the other way."),
            (99, "That is for alpha = 0.01. Here alpha is a thousandth."),
            (19, "That is for alpha = 0.05. Here alpha is a thousandth."),
            (9, "That is for alpha = 0.1. Here alpha is a thousandth."),
        ]
        short = f"With {n} known digits the rank would be {math.ceil(round((n + 1) * 0.999, 6))}, more than there are."
        compare(n, 999, known, f"{n} are enough, but fewer would do." if n > 999 else short)

    right = ("999", 999.0, torch.tensor(999), [999], range(999, 1000))
    wrong = (
        Wrong("1 / alpha", 1000, "not the fewest"),
        Wrong("1 / alpha + 1", 1001, "the other way"),
        Wrong("one too few", 998, "more than there are"),
        Wrong("another alpha", 19, "alpha = 0.05"),
        Wrong("many", 5000, "fewer would do"),
        Wrong("none", 0, "At least one"),
    )


def _not(found):
    """What a tensor is, where something else was expected."""
    return "and this is one number for all" if found.ndim == 0 else f"and yours have the shape {tuple(found.shape)}"


def _small(count):
    """A few digits that no network of the course has learnt from."""
    images, labels = digits()
    step = len(labels) // count
    return mh.Split(images[::step], labels[::step])


def _shipped(name):
    return mh.load_pretrained(torch.device("cpu"), name=name)


def entropy(probabilities):
    return -torch.xlogy(probabilities, probabilities).sum(1)


ENTROPIES = (
    ("no minus", lambda p: -entropy(p), "The minus sign is missing: an entropy is never negative."),
    ("log2", lambda p: entropy(p) / math.log(2), "These are bits, from the logarithm to the base 2: nats are asked, "
     "from ln."),
    ("log10", lambda p: entropy(p) / math.log(10), "This is the logarithm to the base 10: ln is asked."),
    ("the mean", lambda p: entropy(p) / 10, "That is the mean of the ten terms, and not their sum."),
    ("−ln of the largest", lambda p: -p.max(1).values.log(), "This takes the largest alone: all ten are to be used."),
    ("the doubt", lambda p: 1 - p.max(1).values, "This is the doubt of the lesson, which looks at the largest alone."),
    ("softmax once more", lambda p: entropy(p.softmax(1)), "These are probabilities already, and yours have gone "
     "through a softmax once more."),
    ("no weights", lambda p: -p.log().sum(1), "Each logarithm has its probability as a weight: yours have none."),
)  # fmt: skip


class Entropy(Exercise):
    id = "07-entropy"
    points, minutes = 2, 8
    expects = "a function of probabilities (N, 10) that returns entropies (N,)"
    variable = None
    own = staticmethod(entropy)
    hints = (
        "Five steps: the logarithm of each probability, the product with it, the sum over the ten, the minus. Which is "
        "the one that a probability of 0 breaks?",
        "ln 0 is minus infinity, and 0 times that is nan. `torch.xlogy(a, b)` is a · ln b, and 0 where a is 0.",
        "Or keep the logarithm's input above 0 with `clamp(min=...)` and a number as tiny as 1e-12. Sum over axis 1.",
    )
    right = (
        lambda p: torch.special.entr(p).sum(1),
        lambda p: torch.distributions.Categorical(probs=p).entropy(),
        lambda p: -(p * p.clamp(min=1e-12).log()).sum(1),
        lambda p: -(p * (p + 1e-9).log()).sum(dim=1),
        lambda p: [-sum(x * math.log(x) for x in row if x > 0) for row in p.tolist()],
        lambda p: -np.nansum(p.numpy() * np.log(p.numpy() + 1e-12), axis=1),
    )
    wrong = (
        *(Wrong(*slip) for slip in ENTROPIES),
        Wrong("0 · ln 0", lambda p: -(p * p.log()).sum(1), "gives nan"),
        Wrong("all in one", lambda p: -torch.xlogy(p, p).sum(), "for each image"),
        Wrong("not added", lambda p: -torch.xlogy(p, p), "not yet added"),
        Wrong("too much added", lambda p: -(p * (p + 1e-3).log()).sum(1), "too large"),
        Wrong("cross-entropy", lambda p: F.cross_entropy(p, p, reduction="none"), "five of 0.19"),
    )

    @cached_property
    def given(self):
        generator = torch.Generator().manual_seed(0)
        sure, unsure = (scale * torch.randn(60, 10, generator=generator) for scale in (6, 1))
        return {"digits": sure.softmax(1), "outliers": {"noise": unsure.softmax(1), "drawings": sure[:9].softmax(1)}}

    def verify(self, answer, digits, outliers):
        spread = torch.tensor(
            [[0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.01, 0.006, 0.003, 0.001], [0.1] * 10, [0.19] * 5 + [0.01] * 5]
        )
        found = tensor(call(function(answer, "probabilities"), spread.clone()))
        require(found.shape != (3, 10), "Ten numbers for each image: they are not yet added.")
        require(found.shape == (3,), f"One number for each image is expected, (N,), here (3,), {_not(found)}.")
        right = entropy(spread).double()
        near = (found - right).abs().max().item()
        otherwise = f"For ten equal probabilities it should be ln 10 = {math.log(10):.4f}, and yours is {found[1]:.4f}."
        if (found[1] - right[1]).abs() < 1e-4:
            otherwise = (f"Right for ten equal probabilities; but for five of 0.19 and five of 0.01 it should be "
                         f"{right[2]:.4f}, and yours is {found[2]:.4f}.")  # fmt: skip
        if 1e-4 < near < 0.02:
            otherwise = f"Nearly: off by {near:.4f}. Is what you added to keep away from ln 0 too large?"
        compare(found, right, _known(ENTROPIES, spread), otherwise, within=1e-4)
        certain = tensor(call(answer, torch.eye(10)))
        require(certain.isfinite().all(), "For an image of which the network is quite sure it gives nan: there, "
                "0 · ln 0 is to be 0.")  # fmt: skip
        require(certain.abs().max() < 1e-4, "Where one digit has all the probability, the entropy is 0.")
        return self._verdict(digits.cpu(), {kind: one.cpu() for kind, one in outliers.items()})

    @staticmethod
    def _verdict(digits, outliers):
        """Where entropy tells outliers and digits apart better than confidence does."""
        gains = {}
        for kind, said in outliers.items():
            by_entropy, by_doubt = (
                (score(said).unsqueeze(1) - score(digits)).sign().add(1).div(2).mean().item()
                for score in (entropy, lambda p: 1 - p.max(1).values)
            )
            gains[kind] = by_entropy - by_doubt
        best, worst = max(gains, key=gains.get), min(gains, key=gains.get)
        ahead = sum(gain > 0 for gain in gains.values())
        return (f"Against the confidence its AUROC is higher for {ahead} of the {len(gains)} kinds of outlier: the "
                f"difference goes from {gains[worst]:+.3f} ({worst}) to {gains[best]:+.3f} ({best}).")  # fmt: skip


def wish(network, pixels, digit):
    low, high = (pixels - 0.2).clamp(min=0), (pixels + 0.2).clamp(max=1)
    wanted = torch.full((len(pixels),), digit, device=pixels.device)
    for _ in range(20):
        pixels = fgsm(network, pixels, wanted, -0.03).clamp(low, high)
    return pixels


def _wished(epsilon=-0.05, steps=6, box=0.2, logits=_logits, target=None, step=torch.sign):
    """A version of `wish` with other steps, another box or another target."""

    def version(network, pixels, digit):
        low, high = (pixels - box).clamp(min=0), (pixels + box).clamp(max=1)
        wanted = torch.full((len(pixels),), digit) if target is None else target(network, pixels)
        for _ in range(steps):
            pixels = (pixels + epsilon * step(_slope(network, pixels, wanted, logits))).clamp(low, high)
        return pixels

    return version


def _bribed(network, pixels, digit):
    with torch.no_grad():
        list(network.parameters())[-1][digit] += 100
    return pixels


class Wish(Exercise):
    id = "07-wish"
    points, minutes, seconds = 3, 15, 60
    expects = "a function of network, pixels (N, 28, 28) and a digit that returns pixels (N, 28, 28)"
    variable = None
    own = staticmethod(wish)
    GOAL = 0.5
    hints = (
        "Which loss is small when the network says 3? `fgsm` climbs the loss of the labels that you hand over.",
        "To come nearer to the wish, the loss of the *wished* digit must fall. What does a negative epsilon do?",
        "One step is not enough: take twenty small ones, and after each `clamp` to 0.2 around the pixels as they were.",
    )
    right = (
        _wished(),
        _wished(steps=20, step=lambda slope: slope / slope.abs().amax((1, 2), keepdim=True)),
        lambda network, pixels, digit: _wished()(network, pixels, digit).numpy(),
        lambda network, pixels, digit: _wished()(network, pixels, digit).requires_grad_(),
    )

    @cached_property
    def given(self):
        return {"network": _shipped("cnn"), "some": _small(20)}

    @property
    def wrong(self):
        return (
            Wrong("uphill", _wished(0.05, steps=12), "further from"),
            Wrong("against the truth only", _wished(0.05, target=_predicted), "anything but"),
            Wrong("no step", _wished(steps=0), "as they were"),
            Wrong("one step", _wished(-0.2, steps=1), "step"),
            Wrong("a larger box", _wished(-0.05, box=0.4), "by more than"),
            Wrong("not normalised", _wished(logits=_not_scaled), "normalize"),
            Wrong("0 to 255", lambda n, p, d: 255 * _wished()(n, p, d), "0 to 1"),
            Wrong("other weights", _bribed, "weights"),
            Wrong("the logits", lambda n, p, d: n(mh.normalize(255 * p)), "(N, 28, 28)"),
        )

    def verify(self, answer, network, some):
        digit, pixels, seen = 3, some.images.float() / 255, []
        before, state = _predicted(network, pixels).cpu(), {k: v.clone() for k, v in network.state_dict().items()}
        hook = network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().max().item()))
        try:
            result = call(function(answer, "network, pixels and digit"), network, pixels.clone(), digit)
            same = all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
        finally:
            hook.remove()
            network.load_state_dict(state)
        shipped = mh.load_pretrained(pixels.device, name="cnn").state_dict()
        same = same and all(torch.equal(value, state[name]) for name, value in shipped.items())
        require(same, "The CNN's weights have changed. Only pixels may: load the network again.")
        found = tensor(result)
        require(found.shape == pixels.shape, "Pixels of shape (N, 28, 28) are expected, here "
                f"{tuple(pixels.shape)}, {_not(found)}.")  # fmt: skip
        found = found.float().to(pixels.device)
        low, high = found.min().item(), found.max().item()
        require(low > -1e-4 and high < 1 + 1e-4, f"Pixels go from 0 to 1, and yours go from {low:.2f} to {high:.2f}.")
        moved = (found - pixels).abs().max().item()
        require(moved < 0.2 + 1e-3, f"A pixel has moved by {moved:.2f}, by more than 0.2 from where it was at first.")
        require(moved > 0, "The pixels are as they were.")
        return self._inspect_answers(_predicted(network, found).cpu(), before, digit, seen)

    def _inspect_answers(self, said, before, digit, seen):
        granted, earlier = ((answers == digit).float().mean().item() for answers in (said, before))
        misled = (said != before).float().mean().item()
        result = f"The CNN says {digit} to {granted:.0%} of {len(said)} digits, and said so to {earlier:.0%} before"
        if granted >= self.GOAL:
            return f"{result}. A step down the loss of a lie is a step towards it."
        require(not seen or max(seen) > 1.5, f"{result}. The network was asked about pixels from 0 to 1, which it has "
                "never seen: is `mh.normalize(255 * pixels)` missing?")  # fmt: skip
        require(granted >= earlier / 2, f"{result}: you are further from your wish. Turn the sign of the step?")
        require(granted > misled / 3, f"{result}. It says anything but the truth, which is not the wish: whose loss do "
                f"you change, and does it fall? That of {digit} should.")  # fmt: skip
        raise NotYet(f"{result}; {self.GOAL:.0%} is the goal. If it is the loss of {digit} that falls, take more "
                     "steps, small ones, each from where the last one ended.")  # fmt: skip


def read(images, networks):
    pixels = images.float()
    ends = pixels[:, [0, -1]].amin(1, keepdim=True)  # (N, 1, 28), the ends of each column
    pixels = torch.where(ends > 200, 255 - pixels, pixels)  # a stripe, exchanged back
    paper = pixels.flatten(1).median(1).values.view(-1, 1, 1)
    pixels = 255 * (pixels - paper).clamp(min=0) / (255 - paper).clamp(min=1)
    said = [mh.predict_logits(networks[name], pixels).softmax(1) for name in ("MLP", "CNN")]
    return (said[0] + said[1]).argmax(1)


class Reader(Exercise):
    id = "07-reader"
    kind, points, minutes, seconds = "open", 5, 30, 120
    expects = "a function of images (N, 28, 28) and a dict of networks that returns digits (N,)"
    variable = None
    own = staticmethod(read)
    GOAL, CLEAN = 0.10, 0.015
    hints = (
        "Begin with the CNN as it is, and print its error under each of the fifteen, on `few`. Where is most to gain?",
        "Grey paper and fog you have mended before. Look at ten digits with a stripe: how can a column tell that it "
        "lies in one?",
        "The networks err on different pictures: add up the probabilities of two or three, and take the largest.",
    )
    right = (
        lambda images, networks: read(images, networks).tolist(),
        lambda images, networks: read(images, networks).numpy().astype(np.float32),
    )
    wrong = (
        Wrong(
            "the CNN as it is", lambda images, networks: _predicted(networks["CNN"], images / 255), "most is to gain"
        ),
        Wrong("everything turned", lambda images, networks: read(255 - images, networks), "unspoilt"),
        Wrong("logits", lambda images, networks: mh.predict_logits(networks["CNN"], images), "argmax"),
        Wrong("one digit", lambda images, networks: 7, "One digit for each"),
        Wrong("a network", mh.MLP(), "This is a network"),
        Wrong("shares", lambda images, networks: read(images, networks) / 10, "whole numbers"),
        Wrong("no such network", lambda images, networks: networks["big"](images), "stopped with"),
    )

    @cached_property
    def given(self):
        return {"networks": {"MLP": _shipped("mlp"), "CNN": _shipped("cnn")}, "held": _small(250)}

    def verify(self, answer, networks, held):
        require(not isinstance(answer, nn.Module), "This is a network: hand over a function that asks one.")
        function(answer, "images and networks")
        clean = self._error(answer, networks, held.images, held.labels)
        require(clean <= self.CLEAN, f"Of unspoilt digits it misreads {100 * clean:.1f} %, and {100 * self.CLEAN:g} % "
                "is allowed: what mends a picture must not harm a sound one.")  # fmt: skip
        errors = {}
        for name in mh.CORRUPTIONS:
            errors[name] = self._error(answer, networks, mh.corrupt(held.images, name, severity=3), held.labels)
        mean = sum(errors.values()) / len(errors)
        result = f"The mean error over the fifteen is {100 * mean:.1f} %, and {100 * clean:.1f} % on unspoilt digits"
        worst = sorted(errors, key=errors.get)[-3:][::-1]
        where = ", ".join(f"{name.replace('_', ' ')} {100 * errors[name]:.0f} %" for name in worst)
        require(mean <= self.GOAL, f"{result}; the goal is {100 * self.GOAL:g} %. Here most is to gain: {where}.")
        return f"{result} (n = {len(held):,} images of each kind). What is left: {where}."

    @staticmethod
    def _error(answer, networks, images, labels):
        found = tensor(call(answer, images.clone(), networks))
        require(found.shape != (len(images), 10), "Ten numbers for each image: `argmax(1)` makes them a digit.")
        require(found.shape == (len(images),), f"One digit for each of the {len(images)} images is expected, "
                f"{_not(found)}.")  # fmt: skip
        require((found == found.round()).all(), "Digits are whole numbers.")
        return (found != labels.cpu()).double().mean().item()
