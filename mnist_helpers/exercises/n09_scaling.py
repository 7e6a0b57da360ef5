"""What notebook 09 asks."""

from collections.abc import Mapping
from functools import cached_property
from statistics import mean

import numpy as np
import torch

import mnist_helpers as mh

from .answers import NotYet, call, compare, converted, described, function, number, numbers, require, tensor
from .exercise import Exercise, Wrong
from .guess import Guess
from .sample import sample
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "09-halves",
        "Each half of a batch has a gradient. What is the mean of the two, next to the gradient of the whole batch?",
        Choices(
            {
                "the same but for rounding": "Every image is in exactly one half, and all of them count alike.",
                "half as long": "Each half has half of the images, but its loss is their mean: a full gradient.",
                "twice as long": "Their sum would be. A mean of two is about as long as each of them.",
                "another one": "The two halves do differ. But every image is in one of them, so nothing is lost.",
            }
        ),
        span=("the same but for rounding",),
    ),
    Guess(
        "09-apart",
        "One process and two run the same program. How far apart are their losses of the sixth epoch?",
        Choices(
            {
                "equal to the last bit": "Equal in theory. But two half sums are rounded otherwise than one whole.",
                "less than 5 % apart": "You expect rounding, and nothing that matters.",
                "more than 5 % apart": "That would be another training. Here all see the same images, and take the "
                "same mean gradient.",
            }
        ),
        span=("equal to the last bit", "less than 5 % apart"),  # the former where one process stands in for two
    ),
    Guess(
        "09-twice",
        "Two processes share the work. How many times as fast is an epoch of our small network?",
        Scale(
            0,
            4,
            step=0.1,
            unit="times",
            bands=(
                (0.9, "You expect the exchange to eat up more than the sharing saves: it can, where steps are short."),
                (1.5, "You left room for what sharing costs. How much that is, only measuring tells."),
                (2, "The arithmetic is halved. But in each step the two wait for each other, and exchange a gradient."),
                (4, "Two workers with half the arithmetic each: more than twice as fast would need another reason."),
            ),
        ),
        span=(0.02, 4),
    ),
    Guess(
        "09-killed",
        "The process is killed as soon as epoch 2 is reported. Which of the reported epochs are done again?",
        Choices(
            {
                "1 and 2": "Without a checkpoint, yes. This program keeps one.",
                "only 2": "An epoch is saved first and reported then: what you can read is safe.",
                "none": "What is reported was saved before. Only the epoch that was under way begins again.",
                "the training ends there": "torchrun starts the processes anew, and they look for a checkpoint.",
            }
        ),
        span=("none",),
    ),
    Guess(
        "09-compile",
        "A step of the MLP takes some milliseconds. How long does the first compiled one take, with an empty cache?",
        Scale(
            0,
            60,
            unit="s",
            bands=(
                (1, "You think of a step. Before it, a program is written, and translated by a C++ compiler."),
                (6, "You allowed for the compiler, which reads a lot before it translates a little."),
                (25, "You took it for as slow as it is: hundreds of steps are gone before the first one."),
                (60, "So long it takes on slow machines, and for large networks. This one has three layers."),
            ),
        ),
        span=(1, 59),
    ),
)


def combine(gradients, sizes):
    total = sum(size * gradient for size, gradient in zip(sizes, gradients, strict=True))
    return total / sum(sizes)


