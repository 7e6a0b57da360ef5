"""What notebook 03 asks."""

import inspect
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F

import mnist_helpers as mh

from ..data import Split
from ..evaluation import evaluate
from ..models import MLP
from ..training import fit
from .answers import (
    NotAnswered,
    NotYet,
    call,
    compare,
    converted,
    described,
    function,
    is_blank,
    number,
    require,
    share,
    tensor,
    whole,
)
from .exercise import Exercise, Wrong
from .goal import goal_of, one_epoch, percent
from .guess import Guess
from .loops import BROKEN, Few, Watched, altered, blame, epoch, watched
from .sample import sample
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "03-twice",
        "The same loss is computed twice, and backward() called each time. What do the gradients hold now?",
        Choices(
            {
                "the same as after one call": "You took the second result to replace the first. `backward` adds.",
                "twice that": "You knew that `backward` adds to what is there. Hence `zero_grad` in every loop.",
                "half of that": "A mean of both calls would not change it. `backward` adds, and divides by nothing.",
                "zeros": "Nothing is cleared unless you ask for it: that is what `zero_grad` is for.",
            }
        ),
        span=("twice that",),
    ),
    Guess(
        "03-batch-size",
        "One epoch each, at the best of three rates. Which batch size learns most?",
        Choices(
            {
                "64": "You counted the steps: small batches mean many of them, each rough but good enough.",
                "512": "A middle way sounds safe. But steps are what an epoch can offer, and small batches offer most.",
                "4,000": "Each of its steps points more exactly, that is true, and there are only a few of them.",
                "all alike": "All see the same images, that is true. But the weights move only at a step.",
            }
        ),
        span=("64",),
    ),
    Guess(
        "03-sorted",
        "The network has seen all zeros first, then all ones, and all nines last. Which digit will it name most often?",
        Choices(
            {
                "0": "What was learnt first does not stay: every later step may overwrite it.",
                "1": "There are more ones than others, but hundreds of steps without a one come after them.",
                "9": "You thought of the last steps: in a batch of nines, answering nine is all that is rewarded.",
                "all about equally": "All were shown about equally often, but not at the same time.",
            }
        ),
        span=("9",),
    ),
    Guess(
        "03-curve",
        "Which of the three curves, A, B or C, belongs to the largest learning rate?",
        Choices(
            {
                "A": "A hardly moves, as if it were stuck. Long steps do move: these are the shortest.",
                "B": "B jumps: steps that long leap over the valley, and land higher than they began.",
                "C": "C falls fast, and one may take that for the longest steps. Longer ones leap over the valley.",
            }
        ),
        span=("B",),
    ),
    Guess(
        "03-overfitting",
        "It will read all its 500 images correctly. What share of the validation images will it read correctly?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (40, "Learning by heart sounds like learning nothing. It has learnt shapes, too."),
                (80, "Fifty examples of each digit carry further than one thinks."),
                (93, "You expect much to carry over, and a gap to remain."),
                (100, "So many weights can learn 500 images by heart; what others write, they have not seen."),
            ),
        ),
        span=(0.78, 0.94),
    ),
    Guess(
        "03-checkpoint",
        "What must the file hold, for the training to go on as if nothing had happened?",
        Choices(
            {
                "the weights": "Weights are enough to read digits. To go on, the optimizer's memory counts as well.",
                "the weights and the optimizer": "AdamW would go on, but at which rate, and in which order of images?",
                "the weights and the epoch": "That says where it was, not AdamW's memory, nor the coming shuffles.",
                "all of it: weights, optimizer, schedule and random generators": "You thought of all that a step uses.",
            }
        ),
        span=("all of it: weights, optimizer, schedule and random generators",),
    ),
)


