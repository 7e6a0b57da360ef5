"""What notebook 08 asks."""

from copy import deepcopy
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import nn

from .answers import NotYet, call, compare, function, number, require, tensor, whole
from .exercise import Exercise, Wrong
from .guess import Guess
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "08-noise",
        "The same settings, six seeds: how many points of accuracy lie between the best and the worst run?",
        Scale(
            0,
            5,
            step=0.1,
            unit="points",
            bands=(
                (0.2, "Hardly any? The weights begin elsewhere and the images come in another order each time."),
                (1.5, "Seeds matter, but they do not decide alone: all six networks learn from the same images."),
                (
                    5,
                    "You think that the seed decides a lot. But all six see the same images; that holds them together.",
                ),
            ),
        ),
        span=(0.02, 12),
    ),
    Guess(
        "08-forty",
        "Forty settings are equally good, each is trained once. "
        "By how many deviations does the winner look better than it is?",
        Scale(
            0,
            5,
            step=0.1,
            unit="deviations",
            bands=(
                (0.3, "Equally good does not mean equally lucky, and a winner is chosen for its luck."),
                (1.6, "One deviation is what a single lucky run has; of forty, the luckiest has more."),
                (2.7, "You expect the luckiest of forty to be far out, and it is."),
                (5, "One run in hundreds is that lucky, or fewer, and there are only forty here."),
            ),
        ),
        span=(2.05, 2.25),
    ),
    Guess(
        "08-saved",
        "What share of all epochs does the pruning save?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (20, "You remembered that a trial may not be pruned before epoch 4 of 6."),
                (50, "Many trials are pruned, but late: the rule has to wait until the comparison is fair."),
                (
                    100,
                    "That takes many trials stopped at once. But at first good settings look bad, too: the rule waits.",
                ),
            ),
        ),
        span=(0.001, 0.5),
    ),
    Guess(
        "08-left",
        "The best trial's settings once more, with three new seeds. "
        "How many noise floors of its gain over our own settings are left?",
        Choices(
            {
                "nothing": "You take the whole lead for luck. A winner has some luck, and may have earned the rest.",
                "about one": "You split it between luck and skill. Luck goes with new seeds; skill stays.",
                "several": "You trust the search. How much of a lead is skill, only new seeds can tell.",
            }
        ),
        span=("several",),
    ),
    Guess(
        "08-killed",
        "What becomes of the trial that the second worker was at when it was killed?",
        Choices(
            {
                "another worker finishes it": "Its weights were in the memory of the process that is gone.",
                "it is lost, and another one is made": "You saw that only what is in the database outlives a worker.",
                "the search waits for it": "Nobody has to wait: a worker that gives no sign of life is taken for dead.",
                "the whole study is spoiled": "A trial stands alone, so the others lose nothing with it.",
            }
        ),
        span=("it is lost, and another one is made",),
    ),
    Guess(
        "08-anew",
        "The best trial of the search is trained anew, with five seeds. Where is their mean?",
        Choices(
            {
                "above what the search said": "New seeds bring new luck, and the search had kept the best it met.",
                "where the search said": "That would be so for a trial taken at random. This one was chosen.",
                "below what the search said": "You expect of a winner that a part of its lead was luck.",
            }
        ),
        span=("below what the search said",),
    ),
)


def range_test(model, optimizer, batches, rates):
    losses = []
    for rate, (images, labels) in zip(rates, batches, strict=False):
        optimizer.param_groups[0]["lr"] = rate
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


