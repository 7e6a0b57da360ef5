"""What notebook 06 asks."""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import nn

import mnist_helpers as mh

from .answers import NotYet, call, compare, converted, described, function, number, require, tensor, whole, worded
from .exercise import Exercise, Wrong
from .guess import Guess
from .sample import digits
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "06-shuffle",
        "Trained and tested on shuffled pixels: which network errs far more often than it does on plain ones?",
        Choices(
            {
                "MLP": "An MLP was never told which pixels touch, so a shuffle takes nothing from it.",
                "CNN": "You asked what each network takes for granted, and one of them counts on neighbours.",
                "MLP and CNN": "A riddle to the eye need not be one to a network that reads a list of 784 numbers.",
                "neither": "Nothing is lost, true. But a network can be built to look only at what is close together.",
            }
        ),
        span=("CNN",),
    ),
    Guess(
        "06-which-map",
        "The kernel has minus ones above and plus ones below. Which map is its own?",
        Choices(
            {
                "A": "Mind the signs: with the pluses below, a sum is large where ink begins, below 0 where it ends.",
                "B": "Paper under the minuses and ink under the pluses: that is the upper edge of a stroke.",
                "C": "This one sees the sides of strokes. There, the pluses and minuses above each other cancel.",
            }
        ),
        span=("B",),
    ),
    Guess(
        "06-work",
        "The CNN has a quarter of the MLP's weights. How many times the MLP's multiplications does it need?",
        Scale(
            0,
            30,
            step=0.5,
            unit="times",
            bands=(
                (0.5, "A quarter of the weights, a quarter of the work? So it is if each weight is used once."),
                (4, "Sharing costs more than that: each weight of the first layer works at 24 · 24 places."),
                (11, "Many places for each weight, that is the idea. Even behind the first pooling it is 10 · 10."),
                (16, "You saw that a shared weight works at every place of its map."),
                (30, "Every place counts, but most weights belong to maps of 10×10 or smaller."),
            ),
        ),
        span=(12, 14),
    ),
    Guess(
        "06-shift",
        "Moved by 6 pixels, three times as far as in training: what share of the digits does the CNN still read?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (30, "The kernels find a stroke wherever it is; only what comes behind them knows places."),
                (75, "You trusted the kernels only so far. They do move along, and much of the way carries."),
                (95, "You took from equivariance a good part, and not everything."),
                (100, "The kernels move along. But is that so of every layer behind them?"),
            ),
        ),
        span=(0.7, 0.96),
    ),
    Guess(
        "06-together",
        "Which of these lowers the loss most, against one network that looks once?",
        Choices(
            {
                "one network, five looks": "Five looks help a network that has practised moved digits; and whatever it "
                "has not learnt, it does not know in any of them.",
                "three networks": "Three seeds make three sets of mistakes, and what is not shared averages out.",
                "neither": "An average never has a higher loss than those averaged have in the mean: of networks that "
                "are equally good, this makes a gain.",
            }
        ),
        span=("three networks",),
    ),
    Guess(
        "06-students",
        "Whose student is ahead in the mean of three seeds?",
        Choices(
            {
                "labels": "Plain labels are true, but they make a network chase a certainty that it never reaches.",
                "smoothed labels": "You trust softness. But these know less than a teacher: only that nothing is sure.",
                "teacher": "So the story goes, and a soft target does help. Whether the teacher's knowledge does, too, "
                "is what the control with smoothed labels is for.",
                "the two soft ones, alike": "You suspected that being soft matters more than what the softness says.",
            }
        ),
        span=("the two soft ones, alike",),
    ),
)


def convolve(image, kernel):
    feature_map = torch.zeros(26, 26)
    for row in range(26):
        for column in range(26):
            patch = image[row : row + 3, column : column + 3]
            feature_map[row, column] = (patch * kernel).sum()
    return feature_map


def _found(answer, *given, also):
    """What a student's function returns, as a tensor. `also` is what to add to an error that holds these words."""
    try:
        return tensor(call(answer, *given))
    except NotYet as error:
        raise NotYet(" ".join([str(error), *(more for words, more in also.items() if words in str(error))])) from error


def _everywhere(image, kernel, padding=0):
    """The feature map, by PyTorch."""
    return F.conv2d(image[None, None], kernel[None, None], padding=padding)[0, 0]


def _patches(image):
    return image.unfold(0, 3, 1).unfold(1, 3, 1)  # (26, 26, 3, 3)


def _over_the_edge(image, kernel):
    feature_map = torch.zeros(28, 28)
    for row in range(28):
        for column in range(28):
            feature_map[row, column] = (image[row : row + 3, column : column + 3] * kernel).sum()
    return feature_map