class Loop(Exercise):
    id = "03-loop"
    kind, points, minutes = "turn", 4, 12
    expects = "a function of model, batches and optimizer that returns the losses, a list of numbers"
    variable = None
    own = staticmethod(epoch)
    praise = "These lines are the heart of every training program, however large."
    hints = (
        "A `for` goes through the batches. Inside it stand four moves: the loss of this batch, clear, backward, step.",
        "`F.cross_entropy` takes the logits of `model(images)` and the `labels`; `backward` belongs to the result.",
        "Clear before `backward`, step after it. Then `append` the loss as a number to the list, and return the list "
        "when the `for` is over, at the depth of the word `for`.",
    )

    def verify(self, answer):
        function(answer, "model, batches and optimizer")
        batches = Few(*((torch.randn(n, 1, 2, 2), torch.randint(3, (n,))) for n in (4, 4, 2)))
        found, diary = watched(answer, batches)
        right, good = watched(epoch, batches)
        self._rounds(diary, batches)
        self._steps(diary, good)
        self._losses(found, right, batches)

    def _rounds(self, diary, batches):
        """Whether each batch was used, once."""
        asked = [images for kind, images in diary if kind == "asked"]
        require(asked, "Your loop never asks the network: its logits are `model(images)`.")
        count = {kind: sum(kind == other for other, _ in diary) for kind in ("backward", "step")}
        require(count["backward"], "No gradient was computed: `backward()` of the loss is what does it.")
        require(count["step"], "The loss never fell, because no weight moved: is `step()` of the optimizer called?")
        first, *_ = batches
        same = len(asked) > 1 and all(images.shape == first[0].shape and images.equal(first[0]) for images in asked)
        require(not same, "You trained on the same batch in every round. Take the `images, labels` of the `for`.")
        require(
            len(asked) > 1 or count["step"] > 1,
            "Your function ended after the first of 3 batches. Is `return` inside the `for`?",
        )
        require(
            count["step"] > 1,
            "There were 3 batches and only 1 step: is `step()` inside the `for`? The weights move after every batch.",
        )
        require(count["step"] < 6, "One epoch is one pass over the batches, and yours is more: 3 batches are 3 steps.")

    def _steps(self, diary, good):
        """Whether each step was made with the gradient of its own batch."""
        kinds = [kind for kind, _ in diary]
        require(
            kinds.index("backward") < kinds.index("step"),
            "Your first step comes before `backward`, so there was no gradient yet to step with.",
        )
        steps, wanted = ([seen for kind, seen in book if kind == "step"] for book in (diary, good))
        require(
            any(step.any() for step in steps),
            "You cleared after `backward`: nothing was left to step with, and the loss never fell.",
        )
        alike = [step.allclose(right, atol=1e-5) for step, right in zip(steps, wanted, strict=False)]
        if alike[0] and not alike[1]:
            added = steps[1].allclose(wanted[0] + wanted[1], atol=1e-5)
            require(not added, "Step 2 contains the gradient of step 1: clear first, in every round, with `()`.")
        require(
            len(steps) == 3,
            f"There were 3 batches and {len(steps)} steps: each batch is for one step, the shorter last one, too.",
        )

    def _losses(self, found, right, batches):
        """Whether what is returned are the losses, as numbers."""
        many = found if isinstance(found, list | tuple) else [found]
        require(
            not any(getattr(one, "requires_grad", False) for one in many),
            "You keep tensors with their history, and with each of them all that was computed for it: `.item()` makes "
            "a plain number.",
        )
        if isinstance(found, int | float) or getattr(found, "ndim", 1) == 0:
            names = {right[-1]: "the last loss only", sum(right) / 3: "the mean", sum(right): "the sum"}
            said = names.get(float(found), described(found))
            raise NotYet(f"You return {said}. Keep each loss in the list, and return the list.")
        require(hasattr(found, "__len__"), f"A list of losses is expected, and this is {described(found)}.")
        require(len(found) > 0, "Your list of losses is empty: `append` each loss to it.")
        one = "Your list holds 1 loss for 3 batches. Is it made anew in every round, or filled only after the `for`?"
        require(len(found) != 1, one)
        found = tensor(found, (3,))
        images, labels = batches.batches[0]
        torch.manual_seed(1)
        first = Watched([])(images)  # the logits before any step
        known = [
            (F.cross_entropy(first.softmax(1), labels), "A softmax too many: `cross_entropy` takes the logits."),
            (F.cross_entropy(first, labels, reduction="sum"), "Your loss is a sum over the batch. A mean is usual."),
            (-F.cross_entropy(first, labels), "Your loss has the wrong sign: it would be made large, not small."),
        ]
        message = "The loss of the first batch is not its cross-entropy before the step."
        compare(found[0], right[0], [(value.item(), words) for value, words in known], message, within=1e-4)
        compare(found, right, [], "Only the first loss is right: did each step have its own gradient?", within=1e-4)

    def taken(self, answer):
        """The student's loop, whose losses are floats in whatever form it returns them."""

        return converted(answer, lambda losses: [float(loss) for loss in losses])