class Combine(Exercise):
    id = "09-write-combine"
    kind, points, minutes = "turn", 2, 6
    expects = "a function of a list of gradients (D,) and a list of sizes that returns one gradient (D,)"
    praise = "Now every image weighs the same, whichever process has seen it."
    variable = None
    own = staticmethod(combine)
    hints = (
        "A process with 300 images speaks for more images than one with 212. How many times should its gradient count?",
        "A mean gradient times its number of images is the sum over these images. What do the sums of all parts make?",
        "Go through both lists together with `zip`, and add up. What must the total be divided by, to be a mean again?",
    )

    def verify(self, answer):
        self._one(answer, torch.randn(2, 5), [300, 212])
        self._one(answer, torch.randn(3, 5), [10, 60, 26])

    @staticmethod
    def _one(answer, gradients, sizes):
        given, weights = list(gradients.clone()), tensor(sizes)[:, None]
        found = tensor(call(function(answer, "gradients and sizes"), given, list(sizes)))
        count, rows = len(sizes), gradients.double()
        several = f"{count} gradients of shape (5,) should become one, and the shape of yours is {tuple(found.shape)}."
        require(found.shape == (5,), several)
        right = (weights * rows).sum(0) / weights.sum()
        known = [
            (rows.mean(0), "Each process counts alike here. Then an image weighs more where there are fewer."),
            (rows.sum(0), "That is the sum of the gradients. A gradient of the whole is a mean, over images."),
            ((weights * rows).sum(0), "The sum over all images is there. It is not divided by their number yet."),
            ((weights * rows).mean(0), "Divided by the number of processes: the number of images is what you need."),
            (right / count, "Divided once too often: by the images, and by the processes as well."),
            ((weights.flip(0) * rows).sum(0) / weights.sum(), "The sizes are swapped: the larger part counts more."),
            ((rows / weights).sum(0) * weights.sum(), "A larger part should count more, and here it counts less."),
            (((weights * rows)[:2]).sum(0) / weights[:2].sum(), "The third process is left out: go through the lists."),
            ((weights * rows).sum(0) / 512, "Right for 512 images. For other sizes, add these up."),
            (rows[weights.argmax()], "That is the gradient of the largest part alone."),
        ]
        compare(found, right, known, f"With sizes {sizes} it is another gradient.", within=1e-4)
        unchanged = all(torch.equal(old, new) for old, new in zip(gradients, given, strict=True))
        require(unchanged, "The result is right, but a gradient that you were given is changed: make a new tensor.")

    def taken(self, answer):
        return converted(answer, lambda gradient: tensor(gradient).float())

    right = (
        lambda gradients, sizes: np.average([one.numpy() for one in gradients], axis=0, weights=sizes),
        lambda gradients, sizes: torch.tensor(sizes) / sum(sizes) @ torch.stack(gradients),
        lambda gradients, sizes: sum(g * n / sum(sizes) for g, n in zip(gradients, sizes, strict=True)).tolist(),
    )
    wrong = (
        Wrong("each process alike", lambda gradients, sizes: torch.stack(gradients).mean(0), "counts alike"),
        Wrong("the sum", lambda gradients, sizes: sum(gradients), "sum of the gradients"),
        Wrong("not divided", lambda gradients, sizes: combine(gradients, sizes) * sum(sizes), "not divided"),
        Wrong(
            "divided by processes",
            lambda gradients, sizes: combine(gradients, sizes) * sum(sizes) / len(sizes),
            "is what you need",
        ),
        Wrong("divided twice", lambda gradients, sizes: combine(gradients, sizes) / len(sizes), "once too often"),
        Wrong("swapped", lambda gradients, sizes: combine(gradients, sizes[::-1]), "swapped"),
        Wrong(
            "divided by the sizes",
            lambda gradients, sizes: sum(g * sum(sizes) / n for g, n in zip(gradients, sizes, strict=True)),
            "counts less",
        ),
        Wrong("two parts only", lambda gradients, sizes: combine(gradients[:2], sizes[:2]), "third process"),
        Wrong(
            "512 images", lambda gradients, sizes: combine(gradients, sizes) * sum(sizes) / 512, "Right for 512 images"
        ),
        Wrong("one of them", lambda gradients, sizes: gradients[sizes.index(max(sizes))], "largest part alone"),
        Wrong("side by side", lambda gradients, sizes: torch.cat(gradients), "should become one"),
        Wrong(
            "in place",
            lambda gradients, sizes: sum(g.mul_(n) for g, n in zip(gradients, sizes, strict=True)) / sum(sizes),
            "is changed",
        ),
    )


def race(measure, plain, other, rounds=5):
    ratios = []
    for _ in range(rounds + 1):
        before = measure(plain)
        ratios.append(before / measure(other))
    return ratios[1:]