def _rows_of_one_list(image, kernel):
    feature_map = [[0] * 26] * 26
    for row in range(26):
        for column in range(26):
            feature_map[row][column] = (image[row : row + 3, column : column + 3] * kernel).sum()
    return feature_map


def _stops_early(image, kernel):
    feature_map = torch.zeros(26, 26)
    feature_map[:25, :25] = _everywhere(image, kernel)[:25, :25]
    return feature_map


def _builtin_sum(image, kernel):
    feature_map = torch.zeros(26, 26)
    feature_map[0, 0] = sum(image[:3, :3] * kernel)
    return feature_map


def _first_only(image, kernel):
    feature_map = torch.zeros(26, 26)
    for row in range(26):
        for column in range(26):
            feature_map[row, column] = (image[row : row + 3, column : column + 3] * kernel).sum()
            return feature_map


class Convolve(Exercise):
    id = "06-write-convolution"
    kind, points, minutes = "turn", 2, 8
    expects = "a function of an image (28, 28) and a kernel (3, 3) that returns the feature map (26, 26)"
    variable = None
    own = staticmethod(convolve)
    praise = "Two loops, nine products and a sum: this is all that a convolution does."
    hints = (
        "How many rows can the top of the kernel stand in, if its three rows must lie on the 28 of the image?",
        "The patch whose top left pixel is at `row`, `column` has three rows and three columns: slice it out.",
        "Begin with `torch.zeros(26, 26)`. In two loops, multiply patch and kernel, and store the sum of the nine.",
    )
    right = (
        _everywhere,
        lambda image, kernel: torch.einsum("rcij,ij->rc", _patches(image), kernel),
        lambda image, kernel: convolve(image, kernel).numpy(),
        lambda image, kernel: convolve(image, kernel).tolist(),
        lambda image, kernel: sum(kernel[i, j] * image[i : 26 + i, j : 26 + j] for i in range(3) for j in range(3)),
    )
    wrong = (
        Wrong("the kernel turned", lambda image, kernel: _everywhere(image, kernel.flip(0, 1)), "turned"),
        Wrong("padding", lambda image, kernel: _everywhere(image, kernel, padding=1), "hangs over"),
        Wrong("products", lambda image, kernel: _patches(image) * kernel, "not yet added"),
        Wrong("the mean", lambda image, kernel: (_patches(image) * kernel).mean((2, 3)), "mean"),
        Wrong("no weights", lambda image, kernel: _patches(image).sum((2, 3)), "do not count"),
        Wrong("one place too few", lambda image, kernel: _everywhere(image, kernel)[:25, :25], "does not yet reach"),
        Wrong("rows and columns", lambda image, kernel: _everywhere(image, kernel).T, "rows and columns"),
        Wrong("kernel transposed", lambda image, kernel: _everywhere(image, kernel.T), "kernel's rows"),
        Wrong("return in the loop", _first_only, "first place"),
        Wrong("one place", lambda image, kernel: (image[:3, :3] * kernel).sum(), "one place"),
        Wrong("the sum of all", lambda image, kernel: _everywhere(image, kernel).sum(), "one number"),
        Wrong("every third pixel", lambda image, kernel: _everywhere(image, kernel)[::3, ::3], "one pixel"),
        Wrong("whole numbers", lambda image, kernel: _everywhere(image, kernel).int(), "decimals"),
        Wrong("absolute values", lambda image, kernel: _everywhere(image, kernel).abs(), "minus sign"),
        Wrong("one long row", lambda image, kernel: _everywhere(image, kernel).flatten(), "in a row"),
        Wrong("batch kept", lambda image, kernel: F.conv2d(image[None, None], kernel[None, None]), "[0, 0]"),
        Wrong("too large a slice", lambda image, kernel: (image[:4, :4] * kernel).sum(), "Is every patch 3×3"),
        Wrong("over the edge", _over_the_edge, "Is every patch 3×3"),
        Wrong("the sum of Python", _builtin_sum, "takes one number"),
        Wrong("matrix product", lambda image, kernel: (_patches(image) @ kernel).sum((2, 3)), "place by place"),
        Wrong("the last product", lambda image, kernel: _patches(image)[..., 2, 2] * kernel[2, 2], "last product"),
        Wrong("one list for all rows", _rows_of_one_list, "same row 26 times"),
        Wrong("stopped early", _stops_early, "row 0, column 25"),
    )

    def verify(self, answer):
        image, kernel = torch.rand(28, 28), torch.tensor([[-3.0, 1.0, 2.0], [5.0, -1.0, 0.5], [2.0, -4.0, 7.0]])
        also = {
            "must match the size": "Is every patch 3×3, the last ones of a row as well?",
            "size=[]": "A place of the map takes one number: are all nine added up?",
        }
        found, right = (
            _found(function(answer, "an image and a kernel"), image, kernel, also=also),
            _everywhere(image, kernel),
        )
        said = {
            (): "This is one number, perhaps of one place: a map has one for every place.",
            (28, 28): "28×28: your kernel hangs over the edge. Only places where all nine weights meet a pixel count.",
            (26, 26, 3, 3): "These are nine products for each place, not yet added up.",
            (3, 3): "Nine numbers: if these are products, they are not yet added up, and of a single place.",
            (676,): "676 numbers in a row: a map has 26 rows and 26 columns.",
            (25, 25): "25×25: your loop does not yet reach the last place. `range(25)` ends at 24.",
            (9, 9): "9×9: the kernel moves on by one pixel, not by its own width.",
            (1, 1, 26, 26): "`F.conv2d` keeps a place for the batch and one for the maps: take [0, 0] of it.",
        }
        shape = tuple(found.shape)
        require(shape == (26, 26), said.get(shape, f"The map has the shape (26, 26), and yours has {shape}."))
        first, row = torch.zeros(2, 26, 26)
        first[0, 0], row[0] = right[0, 0], right[0]
        too_soon = "Only the first place, or row, of your map is filled: does `return` stand inside a loop?"
        known = [
            (_everywhere(image, kernel.flip(0, 1)), "Your kernel lies turned by half a circle: its first weight meets "
             "the last pixel of the patch. (Mathematicians do define it so; networks do not.)"),
            (right / 9, "That is the mean of the nine products, and not their sum."),
            (_patches(image).sum((2, 3)), "That is the sum of the nine pixels: the kernel's weights do not count."),
            (right.T, "Your map has its rows and columns swapped."),
            (_everywhere(image, kernel.T), "The kernel's rows have become its columns."),
            (first, too_soon),
            (row, too_soon),
            (right.trunc(), "The decimals are cut off: make the map of `torch.zeros`, which is float."),
            (right.abs(), "A sum may be negative: where has its minus sign gone?"),
            ((_patches(image) @ kernel).sum((2, 3)), "`@` is the product of matrices; here it is place by place, `*`."),
            (_patches(image)[..., 2, 2] * kernel[2, 2], "That is the last product of the nine alone: `+=` adds up."),
            (right[-1:].expand(26, 26), "It is the same row 26 times: in `[[0] * 26] * 26` all rows are one list."),
        ]  # fmt: skip
        row, column = divmod(int((~((found - right).abs() <= 1e-3)).flatten().int().argmax()), 26)  # the first amiss
        at = (f"At row {row}, column {column} yours is {found[row, column]:.2f}, and the nine products add up to "
              f"{right[row, column]:.2f}")  # fmt: skip
        compare(found, right, known, f"The shape is right, not yet all values. {at}.", within=1e-3)

    def taken(self, answer):
        """As a tensor, whatever form the student's map has."""

        return converted(answer, lambda maps: tensor(maps).float())


