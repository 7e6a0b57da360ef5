"""What notebook 04 asks."""

import math
from functools import cached_property

import numpy as np
import torch

import mnist_helpers as mh

from .answers import NotYet, call, compare, converted, function, number, require, share, tensor
from .exercise import Exercise, Wrong
from .guess import Guess
from .sample import digits
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "04-best-of-twenty",
        "Twenty networks, each in truth 98.0 % right. What does the winner of a contest show, on average?",
        Scale(
            97,
            99.5,
            unit="%",
            step=0.05,
            bands=(
                (97.95, "The best of twenty is worse than the truth only if luck fails all twenty at once."),
                (98.05, "That is what *one* network shows on average. The winner was picked because it looked best."),
                (98.5, "You reckoned with luck: whoever is picked for a high number was probably lucky, too."),
                (99.5, "Luck is there, but it is smaller: 10,000 images smooth out most of it."),
            ),
        ),
        span=(0.982, 0.983),
    ),
    Guess(
        "04-confused-pair",
        "Which two digits does the network mix up most, in either direction?",
        Choices(
            {
                "1 and 7": "In some hands a 7 is a 1 with a longer flag; most people here draw the 1 as a bare stroke.",
                "2 and 3": "They share their upper half; below, one turns left and one runs to the right.",
                "3 and 5": "They share their lower half; above, one stroke decides.",
                "4 and 9": "A 4 that is closed at the top is a 9, and an open 9 is a 4: a gap of a few pixels decides.",
                "0 and 8": "Both are round, but the waist of an 8 lies where a 0 is empty: the network looks there.",
            }
        ),
        span=("4 and 9", "2 and 3"),
    ),
    Guess(
        "04-surest-answers",
        "Take the answers of which it is at least 90 % sure. How many mistakes are among them?",
        Choices(
            {
                "more than it expects": "If it were so, it would be called overconfident. Many networks are: measure.",
                "about as many as it expects": "That would be perfect calibration. Nothing in training asks for it.",
                "fewer than it expects": "Such a network is too modest. A softmax may err to this side, too.",
            }
        ),
        span=("fewer than it expects",),
    ),
    Guess(
        "04-handed-over",
        "What share must it hand over so that at least 99.9 % of its own answers are right?",
        Scale(
            0,
            50,
            unit="%",
            step=0.5,
            bands=(
                (2, "Most mistakes are among the least sure answers, but a few are made with high confidence."),
                (10, "You trust the ranking: the mistakes crowd at its unsure end."),
                (25, "The unsure end of the ranking is short: the network is sure of most images."),
                (50, "That many would be needed if confidence said little about mistakes. It says a lot."),
            ),
        ),
        span=(0.02, 0.12),
    ),
    Guess(
        "04-six-pixels",
        "All test images move 6 pixels to the right. What is the accuracy then?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (30, "So low? Some pixels of a moved digit still meet weights that suit them."),
                (55, "You know that each pixel has its own weights."),
                (80, "You expect harm. It does not come pixel by pixel: it comes faster and faster."),
                (100, "*You* would read them all. But to this network a moved stroke is another stroke."),
            ),
        ),
        span=(0.5, 0.75),
    ),
)


def accuracy_of(batches):
    right, count = 0, 0
    for predictions, labels in batches:
        right += (predictions == labels).sum().item()
        count += len(labels)
    return right / count