class Stopwatch:
    """Measures two pretended steps, and notes down which. Each takes longer when it is first run."""

    def __init__(self):
        self.first = {"plain": 45.0, "other": 9.0}  # seconds, until a step has been run
        self.later = {"plain": (3.0, 8.0, 5.0, 6.0, 7.0), "other": (2.0, 2.0, 4.0, 8.0, 5.0)}
        self.diary = []
        self.plain, self.other = (lambda: self.first.pop("plain", None)), (lambda: self.first.pop("other", None))

    def __call__(self, step):
        names = [name for name in self.later if getattr(self, name) is step]
        require(names, "`measure` takes the step itself, without brackets behind it.")
        [name] = names
        self.diary.append((name, name in self.first))
        if name in self.first:
            return self.first.pop(name)
        return self.later[name][(self.diary.count((name, False)) - 1) % 5]


class Race(Exercise):
    id = "09-write-race"
    kind, points, minutes = "turn", 3, 10
    expects = "a function of measure, plain, other and rounds that returns a list of ratios"
    praise = "In turn, several times, and warmed up: so a speed-up is measured."
    variable = None
    own = staticmethod(race)
    hints = (
        "One round measures `plain`, then `other`, and makes one ratio. Begin with a single round.",
        "If `plain` takes 6 s and `other` 2 s, `other` is 3 times as fast. Which is divided by which?",
        "A loop of `rounds + 1` rounds, a list that grows by a ratio each time, and `[1:]` at its end.",
    )

    def verify(self, answer):
        for rounds in (3, 2):
            watch = Stopwatch()
            arguments = (function(answer, "measure, plain, other and rounds"), watch, watch.plain, watch.other)
            self._one(call(*arguments, rounds=rounds), watch, rounds)

    @staticmethod
    def _one(found, watch, rounds):
        require(watch.diary, "Your function never called `measure(plain)` nor `measure(other)`.")
        both = {name for name, cold in watch.diary} == {"plain", "other"}
        require(both, "Only one of the two steps was measured.")
        warm = [name for name, cold in watch.diary if not cold]
        in_turn = all(len(set(warm[i : i + 2])) == 2 for i in range(0, len(warm) - 1, 2))
        require(
            in_turn,
            "The two should take turns, one of each in a round: if the machine becomes slower, both then suffer alike.",
        )
        ratios = tensor(found)
        one = f"A list of {rounds} ratios is expected, one a round: their spread tells how much to trust their mean."
        require(ratios.ndim == 1 and (len(ratios) > 1 or rounds == 1), one)
        plain, other = (tensor(watch.later[name][:rounds]) for name in ("plain", "other"))
        require(
            not (len(ratios) <= rounds + 1 and abs(ratios[0] - 5) < 1e-6),
            "The first round is among your ratios. It warms up: measure it, and leave it out.",
        )
        count = f"With rounds={rounds} there should be {rounds} ratios, and yours are {len(ratios)}."
        require(len(ratios) == rounds, count)
        known = [
            (other / plain, "Turned round: where `other` takes half the time of `plain`, it is 2 times as fast."),
            (plain - other, "These are the seconds that are saved. How many *times* as fast is asked for."),
            (plain / other - 1, "That is how much faster. Equally fast should give 1, not 0."),
            (100 * plain / other, "That is in per cent. Twice as fast should give 2."),
            (plain, "These are the seconds of `plain`: divide them by those of `other`."),
            (other, "These are the seconds of `other`: divide those of `plain` by them."),
        ]
        compare(ratios, plain / other, known, "These are not the ratios of each round's two times.", within=1e-5)

    def taken(self, answer):
        return converted(answer, lambda times: tensor(times).tolist())

    @staticmethod
    def in_rounds(result, extra=1, cut=1):
        """A function that measures in turn, and makes `result` of the two times of each round."""

        def compare(measure, plain, other, rounds=5):
            return [result(measure(plain), measure(other)) for _ in range(rounds + extra)][cut:]

        return compare

    @staticmethod
    def one_after_the_other(measure, plain, other, rounds=5):
        plains, others = ([measure(step) for _ in range(rounds + 1)] for step in (plain, other))
        return [a / b for a, b in zip(plains[1:], others[1:], strict=True)]

    @staticmethod
    def with_arrays(measure, plain, other, rounds):
        plain(), other()
        times = np.array([(measure(plain), measure(other)) for _ in range(rounds)])
        return times[:, 0] / times[:, 1]

    @staticmethod
    def other_first(measure, plain, other, rounds=5):
        times = [(measure(other), measure(plain)) for _ in range(rounds + 1)]
        return torch.tensor([b / a for a, b in times[1:]])

    @property
    def right(self):
        return self.with_arrays, self.other_first, self.in_rounds(lambda a, b: a / b)

    @property
    def wrong(self):
        turns = self.in_rounds(lambda a, b: a / b)
        return (
            Wrong("no warm-up", self.in_rounds(lambda a, b: a / b, 0, 0), "It warms up"),
            Wrong("the warm-up kept", self.in_rounds(lambda a, b: a / b, 1, 0), "leave it out"),
            Wrong("turned round", self.in_rounds(lambda a, b: b / a), "Turned round"),
            Wrong("one after the other", self.one_after_the_other, "take turns"),
            Wrong("one number", lambda *given, rounds: float(np.mean(turns(*given, rounds))), "their spread"),
            Wrong("seconds saved", self.in_rounds(lambda a, b: a - b), "seconds that are saved"),
            Wrong("how much faster", self.in_rounds(lambda a, b: a / b - 1), "not 0"),
            Wrong("per cent", self.in_rounds(lambda a, b: 100 * a / b), "in per cent"),
            Wrong("always five", lambda *given, rounds: turns(*given), "yours are 5"),
            Wrong("seconds", self.in_rounds(lambda a, b: b), "seconds of `other`"),
            Wrong("nothing measured", lambda measure, plain, other, rounds: [1.0] * rounds, "never called"),
            Wrong("only one", lambda measure, plain, other, rounds: [measure(plain)] * rounds, "Only one of the two"),
            Wrong("a call", lambda measure, plain, other, rounds: measure(plain()), "without brackets"),
        )