def batch_norm(maps):
    mean = maps.mean((0, 2, 3), keepdim=True)  # (1, C, 1, 1)
    variance = maps.var((0, 2, 3), keepdim=True, correction=0)
    return (maps - mean) / (variance + 1e-5).sqrt()


def _normed(axes, power=0.5, tiny=1e-5, centre=True, correction=0):
    """A version of `batch_norm` with other axes, or another mistake."""

    def version(maps):
        mean, variance = maps.mean(axes, keepdim=True), maps.var(axes, keepdim=True, correction=correction)
        return (maps - mean * centre) / (variance + tiny) ** power

    return version


def _first_map_only(maps):
    for one in range(maps.shape[1]):
        maps[:, one] = (maps[:, one] - maps[:, one].mean()) / (maps[:, one].var() + 1e-5).sqrt()
        return maps


class BatchNorm(Exercise):
    id = "06-write-batch-norm"
    kind, points, minutes = "turn", 2, 8
    expects = "a function of maps (N, C, H, W) that returns maps of the same shape"
    variable = None
    own = staticmethod(batch_norm)
    praise = "Each map, over the whole batch, has mean 0 and deviation 1 now."
    hints = (
        "A map has one mean for all images, all rows and all columns together. How many means are there, then?",
        "`mean` takes several axes at once, as in `(1, 2)`; with `keepdim=True` its result fits to `maps`.",
        "Take away the mean of axes 0, 2 and 3, and divide by the root of their variance plus 1e-5.",
    )
    right = (
        lambda maps: F.batch_norm(maps, None, None, training=True),
        lambda maps: nn.BatchNorm2d(maps.shape[1])(maps),
        lambda maps: (maps - maps.mean((0, 2, 3), keepdim=True)) / (maps.std((0, 2, 3), keepdim=True) + 1e-5),
        lambda maps: torch.stack([(one - one.mean()) / (one.var() + 1e-5).sqrt() for one in maps.unbind(1)], 1),
        lambda maps: batch_norm(maps).numpy(),
    )
    wrong = (
        Wrong("one mean for all maps", _normed((0, 1, 2, 3)), "each map has its own"),
        Wrong("each image by itself", _normed((2, 3)), "image by itself"),
        Wrong("each place by itself", _normed((0,)), "place by itself"),
        Wrong("all maps of an image", _normed((1, 2, 3)), "maps of an image"),
        Wrong("divided by the variance", _normed((0, 2, 3), power=1), "root"),
        Wrong("only centred", _normed((0, 2, 3), power=0), "deviation"),
        Wrong("only scaled", _normed((0, 2, 3), centre=False), "not 0"),
        Wrong("nothing added", _normed((0, 2, 3), tiny=0), "divided by 0"),
        Wrong("as it was", lambda maps: maps * 1.0, "as they were"),
        Wrong("the means", lambda maps: maps.mean((0, 2, 3)), "same shape"),
        Wrong("no keepdim", lambda maps: maps - maps.mean((0, 2, 3)), "keepdim"),
        Wrong("over the maps", _normed((1,)), "across the maps"),
        Wrong("over the maps, n - 1", _normed((1,), correction=1), "across the maps"),
        Wrong("each place by itself, n - 1", _normed((0,), correction=1), "place by itself"),
        Wrong(
            "brackets", lambda maps: maps - maps.mean((0, 2, 3), True) / maps.std((0, 2, 3), keepdim=True), "brackets"
        ),
        Wrong("return in the loop", _first_map_only, "inside the loop"),
    )

    def verify(self, answer):
        offset, scale = torch.tensor([5.0, -2.0, 0.5]).view(1, 3, 1, 1), torch.tensor([2.0, 0.5, 4.0]).view(1, 3, 1, 1)
        maps = offset + scale * torch.randn(4, 3, 5, 7) + torch.randn(4, 1, 1, 1) + torch.randn(1, 3, 5, 7)
        also = {"must match the size": "One number a map has to meet 4 axes: a mean with `keepdim=True` does."}
        found = _found(function(answer, "maps"), maps.clone(), also=also)
        require(
            found.shape == maps.shape, f"The same shape is expected, {tuple(maps.shape)}, not {tuple(found.shape)}."
        )
        mean, deviation = maps.mean((0, 2, 3), keepdim=True), maps.std((0, 2, 3), keepdim=True)
        centred = maps - mean
        known = [
            (maps, "The maps are as they were."),
            (_normed((0, 1, 2, 3))(maps), "You took one mean and one deviation for everything: each map has its own."),
            (_normed((2, 3))(maps), "You treated each image by itself: the batch has to be taken together."),
            (_normed((1, 2, 3))(maps), "You took all maps of an image together: it is all images of a map."),
            (centred / maps.var((0, 2, 3), keepdim=True), "You divided by the variance: the deviation is its root."),
            (centred, "The means are 0; now divide, so that the deviation is 1."),
            (maps - mean / deviation, "First take the mean away, then divide: that wants brackets."),
            (_first_map_only(maps.clone()), "Only the first map is done: does `return` stand inside the loop?"),
        ]
        for n_less in (0, 1):  # the variance of so few differs with what it is divided by
            by_place, across = (_normed((axis,), correction=n_less)(maps) for axis in (0, 1))
            known.append((by_place, "You treated each place by itself: all places of a map share one mean."))
            known.append((across, "You took the mean across the maps, place by place: each map has its own mean."))
        mean, spread = found.mean((0, 2, 3)), found.std((0, 2, 3))
        closest = (
            f"The means of your maps are not 0: {', '.join(f'{one:.2f}' for one in mean)}."
            if mean.abs().max() > 0.02
            else f"The deviations of your maps should be 1, and are {', '.join(f'{one:.2f}' for one in spread)}."
        )
        compare(found, batch_norm(maps), known, closest, within=0.05)
        flat = tensor(call(answer, torch.full((4, 3, 5, 7), 2.0)))
        require(flat.isfinite().all(), "A map that is the same everywhere has deviation 0: something was divided by 0.")

    def taken(self, answer):
        """As a tensor, whatever form the student's maps have."""

        return converted(answer, lambda maps: tensor(maps).float())