class AccuracyOfBatches(Exercise):
    id = "04-write-accuracy"
    kind, points, minutes = "turn", 1, 5
    expects = "a function of batches, pairs of predictions and labels (N,), that returns a share"
    praise = "Each image counts once, whatever batch it sits in."
    variable = None
    own = staticmethod(accuracy_of)
    hints = (
        "What two numbers do you need at the very end? Start both at 0.",
        "A loop over `batches` gives one pair after the other, and `predictions == labels` says what is right.",
        "In the loop only add up: the right answers of this batch, and its length. Divide after the loop.",
    )

    def verify(self, answer):
        batches = [self._batch(size, right) for size, right in ((5, 4), (4, 3), (2, 0))]  # 7 of 11
        found = number(call(function(answer, "batches"), batches))
        known = [
            (
                (4 / 5 + 3 / 4) / 3,
                "This is the mean of the batches' accuracies: a batch of 2 weighs as much as one of 5.",
            ),
            (7 / 15, "You divided by 15, as if all 3 batches held 5 images. There are 11: batches differ in length."),
            (7, "This is the number of right answers: divide it by the number of images."),
            (7 / 3, "You divided by the number of batches. How many images are there?"),
            (7 / 2, "You divided by the length of the last batch. How many images are there in all?"),
            (4 / 11, "This is the share of *wrong* answers."),
            (1, "All count as right: `len` counts the False, too, and `sum` only the True."),
            (4 / 5, "Only the first batch was counted: does `return` stand inside the loop?"),
            (0, "Only the last batch was counted: are the numbers set to 0 again in each round?"),
        ]
        otherwise = f"With 7 right of 11 images in batches of 5, 4 and 2, your function returns {found:g}."
        compare(found / 100 if abs(found - 700 / 11) < 0.1 else found, 7 / 11, known, otherwise, within=1e-3)

    def taken(self, answer):
        """The student's function, which here returns a float whatever form it chose."""

        return converted(answer, share)

    @staticmethod
    def _batch(size, right):
        labels = torch.arange(size)
        return torch.where(labels < right, labels, 9), labels

    right = (
        lambda batches: torch.cat([p == y for p, y in batches]).float().mean(),
        lambda batches: f"{100 * sum(int((p == y).sum()) for p, y in batches) / sum(len(y) for _, y in batches)} %",
        lambda batches: np.concatenate([(p == y).numpy() for p, y in batches]).mean(),
    )
    wrong = (
        Wrong(
            "mean of the batches' accuracies",
            lambda batches: sum((p == y).float().mean() for p, y in batches) / len(batches),
            "weighs as much",
        ),
        Wrong(
            "all batches as long as the first",
            lambda batches: sum((p == y).sum() for p, y in batches) / (len(batches) * len(batches[0][1])),
            "as if all",
        ),
        Wrong("a count", lambda batches: sum((p == y).sum() for p, y in batches), "number of right answers"),
        Wrong(
            "by batches", lambda batches: sum((p == y).sum() for p, y in batches) / len(batches), "number of batches"
        ),
        Wrong(
            "divided by the last batch",
            lambda batches: sum((p == y).sum() for p, y in batches) / len(batches[-1][1]),
            "the last batch",
        ),
        Wrong("len of a mask", lambda batches: sum(len(p == y) for p, y in batches) / 11, "the False, too"),
        Wrong("mistakes", lambda batches: torch.cat([p != y for p, y in batches]).float().mean(), "*wrong*"),
        Wrong("return in the loop", lambda batches: (batches[0][0] == batches[0][1]).float().mean(), "inside the loop"),
        Wrong("counts begun anew", lambda batches: (batches[-1][0] == batches[-1][1]).float().mean(), "each round"),
        Wrong("no return", lambda batches: print(end=""), "return"),
        Wrong("each batch's own", lambda batches: [(p == y).float().mean() for p, y in batches], "One number"),
    )


def bootstrap(answers, repeats):
    drawn = torch.randint(len(answers), (repeats, len(answers)))
    return answers[drawn].mean(1)


def seeded(answers, repeats):
    means = []
    for _ in range(repeats):
        torch.manual_seed(0)
        means.append(bootstrap(answers, 1))
    return torch.cat(means)