LOSS, CLEAR, BACKWARD, STEP, KEEP, RETURN = inspect.getsource(epoch).splitlines(keepends=True)[3:]
Loop.right = (
    altered((CLEAR, ""), (STEP, STEP + CLEAR)),
    altered((LOSS + CLEAR, CLEAR + LOSS)),
    altered(("F.cross_entropy(", "nn.CrossEntropyLoss()(")),
    altered(("optimizer.zero_grad()", "model.zero_grad()"), ("loss.item()", "float(loss.detach())")),
    altered(("loss.item()", "loss.detach()")),
    altered(("loss.item()", "loss.detach().numpy()"), ("return losses", "return np.array(losses)")),
    altered(("in batches", "in list(batches)"), ("return losses", "return torch.tensor(losses)")),
)
Loop.wrong = (
    Wrong("no step", altered((STEP, "")), "never fell"),
    Wrong("step not called, only named", altered(("step()", "step")), "is `step()`"),
    Wrong("never cleared", altered((CLEAR, "")), "gradient of step 1"),
    Wrong("cleared once, before the loop", altered((CLEAR, ""), ("    for", CLEAR[4:] + "    for")), "clear first"),
    Wrong("cleared after backward", altered((CLEAR + BACKWARD, BACKWARD + CLEAR)), "nothing was left"),
    Wrong("stepped before backward", altered((BACKWARD + STEP, STEP + BACKWARD)), "before `backward`"),
    Wrong("no backward", altered((BACKWARD, "")), "No gradient"),
    Wrong("losses with their history", altered(("loss.item()", "loss")), "`.item()`"),
    Wrong("nothing returned", altered((RETURN, "")), "returned nothing"),
    Wrong("printed in place of returned", altered(("return losses", "print(end='')")), "does not count"),
    Wrong("the last loss", altered(("return losses", "return loss.item()")), "last loss only"),
    Wrong("the mean", altered(("return losses", "return sum(losses) / len(losses)")), "You return the mean"),
    Wrong("the sum", altered(("return losses", "return sum(losses)")), "You return the sum"),
    Wrong("return inside the loop", altered((RETURN, "    " + RETURN)), "inside the `for`"),
    Wrong("step after the loop", altered((STEP, ""), (RETURN, STEP[4:] + RETURN)), "only 1 step"),
    Wrong("the same batch", altered((LOSS, "        images, labels = next(iter(batches))\n" + LOSS)), "same batch"),
    Wrong("a list for each batch", altered((LOSS, "        losses = []\n" + LOSS)), "made anew"),
    Wrong("kept only the last", altered((KEEP, ""), (RETURN, KEEP[4:] + RETURN)), "only after the `for`"),
    Wrong("the pair not taken apart", altered(("images, labels in", "images in")), "takes it apart"),
    Wrong("the labels asked", altered(("model(images)", "model(labels)")), "something else"),
    Wrong("labels first", altered(("(model(images), labels)", "(labels, model(images))")), "logits first"),
    Wrong("backward of a plain number", altered(("labels)\n", "labels).item()\n")), "no history"),
    Wrong("losses not kept", altered((KEEP, "")), "empty"),
    Wrong("two epochs", altered(("in batches", "in [*batches, *batches]")), "one pass"),
    Wrong("the last batch left out", altered(("in batches", "in list(batches)[:-1]")), "the shorter last one"),
    Wrong("a softmax too many", altered(("model(images)", "model(images).softmax(1)")), "softmax too many"),
    Wrong("a sum over the batch", altered(("labels)\n", "labels, reduction='sum')\n")), "sum over the batch"),
    Wrong("climbs", altered(("loss = F", "loss = -F")), "wrong sign"),
    Wrong("no network", lambda model, batches, optimizer: [0.0 for _ in batches], "never asks"),
)