class Shapes(Exercise):
    id = "06-shapes"
    points, minutes = 1, 3
    expects = "a whole number"
    hints = (
        "Two steps: how wide is the map before the pooling?",
        "A 3×3 kernel found 26 places in a row of 28 pixels. How many does one of width 7 find?",
        "Pooling keeps one number of two in a row.",
    )
    right = ("11", 11.0, torch.tensor(11), [11])
    wrong = (
        Wrong("pooling forgotten", 22, "pooling"),
        Wrong("padded", 14, "without padding"),
        Wrong("28 − 7, halved", 10, "first place"),
        Wrong("28 − 7", 21, "first place"),
        Wrong("a kernel of 5", 12, "kernel of 5×5"),
        Wrong("all places", 121, "one side"),
        Wrong("pooling first", 8, "comes first"),
        Wrong("half", 10.5, "whole number"),
        Wrong("moved by 7", 4, "moves on by one"),
        Wrong("the kernel's width", 7, "That is the kernel"),
        Wrong("nothing changes", 28, "image"),
    )
    praise = "The kernel finds 22 places in a row, and pooling keeps one number of two."

    @staticmethod
    def own():
        places = 28 - 7 + 1
        return places // 2

    def verify(self, answer):
        known = [
            (22, "That is how wide the map is before the pooling."),
            (14, "This would be so if the map were as wide as the image; without padding it is not."),
            (10, "28 − 7 is how far the kernel can move on; the first place counts as well."),
            (21, "28 − 7 is how far the kernel can move on; the first place counts as well. And then comes pooling."),
            (12, "A kernel of 5×5 would leave that. Here it has 7 rows and columns."),
            (13, "A kernel of 3×3 would leave that. Here it has 7 rows and columns."),
            (121, "That is how many numbers the map has; asked is one side of it."),
            (484, "That is how many numbers the map has before the pooling; asked is one side, after it."),
            (8, "The pooling comes after the kernel: which of the two comes first makes a difference."),
            (4, "The kernel moves on by one pixel, not by its own width."),
            (2, "The kernel moves on by one pixel, not by its own width."),
            (7, "That is the kernel; asked is the map that it leaves."),
            (28, "That is the image; asked is the map."),
        ]
        compare(whole(answer), 11, known, "In a row of 28 pixels, count the places at which a kernel of 7 can begin.")