class Bootstrap(Exercise):
    id = "04-write-bootstrap"
    kind, points, minutes = "turn", 2, 8
    expects = "a function of answers (N,) and a number of repeats that returns accuracies (repeats,)"
    praise = "Your repeats scatter as much as tests on new images would."
    variable = None
    own = staticmethod(bootstrap)
    hints = (
        "One repeat: draw N positions from 0 to N - 1, take the answers there, and their mean. One may come twice.",
        "`torch.randint(high, size)` draws whole numbers below `high`; a tensor of positions works as an index.",
        "Gather the means in a list, a new draw for each repeat, and turn the list into a tensor after the loop.",
    )

    def verify(self, answer):
        answers = torch.ones(100)  # 90 % right, so a repeat's standard deviation is 3 points
        answers[[0, 1, 2, 3, 4, 20, 40, 60, 80, 90]] = 0
        shares = tensor(call(function(answer, "answers and repeats"), answers, 400))
        require(shares.numel() != 2, "Two numbers, an interval? All the repeats are wanted; their middle comes later.")
        require(shares.numel() != 1, "This is one number: keep the accuracy of *each* repeat.")
        require(shares.shape != (400, 100), "These are the drawn answers: take the mean of each repeat, (400,) in all.")
        require(shares.shape == (400,), f"For 400 repeats, 400 accuracies are expected, not {tuple(shares.shape)}.")
        require(shares.max() <= 1, "An accuracy is a share from 0 to 1, and yours are larger: a mean, not a sum.")
        middle, spread = shares.mean().item(), shares.std().item()
        if spread < 1e-6:
            parts = [answers[first:] for first in (0, 10, 50)]  # one draw has the mean of all three only by design
            once = all(abs(tensor(call(answer, part, 2)).mean() - part.mean()) < 1e-6 for part in parts)
            require(not once, "Each repeat holds every image exactly once: the same image must be able to come again.")
            raise NotYet("All repeats are the same draw: draw anew for each one.")
        require(
            abs(middle - 0.9) < 0.015, f"Of these answers 90 % are right, and your repeats say {100 * middle:.1f} %."
        )
        require(spread < 0.042, "Your repeats scatter too much: draw as many images as there are answers.")
        require(spread > 0.021, "Your repeats scatter too little: the same image may be drawn again, N draws for each.")

    def taken(self, answer):
        return converted(answer, lambda repeats: tensor(repeats).float())

    right = (
        lambda answers, repeats: [answers[torch.randint(len(answers), (len(answers),))].mean() for _ in range(repeats)],
        lambda answers, repeats: np.random.default_rng().choice(answers.numpy(), (repeats, len(answers))).mean(1),
        lambda answers, repeats: torch.tensor(
            [answers[torch.multinomial(torch.ones(len(answers)), len(answers), True)].mean() for _ in range(repeats)]
        ),
    )
    wrong = (
        Wrong(
            "without replacement",
            lambda answers, repeats: [answers[torch.randperm(len(answers))].mean() for _ in range(repeats)],
            "exactly once",
        ),
        Wrong(
            "one draw for all",
            lambda answers, repeats: answers[torch.randint(len(answers), (len(answers),))].mean().repeat(repeats),
            "draw anew",
        ),
        Wrong(
            "small draws",
            lambda answers, repeats: answers[torch.randint(len(answers), (repeats, 10))].mean(1),
            "too much",
        ),
        Wrong(
            "nine tenths, each once",
            lambda answers, repeats: [answers[torch.randperm(len(answers))[:90]].mean() for _ in range(repeats)],
            "too little",
        ),
        Wrong(
            "sums",
            lambda answers, repeats: answers[torch.randint(len(answers), (repeats, len(answers)))].sum(1),
            "not a sum",
        ),
        Wrong(
            "the mistakes",
            lambda answers, repeats: 1 - answers[torch.randint(len(answers), (repeats, len(answers)))].mean(1),
            "90 %",
        ),
        Wrong(
            "mean over the repeats",
            lambda answers, repeats: answers[torch.randint(len(answers), (repeats, len(answers)))].mean(0),
            "400 accuracies",
        ),
        Wrong(
            "the draws themselves",
            lambda answers, repeats: answers[torch.randint(len(answers), (repeats, len(answers)))],
            "drawn answers",
        ),
        Wrong(
            "the interval",
            lambda answers, repeats: bootstrap(answers, repeats).quantile(torch.tensor([0.025, 0.975])),
            "interval",
        ),
        Wrong("the same seed in each repeat", seeded, "draw anew"),
        Wrong(
            "from the first ten",
            lambda answers, repeats: answers[torch.randint(10, (repeats, len(answers)))].mean(1),
            "your repeats say",
        ),
        Wrong("one mean", lambda answers, repeats: bootstrap(answers, repeats).mean(), "*each*"),
        Wrong("no return", lambda answers, repeats: print(end=""), "return"),
    )


def told_apart(first, second):
    only_first = (first & ~second).sum().item()
    only_second = (second & ~first).sum().item()
    apart = abs(only_first - only_second) > 2 * math.sqrt(only_first + only_second)
    return only_first, only_second, apart


def yes_or_no(answer):
    """A bool, from True, 1, "yes", an array or a tensor of one."""
    require(answer is not None, "True or False is still to be said.")
    known = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(answer, str):
        require(answer.strip().casefold() in known, f"True or False is expected, and this is {answer!r:.40}.")
        return known[answer.strip().casefold()]
    value = number(int(answer) if isinstance(answer, bool) else answer)
    require(value in (0, 1), f"True or False is expected, and this is {value:g}.")
    return bool(value)


def parts(answer):
    """What a tuple, list, array or tensor holds, also in inner ones, in one list."""
    if isinstance(answer, np.ndarray | torch.Tensor):
        answer = answer.flatten().tolist()
    return [inner for part in answer for inner in parts(part)] if isinstance(answer, list | tuple) else [answer]