class Bugs(Exercise):
    id = "03-bugs"
    kind, points, minutes = "turn", 4, 8
    expects = "a dict of four line numbers, with the keys A, B, C and D"
    praise = (
        "A clears what it is about to step with, B clears only once, C puts a softmax before a loss that has its own, "
        "and D shuffles the images and leaves the labels as they were."
    )
    hints = (
        "One line in each loop is wrong, or stands in the wrong place. Compare the order with that of your own loop.",
        "A and D stay at the loss of a guess: in one of them nothing moves, in the other there is nothing to learn.",
        "B's steps grow larger and larger. C's loss stops well above 0: what does `cross_entropy` expect, logits or "
        "probabilities?",
    )

    @staticmethod
    def own():
        answer = {"A": 6, "B": 3, "C": 5, "D": 4}
        return answer

    def verify(self, answer):
        if isinstance(answer, list | tuple) and len(answer) == len(BROKEN):
            answer = dict(zip(BROKEN, answer, strict=True))
        require(isinstance(answer, Mapping), f"Expected is {self.expects}, and this is {described(answer)}.")
        named = {str(name).strip().upper(): line for name, line in answer.items() if not is_blank(line)}
        if answer and not named and set(map(str, answer)) <= set(BROKEN):
            raise NotAnswered
        strange = set(named) - set(BROKEN)
        require(
            not strange and named,
            "The keys of the dict are A, B, C and D, and each value is the number of a line.",
        )
        named = {name: whole(line) for name, line in named.items()}
        found = [name for name, line in BROKEN.items() if named.get(name) == line]
        so_far = f" (Found so far: {', '.join(found)}.)" if found else ""
        for name, line in named.items():
            if line != BROKEN[name]:
                raise NotYet(blame(name, line) + so_far)
        missing = [name for name in BROKEN if name not in named]
        require(not missing, f"Still to find: {', '.join(missing)}.{so_far}")

    right = (
        [6, 3, 5, 4],
        {"a": "6", "b": 3.0, "c": "5", "d": 4},
        {"D": torch.tensor(4), "C": np.int64(5), "B": 3, "A": 6},
    )
    wrong = (
        Wrong("A: backward", {"A": 5, "B": 3, "C": 5, "D": 4}, "What becomes of them"),
        Wrong("A: step", {"A": 7, "B": 3, "C": 5, "D": 4}, "finds zeros"),
        Wrong("B: step", {"A": 6, "B": 7, "C": 5, "D": 4}, "the sum of all gradients"),
        Wrong("B: backward", {"A": 6, "B": 6, "C": 5, "D": 4}, "how often does that line run"),
        Wrong("C: clearing comes first", {"A": 6, "B": 3, "C": 4, "D": 4}, "before new ones come"),
        Wrong("D: the loss", {"A": 6, "B": 3, "C": 5, "D": 6}, "its own label"),
        Wrong("only some", {"A": 6, "B": 3}, "Still to find: C, D"),
        Wrong("no such line", {"A": 6, "B": 30, "C": 5, "D": 4}, "no line 30"),
        Wrong("one number", 6, "a dict of four line numbers"),
        Wrong("the code in place of its number", {"A": "optimizer.zero_grad()"}, "A number is expected"),
    )