class LeftEdges(Exercise):
    id = "06-left-edges"
    points, minutes = 2, 6
    expects = "nine weights, (3, 3)"
    hints = (
        "The kernel of the lesson answers where ink begins below. What would have to be turned, and which way?",
        "Lay it over a left edge: which of its columns is on paper, which on ink? Give each the sign that helps.",
        "Inside a stroke all nine weights meet ink, and should add up to no more than 0.",
    )
    right = (
        [[-2, 0, 1]] * 3,
        [[-1, 1, 0]] * 3,
        [[-1, -1, 2]] * 3,
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        [[0, 0, 0], [-1, 0, 1], [0, 0, 0]],
        torch.tensor([[-1, 0, 1]] * 3)[None, None],
        [-1, 0, 1] * 3,
        torch.tensor([[-1, 0, 1]] * 3).numpy(),
    )
    wrong = (
        Wrong("the mirror image", [[1, 0, -1]] * 3, "mirror image"),
        Wrong("the lesson's kernel", [[-1] * 3, [0] * 3, [1] * 3], "upper or lower"),
        Wrong("upside down", [[1] * 3, [0] * 3, [-1] * 3], "upper or lower"),
        Wrong("a line detector", [[-1, 2, -1]] * 3, "right edge just as well"),
        Wrong("a line detector, reversed", [[1, -2, 1]] * 3, "right edge just as well"),
        Wrong("a checkerboard", [[1, -1, 1], [-1, 1, -1], [1, -1, 1]], "inside a stroke"),
        Wrong("an outline", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], "right edge just as well"),
        Wrong("no minus", [[0, 1, 2]] * 3, "inside a stroke"),
        Wrong("minus too small", [[-1, 0, 2]] * 3, "inside a stroke"),
        Wrong("all ink", torch.ones(3, 3), "inside a stroke"),
        Wrong("zeros", torch.zeros(3, 3), "answers nothing"),
        Wrong("all minus", -torch.ones(3, 3), "never above 0"),
        Wrong("a row", [[-1, 0, 1]], "(3, 3)"),
        Wrong("5×5", torch.ones(5, 5), "(3, 3)"),
        Wrong("diagonal", [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], "upper or lower"),
    )
    praise = "At left edges it is more than twice as large as at right or level ones, or inside a stroke."

    @staticmethod
    def own():
        return torch.tensor([[-1.0, 0.0, 1.0]] * 3)

    def verify(self, answer):
        kernel = tensor(answer)
        nine = f"Nine weights are expected, of shape (3, 3), not {described(answer)}."
        require(kernel.numel() == 9 and kernel.shape[-1:] in ((3,), (9,)), nine)
        require(kernel.isfinite().all(), "A weight is not a finite number.")
        kernel = kernel.reshape(3, 3)
        step = torch.zeros(9, 9, dtype=torch.float64)
        step[:, 4:] = 1  # paper on the left, ink on the right
        left, right = (_everywhere(image, kernel).max().item() for image in (step, step.flip(1)))
        level = max(_everywhere(image, kernel).max().item() for image in (step.T, step.T.flip(0)))
        full = kernel.sum().item()
        require(kernel.any(), "A kernel of zeros answers nothing, wherever it lies.")
        require(
            full <= 0 or left > 2 * full,
            f"It answers {full:g} inside a stroke as well, where there is no edge: what should cancel there?",
        )
        require(left > 0 or right <= 0, "It answers right edges, where ink ends: this is the mirror image.")
        require(
            right <= 0 or left > 2 * right,
            f"It answers a right edge just as well, or nearly: {right:g} there, and {left:g} at a left one.",
        )
        require(
            level <= 0 or left > 2 * level,
            f"It answers upper or lower edges, too: {level:g} there, and {left:g} at a left one.",
        )
        require(left > 0, "Your map is never above 0 at a left edge.")