class ToldApart(Exercise):
    id = "04-write-told-apart"
    kind, points, minutes = "turn", 2, 8
    expects = "a function of first and second, bool (N,), that returns (only first, only second, True or False)"
    praise = "Counts and verdict agree with McNemar's test."
    variable = None
    own = staticmethod(told_apart)
    hints = (
        "For tensors of True and False, `&` is *and*, `~` is *not*, and `sum()` counts.",
        "On which images is the first right while the second is not? And the other way round?",
        "The verdict is a comparison: the distance of the two counts, without its sign, and twice a square root.",
    )

    def verify(self, answer):
        cases = [(50, 12, 20, 8, False), (50, 36, 18, 8, True), (50, 12, 40, 8, True)]
        found = [parts(call(function(answer, "first and second"), *self._networks(*case[:4]))) for case in cases]
        many = " Are these masks? `sum` counts their True." if len(found[0]) > 50 else ""
        expected = f"Three things are expected, two counts and a verdict, and yours are {len(found[0])}.{many}"
        require(len(found[0]) == 3, expected)
        last = isinstance(found[0][0], bool) and not isinstance(found[0][2], bool)
        require(not last, "The two counts come first, the verdict last.")
        for (both, first, second, neither, _), (*counts, _) in zip(cases, found, strict=True):
            known = [
                ((second, first), "The two counts are in the wrong order: only the *first* right comes first."),
                ((both + first, both + second), "These count all right answers. Leave out where both are right."),
                ((second + neither, first + neither), "These count all mistakes. Leave out where both are wrong."),
                ((first + second,) * 2, "This is on how many they disagree. Who is right there?"),
            ]
            named = " and ".join(f"{number(count):g}" for count in counts)
            otherwise = f"Only the first is right on {first}, only the second on {second}, and you count {named}."
            compare(tensor(counts), tensor([first, second]), [(tensor(w), m) for w, m in known], otherwise)
        verdicts = [yes_or_no(verdict) for *_, verdict in found]
        require(not verdicts[0], "12 against 20 is no more than luck: 8 apart, and twice the root of 32 is about 11.")
        require(
            verdicts[1], "36 against 18 is more than luck. Take the root of what they disagree on, not of all images."
        )
        require(verdicts[2], "12 against 40 is more than luck, though the first wins less often: mind the sign.")

    def taken(self, answer):
        def in_one_form(first, second):
            only_first, only_second, apart = parts(answer(first, second))
            return round(number(only_first)), round(number(only_second)), yes_or_no(apart)

        return in_one_form

    @staticmethod
    def _networks(both, first, second, neither):
        counts = torch.tensor([both, first, second, neither])
        return (
            torch.tensor(rows).repeat_interleave(counts) for rows in ([True, True, False, False], [True, False] * 2)
        )

    right = (
        lambda a, b: ((a > b).sum(), (b > a).sum(), ((a > b).sum() - (b > a).sum()) ** 2 > 4 * (a != b).sum()),
        lambda a, b: [int((a & ~b).sum()), int((b & ~a).sum()), "yes" if told_apart(a, b)[2] else "no"],
        lambda a, b: (told_apart(a, b)[:2], np.bool_(told_apart(a, b)[2])),
    )
    wrong = (
        Wrong(
            "once the root",
            lambda a, b: (*told_apart(a, b)[:2], ((a & ~b).sum() - (b & ~a).sum()) ** 2 > (a != b).sum()),
            "twice",
        ),
        Wrong(
            "the root of all",
            lambda a, b: (*told_apart(a, b)[:2], ((a & ~b).sum() - (b & ~a).sum()) ** 2 > 4 * len(a)),
            "not of all",
        ),
        Wrong(
            "signed",
            lambda a, b: (*told_apart(a, b)[:2], (a & ~b).sum() - (b & ~a).sum() > 2 * (a != b).sum().sqrt()),
            "sign",
        ),
        Wrong("always more than luck", lambda a, b: (*told_apart(a, b)[:2], (a & ~b).sum() != (b & ~a).sum()), "luck"),
        Wrong("swapped", lambda a, b: told_apart(b, a), "order"),
        Wrong("all right answers", lambda a, b: (a.sum(), b.sum(), False), "both are right"),
        Wrong("all mistakes", lambda a, b: ((~a).sum(), (~b).sum(), False), "both are wrong"),
        Wrong("disagreements", lambda a, b: ((a != b).sum(), (a != b).sum(), False), "disagree"),
        Wrong("shares", lambda a, b: ((a & ~b).float().mean(), (b & ~a).float().mean(), False), "you count"),
        Wrong("`and` on tensors", lambda a, b: ((a and not b).sum(), (b and not a).sum(), False), "whole tensors"),
        Wrong("masks, not counted", lambda a, b: (a & ~b, b & ~a, False), "Are these masks"),
        Wrong("the verdict first", lambda a, b: (told_apart(a, b)[2], *told_apart(a, b)[:2]), "the verdict last"),
        Wrong("no verdict", lambda a, b: told_apart(a, b)[:2], "verdict"),
        Wrong("no return", lambda a, b: print(end=""), "return"),
    )