class Recorder(torch.optim.SGD):
    """SGD that notes down the rate of each step."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.123)
        self.rates = []

    def step(self, closure=None):
        self.rates.append(self.param_groups[0]["lr"])
        super().step(closure)


def _loop(rate="before", clear="first", step=True, plain=True, stop=True, only_last=False, soft=False):
    """A range test with one of its lines wrong."""

    def range_test(model, optimizer, batches, rates):
        losses, rates = [], list(rates)
        for place, (images, labels) in enumerate(batches):
            if stop and place == len(rates):
                break
            if rate == "before":
                optimizer.param_groups[0]["lr"] = rates[min(place, len(rates) - 1)]
            logits = model(images)
            loss = F.cross_entropy(logits.softmax(1) if soft else logits, labels)
            if clear == "first":
                optimizer.zero_grad()
            loss.backward()
            if clear == "late":
                optimizer.zero_grad()
            if step:
                optimizer.step()
            if rate == "after":
                optimizer.param_groups[0]["lr"] = rates[place]
            losses.append(loss.item() if plain else loss)
        return losses[-1] if only_last else losses

    return range_test


def _rate_beside_it(model, optimizer, batches, rates):
    losses = []
    for rate, batch in zip(rates, batches, strict=False):
        optimizer.lr = rate
        losses += range_test(model, optimizer, [batch], [optimizer.param_groups[0]["lr"]])
    return losses


def _loss_after_the_step(model, optimizer, batches, rates):
    losses = []
    for rate, (images, labels) in zip(rates, batches, strict=False):
        range_test(model, optimizer, [(images, labels)], [rate])
        losses.append(F.cross_entropy(model(images), labels).item())
    return losses


def _new_optimizer_each_time(model, optimizer, batches, rates):
    for rate, (images, labels) in zip(rates, batches, strict=False):
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        range_test(model, optimizer, [(images, labels)], [rate])
    return [1.0] * len(rates)


class RangeTest(Exercise):
    id = "08-range-test"
    kind, points, minutes = "turn", 3, 8
    expects = "a function of model, optimizer, batches and rates that returns the list of losses"
    variable = None
    own = staticmethod(range_test)
    praise = "One short run tries every rate once, where a training for each would take many runs."
    hints = (
        "It is the training loop of notebook 03 with one line more: before each step, the optimizer gets a new rate.",
        "`zip` goes through rates and batches side by side. An optimizer keeps its rate in `param_groups[0]`.",
        "First the rate goes there, under the name lr; then come the usual lines. Keep each loss as a number.",
    )

    def verify(self, answer):
        rates = np.array([0.01, 0.02, 0.04, 0.08])
        batches = [(torch.randn(5, 3), torch.randint(10, (5,))) for _ in range(9)]  # more than there are rates
        model = nn.Linear(3, 10)
        first = deepcopy(model)
        optimizer = Recorder(model.parameters())
        losses = call(function(answer, "model, optimizer, batches and rates"), model, optimizer, iter(batches), rates)
        self._require_rates(optimizer.rates, rates)
        require(isinstance(losses, list | tuple | torch.Tensor | np.ndarray), "A list of all losses is expected.")
        require(len(losses) == 4, f"One loss for each rate is expected, 4 for the check's; you return {len(losses)}.")
        if any(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in losses):
            raise NotYet("Each of these losses keeps its whole history in memory: `.item()` makes it a number.")

        def by(loop):
            twin = deepcopy(first)
            return tensor(loop(twin, Recorder(twin.parameters()), batches, rates))

        losses = tensor(losses, (4,))
        known = [
            (by(_loop(clear="never")), "The gradient of one step is still there in the next: clear it first."),
            (
                by(_loop(step=False)),
                "The network never changes: `step` needs gradients that are there and not cleared.",
            ),
            (by(_loop(soft=True)), "`cross_entropy` takes logits: a softmax before it is one too many."),
        ]
        other = "These are not the losses of the batches: cross-entropy of the logits, taken before each step."
        compare(losses, by(range_test), known, other, within=1e-4)

    def _require_rates(self, steps, rates):
        require(steps, "The optimizer that was handed in made no step: is its `step` called, once for each batch?")
        require(set(steps) != {0.123}, "The optimizer's rate never changed: it is kept in `param_groups[0]`.")
        require(len(steps) <= 4, f"{len(steps)} steps for 4 rates: the test is over when the rates are used up.")
        late = "Each step was made with the rate before: first set the rate, then step."
        known = [(tensor([0.123, *rates[:3]]), late)]
        compare(tensor(steps), tensor(rates), known, "Each rate should be used for one step, in their order.")

    right = (
        _loop(),
        lambda model, optimizer, batches, rates: tuple(_loop()(model, optimizer, batches, rates)),
        lambda model, optimizer, batches, rates: torch.tensor(_loop()(model, optimizer, batches, rates)),
    )
    wrong = (
        Wrong("no step", _loop(step=False), "is its `step` called"),
        Wrong("one rate for all", _loop(rate="never"), "never changed"),
        Wrong("the rate comes too late", _loop(rate="after"), "first set the rate"),
        Wrong("an attribute of one's own", _rate_beside_it, "param_groups[0]"),
        Wrong("a new optimizer for each rate", _new_optimizer_each_time, "handed in made no step"),
        Wrong("gradients add up", _loop(clear="never"), "clear it first"),
        Wrong("cleared before the step", _loop(clear="late"), "never changes"),
        Wrong("a softmax too many", _loop(soft=True), "takes logits"),
        Wrong("losses after the step", _loss_after_the_step, "before each step"),
        Wrong("losses with their history", _loop(plain=False), "history"),
        Wrong("goes on without rates", _loop(stop=False), "used up"),
        Wrong("the last loss only", _loop(only_last=True), "all losses"),
        Wrong("no losses", lambda *given: range_test(*given)[:0], "you return 0"),
        Wrong("pairs of rate and loss", lambda *given: [*zip(given[3], range_test(*given))], "shape (4,)"),  # noqa: B905
    )


def log_uniform(low, high, uniform):
    return low * (high / low) ** uniform


class LogUniform(Exercise):
    id = "08-log-uniform"
    kind, points, minutes = "turn", 2, 6
    expects = "a function of low, high and a number from 0 to 1 that returns a number from low to high"
    variable = None
    own = staticmethod(log_uniform)
    praise = "Equal steps of the number are now equal factors of the rate."
    hints = (
        "What must come out for 0, for 1, and for 0.5 between 2 and 32?",
        "On a log scale one goes from low to high by a factor, not by a sum. Which factor is the whole way?",
        "Half of the way is the square root of that factor, a tenth of the way its tenth root. Roots are powers, too.",
    )

    def verify(self, answer):
        def give(low, high, uniform):
            return number(call(function(answer, "low, high and uniform"), low, high, uniform))

        half, low, high = give(2, 32, 0.5), give(2, 32, 0.0), give(2, 32, 1.0)
        drawn = "With the same three numbers yours gives another each time: what is drawn is handed in, as `uniform`."
        require(half == give(2, 32, 0.5), drawn)
        known = [
            (
                17,
                "Halfway from 2 to 32 you are at 17: these are equal sums. But 2 to 8 is as far as 8 to 32.",
            ),
            (np.log(8), "That is a logarithm of the answer: what takes a logarithm back?"),
            (3, "That is a logarithm of the answer: what takes a logarithm back?"),
            (np.log10(8), "That is a logarithm of the answer: what takes a logarithm back?"),
            (
                10 ** np.log(8),
                "There and back by different bases: `log` goes with `exp`, `log10` with 10 to the power.",
            ),
            (
                np.exp(np.log10(8)),
                "There and back by different bases: `log` goes with `exp`, `log10` with 10 to the power.",
            ),
            (2 * 32**0.5, "`high` is not the factor. How many times `low` is it?"),
            (0.01, "This is right for 0.001 and 0.1 alone: use `low` and `high`."),
        ]
        compare(half, 8, known, f"Halfway between 2 and 32 stands 8, as 8 / 2 = 32 / 8; yours gives {half:g}.")
        require(abs(low - 32) > 1e-6, "0 should give `low` and 1 `high`; yours goes the other way.")
        ends = f"0 should give `low` and 1 `high`; for 2 and 32 yours gives {low:g} and {high:g}."
        compare(tensor([low, high]), tensor([2, 32]), [], ends)
        compare(give(1e-3, 1e-1, 0.3), 10**-2.4, [], "Halfway is right, but 0.3 of the way is not.", within=1e-8)

    right = (
        lambda low, high, uniform: np.exp(np.log(low) + uniform * (np.log(high) - np.log(low))),
        lambda low, high, uniform: low ** (1 - uniform) * high**uniform,
        lambda low, high, uniform: torch.tensor(high / low).double().pow(uniform) * low,
    )
    wrong = (
        Wrong("uniform on a plain scale", lambda low, high, uniform: low + uniform * (high - low), "equal sums"),
        Wrong("never back from the logarithm", lambda a, b, u: np.log(a) + u * np.log(b / a), "takes a logarithm back"),
        Wrong("two bases", lambda a, b, u: 10 ** (np.log(a) + u * np.log(b / a)), "different bases"),
        Wrong("high as the factor", lambda low, high, uniform: low * high**uniform, "not the factor"),
        Wrong("draws by itself", lambda low, high, uniform: torch.empty(1).uniform_(low, high), "another each time"),
        Wrong("a square in place of a power", lambda low, high, u: low + u**2 * (high - low), "stands 8"),
        Wrong("the example's numbers", lambda low, high, uniform: 10 ** (-3 + 2 * uniform), "alone"),
        Wrong("the wrong way round", lambda low, high, uniform: high * (low / high) ** uniform, "the other way"),
        Wrong("a factor of the whole", lambda low, high, uniform: high / low * uniform, "for 2 and 32 yours gives"),
        Wrong("the geometric mean", lambda low, high, uniform: (low * high) ** 0.5, "yours gives 8 and 8"),
    )


class EnoughSeeds(Exercise):
    id = "08-enough-seeds"
    kind, points, minutes = "exercise", 1, 5
    expects = "the smallest number of seeds, a whole number"
    praise = "A difference of one noise floor costs sixteen trainings, eight for each of the two settings."
    hints = (
        "Write down what must hold: the difference, 1, is at least twice its deviation.",
        "With n = 2, twice the deviation is 2 noise floors, far too much. What does it do when n grows?",
        "Try n = 3, 4, 5 and so on, with a loop or on paper, until it holds for the first time.",
    )

    @staticmethod
    def own():
        n = 1
        while 2 * (2 / n) ** 0.5 > 1:
            n += 1
        return n

    def verify(self, answer):
        n = whole(answer)
        require(n > 0, "At least one seed is needed.")
        known = [
            (2, "With 2 seeds the difference is as large as its deviation; it shall be twice as large."),
            (4, "With 4 seeds twice the deviation is 1.41 noise floors. Did the root get lost, or the 2 under it?"),
            (16, "16 are needed for both settings together: how many for each?"),
        ]
        twice = 2 * (2 / n) ** 0.5
        enough = f"{n} seeds are enough: twice the deviation is {twice:.2f} noise floors. But are they the fewest?"
        short = f"{n} are too few: twice the deviation is {twice:.2f} noise floors, and the difference only 1."
        compare(n, 8, known, enough if n > 8 else short)

    right = (8, "8", 8.0, torch.tensor([8]))
    wrong = (
        Wrong("once its deviation", 2, "twice as large"),
        Wrong("the 2 under the root forgotten", 4, "the 2 under it"),
        Wrong("both settings together", 16, "for each"),
        Wrong("one too few", 7, "twice the deviation is 1.07"),
        Wrong("more than needed", 9, "the fewest"),
        Wrong("not whole", 7.5, "whole number"),
        Wrong("none", 0, "At least one"),
        Wrong("a formula", "2 / n", "is none"),
    )


def _trial(*values):
    return SimpleNamespace(intermediate_values=dict(enumerate(values, start=1)))


class Luck(Exercise):
    id = "08-luck"
    kind, points, minutes = "exercise", 2, 8
    expects = "how many trials, a whole number"
    hints = (
        "First the median of the complete trials, for each epoch but the last.",
        "A trial would have been stopped if it lay below the median at any of these epochs; once is enough.",
        "`any` over the epochs, for each trial; then count.",
    )

    @cached_property
    def given(self):
        rows = ((8, 5, 6, 7), (6, 8, 8, 3), (5, 3, 4, 8), (8, 4, 5, 2), (6, 9, 1, 3), (2, 4, 9, 6), (6, 5, 8, 6))
        rows += ((8, 6, 7, 7), (4, 2, 5, 7))
        return {"complete": [_trial(*row) for row in rows]}

    @staticmethod
    def own(complete):
        stopped = set()
        for epoch in list(complete[0].intermediate_values)[:-1]:
            values = [trial.intermediate_values[epoch] for trial in complete]
            stopped |= {place for place, value in enumerate(values) if value < np.median(values)}
        return len(stopped)

    def verify(self, answer, complete):
        found = whole(answer)
        rows = tensor([list(trial.intermediate_values.values()) for trial in complete])  # (trials, epochs)
        behind = rows < torch.quantile(rows, 0.5, dim=0)
        early = behind[:, :-1]
        not_above = (rows <= torch.quantile(rows, 0.5, dim=0))[:, :-1]
        counts = {
            "right": early.any(1),
            "So many are behind after the first epoch; a trial may fall behind later, too.": early[:, 0],
            "So many it is with the last epoch, too. But then nothing is left to stop.": behind.any(1),
            "So many are behind at *every* epoch before the last: once is enough to be stopped.": early.all(1),
            "So many would have been let through. How many would have been stopped?": ~early.any(1),
            "So many it is if a trial counts again for each epoch. But it is stopped only once.": early,
            "So many it is with those *at* the median, too. Only who is below it is behind.": not_above.any(1),
            "So many are below the *mean* at some epoch. The rule takes the median.": (rows < rows.mean(0))[:, :-1].any(
                1
            ),
        }
        right, *known = ((int(mask.sum()), message) for message, mask in counts.items())
        compare(found, right[0], known, f"It would have stopped another number of the {len(complete)} complete trials.")
        return f"So many of the {len(complete)} would never have come to their end: that is what waiting is for."

    right = (5, "5", np.int64(5))
    wrong = (
        Wrong("the first epoch only", 3, "fall behind later"),
        Wrong("the last epoch, too", 6, "nothing is left to stop"),
        Wrong("behind all the time", 2, "*every* epoch"),
        Wrong("those that pass", 4, "let through"),
        Wrong("each epoch counts", 11, "only once"),
        Wrong("at the median", 8, "*at* the median"),
        Wrong("below the mean", 7, "*mean*"),
        Wrong("all of them", 9, "another number"),
        Wrong("a share", "71 %", "whole number"),
        Wrong("the trials themselves", [0, 1, 3, 4, 5], "One number"),
    )


def rank_correlation(x, y):
    ranks = [torch.as_tensor(values).argsort().argsort().double() for values in (x, y)]
    first, second = (rank - rank.mean() for rank in ranks)
    return ((first * second).sum() / (first.square().sum() * second.square().sum()).sqrt()).item()


class RankCorrelation(Exercise):
    id = "08-ranks"
    kind, points, minutes = "exercise", 3, 10
    expects = "a function of two tensors (N,) of different numbers that returns a number from -1 to 1"
    variable = None
    own = staticmethod(rank_correlation)
    praise = "It sees the order and nothing else: whether a setting helps a little or much makes no difference to it."
    hints = (
        "The rank of a number is how many are smaller. What are the ranks of 30, 10, 20?",
        "`argsort` says which number is the smallest, which the next; a second `argsort` of that gives the ranks.",
        "The rest is the formula, with the ranks less their mean in the place of a and b: three sums, one root.",
    )

    def verify(self, answer):
        x, y = [3.0, 1.0, 400.0, 2.0, 5.0, 4.0], [10.0, 30.0, 20.0, 60.0, 40.0, 50.0]
        a, b = tensor(x), tensor(y)
        pearson = torch.corrcoef(torch.stack([a, b]))[0, 1].item()
        once = torch.corrcoef(torch.stack([a.argsort().double(), b.argsort().double()]))[0, 1].item()
        right = rank_correlation(x, y)
        names = getattr(getattr(answer, "__code__", None), "co_names", ())
        require("spearmanr" not in names, "`spearmanr` does it for you. Here you write what it does inside.")
        found = number(call(function(answer, "two tensors"), torch.tensor(x), torch.tensor(y)))
        ranks, others = (values.argsort().argsort().double() for values in (a, b))
        apart = (ranks - others).square().sum().item()
        centred = ranks - ranks.mean()
        sums = (centred * (others - others.mean())).sum().item()

        def cosine(first):
            return F.cosine_similarity(ranks + first, others + first, dim=0).item()

        known = [
            (pearson, "That is the correlation of the numbers themselves: one of 400 decides it. Take their ranks."),
            (
                once,
                "`argsort` gives the places of the sorted numbers, not yet the ranks: think of 30, 10, 20.",
            ),
            (-right, "The sign is turned: equal orders should give 1."),
            (apart, "That is how far the ranks are apart. Bring it to the scale from 1 to -1."),
            (sums, "That is the sum above the line of the formula: divide by the root below it."),
            (sums / 6, "You divide by how many there are. What stands below the line of the formula?"),
            (right * 5 / 6, "Nearly: `std` divides by one less than `mean` does. Use the sums of the formula."),
            (right * 6 / 5, "Nearly: `std` divides by one less than `mean` does. Use the sums of the formula."),
            (cosine(0), "The ranks' mean is still in them: take it off first."),
            (cosine(1), "The ranks' mean is still in them: take it off first."),
            (sums / (centred.square().sum() ** 2), "Below the line a root is missing."),
        ]
        compare(found, right, known, f"For {x} and {y} yours gives {found:.3f}, which it is not.", within=1e-5)
        same = number(call(answer, torch.tensor(x), torch.tensor(x)))
        compare(same, 1, [], f"A list with itself should give 1, and gives {same:.3f}.", within=1e-5)

    right = (
        lambda x, y: np.corrcoef(x.numpy().argsort().argsort(), y.numpy().argsort().argsort())[0, 1],
        lambda x, y: 1 - 6 * float(((x.argsort().argsort() - y.argsort().argsort()) ** 2).sum()) / (6 * 35),
    )
    wrong = (
        Wrong("no ranks", lambda x, y: np.corrcoef(x.numpy(), y.numpy())[0, 1], "Take their ranks"),
        Wrong(
            "sorted once", lambda x, y: np.corrcoef(x.numpy().argsort(), y.numpy().argsort())[0, 1], "not yet the ranks"
        ),
        Wrong("the sign", lambda x, y: -rank_correlation(x, y), "sign is turned"),
        Wrong(
            "how far apart",
            lambda x, y: ((x.argsort().argsort() - y.argsort().argsort()) ** 2).sum(),
            "how far the ranks",
        ),
        Wrong("no root", lambda x, y: rank_correlation(x, y) / 17.5, "root is missing"),
        Wrong("the sum alone", lambda x, y: rank_correlation(x, y) * 17.5, "above the line"),
        Wrong("divided by N", lambda x, y: rank_correlation(x, y) * 17.5 / 6, "how many there are"),
        Wrong("two deviations", lambda x, y: rank_correlation(x, y) * 5 / 6, "one less"),
        Wrong(
            "the mean left in",
            lambda x, y: F.cosine_similarity(x.argsort().argsort() + 1.0, y.argsort().argsort() + 1.0, dim=0),
            "take it off",
        ),
        Wrong("by a library", lambda x, y: spearmanr(x, y)[0], "does it for you"),
        Wrong("a table of both", lambda x, y: np.corrcoef(x, y), "One number"),
        Wrong("always the same", lambda x, y: 0.5, "gives 0.500"),
    )


def _pretended(settings, seed):
    """An accuracy that depends on the settings as in the notebook, without a training."""
    rate = abs(np.log10(settings["learning_rate"]) + 2.2)
    luck = 0.002 * np.sin(seed)
    return 0.945 - 0.03 * rate - settings["batch_size"] / 2e4 + 1e-5 * settings["width"] + luck


class SmallWinner(Exercise):
    id = "08-small-winner"
    kind, points, minutes, seconds = "open", 5, 25, 120
    expects = "a dict of learning_rate, weight_decay, width and batch_size"
    NAMES = ("learning_rate", "weight_decay", "width", "batch_size")
    WIDTH, GAIN, SEEDS = 64, 0.01, (400, 401, 402)
    given = {  # noqa: RUF012
        "run": _pretended,
        "noise": [_pretended({"learning_rate": 8e-3, "width": 128, "batch_size": 512}, seed) for seed in range(6)],
    }
    hints = (
        "A search as before, with the width held at 64 or less. What did the good trials of the lesson share?",
        "Ten random trials with small batches are a start; `log_uniform` makes a learning rate of a random number.",
        "Choose by other seeds than 400 to 402, and leave those to the check. If it fails, search on, with more seeds.",
    )

    @staticmethod
    def own(run):
        generator = np.random.default_rng(0)
        tried = []
        for _ in range(8):
            rate, decay = (10 ** generator.uniform(low, high) for low, high in ((-2.7, -1.7), (-3, -1)))
            settings = {"learning_rate": rate, "weight_decay": decay, "width": 64, "batch_size": 64}
            tried.append((run(settings, seed=300), settings))
        return max(tried, key=lambda trial: trial[0])[1]

    def verify(self, answer, run, noise):
        require(not callable(answer), "The settings are expected, and not a function that searches for them: call it.")
        require(isinstance(answer, dict), "A dict is expected, of the form of `DEFAULTS`.")
        missing = [name for name in self.NAMES if name not in answer]
        require(not missing, f"These settings are missing: {', '.join(missing)}.")
        settings = {name: number(answer[name]) for name in self.NAMES}
        settings |= {name: whole(answer[name]) for name in ("width", "batch_size")}
        require(min(settings.values()) > 0, "Settings are greater than 0.")
        width = f"The width is {settings['width']}; at most {self.WIDTH} are allowed."
        require(settings["width"] <= self.WIDTH, width)
        require(settings["width"] >= 2, "A width of 1 leaves no neuron for the second layer, which is half as wide.")
        accuracy = float(np.mean([run(settings, seed) for seed in self.SEEDS]))
        gain = accuracy - float(np.mean(noise))
        found = f"{accuracy:.2%} with three new seeds; the defaults have {np.mean(noise):.2%}"
        require(gain > 0, f"{found}: this is below them.")
        require(gain >= self.GAIN, f"{found}. That is a gain of {100 * gain:.2f} points, and 1 point is the goal.")
        return f"{found}: a gain of {100 * gain:.2f} points, with a width of {settings['width']} for their 128."

    GOOD = {"learning_rate": 6e-3, "weight_decay": 0.01, "width": 64, "batch_size": 64}  # noqa: RUF012
    right = (
        {name: np.float64(value) for name, value in GOOD.items()},
        {name: str(value) for name, value in GOOD.items()},
        GOOD | {"note": "found by hand"},
    )
    wrong = (
        Wrong("a wide network", GOOD | {"width": 512}, "at most 64"),
        Wrong("the defaults, only narrower", GOOD | {"batch_size": 512, "learning_rate": 8e-3}, "below them"),
        Wrong("a little better", GOOD | {"batch_size": 330}, "1 point is the goal"),
        Wrong("a learning rate alone", {"learning_rate": 6e-3}, "are missing: weight_decay"),
        Wrong("a list", [6e-3, 0.01, 64, 64], "A dict is expected"),
        Wrong("one neuron", GOOD | {"width": 1}, "second layer"),
        Wrong("nothing decays", GOOD | {"learning_rate": 0}, "greater than 0"),
        Wrong("a word", GOOD | {"batch_size": "small"}, "is none"),
        Wrong("the search itself", own, "call it"),
        Wrong("half a neuron", GOOD | {"width": 63.5}, "whole number"),
    )