class Frame(Exercise):
    id = "06-frame"
    points, minutes = 1, 5
    expects = "a number, to two decimals"
    hints = (
        "Each place of a map costs the same number of multiplications. So what has to be counted?",
        "Without padding the sixteen maps of the first layer are 24×24. How large are they with it?",
        "Divide the number of places with padding by the number without.",
    )
    right = ("1.36", "136 %", 49 / 36, torch.tensor(1.361), 1.4 - 0.04)
    wrong = (
        Wrong("one side only", 28 / 24, "both sides"),
        Wrong("what is added", 0.361, "what is added"),
        Wrong("the other way round", 0.735, "other way round"),
        Wrong("the padded image", (32 / 28) ** 2, "places of the map"),
        Wrong("too coarse", 1.4, "two decimals"),
        Wrong("the number itself", 313_600, "how many times"),
        Wrong("no difference", 1, "more places"),
        Wrong("the frame of the image", (32 / 24) ** 2, "places of the map"),
        Wrong("all places counted", 784, "how many times"),
    )
    praise = "A good third more, for a frame that is almost always black."

    @staticmethod
    def own():
        return 28**2 / 24**2

    def verify(self, answer):
        value, right = number(answer), 28**2 / 24**2
        require(value < 100, "That is a count, or per cent without its sign. Asked is how many times as many.")
        if abs(value - 1.4) < 1e-6:
            raise NotYet("As far as one can see that may be right; two decimals are asked.")
        frame = "That compares the padded image: what costs work is the places of the map."
        known = [
            (28 / 24, "That is how much wider the map becomes. It becomes higher as well: both sides count."),
            (right - 1, "That is what is added; asked is all of it, as a multiple."),
            (1 / right, "That is the other way round: padding makes the map larger."),
            ((32 / 28) ** 2, frame),
            ((32 / 24) ** 2, frame),
            (1.0, "With padding the kernel finds more places."),
        ]
        compare(value, right, known, "Count the places of a map with padding and without.", within=0.006)