class SmallTest(Exercise):
    id = "04-small-test"
    points, minutes = 1, 6
    expects = "(low, high, True or False)"
    praise = "All of the interval lies below 99 %: so good a network would rarely lose 5 of 100."
    hints = (
        "The formula stands above, with k = 95 and n = 100; the course's helper knows it, too.",
        "`mh.wilson_interval` takes how many are right, and how many there are.",
        "Could it be 99 %? Compare 0.99 with the upper end of the interval.",
    )

    @staticmethod
    def own():
        low, high = mh.wilson_interval(95, 100)
        return low, high, low <= 0.99 <= high

    def verify(self, answer):
        given = parts(answer)
        require(len(given) != 2, "Two ends are an interval. And could it be 99 %? Add True or False.")
        require(len(given) == 3, f"Three things are expected, as in {self.expects}, and yours are {len(given)}.")
        low, high = map(number, given[:2])
        low, high = (low / 100, high / 100) if high > 1.5 else (low, high)
        known = [
            ((0.907, 0.993), "This is the schoolbook's interval, as far up as down from 95 %. Wilson's is not."),
            ((0.933, 0.045), "These are the middle and half the width. Which two ends do they give?"),
            ((0.979, 0.888), "The lower end comes first."),
            ((0.022, 0.112), "This is the interval of the share of *mistakes*."),
            ((0.907, 0.973), "This is a 90 % interval: for 95 %, z is larger."),
            ((0.860, 0.983), "This is a 99 % interval: for 95 %, z is smaller."),
            ((0.923, 0.968), "This is what z = 1 gives: where does z stand for 95 %?"),
            ((0.922, 1.016), "You left out the last step, the division. No share is above 100 %."),
        ]
        pairs = [(torch.tensor(pair), message) for pair, message in known]
        wilson = torch.tensor(mh.wilson_interval(95, 100))
        compare(
            torch.tensor([low, high]), wilson, pairs, "These are not the two ends by Wilson's formula.", within=0.0025
        )
        require(not yes_or_no(given[2]), "The interval is right. On which side of its upper end does 99 % lie?")

    right = (
        (0.888, 0.978, False),
        (0.89, 0.98, False),
        ((88.8, 97.8), "no"),
        ["88.8 %", "97.8 %", "False"],
        torch.tensor([0.8882, 0.9785, 0.0]),
    )
    wrong = (
        Wrong("schoolbook", (0.9073, 0.9927, True), "schoolbook"),
        Wrong("middle and half width", (0.9333, 0.0451, False), "middle"),
        Wrong("upper end first", (0.9785, 0.8882, False), "lower end"),
        Wrong("of the mistakes", (0.0215, 0.1118, False), "*mistakes*"),
        Wrong("90 %", (0.9073, 0.9734, False), "90 %"),
        Wrong("99 %", (*mh.wilson_interval(95, 100, 2.576), False), "99 % interval"),
        Wrong("z = 1", (*mh.wilson_interval(95, 100, 1), False), "z = 1"),
        Wrong("not divided", (0.9224, 1.016, True), "division"),
        Wrong("n for n²", (0.744, 1.0, True), "not the two ends"),
        Wrong("possible", (0.888, 0.978, True), "upper end"),
        Wrong("not asked back", (0.888, 0.978), "True or False"),
        Wrong("one number", 0.95, "Three things"),
        Wrong("perhaps", (0.888, 0.978, "perhaps"), "True or False"),
        Wrong("no verdict yet", (0.888, 0.978, None), "still to be said"),
    )