def part(size, rank, processes):
    return size * rank // processes, size * (rank + 1) // processes


class Part(Exercise):
    id = "09-part"
    kind, points, minutes = "exercise", 2, 10
    expects = "a function of size, rank and processes that returns two whole numbers, the beginning and the end"
    praise = "Nobody waits for a process that has more than one image more than the others."
    variable = None
    own = staticmethod(part)
    hints = (
        "Share 11 images among 3 processes on paper. How large are the parts, and where does each begin?",
        "Where one part ends, the next begins: so one formula for the beginning of any rank is enough.",
        "Either the first ranks take one image more, as many as are left over, or all beginnings are rounded alike.",
    )
    CASES = ((512, 2), (10, 3), (7, 7), (11, 3), (101, 4), (103, 4))

    def verify(self, answer):
        for size, processes in self.CASES:
            parts = [self._ends(call(function(answer, "size, rank and processes"), size, rank, processes))
                     for rank in range(processes)]  # fmt: skip
            fault = self._fault(parts, size)
            if fault:
                case = f"{size} images, {processes} processes"
                raise NotYet(f"{case}: {self._habit(parts, size) or fault} Yours: {self._shown(parts)}.")

    @staticmethod
    def _ends(part):
        """The beginning and the end, from a pair, a slice or a range."""
        if isinstance(part, slice | range):
            require(part.step in (None, 1), "The images of a part are consecutive, and yours have gaps.")
            part = (part.start or 0, part.stop)
        ends = numbers(part, 2)
        half = "The beginning and the end are whole numbers: half an image cannot be sent."
        require(all(abs(end - round(end)) < 1e-6 for end in ends), half)
        return tuple(round(end) for end in ends)

    @staticmethod
    def _habit(parts, size):
        """What is to be said if the parts would be right, read in another way."""
        readings = {
            "Rank 0 takes the first images, and the last rank the last.": parts[::-1],
            "The end is the first image that is *not* in the part, as in a slice.": [(a, b + 1) for a, b in parts],
            "The end is expected, and not the length.": [(a, a + b) for a, b in parts],
            "Ranks are counted from 0.": [*parts[1:], (parts[-1][1], size)],
        }
        return next((words for words, others in readings.items() if not Part._fault(others, size)), None)

    @staticmethod
    def _fault(parts, size):
        """What is wrong with the parts, or None."""
        if len(set(parts)) == 1 < len(parts):
            return "All processes have the same part: use `rank`."
        if max(end for _, end in parts) > size:
            return f"A part goes beyond the last image, number {size - 1}."
        taken = [image for start, end in parts for image in range(start, end)]
        missing = sorted(set(range(size)) - set(taken))
        if missing:
            return f"Image {missing[0]} belongs to nobody."
        double = next((image for image in taken if taken.count(image) > 1), None)
        if double is not None:
            return f"Image {double} is in two parts, and would count double."
        if taken != list(range(size)):
            return "The parts are not in the order of the ranks."
        lengths = [end - start for start, end in parts]
        if max(lengths) - min(lengths) <= 1:
            return None
        if lengths.index(max(lengths)) == len(lengths) - 1:
            return "The last process takes all that is left over, and the others wait for it: spread it."
        if lengths.index(min(lengths)) == len(lengths) - 1:
            return "Rounded up, the parts are too large for the last process, which has little to do."
        return "The sizes differ by more than one."

    @staticmethod
    def _shown(parts):
        shown = ", ".join(f"{start} to {end}" for start, end in parts[:4])
        return shown + (" …" if len(parts) > 4 else "")

    @staticmethod
    def first_take_more(size, rank, processes):
        small, more = divmod(size, processes)
        start = rank * small + min(rank, more)
        return torch.tensor([start, start + small + (rank < more)])

    @staticmethod
    def by_arrays(size, rank, processes):
        images = np.array_split(np.arange(size), processes)[rank]
        return slice(images[0], images[-1] + 1)

    @property
    def right(self):
        return (
            self.first_take_more,
            self.by_arrays,
            lambda size, rank, processes: [round(size * rank / processes), round(size * (rank + 1) / processes)],
            lambda size, rank, processes: range(-(-size * rank // processes), -(-size * (rank + 1) // processes)),
        )

    wrong = (
        Wrong("rounded down", lambda n, r, p: (n // p * r, n // p * (r + 1)), "Image 9 belongs to nobody"),
        Wrong(
            "the last takes the rest", lambda n, r, p: (n // p * r, n if r == p - 1 else n // p * (r + 1)), "spread it"
        ),
        Wrong("rounded up", lambda n, r, p: (-(-n // p) * r, min(n, -(-n // p) * (r + 1))), "has little to do"),
        Wrong("beyond the end", lambda n, r, p: (-(-n // p) * r, -(-n // p) * (r + 1)), "beyond the last image"),
        Wrong("the end is included", lambda n, r, p: (part(n, r, p)[0], part(n, r, p)[1] - 1), "as in a slice"),
        Wrong("a length", lambda n, r, p: (part(n, r, p)[0], part(n, r, p)[1] - part(n, r, p)[0]), "not the length"),
        Wrong("ranks from 1", lambda n, r, p: part(n, r - 1, p), "counted from 0"),
        Wrong("the wrong way round", lambda n, r, p: part(n, p - 1 - r, p), "takes the first images"),
        Wrong("everything", lambda n, r, p: (0, n), "use `rank`"),
        Wrong("every p-th image", lambda n, r, p: range(r, n, p), "have gaps"),
        Wrong("halves of images", lambda n, r, p: (n * r / p, n * (r + 1) / p), "half an image"),
        Wrong("one shared image", lambda n, r, p: (max(0, part(n, r, p)[0] - 1), part(n, r, p)[1]), "count double"),
        Wrong("only a beginning", lambda n, r, p: n * r // p, "(2,)"),
    )


def times_as_fast(work, rest, exchange, processes):
    if processes == 1:
        return 1
    return (work + rest) / (work / processes + rest + exchange)


class TimesAsFast(Exercise):
    id = "09-times-as-fast"
    kind, points, minutes = "exercise", 2, 8
    expects = "a function of work, rest, exchange and processes that returns a number"
    praise = (
        "Add processes, and it levels off: below (work + rest) / (rest + exchange) it stays, however many there are."
    )
    variable = None
    own = staticmethod(times_as_fast)
    hints = (
        "First the seconds of a step in one process, then the seconds of a step in several.",
        "Which of the three lengths of time become shorter with more processes, and which is there only then?",
        "How many times as fast: the longer time through the shorter. And what does a single process exchange?",
    )

    def verify(self, answer):
        def give(*given):
            return number(call(function(answer, "work, rest, exchange and processes"), *given))

        work, rest, exchange, count = 6, 1, 0.2, 3
        alone, shared = work + rest, work / count + rest + exchange
        known = [
            (shared / alone, "Turned round: half the time is 2 times as fast."),
            (shared, "These are the seconds of a step in several processes: how many times as fast is that?"),
            (alone - shared, "These are the seconds that are saved. How many *times* as fast is asked for."),
            (alone / (alone / count + exchange), "The `rest` cannot be shared, and each process has all of it."),
            (work / (work / count + exchange), "The `rest` is forgotten: it takes its time, with any number."),
            (alone / (work / count + exchange), "In several processes the `rest` takes its time, too."),
            (work / shared, "One process has the `rest` to do as well."),
            (alone / (shared - exchange), "The `exchange` is forgotten."),
            (alone / (shared + exchange * (count - 2)), "`exchange` is what is added in all, not for each process."),
            (alone / (shared + exchange * (count - 1)), "`exchange` is added once, not once for each process."),
            (alone / (shared - exchange + exchange / count), "The exchange is not shared: every process waits for it."),
            ((alone + exchange) / shared, "One process has nobody to exchange anything with: leave it out there."),
            (count, "So it would be if all could be shared, and cost nothing."),
            (alone / ((work + rest + exchange) / count), "Only `work` is shared: `rest` and `exchange` are not."),
        ]
        compare(give(work, rest, exchange, count), alone / shared, known,
                f"With {work}, {rest}, {exchange} and {count} processes it is another number.")  # fmt: skip
        single = "One process is as fast as one process: it exchanges nothing, so 1 must come out."
        compare(give(1, 0.2, 3, 1), 1, [], single)
        compare(give(0.9, 0.1, 0, 8), 1 / (0.9 / 8 + 0.1), [], "It is right for some numbers, and not for others.")

    right = (
        lambda work, rest, exchange, processes: (
            1 / ((work / processes + rest + exchange * (processes > 1)) / (work + rest))
        ),
        lambda work, rest, exchange, processes: torch.tensor(
            (work + rest) / (work / processes + rest + (exchange if processes > 1 else 0)), dtype=torch.float64
        ),
        lambda w, r, e, p: np.float64(w + r) * p / (w + p * (r + e * min(1, p - 1))),
    )
    wrong = (
        Wrong("turned round", lambda w, r, e, p: 1 / times_as_fast(w, r, e, p), "Turned round"),
        Wrong("seconds", lambda w, r, e, p: w / p + r + e, "seconds of a step"),
        Wrong("seconds saved", lambda w, r, e, p: w + r - (w / p + r + e), "are saved"),
        Wrong("rest shared", lambda w, r, e, p: (w + r) / ((w + r) / p + e), "has all of it"),
        Wrong("no rest", lambda w, r, e, p: w / (w / p + e), "is forgotten: it takes"),
        Wrong("no rest below", lambda w, r, e, p: (w + r) / (w / p + e), "takes its time, too"),
        Wrong("no rest above", lambda w, r, e, p: w / (w / p + r + e), "to do as well"),
        Wrong("no exchange", lambda w, r, e, p: (w + r) / (w / p + r), "`exchange` is forgotten"),
        Wrong("exchange for each pair", lambda w, r, e, p: (w + r) / (w / p + r + e * (p - 1)), "in all"),
        Wrong("exchange for each process", lambda w, r, e, p: (w + r) / (w / p + r + e * p), "once for each"),
        Wrong("exchange shared", lambda w, r, e, p: (w + r) / (w / p + r + e / p), "is not shared"),
        Wrong("exchange in both", lambda w, r, e, p: (w + r + e) / (w / p + r + e), "nobody to exchange"),
        Wrong("exchange alone, too", lambda w, r, e, p: (w + r) / (w / p + r + e), "1 must come out"),
        Wrong("all shared", lambda w, r, e, p: p, "cost nothing"),
        Wrong("all divided", lambda w, r, e, p: (w + r) / ((w + r + e) / p), "Only `work`"),
    )


class FourWorkers(Exercise):
    id = "09-four-workers"
    kind, points, minutes, seconds = "open", 4, 20, 240
    expects, variable = "a dict of settings for `mh.fit`, or a learning rate alone", "settings"
    OLD, SEEDS, EPOCHS = 3e-3, (0, 1, 2), 6
    FREE = ("learning_rate", "weight_decay", "label_smoothing", "one_cycle")
    hints = (
        "Four workers see each image as often as one, and take a quarter of the steps. What must become of a step?",
        "Try rates in equal factors: two times the old one, four times, eight times, and so on. Where does it turn?",
        "The two rules of thumb are a start and not the end: measure beyond both, and look at more than one seed.",
    )

    @cached_property
    def given(self):
        mnist = sample()
        return {"short": mnist.train, "validation": mnist.validation}

    @staticmethod
    def own():
        return {"learning_rate": 0.03}

    def verify(self, answer, short, validation):
        settings = self._settings(answer)
        rate = settings["learning_rate"]
        require(abs(rate - self.OLD) > 1e-6, f"{rate:g} is the rate of the one worker, with which four fall behind.")
        size = len(short) // 40  # 512 of the lesson's 20,480 images
        four = self._accuracy(short, validation, 4 * size, settings)
        one, behind = (self._accuracy(short, validation, count * size, {"learning_rate": self.OLD}) for count in (1, 4))
        goal = (one + behind) / 2
        result = (
            f"Four workers reach {four:.2%}, the mean of three seeds. With the old rate they have {behind:.2%}, one "
            f"worker {one:.2%}: half of the way is {goal:.2%}."
        )
        if four < goal:
            way = "You are on the way." if four > behind else "That is worse than before."
            way = "Fewer steps, and each shorter than before?" if rate < self.OLD else way
            raise NotYet(f"{result} {'With so high a rate the training falls apart.' if four < 0.5 else way}")
        same = self._accuracy(short, validation, size, settings)
        better = " So the old rate was not its best: a fair comparison lets both choose." if same > one else ""
        return f"{result} One worker with your settings has {same:.2%}.{better}"

    @classmethod
    def _settings(cls, answer):
        if not isinstance(answer, Mapping):
            require(not isinstance(answer, list | tuple), f"A dict is expected, not {described(answer)}.")
            answer = {"learning_rate": number(answer)}
        fixed = {"batch_size", "epochs"} & set(answer)
        require(not fixed, f"The {' and the '.join(sorted(fixed)).replace('_', ' ')} cannot be chosen here.")
        strange = [name for name in answer if name not in cls.FREE]
        require(not strange, f"{strange[:1]}: what may be chosen is {', '.join(cls.FREE)}.")
        require("learning_rate" in answer, "The `learning_rate` is missing.")
        settings = {name: number(value) for name, value in answer.items() if name != "one_cycle"}
        require(settings["learning_rate"] > 0, "A learning rate is greater than 0.")
        if "one_cycle" in answer:
            settings["one_cycle"] = bool(answer["one_cycle"])
        return settings

    def _accuracy(self, short, validation, batch_size, settings):
        accuracies = []
        for seed in self.SEEDS:
            mh.set_seed(seed)
            try:
                history = mh.fit(mh.MLP().to(short.images.device), short, validation, epochs=self.EPOCHS, seed=seed,
                                 batch_size=batch_size, progress=False, **settings)  # fmt: skip
            except (ValueError, FloatingPointError) as error:
                raise NotYet(f"The training stopped: {error}.") from error
            accuracies.append(history.validation_accuracy[-1])
        return mean(accuracies)

    right = (0.03, "0.025", {"learning_rate": np.float64(0.03), "weight_decay": 0.1})
    wrong = (
        Wrong("the old rate", 0.003, "fall behind"),
        Wrong("a quarter of it", {"learning_rate": 0.00075}, "each shorter than before"),
        Wrong("far too high", 3, "falls apart"),
        Wrong("a smaller batch", {"learning_rate": 0.003, "batch_size": 512}, "batch size cannot be chosen"),
        Wrong("more epochs", {"learning_rate": 0.01, "epochs": 20}, "epochs cannot be chosen"),
        Wrong("a setting that is none", {"rate": 0.01}, "what may be chosen"),
        Wrong("no rate", {"weight_decay": 0.1}, "is missing"),
        Wrong("negative", -0.01, "greater than 0"),
        Wrong("a list", [0.01], "A dict is expected"),
    )