class Welch(Exercise):
    id = "06-welch"
    points, minutes = 2, 8
    expects = "a number, t"
    hints = (
        "A row of `table` is a dict: what are its keys?",
        "Under the root stand two terms, one for each row: its deviation squared, divided by its number of runs.",
        "Only the difference of the means is above the line, and the root of the whole sum below. Mind the brackets.",
    )
    praise = (
        "By luck alone, t passes ±2.4 in one of twenty comparisons of five runs with five. So augmentation probably "
        "helps; but this was one of the table's four comparisons, each with a chance of its own."
    )

    @staticmethod
    def own(table):
        a, b = table["the whole recipe"], table["without augmentation"]
        noise = a["deviation"] ** 2 / a["n"] + b["deviation"] ** 2 / b["n"]
        return (a["mean"] - b["mean"]) / noise**0.5

    @cached_property
    def given(self):
        return {"table": mh.load_results("ablation")["results"]["table"]}

    def verify(self, answer, table):
        value = abs(number(getattr(answer, "statistic", answer)))  # SciPy's result holds more than t
        a, b = table["the whole recipe"], table["without augmentation"]
        known = [(wrong, message) for wrong, message in self._mistakes(a, b) if wrong > 0.05]
        known += [(round(self._t(a, b)), "As far as one can see that may be right; give t to one decimal.")]
        require(value > 1e-9, "t is 0 only if the means are the same. Are these two different rows?")
        require(value > 0.05, "So small a number may be p, the share of comparisons that luck would make as large; "
                "or the means are shares and the deviations per cent. Asked is t.")  # fmt: skip
        for name, row in table.items():
            if row is not a and row is not b:
                known.append((self._t(a, row), f"That is the whole recipe against the row “{name}”."))
                known.append((self._t(b, row), f"That is “without augmentation” against the row “{name}”."))
        compare(value, abs(self._t(a, b)), known, "The two rows, or the formula? Compute it in steps.", within=0.06)

    @staticmethod
    def _t(a, b):
        return abs(a["mean"] - b["mean"]) / (a["deviation"] ** 2 / a["n"] + b["deviation"] ** 2 / b["n"]) ** 0.5

    def _mistakes(self, a, b):
        gap, s, r, n = abs(a["mean"] - b["mean"]), a["deviation"], b["deviation"], a["n"]
        pairs = torch.tensor([a["values"], b["values"]], dtype=torch.float64)
        apart = pairs[0] - pairs[1]
        return [
            (gap / (s**2 + r**2) ** 0.5, "The number of runs is missing: divide each term under the root by its n."),
            (gap / (s / n + r / n) ** 0.5, "The deviations are not squared."),
            (gap / (s**2 / n + r**2 / n), "The root is missing."),
            (gap / (s / n**0.5 + r / n**0.5), "You drew the roots first and added then: add first."),
            (gap / (s**2 / n**2 + r**2 / n**2) ** 0.5, "Only the deviation is squared, not n."),
            (gap / (s**2 / n) ** 0.5, "Only one of the two deviations is under the root: both rows are uncertain."),
            (gap / (r**2 / n) ** 0.5, "Only one of the two deviations is under the root: both rows are uncertain."),
            (gap / (s**2 / n - r**2 / n) ** 0.5 if s > r else 0, "The two terms are added, not subtracted."),
            ((apart.mean() / (apart.std() / n**0.5)).abs().item(), "This compares the runs in pairs. Run by run they "
             "have only the seed's number in common."),
            (gap, "That is the difference of the means alone."),
            (self._t(*({key: round(row[key], 2) for key in ("mean", "deviation", "n")} for row in (a, b))),
             "That comes from the rounded numbers that were printed: take those in `table`."),
        ]  # fmt: skip

    @property
    def right(self):
        t = self.own(**self.given)
        return -t, round(t, 1), f"{t:.2f}", torch.tensor(t), [t], 2.848

    @property
    def wrong(self):
        a, b = (self.given["table"][name] for name in ("the whole recipe", "without augmentation"))
        values = [one for one, _ in self._mistakes(a, b)]
        words = ("number of runs", "not squared", "root is missing", "add first", "not n", "both rows")
        named = [Wrong(words[i], values[i], words[i]) for i in range(6)]
        c = self.given["table"]["without the one-cycle schedule"]
        return (
            *named,
            Wrong("subtracted", values[7], "not subtracted"),
            Wrong("paired", values[8], "in pairs"),
            Wrong("no noise", values[9], "means alone"),
            Wrong("rounded first", values[10], "rounded numbers"),
            Wrong("no decimal", 3, "one decimal"),
            Wrong("p", 0.028, "may be p"),
            Wrong("another row", self._t(a, c), "one-cycle"),
            Wrong("a row with itself", 0.0, "different rows"),
        )


def small_network():
    return nn.Sequential(
        nn.Conv2d(1, 15, 5, bias=False),  # 24×24
        nn.BatchNorm2d(15),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 12×12
        nn.Conv2d(15, 16, 3, bias=False),  # 10×10
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, bias=False),  # 8×8
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 4×4
        nn.Conv2d(16, 16, 3, padding=1, bias=False),  # 4×4
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )


class SmallNetwork(Exercise):
    id = "06-small"
    kind, points, minutes, seconds = "open", 4, 25, 180
    expects = "a function without arguments that builds a network, from images (N, 1, 28, 28) to logits (N, 10)"
    variable = None
    own = staticmethod(small_network)
    hints = (
        "Print the layers of the lesson's network with their parameters, as above: where do most of them sit, and what "
        "would half as many maps change?",
        "The first layer is cheap: 25 weights a map. The later ones cost (maps in) · (maps out) · 9, so they need not "
        "have twice as many maps as the first.",
        "Keep batch normalisation behind each convolution. Pool early, so that it is quick, and let the linear layer "
        "read no more than a few hundred numbers.",
    )
    right = (
        lambda: mh.CNN(width=8),
        type("Small", (mh.CNN,), {"__init__": lambda self: mh.CNN.__init__(self, width=7)}),
    )

    @cached_property
    def wrong(self):  # not before it is asked for: making a network draws random numbers
        one_for_all = mh.CNN(width=8)
        return (
            Wrong("too large", mh.CNN, "28,794 parameters"),
            Wrong("fully connected", lambda: mh.MLP(hidden=(12, 12)), "the goal is"),
            Wrong("a network", mh.CNN(width=8), "builds"),
            Wrong("the same one each time", lambda: one_for_all, "same network"),
            Wrong("softmax", lambda: nn.Sequential(mh.CNN(width=8), nn.Softmax(1)), "softmax"),
            Wrong("flatten forgotten", lambda: nn.Sequential(nn.Conv2d(1, 4, 7), nn.Linear(22, 10)), "(2, 10)"),
            Wrong(
                "shapes",
                lambda: nn.Sequential(nn.Conv2d(1, 4, 7), nn.Flatten(), nn.Linear(99, 10)),
                "from layer to layer",
            ),
            Wrong("layers in a list", lambda: [nn.Flatten(), nn.Linear(784, 10)], "nn.Sequential"),
            Wrong("nothing to learn", lambda: nn.Sequential(nn.MaxPool2d(4), nn.Flatten(), nn.Identity()), "(2, 10)"),
        )

    @cached_property
    def given(self):
        (images, labels), held_out = digits(), torch.arange(5000) % 10 == 0
        parts = (mh.Split(images[part], labels[part]) for part in (~held_out, held_out))
        return dict(zip(("short", "validation"), parts, strict=True))

    def verify(self, answer, short, validation):
        require(not isinstance(answer, nn.Module), "This is a network. Hand over the function that builds it, without "
                "brackets: it is called once for each seed.")  # fmt: skip
        device, accuracies, earlier = short.images.device, [], None
        for seed in (0, 1):
            mh.set_seed(seed)
            network = call(function(answer, "no arguments"))
            require(
                network is not earlier, "The same network comes each time, trained already: build it *in* the function."
            )
            count, earlier = self._inspect(network), network
            require(count <= 10_000, f"It has {count:,} parameters, and at most 10,000 are allowed.")
            try:
                history = mh.fit(network.to(device), short, validation, epochs=3, batch_size=32, learning_rate=0.01,
                                 weight_decay=0.05, seed=seed, progress=False)  # fmt: skip
            except (ValueError, RuntimeError, FloatingPointError) as error:
                raise NotYet(f"Its training stopped with {worded(error)}.") from error
            accuracies.append(history.validation_accuracy[-1])
        accuracy, goal = sum(accuracies) / len(accuracies), 0.984 if len(short) > 8000 else 0.96
        each = " and ".join(f"{one:.2%}" for one in accuracies)
        result = (
            f"With {count:,} parameters and two seeds it reads {each} after three epochs, {accuracy:.2%} in the mean"
        )
        require(accuracy >= goal, f"{result}; the goal is {goal:.1%}.")
        return f"{result}. The goal was {goal:.1%}."

    @staticmethod
    def _inspect(network):
        """The number of parameters, if it is a network from images to logits."""
        require(isinstance(network, nn.Module), "Your function should return a network, for example an "
                f"`nn.Sequential`, not {described(network)}.")  # fmt: skip
        images = torch.randn(2, 1, 28, 28, device=next((one.device for one in network.parameters()), None))
        try:
            with torch.no_grad():
                logits = network.eval()(images)
        except Exception as error:
            raise NotYet(f"On images (2, 1, 28, 28) it stopped with {worded(error)}. Do the shapes fit from layer to "
                         "layer? Print them.") from error  # fmt: skip
        require(isinstance(logits, torch.Tensor) and logits.shape == (2, 10), "For images (2, 1, 28, 28) the logits "
                f"have the shape (2, 10), and what comes out here is {described(logits)}.")  # fmt: skip
        shares = (logits >= 0).all() and (logits.sum(1) - 1).abs().max() < 1e-4
        require(not shares, "Ten probabilities come out: leave the softmax away, for the loss has one of its own.")
        return sum(parameter.numel() for parameter in network.parameters())