class LowestF1(Exercise):
    id = "04-lowest-f1"
    points, minutes = 2, 8
    expects = "a share: the lowest F1 score"
    praise = "F1 is low as soon as *one* of precision and recall is low; their plain mean would hide it."
    hints = (
        "Make ten precisions and ten recalls from `lost`, as above from `confusion`.",
        "First put precision and recall of the *same* digit together, which gives ten scores; then find the lowest.",
        "`scores.min()` is the lowest score; `scores.argmin()` would be its digit.",
    )

    @staticmethod
    def own(lost):
        found, said, true = lost.diagonal(), lost.sum(0), lost.sum(1)
        return (2 * found / (said + true)).min().item()

    def verify(self, answer, lost):
        require(len(parts(answer)) != 10, "These are ten scores. Which is the lowest?")
        raw = number(answer)
        require(raw != round(raw) or raw > 9, "Is this a digit? What is asked is its score.")
        value = raw / 100 if 1 < raw <= 100 else raw
        precision, recall, f1 = self._scores(lost)
        known = [
            (recall.min(), "This is the lowest *recall*."),
            (precision.min(), "This is the lowest *precision*."),
            (((precision + recall) / 2).min(), "This is the lowest *plain* mean of precision and recall."),
            ((precision * recall).sqrt().min(), "This is the lowest *geometric* mean, with a square root."),
            (f1.min() / 2, "Half of it: there is a 2 in the formula."),
            (f1.max(), "This is the *highest* F1 score."),
            (f1.mean(), "This is the mean F1 of all ten digits."),
            (lost.trace() / lost.sum(), "This is the accuracy."),
            (self._harmonic(precision.min(), recall.min()), "You put two digits together: both belong to one digit."),
        ]
        near = "That is near. Give the score to a tenth of a per cent." if abs(value - f1.min()) < 0.006 else ""
        otherwise = near or "No digit's F1 score comes out like that. Is it made from `lost`?"
        compare(value, f1.min().item(), known, otherwise, within=6e-4)

    @staticmethod
    def _harmonic(precision, recall):
        return 2 * precision * recall / (precision + recall)

    def _scores(self, lost):
        lost = tensor(lost, (10, 10))
        precision, recall = lost.diagonal() / lost.sum(0), lost.diagonal() / lost.sum(1)
        return precision, recall, self._harmonic(precision, recall)

    @cached_property
    def given(self):
        lost = 60 * torch.eye(10, dtype=torch.int64) + torch.arange(100).view(10, 10) % 7
        lost[0] = torch.tensor([20, 5, 30, 5, 5, 5, 5, 5, 5, 15])  # seldom found, and right when said
        lost[3:, 1] += 12  # said too often
        return {"lost": lost}

    @property
    def right(self):
        score = self.own(**self.given)
        return (f"{100 * score:.1f} %", 100 * score, round(score, 3), [score], torch.tensor(score))

    @property
    def wrong(self):
        precision, recall, f1 = self._scores(**self.given)
        return (
            Wrong("recall", recall.min(), "*recall*"),
            Wrong("precision", precision.min(), "*precision*"),
            Wrong("plain mean", ((precision + recall) / 2).min().item(), "*plain*"),
            Wrong("geometric mean", (precision * recall).sqrt().min(), "*geometric*"),
            Wrong("without the 2", f1.min() / 2, "Half"),
            Wrong("highest", f1.max(), "*highest*"),
            Wrong("mean over digits", f1.mean(), "all ten"),
            Wrong("two digits", self._harmonic(precision.min(), recall.min()), "one digit"),
            Wrong("a digit", 8, "a digit"),
            Wrong("the digit 1", 1, "a digit"),
            Wrong("too rough", round(f1.min().item(), 2), "near"),
            Wrong("ten scores", f1, "ten scores"),
        )


def with_threshold(confidence, is_right, threshold):
    kept = confidence >= threshold
    return kept.float().mean().item(), is_right[kept].float().mean().item()


TAKES = "confidence, is_right and a threshold"