class ReachGoal(Exercise):
    id = "03-goal"
    kind, points, minutes, seconds = "turn", 2, 8, 120
    expects = "a batch size and a learning rate"
    hints = (
        "Each row of the map has a best rate. Find it for one batch size first, then change the size.",
        "Where do more steps come from? Go to smaller batches, but not to the end.",
        "Smaller batches point less exactly, and want a smaller rate. Look between 16 and 128 images.",
    )

    @cached_property
    def given(self):
        return {"mnist": sample()}

    @staticmethod
    def own():
        answer = (32, 0.004)
        return answer

    def verify(self, answer, mnist):
        pair = tensor(answer).flatten()
        require(len(pair) == 2, "Two numbers are expected: the batch size, then the learning rate.")
        batch_size, rate = pair.tolist()
        require(batch_size != 0 and rate != 0, "Both numbers must be above 0.")
        swapped = batch_size < 1 <= rate
        require(not swapped, f"The batch size comes first, then the learning rate: ({rate:g}, {batch_size:g})?")
        require(rate < 1, f"With a learning rate of {rate:g} each step leaps over the valley: AdamW's are far below 1.")
        try:
            accuracy = one_epoch(mnist, whole(batch_size), rate)
        except (ValueError, FloatingPointError) as error:
            raise NotYet(f"This cannot be trained: {error}.") from error
        goal, steps = goal_of(mnist), -(-len(mnist.train) // whole(batch_size))
        reached = f"{steps:,} steps reached {percent(accuracy)}, and the goal is {percent(goal)}."
        few = "So few steps do not get far: what makes them more?"
        many = "There were steps enough. Try another rate, or another batch size beside this one."
        require(accuracy >= goal, f"{reached} {few if batch_size > 256 else many}")
        usual = -(-len(mnist.train) // 512)
        return f"{steps:,} steps reached {percent(accuracy)}. (Batches of 512 would have made {usual:,} steps.)"

    right = ([16, 0.004], torch.tensor([32, 0.008]), np.array([16, 0.002]))
    wrong = (
        Wrong("as fit does", (512, 0.008), "So few steps"),
        Wrong("far too small a rate", (32, 1e-5), "steps enough"),
        Wrong("swapped", (0.004, 32), "batch size comes first"),
        Wrong("a rate as for SGD, and more", (32, 1.5), "leaps over"),
        Wrong("a larger batch than there are images", (10**6, 0.004), "cannot be trained"),
        Wrong("one number", 32, "Two numbers"),
    )


class Steps(Exercise):
    id = "03-steps"
    points, minutes = 1, 4
    expects = "a whole number"
    praise = "The last batch of each epoch is short, and a step all the same."
    hints = (
        "How many batches does one epoch have, and are they all full?",
        "500 images in batches of 48: ten are full, and some images are left over. They are trained on, too.",
        "Each epoch begins anew, with a full batch. So count one epoch, to the whole number, before you multiply.",
    )

    @cached_property
    def given(self):
        return {"few": Split(torch.zeros(500, 28, 28, dtype=torch.uint8), torch.zeros(500, dtype=torch.long))}

    @staticmethod
    def own(few):
        answer = 30 * len(mh.Batches(few, 48))
        return answer

    def verify(self, answer, few):
        known = [
            (312.5, "A step is a whole one: an epoch cannot end in the middle of a batch."),
            (300, "Some images of each epoch are left over after the full batches. Are they dropped?"),
            (313, "You rounded at the very end, as if a batch could reach into the next epoch."),
            (312, "You rounded at the very end, as if a batch could reach into the next epoch."),
            (11, "That is one epoch. How many are there?"),
            (10, "That is one epoch, and without its last batch. How many epochs are there?"),
            (1440, "That is 30 times 48: where do the 500 images come in?"),
            (15000, "That is how many images are seen. A step is made with a whole batch of them."),
            (34380, "That is for all of `mnist.train`. `few` holds 500 images."),
            (240, "That is for batches of 64. Here a batch has 48 images."),
            (330 * 48, "A step is made with a batch, not with an image."),
        ]
        value = number(answer)
        for wrong, words in known:
            require(abs(value - wrong) > 1e-6, words)
        message = "Count the batches of one epoch first, the last one too. Then the epochs."
        require(value == 30 * -(-len(few) // 48), message)

    right = (330, "330", 330.0, torch.tensor(330), np.int64(330), [330])
    wrong = (
        Wrong("the short batch dropped, or rounded down", 300, "left over"),
        Wrong("rounded at the end", 313, "rounded at the very end"),
        Wrong("not rounded", 30 * 500 / 48, "whole one"),
        Wrong("one epoch", 11, "That is one epoch"),
        Wrong("epochs times batch size", 1440, "30 times 48"),
        Wrong("images", 15_000, "how many images"),
        Wrong("the whole training set", "34,380", "holds 500 images"),
        Wrong("some other number", 360, "Count the batches"),
    )


def my_step(weight, gradient, learning_rate, weight_decay):
    return weight - learning_rate * (gradient + weight_decay * weight)


def in_place(weight, gradient, learning_rate, weight_decay):
    weight -= learning_rate * (gradient + weight_decay * weight)


class MyStep(Exercise):
    id = "03-my-step"
    points, minutes = 2, 6
    expects = "a function of weight, gradient, learning_rate and weight_decay that returns the new weight"
    variable = None
    own = staticmethod(my_step)
    praise = "That is all that `torch.optim.SGD` does, weight by weight."
    hints = (
        "Without decay: the weight goes against its gradient. How far, two numbers multiplied say.",
        "Decay joins the gradient before the learning rate is multiplied in.",
        "With a gradient of 0 and a rate of 0.1, a decay of 0.5 leaves 95 % of the weight. Does yours?",
    )

    def verify(self, answer):
        function(answer, "weight, gradient, learning_rate and weight_decay")
        weight, gradient = torch.randn(5), torch.randn(5)
        for decay in (0.0, 0.25):
            rate = 0.05 + 0.4 * torch.rand(()).item()
            found = tensor(call(answer, weight.clone(), gradient.clone(), rate, decay))
            require(
                found.shape == (5,),
                f"For 5 weights 5 new ones are expected, and yours has the shape {tuple(found.shape)}.",
            )
            held = weight.clone().requires_grad_()
            held.grad = gradient.clone()
            torch.optim.SGD([held], lr=rate, weight_decay=decay).step()
            self._compare(found, held.detach(), weight, gradient, rate, decay)

    def _compare(self, found, right, weight, gradient, rate, decay):
        move, shrunk = rate * gradient, decay * weight
        known = [
            (move, "That is how far the weight moves. Where does it arrive?"),
            (-move, "That is how far the weight moves. Where does it arrive?"),
            (weight + move, "You go along the gradient, which raises the loss. Which way is down?"),
            (weight - gradient, "The gradient alone is too long a step: how far to go, the learning rate says."),
            (weight, "Nothing has moved."),
        ]
        message = f"Without weight decay, yours is not what SGD does with the rate {rate:.3f}."
        if decay:
            known = [
                (weight - move, "Your step is right without weight decay, which yours leaves out."),
                (weight - move + rate * shrunk, "In yours decay makes weights larger. It shrinks them: mind the sign."),
                (weight - move + shrunk, "In yours decay makes weights larger. It shrinks them: mind the sign."),
                (weight + move - rate * shrunk, "You go along the gradient, which raises the loss. Which way is down?"),
                (
                    weight - move - shrunk,
                    "Your decay is not multiplied by the learning rate.",
                ),
                (weight - move - rate * decay, "You decay every weight by the same amount. The larger, the more."),
                (weight - move * (1 + decay), "You let the gradient decay, or grow. It is the weight that shrinks."),
                (
                    weight * (1 - decay) - move,
                    "Your decay is not multiplied by the learning rate.",
                ),
            ]
            message = "Your step is right without weight decay, and with it is not what SGD does."
        compare(found, right.double(), [(value.double(), words) for value, words in known], message, within=1e-5)

    right = (
        lambda weight, gradient, rate, decay: (1 - rate * decay) * weight - rate * gradient,
        lambda weight, gradient, rate, decay: (
            weight.double() - rate * gradient.double() - rate * decay * weight.double()
        ),
        lambda weight, gradient, rate, decay: [
            w - rate * (g + decay * w) for w, g in zip(weight, gradient, strict=True)
        ],
        lambda weight, gradient, rate, decay: (weight - rate * (gradient + decay * weight)).numpy(),
        lambda weight, gradient, rate, decay: weight.sub_(rate * (gradient + decay * weight)),
    )
    wrong = (
        Wrong("no decay", lambda w, g, rate, decay: w - rate * g, "leaves out"),
        Wrong("up the hill", lambda w, g, rate, decay: w + rate * g, "which raises the loss"),
        Wrong("without the rate", lambda w, g, rate, decay: w - g - decay * w, "too long a step"),
        Wrong("the move alone", lambda w, g, rate, decay: rate * (g + decay * w), "Where does it arrive"),
        Wrong("decay without the rate", lambda w, g, rate, decay: w - rate * g - decay * w, "not multiplied by"),
        Wrong("decay that grows", lambda w, g, rate, decay: w - rate * (g - decay * w), "mind the sign"),
        Wrong("added at the end", lambda w, g, rate, decay: w - rate * g + decay * w, "mind the sign"),
        Wrong("the same for all", lambda w, g, rate, decay: w - rate * (g + decay), "The larger, the more"),
        Wrong("decay of the gradient", lambda w, g, rate, decay: w - rate * g * (1 + decay), "weight that shrinks"),
        Wrong("a gradient made up", lambda w, g, rate, decay: w - rate * (2 * w + decay * w), "not what SGD does"),
        Wrong("in place, not returned", in_place, "returned nothing"),
        Wrong("one number", lambda w, g, rate, decay: (w - rate * (g + decay * w)).sum(), "5 new ones"),
    )


def accuracy_of_all(accuracies, sizes):
    correct = sum(accuracy * size for accuracy, size in zip(accuracies, sizes, strict=True))
    return correct / sum(sizes)


def full_but_the_last(accuracies, sizes):
    correct = sizes[0] * sum(accuracies[:-1]) + sizes[-1] * accuracies[-1]
    return correct / (sizes[0] * (len(sizes) - 1) + sizes[-1])


class AccuracyOfAll(Exercise):
    id = "03-accuracy-of-all"
    points, minutes = 2, 6
    expects = "a function of accuracies and sizes, two lists, that returns one number from 0 to 1"
    variable = None
    own = staticmethod(accuracy_of_all)
    praise = "Now every image weighs the same, in whichever batch it is."
    hints = (
        "Three images, all right, and one image, wrong: what share of the four is right?",
        "A batch's accuracy and its size together say how many of its images are right.",
        "Add those up over the batches, and divide by how many images there are.",
    )

    def verify(self, answer):
        function(answer, "accuracies and sizes")
        self._try(answer, [1.0, 0.0], [6, 2])
        self._try(answer, [1.0, 0.0, 1.0], [3, 1, 2])
        self._try(answer, [0.5, 1.0, 0.25, 0.75], [64, 8, 64, 16])

    def _try(self, answer, accuracies, sizes):
        found = tensor(call(answer, list(accuracies), list(sizes)))
        require(found.numel() == 1, f"One number is expected, and yours is {described(found)}.")
        correct = sum(accuracy * size for accuracy, size in zip(accuracies, sizes, strict=True))
        first, rest = sizes[0], sizes[0] * (len(sizes) - 1)
        as_if_full = (first * sum(accuracies[:-1]) + sizes[-1] * accuracies[-1]) / (rest + sizes[-1])
        known = [
            (correct, "So many images are right. What share is that?"),
            (sum(accuracies) / len(sizes), "That is the mean of the batches: an image in a small batch weighs more."),
            (accuracies[-1], "That is the last batch alone."),
            (sum(accuracies) / sum(sizes), "You add up shares, and divide by images. How many images are right?"),
            (as_if_full, "You take all batches but the last to be of one size."),
            (1 - correct / sum(sizes), "That is the share of mistakes."),
            (correct / len(sizes), "You divide by how many batches there are. How many images are there?"),
        ]
        case = f"For the accuracies {accuracies} of batches of {sizes} images yours gives {found.item():.3g}."
        right = correct / sum(sizes)
        for wrong, words in known:  # in the simplest case two ways may agree
            require(abs(found.item() - wrong) > 1e-6 or abs(wrong - right) < 1e-6, f"{case} {words}")
        compare(share(found), right, [], f"{case} Every image must weigh the same.")

    right = (
        lambda accuracies, sizes: np.average(accuracies, weights=sizes),
        lambda accuracies, sizes: torch.tensor(accuracies) @ torch.tensor(sizes).float() / sum(sizes),
        lambda accuracies, sizes: np.dot(accuracies, sizes) / np.sum(sizes),
        lambda accuracies, sizes: [sum(round(a * n) for a, n in zip(accuracies, sizes, strict=True)) / sum(sizes)],
        lambda accuracies, sizes: 100 * np.average(accuracies, weights=sizes),
    )
    wrong = (
        Wrong("mean of the batches", lambda accuracies, sizes: sum(accuracies) / len(sizes), "in a small batch"),
        Wrong("shares by images", lambda accuracies, sizes: sum(accuracies) / sum(sizes), "You add up shares"),
        Wrong("right images, not their share", lambda accuracies, sizes: np.dot(accuracies, sizes), "What share"),
        Wrong("full batches but the last", full_but_the_last, "of one size"),
        Wrong("the last batch", lambda accuracies, sizes: accuracies[-1], "last batch alone"),
        Wrong("mistakes", lambda accuracies, sizes: 1 - np.average(accuracies, weights=sizes), "share of mistakes"),
        Wrong("divided by the batches", lambda a, n: np.dot(a, n) / len(n), "by how many batches"),
        Wrong("one for each batch", lambda a, n: [x * y for x, y in zip(a, n, strict=True)], "One number is expected"),
    )


class Recipe(Exercise):
    id = "03-recipe"
    kind, points, minutes, seconds = "open", 5, 20, 180
    expects = "a dict of settings for `mh.fit`"
    variable = "recipe"
    goal, seeds = 0.93, (0, 1, 2)
    allowed = ("batch_size", "learning_rate", "weight_decay", "label_smoothing", "one_cycle", "augment")
    hints = (
        "How many steps do three epochs of 4,000 images make with your batch size? The map of the sliders helps.",
        "Once the steps are enough, the network begins to learn its few images by heart. You know two remedies.",
        "Augmentation as it comes is strong for so short a training: its arguments make it gentler.",
    )

    @cached_property
    def given(self):
        mnist = sample()
        return {"short": mnist.train, "validation": mnist.validation}

    @staticmethod
    def own():
        gentle = mh.Augmentation(rotation=5, shift=1, scale=0.05, shear=5)
        recipe = {"batch_size": 16, "learning_rate": 0.004, "augment": gentle}
        return recipe

    def verify(self, answer, short, validation):
        require(isinstance(answer, Mapping), f"A dict of settings for `mh.fit` is expected, not {described(answer)}.")
        names = [str(name) for name in answer]
        require("epochs" not in names, "Three epochs for everyone: `epochs` is no part of the recipe.")
        require("seed" not in names, "A lucky seed is no recipe: the check takes three, and the mean.")
        for name in names:
            require(name in self.allowed, f"A recipe has no {name!r}. It may set {', '.join(self.allowed)}.")
        found = [self._accuracy(answer, short, validation, seed) for seed in self.seeds]
        mean = sum(found) / len(found)
        steps = 3 * -(-len(short) // int(answer.get("batch_size", 512)))
        reached = f"{percent(mean)} on the mean of three seeds ({percent(min(found))} to {percent(max(found))})"
        message = f"Your recipe makes {steps:,} steps and reaches {reached}. The goal is {percent(self.goal)}."
        require(mean >= self.goal, message)
        return f"Your recipe reaches {reached}, and nothing but the recipe has changed."

    def _accuracy(self, recipe, short, validation, seed):
        mh.set_seed(seed)
        model = MLP().to(short.images.device)
        try:
            fit(model, short, validation[:10], epochs=3, seed=seed, progress=False, **recipe)
        except FloatingPointError as error:
            raise NotYet(f"The training broke: {error}.") from error
        except Exception as error:
            raise NotYet(f"`mh.fit` does not take this: {error}.") from error
        return evaluate(model, validation).accuracy

    right = (
        {"batch_size": 16, "learning_rate": 0.004, "augment": mh.Augmentation(5, 1, 0.05, 5), "label_smoothing": 0.1},
        {"batch_size": 16, "learning_rate": 0.004, "label_smoothing": 0.1},
    )
    wrong = (
        Wrong("as fit does", {}, "makes 24 steps"),
        Wrong("one number", 0.004, "A dict of settings"),
        Wrong("more epochs", {"epochs": 10, "batch_size": 16}, "Three epochs for everyone"),
        Wrong("a lucky seed", {"seed": 7, "batch_size": 16}, "lucky seed"),
        Wrong("a name of PyTorch's", {"lr": 0.004}, "no 'lr'"),
        Wrong("far too large a rate", {"batch_size": 64, "learning_rate": 1e4}, "training broke"),
        Wrong("a batch too large", {"batch_size": 5000}, "does not take this"),
        Wrong(
            "distorted beyond reading", {"batch_size": 64, "augment": mh.Augmentation(180, 9, 0.5, 60)}, "goal is 93"
        ),
    )