class WithThreshold(Exercise):
    id = "04-threshold"
    points, minutes = 2, 8
    expects = "a function of confidence (N,), is_right (N,) and a threshold that returns (share answered, accuracy)"
    praise = "One threshold, two numbers: what it answers, and how well."
    variable = None
    own = staticmethod(with_threshold)
    hints = (
        "Comparing `confidence` with the threshold gives True or False for each image: which are answered.",
        "The mean of such a mask, as float, is a share.",
        "A mask in square brackets picks: which of `is_right` belong to the answered images?",
    )

    def verify(self, answer):
        confidence = torch.tensor([0.99, 0.5, 0.75, 0.25, 0.9, 0.75, 0.6, 0.98, 0.4])
        is_right = torch.tensor([True, False, True, False, True, False, True, True, True])
        found = parts(call(function(answer, TAKES), confidence, is_right, 0.75))
        require(len(found) == 2, f"Two numbers are expected, the share answered and the accuracy, not {len(found)}.")
        share, accuracy = (value / 100 if value > 10 else value for value in map(number, found))
        in_order = abs(share - 4 / 5) > 1e-3 or abs(accuracy - 5 / 9) > 1e-3
        require(in_order, "Both numbers are right, but in the wrong order: the share answered comes first.")
        second = "is right." if abs(accuracy - 4 / 5) < 1e-3 else "is wrong, too."
        known = [
            (3 / 9, "The first is the share *above* the threshold; who is exactly at it is answered, too."),
            (4 / 9, "The first is the share that is handed over; the share *answered* is asked."),
            (5, "The first is a count: divide it by the number of images."),
        ]
        compare(share, 5 / 9, known, f"The first number, the share answered, is wrong; the second {second}", 1e-3)
        known = [
            (4 / 9, "The first number is right. For the second, divide by the *answered* images, not by all."),
            (6 / 9, "The first number is right. The second is the accuracy on all images, not on the answered."),
            (2 / 4, "The first number is right. The second is the accuracy on those that were handed over."),
            (1 / 5, "The first number is right. The second is the share of mistakes."),
            (4, "The first number is right. The second is a count: divide it by the answered images."),
        ]
        otherwise = "The first number is right; the second, the accuracy on the answered, is not."
        compare(accuracy, 4 / 5, known, otherwise, 1e-3)

    right = (
        lambda sure, right, t: (sum(sure >= t) / len(sure), sum(right[sure >= t]) / sum(sure >= t)),
        lambda sure, right, t: np.array([(sure >= t).numpy().mean(), right.numpy()[sure.numpy() >= t].mean()]),
        lambda sure, right, t: [f"{part:.1%}" for part in with_threshold(sure, right, t)],
        lambda sure, right, t: [100 * part for part in with_threshold(sure, right, t)],
    )
    wrong = (
        Wrong("> for ≥", lambda sure, right, t: ((sure > t).float().mean(), right[sure > t].float().mean()), "exactly"),
        Wrong("handed over", lambda sure, right, t: ((sure < t).float().mean(), 0.8), "handed over"),
        Wrong("a count", lambda sure, right, t: ((sure >= t).sum(), 0.8), "count"),
        Wrong("share wrong", lambda sure, right, t: (t, 0.8), "share answered, is wrong; the second is right"),
        Wrong("by all images", lambda sure, right, t: (5 / 9, (right & (sure >= t)).float().mean()), "not by all"),
        Wrong("of all images", lambda sure, right, t: (5 / 9, right.float().mean()), "on all images"),
        Wrong(
            "of the others", lambda sure, right, t: (5 / 9, right[sure < t].float().mean()), "those that were handed"
        ),
        Wrong("mistakes", lambda sure, right, t: (5 / 9, (~right[sure >= t]).float().mean()), "mistakes"),
        Wrong("hits counted", lambda sure, right, t: (5 / 9, right[sure >= t].sum()), "second is a count"),
        Wrong("mean confidence", lambda sure, right, t: (5 / 9, sure[sure >= t].mean()), "on the answered, is not"),
        Wrong("swapped", lambda sure, right, t: with_threshold(sure, right, t)[::-1], "order"),
        Wrong("the share alone", lambda sure, right, t: (sure >= t).float().mean(), "Two numbers"),
        Wrong("the mask", lambda sure, right, t: sure >= t, "Two numbers"),
        Wrong("no return", lambda sure, right, t: print(end=""), "return"),
    )


def careful(model, images):
    ink, places = images.float(), torch.arange(28.0, device=images.device)
    total = ink.sum((1, 2))
    right = 13.5 - (ink.sum(1) * places).sum(1) / total
    down = 13.5 - (ink.sum(2) * places).sum(1) / total
    centred = mh.affine(images, shift=(right, down))
    confidence, digits = mh.predict_logits(model, centred).softmax(1).max(1)
    return torch.where(confidence >= 0.93, digits, -1)


def centred_box(images, way=1):
    """Images moved so that the box around their ink is in the middle; with `way` -1, as far to the other side."""
    sides = [(images > 0).any(axis).float() for axis in (1, 2)]  # columns, then rows with ink
    shift = [way * (side.flip(1).argmax(1) - side.argmax(1)) / 2 for side in sides]
    return mh.affine(images, shift=shift)


def surest(model, images, threshold):
    """Digits, and -1 below a threshold."""
    confidence, digits = mh.predict_logits(model, images).softmax(1).max(1)
    return torch.where(confidence >= threshold, digits, -1)


def surest_of_the_pile(model, images):
    """Digits, and -1 for the least sure 8 % of whatever is handed in."""
    confidence, digits = mh.predict_logits(model, images).softmax(1).max(1)
    return torch.where(confidence >= confidence.quantile(0.08), digits, -1)


SHAPE = "(N,), with -1 where a person should look."
FIX = "So it ranks the pile: fix the threshold once and for all, on `practice`."


class Careful(Exercise):
    id = "04-careful"
    kind, points, minutes, seconds = "open", 4, 25, 60
    expects = "a function of model and images (N, 28, 28) that returns digits (N,), and -1 where a person should look"
    praise = "It held on images that you did not tune on."
    variable = None
    own = staticmethod(careful)
    hints = (
        "Try a threshold alone on `practice` first: how much does it answer once 99.8 % of its answers are right?",
        "The network practised on digits in the middle. Where is the ink of a moved one, and what would undo that?",
        "`mh.affine` takes a shift for each image. Then choose the threshold on `practice`, with some reserve.",
    )

    def verify(self, answer, model, unseen):
        images, labels = unseen.images, unseen.labels.cpu()
        found = tensor(call(function(answer, "model and images"), model, images.clone()))
        require(found.shape == labels.shape, f"One answer for each of the {len(labels):,} images is expected: {SHAPE}")
        no_digit = found[(found != found.round()) | (found < -1) | (found > 9)]
        require(not len(no_digit), f"An answer is a digit from 0 to 9, or -1; among yours is {no_digit[:1].tolist()}.")
        answered = found >= 0
        count, mistakes = int(answered.sum()), int((found[answered] != labels[answered]).sum())
        require(count, "It answers nothing: everything is -1.")
        share = f"{100 * count / len(labels):.1f} %"
        report = f"It answers {share} of the images; mistakes in these {count:,} answers: {mistakes:,}"
        require(mistakes <= 0.002 * count, f"{report}, or {100 * mistakes / count:.2f} %. At most 0.2 % may be wrong.")
        require(count >= 0.9 * len(labels), f"{report}. That is good enough, but at least 90 % must be answered.")
        if not answered.all():
            alone = tensor(call(answer, model, images[(~answered).to(images.device)])) >= 0
            require(
                alone.double().mean() < 0.1, "What it handed over it answers when asked again without the rest. " + FIX
            )
        low, high = mh.wilson_interval(count - mistakes, count)
        return f"{report}. {self.praise} (95 % interval of its accuracy: {100 * low:.2f} to {100 * high:.2f} %.)"

    @cached_property
    def given(self):
        images, labels = (part[::2] for part in digits())
        shift = torch.randint(-4, 5, (2, len(labels)), generator=torch.Generator().manual_seed(0))
        return {
            "model": mh.load_pretrained(),
            "unseen": mh.Split(mh.affine(images, shift=shift), labels),
        }

    right = (
        lambda model, images: surest(model, centred_box(images), 0.97).numpy(),
        lambda model, images: careful(model, images).double().tolist(),
    )
    wrong = (
        Wrong("no threshold", lambda model, images: surest(model, images, 0), "At most 0.2 %"),
        Wrong("a threshold alone, low", lambda model, images: surest(model, images, 0.9), "At most 0.2 %"),
        Wrong("a threshold alone, high", lambda model, images: surest(model, images, 0.998), "90 % must"),
        Wrong("moved the wrong way", lambda model, images: surest(model, centred_box(images, -1), 0.9), "At most"),
        Wrong("nothing answered", lambda model, images: surest(model, images, 2), "everything"),
        Wrong("only the answered", lambda model, images: careful(model, images)[:2000], "One answer for each"),
        Wrong(
            "confidences", lambda model, images: mh.predict_logits(model, images).softmax(1).max(1)[0], "from 0 to 9"
        ),
        Wrong(
            "probabilities", lambda model, images: mh.predict_logits(model, images).softmax(1), "One answer for each"
        ),
        Wrong("the surest of the pile", lambda model, images: surest_of_the_pile(model, centred_box(images)), "once"),
        Wrong("no return", lambda model, images: print(end=""), "return"),
    )
