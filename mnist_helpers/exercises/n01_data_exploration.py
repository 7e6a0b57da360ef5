"""What notebook 01 asks."""

from functools import cached_property

import numpy as np
import torch

import mnist_helpers as mh

from .answers import NotYet, call, compare, converted, function, number, require, tensor
from .exercise import Exercise, Wrong
from .guess import Guess
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "01-sum",
        "small holds the rows [1, 5, 2] and [0, 3, 7]. Which numbers does small.sum(0) give?",
        Choices(
            {
                "[8, 10]": "These are the sums along the rows, small.sum(1). The axis that is named goes.",
                "[1, 8, 9]": "Axis 0 counts the rows. They are laid on each other, and the three columns remain.",
                "18": "That is small.sum() over all axes. With an axis named, only that one goes.",
                "8": "That is the sum of row 0 alone, small[0].sum(). In sum(0), the 0 names an axis and not a row.",
            }
        ),
        span=("[1, 8, 9]",),
    ),
    Guess(
        "01-lazy",
        "Ten times as many ones as other digits: what share does the program read correctly that always answers 1?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (
                    20,
                    "The program is the same, but accuracy is not the program's alone: here it counts the ones.",
                ),
                (80, "Count: of eleven such digits, how many are ones?"),
                (96, "You counted the ones, and that is all that this accuracy does."),
                (100, "Nearly. Every digit that is no 1 is still a mistake."),
            ),
        ),
        span=(0.88, 0.93),
    ),
    Guess(
        "01-paper",
        "What share of all pixels of the training images is exactly 0, bare paper?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (45, "Strokes catch the eye; the paper around them takes more room."),
                (72, "Do not forget the margin: a digit fills only the middle of its image."),
                (88, "You saw how thin a stroke is in its 28 × 28 pixels."),
                (100, "A stroke is some pixels wide, and its grey edges count as ink, too."),
            ),
        ),
        span=(0.76, 0.86),
    ),
    Guess(
        "01-nearest-mean",
        "What share of the validation images do ten average images read correctly?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (30, "Hardly better than the lazy answer? Digits are written in the same place and at the same size."),
                (65, "Pixels alone tell more than most people think."),
                (88, "You trust the pixels, and rightly so."),
                (100, "Ghosts are no digits: whoever leans, or writes another form, is far from every average."),
            ),
        ),
        span=(0.72, 0.86),
    ),
    Guess(
        "01-absolute",
        "Which of these reads most of the validation images correctly?",
        Choices(
            {
                "squared, means": "A square forgives small differences, as to a ghost's grey, and punishes large ones.",
                "absolute, means": "Simpler, yes. But faint grey all over adds up, and all averages are grey.",
                "absolute, medians": "A median has no grey haze, which helps, but forgets all rarer ways to write.",
            }
        ),
        span=("squared, means",),
    ),
    Guess(
        "01-worst",
        "Which digit do the ten averages read worst?",
        Choices(
            {
                "1": "It leans in every way, yet has so little ink that no other average comes closer.",
                "4": "Most of its mistakes are nines, and beside them it is read well.",
                "5": "Its writers agree little, so that its average is a haze, and those of 3 and 8 lie close.",
                "8": "Not far off: it is often taken for a 3. But its loops stand in the same place in most eights.",
                "9": "A 9 is taken for a 4 or a 7 at times, but mostly its loop is where the average has it.",
            }
        ),
        span=("5",),
    ),
)


def stopped(answer, takes, arguments, signs):
    """What a student's function returns; where it stops with an error that holds one of `signs`, what that sign means
    is said in place of PyTorch's words."""
    try:
        return call(function(answer, takes), *arguments)
    except NotYet as error:
        for sign, meaning in signs:
            require(sign not in str(error), meaning)
        raise


def bytes_added(images, labels, digit):
    chosen = [image for image, label in zip(images, labels, strict=True) if label == digit]
    return sum(chosen) / len(chosen)


def mean_image(images, labels, digit):
    return images[labels == digit].float().mean(0)


class MeanImage(Exercise):
    id = "01-write-mean-image"
    kind, points, minutes = "turn", 2, 5
    expects = "a function of images (N, 28, 28), labels (N,) and a digit that returns one image (28, 28)"
    praise = "The mask picked the images of one digit, and their mean has its decimals."
    variable = None
    own = staticmethod(mean_image)
    hints = (
        "Three moves, one after the other: a mask as an index, then decimals, then a mean.",
        "`labels == digit` has a True or False for each image. What does `images[...]` keep with that as its index?",
        "`small.sum(0)` laid the rows on each other. `mean` takes an axis as well; which one counts the images?",
    )
    signs = (
        ("Got: Byte", "A mean has decimals, and bytes have none: one of the six moves comes before it."),
        ("Got: Long", "A mean has decimals, and whole numbers have none: one of the six moves comes before it."),
        ("shape of the mask", "The mask does not fit: it needs one True or False an image. Is it made of `labels`?"),
        ("must match", "The mask has one entry an image: it is no factor, but an index, in square brackets."),
    )

    def verify(self, answer):
        images = torch.randint(0, 256, (8, 28, 28), dtype=torch.uint8)
        labels = torch.tensor([3, 1, 3, 0, 3, 9, 1, 0])
        for digit in (3, 1):
            chosen = images[labels == digit].float()
            takes = "images, labels and a digit"
            found = tensor(stopped(answer, takes, (images.clone(), labels.clone(), digit), self.signs))
            require(found.ndim, "One number came out: `mean()` took all axes. Only the one that counts images may go.")
            mask = (labels == digit).double()
            require(
                not torch.equal(found, mask),
                "This is the mask. Which images does it keep, and what is the mean of those?",
            )
            require(
                found.ndim != 1 or len(found) in (len(chosen), len(images), 28),
                f"{len(found)} single pixels came out: the mask must pick whole images. Is it made of `labels`?",
            )
            require(
                found.ndim > 1,
                f"{len(found)} numbers came out, and an image is expected. Rows and columns must stay; which axis "
                "counts the images?",
            )
            require(found.ndim < 3, f"{len(found)} images came out. They are still to be laid on each other.")
            axes = f"The shape (28, 28) is expected, and yours is {tuple(found.shape)}. Which axis counts the images?"
            require(found.shape == (28, 28), axes)
            wrapped = images[labels == digit].sum(0) % 256
            bytes_only = "Bytes stop at 255 and begin again at 0: 200 + 100 is 44 there. First make decimals, then add."
            known = [
                (images.float().mean(0), "This is the mean of all images. Only those of one digit are asked for."),
                (chosen.sum(0), "This is the sum of the images, not yet their mean."),
                *((wrapped / count, bytes_only) for count in (1, len(chosen), len(images))),
                (chosen.sum(0) / len(images), f"The sum is right, but divided by all 8 images, not by {len(chosen)}."),
                (images[digit], f"This is image number {digit} of all. The digit is not a place, but a label."),
                (chosen[0], "This is the first image of the digit alone."),
                (chosen.mean(0) / 255, "This is on a scale from 0 to 1. Leave the pixels as they are, from 0 to 255."),
                (chosen.mean(0).floor(), "The decimals are cut off. Take the mean last, and leave it as it is."),
                (chosen.median(0).values, "This is the median, the number in the middle. The mean is asked for."),
                (images[labels == 3].float().mean(0), "For digit 1 it returns the mean of the threes."),
            ]
            otherwise = "This is not the mean of the images it was given: does it use all that stands in its brackets?"
            compare(found, chosen.mean(0), known, otherwise, within=0.01)

    def taken(self, answer):
        return converted(answer, lambda result: tensor(result).float())

    right = (
        lambda images, labels, digit: images.numpy()[labels.numpy() == digit].mean(axis=0),
        lambda images, labels, digit: (
            sum(images[i].double() for i in range(len(images)) if labels[i] == digit) / (labels == digit).sum()
        ),
        lambda images, labels, digit: images[labels == digit].sum(0).div((labels == digit).sum()).tolist(),
        lambda images, labels, digit: images.float()[torch.where(labels == digit)].mean(dim=0),
    )
    wrong = (
        Wrong("no decimals", lambda images, labels, digit: images[labels == digit].mean(0), "bytes have none"),
        Wrong("all axes", lambda images, labels, digit: images[labels == digit].float().mean(), "One number came out"),
        Wrong("other axes", lambda images, labels, digit: images[labels == digit].float().mean((1, 2)), "which axis"),
        Wrong("no mean", lambda images, labels, digit: images[labels == digit].float(), "still to be laid"),
        Wrong("no mask", lambda images, labels, digit: images.float().mean(0), "mean of all images"),
        Wrong("the sum", lambda images, labels, digit: images[labels == digit].sum(0), "not yet their mean"),
        Wrong(
            "divided by all", lambda images, labels, digit: images[labels == digit].sum(0) / len(images), "all 8 images"
        ),
        Wrong("the digit as a place", lambda images, labels, digit: images[digit].float(), "not a place"),
        Wrong("one image", lambda images, labels, digit: images[labels == digit][0], "alone"),
        Wrong("a scale of its own", lambda images, labels, digit: (images[labels == digit] / 255).mean(0), "0 to 1"),
        Wrong("bytes again", lambda images, labels, digit: mean_image(images, labels, digit).byte(), "cut off"),
        Wrong("the median", lambda images, labels, digit: images[labels == digit].median(0).values, "median"),
        Wrong("always the threes", lambda images, labels, digit: mean_image(images, labels, 3), "mean of the threes"),
        Wrong("a mask of pixels", lambda images, labels, digit: images[images == digit].float(), "single pixels"),
        Wrong("not what is given", lambda images, labels, digit: torch.full((28, 28), 33.3), "in its brackets"),
        Wrong("the mask", lambda images, labels, digit: labels == digit, "This is the mask"),
        Wrong("a factor", lambda images, labels, digit: ((labels == digit) * images).float().mean(0), "no factor"),
        Wrong("rows", lambda images, labels, digit: images[labels == digit].float().mean(1), "counts the images"),
        Wrong("a loop over bytes", lambda images, labels, digit: bytes_added(images, labels, digit), "200 + 100 is 44"),
        Wrong("no return", lambda images, labels, digit: print(end=""), "is there a `return`"),
    )


def nearest_mean(images, means):
    distances = [((images.float() - mean) ** 2).sum((1, 2)) for mean in means]  # ten times (N,)
    return torch.stack(distances, dim=1).argmin(1)


def differences(images, means):
    return images[:, None].float() - means  # (N, 10, 28, 28)


class NearestMean(Exercise):
    id = "01-write-nearest-mean"
    kind, points, minutes = "turn", 3, 10
    expects = "a function of images (N, 28, 28) and means (10, 28, 28) that returns digits (N,)"
    praise = "You have written a recogniser of digits: for each image, the digit whose mean is closest."
    variable = None
    own = staticmethod(nearest_mean)
    hints = (
        "The cell above has the distance from one image to one mean. With all images in the place of that one, "
        "`images - means[3]` works as well. Over which axes do you then add, so that one number for each image stays?",
        "Make a list of ten tensors (N,), one for each mean, and lay them beside each other with "
        "`torch.stack(..., dim=1)`: (N, 10). The digit is a place in each row.",
        "`argmin(1)` says where in each row the smallest number stands, as `argmax(1)` does for the largest.",
    )
    signs = (
        (
            "must match",
            "The shapes do not fit: N images, ten means. Take one mean after the other, in a loop, or put an axis of "
            "length 1 between with `images[:, None]`.",
        ),
        ("Got: Byte", "Bytes are whole numbers: one of the six moves gives them decimals."),
        ("'list' object has no", "A list has no such move, and a tensor has: `torch.stack` makes one of your list."),
        ("only one element", "`torch.tensor` takes plain numbers. `torch.stack` lays tensors beside each other."),
        (
            "Boolean value of Tensor",
            "Python's `min`, `max` and `if` compare single numbers, and here each is a whole tensor, one entry "
            "an image. One of the moves finds the smallest entry of each row.",
        ),
    )

    @staticmethod
    def examples():
        """Images `uint8 (12, 28, 28)` and means `(10, 28, 28)` for which every usual mistake gives other digits."""
        means = torch.randint(0, 2, (10, 28, 28)) * 120.0
        means[8] = (means[8] + means[1]).clamp(max=120)  # overlaps with a 1 as much as the mean 1 does
        images = means[[3, 7, 0, 5, 5, 1, 9, 4, 8, 6, 2, 2]].clone()
        images[:11] += torch.randint(0, 6, (11, 28, 28))
        images[11, :4] += 95  # far from the mean 2 in a few pixels, and a little from the mean 5 in all of them
        means[5] = images[11] + 30
        images[3:5] = means[5] + 5
        return images.to(torch.uint8), means

    def verify(self, answer):
        images, means = self.examples()
        apart = differences(images, means)
        distances = (apart**2).sum((2, 3))  # (12, 10)
        found = tensor(stopped(answer, "images and means", (images.clone(), means.clone()), self.signs))
        ten = found.shape in ((12, 10), (10, 12))
        require(not ten, "Ten numbers for each image came out: which digit has the smallest distance?")
        require(found.ndim, "One number came out, and there are 12 images: each needs its digit.")
        require(
            found.shape != (10,),
            "Ten numbers came out for 12 images: the smallest is sought among the ten means, not among the images.",
        )
        require(found.shape == (12,), f"Of 12 images, digits of shape (12,) are expected, not {tuple(found.shape)}.")
        known = [
            (distances.min(1).values, "These are the smallest distances. *Where* do they stand? That is the digit."),
            (
                apart.sum((2, 3)).argmin(1),
                "Positive and negative differences cancel, so that a far image can seem near. A distance is never "
                "negative.",
            ),
            (apart.sum((2, 3)).abs().argmin(1), "Differences cancel when they are added. Square each one first."),
            (apart.abs().sum((2, 3)).argmin(1), "These are absolute differences. Squared ones are asked for."),
            (distances.argmax(1), "These are the digits that are farthest away. The closest are asked for."),
            ((images[:, None] * means).sum((2, 3)).argmax(1), "Products favour means with much ink. Take differences."),
        ]
        otherwise = "An image that nearly is one of the means is not read as its digit. Do you use the `means` given?"
        compare(found, distances.argmin(1), known, otherwise)

    def taken(self, answer):
        return converted(answer, lambda result: tensor(result).long())

    right = (
        lambda images, means: torch.cdist(images.flatten(1).float(), means.flatten(1)).argmin(1),
        lambda images, means: [int(((image.float() - means) ** 2).sum((1, 2)).argmin()) for image in images],
        lambda images, means: ((images[:, None] - means) ** 2).mean((2, 3)).sqrt().min(1).indices,
        lambda images, means: np.argmin(((images.numpy()[:, None] - means.numpy()) ** 2).sum((2, 3)), axis=1),
    )
    wrong = (
        Wrong("cancelling", lambda i, m: differences(i, m).sum((2, 3)).argmin(1), "cancel"),
        Wrong("abs too late", lambda i, m: differences(i, m).sum((2, 3)).abs().argmin(1), "Square each"),
        Wrong("absolute", lambda i, m: differences(i, m).abs().sum((2, 3)).argmin(1), "absolute differences"),
        Wrong("distances", lambda i, m: (differences(i, m) ** 2).sum((2, 3)), "smallest distance?"),
        Wrong("a list", lambda i, m: [((i - mean) ** 2).sum((1, 2)) for mean in m], "smallest distance?"),
        Wrong("a move of a list", lambda i, m: list((differences(i, m) ** 2).sum((2, 3))).argmin(1), "A list has no"),
        Wrong("min of a list", lambda i, m: min(((i - mean) ** 2).sum((1, 2)) for mean in m), "single numbers"),
        Wrong("no stack", lambda i, m: torch.tensor([*(differences(i, m) ** 2).sum((2, 3))]), "plain numbers"),
        Wrong("the smallest", lambda i, m: (differences(i, m) ** 2).sum((2, 3)).min(1).values, "*Where* do they stand"),
        Wrong("farthest", lambda i, m: (differences(i, m) ** 2).sum((2, 3)).argmax(1), "farthest"),
        Wrong("wrong axis", lambda i, m: (differences(i, m) ** 2).sum((2, 3)).argmin(0), "ten means"),
        Wrong("overlap", lambda i, m: (i[:, None] * m).sum((2, 3)).argmax(1), "much ink"),
        Wrong("one image", lambda i, m: ((i[0] - m) ** 2).sum((1, 2)).argmin(), "each needs its digit"),
        Wrong("no broadcasting", lambda i, m: ((i - m) ** 2).sum((1, 2)).argmin(), "do not fit"),
        Wrong("always 1", lambda images, means: torch.ones(len(images)), "nearly is one of the means"),
        Wrong("no return", lambda images, means: None, "is there a `return`"),
    )


class DeadPixels(Exercise):
    id = "01-dead-pixels"
    points, minutes = 1, 6
    expects = "a whole number"
    praise = "Whatever weight a network gives to these pixels, the training data never contradict it."
    hints = (
        "One pixel first, say row 0, column 0: how would you find out whether any image has ink there?",
        "Lay all images on each other. Where is the sum, or the largest value, still 0?",
        "A mask of 28 × 28 says which pixels are dead. `True` counts as 1: one more move gives their number.",
    )

    @staticmethod
    def own(images):
        return (images.sum(0) == 0).sum()

    @cached_property
    def given(self):
        images = torch.zeros(6, 28, 28, dtype=torch.uint8)
        images[:, 5:25, 4:22] = torch.arange(6 * 20 * 18).view(6, 20, 18) % 7 // 6 * 250  # ink in a seventh
        images[:, :, 10] = 0
        return {"images": images}

    def verify(self, answer, images):
        dead = images.amax(0) == 0  # (28, 28)
        count, empty = int(dead.sum()), images == 0
        if isinstance(answer, torch.Tensor | np.ndarray) and answer.shape == (28, 28):
            raise NotYet("These are 28 × 28 answers, one for each pixel. How many of them are True?")
        value = number(answer)
        for factor, unit in ((1, ""), (100, ", in per cent")):
            near = abs(value - factor * count / 784) < 0.0006 * factor
            require(not near, f"This is their share{unit}. How many are they?")
        known = [
            (784 - count, "So many hold ink in some image. The others are asked for."),
            (empty.sum(), "This counts the paper of all images together. A pixel here is a place, one of 784."),
            (empty.any(0).sum(), "So many are paper in at least one image. A dead one is paper in all."),
            (empty[0].sum(), "So many are paper in the first image. A dead one is paper in all."),
            (empty.sum() / len(images), "So many are paper in an image on average, but not always the same ones."),
        ]
        known += [
            (0, "0 is what such a pixel holds in every image. How many of the 784 places hold nothing else?"),
            (28, "28 is the number of rows, all that `len` counts. How many entries of the mask are True?"),
        ]
        known = [(torch.as_tensor(value), message) for value, message in known]
        otherwise = (
            "An image has only 784 pixels."
            if value > 784
            else "That is not their number. Do you look at `images`, all training images, and for exactly 0?"
        )
        compare(value, count, known, otherwise, within=0.001)

    @property
    def right(self):
        count = int(self.own(**self.given))
        return count, float(count), str(count), np.int64(count), [count], torch.tensor([count])

    @property
    def wrong(self):
        images = self.given["images"]
        count = int(self.own(images))
        return (
            Wrong("the others", 784 - count, "The others are asked for"),
            Wrong("the share", count / 784, "This is their share. How many"),
            Wrong("the share, rounded", f"{count / 784:.3f}", "This is their share. How many"),
            Wrong("per cent", 100 * count / 784, "in per cent"),
            Wrong("all paper", (images == 0).sum(), "all images together"),
            Wrong("paper in some image", (images == 0).any(0).sum(), "in at least one image"),
            Wrong("one image", (images[0] == 0).sum(), "in the first image"),
            Wrong("the smallest sum", images.sum(0).min(), "nothing else"),
            Wrong("len of the mask", len(images.sum(0) == 0), "all that `len` counts"),
            Wrong("the average", (images == 0).float().sum((1, 2)).mean(), "on average"),
            Wrong("the mask", images.sum(0) == 0, "are True?"),
            Wrong("the mask as an array", (images.sum(0) == 0).numpy(), "are True?"),
            Wrong("something large", 5000, "only 784 pixels"),
            Wrong("another number", count + 1, "That is not their number"),
            Wrong("a word", "many", "A number is expected"),
        )


def denormalize(normalised):
    pixels = (normalised[:, 0] * 0.3081 + 0.1307) * 255
    return pixels.round().to(torch.uint8)


class Denormalize(Exercise):
    id = "01-denormalize"
    points, minutes = 2, 10
    expects = "a function of normalised images (N, 1, 28, 28) that returns bytes (N, 28, 28)"
    praise = "All 256 values come back to the bit, so that normalising loses nothing."
    variable = None
    own = staticmethod(denormalize)
    hints = (
        "`mh.normalize` takes three steps with each pixel: / 255, − 0.1307, / 0.3081. Which was the last?",
        "Undo the last step first, and each by its opposite. Then take away the axis of length 1.",
        "`torch.tensor(6.9999).to(torch.uint8)` is 6, for it cuts. `.round()` before it makes 7.",
    )

    single = "`int` and `round` take one number. A tensor has moves of its own: `.round()`, and `.to(...)` for a dtype."
    signs = (
        ("only one element", single),
        ("__round__", single),
        ("'astype'", "`astype` belongs to NumPy. A tensor gets another dtype by `.to(...)`."),
    )

    def verify(self, answer):
        images = (torch.arange(3 * 784) % 256).to(torch.uint8).view(3, 28, 28)
        normalised = mh.normalize(images)
        result = stopped(answer, "normalised images", (normalised.clone(),), self.signs)
        found = tensor(result)
        require(found.shape != (3, 1, 28, 28), "The channel, an axis of length 1, is still there.")
        require(found.shape[:1] != (1,), "Only one of three images came out: `[0]` picks an image, and no axis.")
        require(
            found.ndim != 3 or len(found) == 3,
            f"It returned {len(found):,} images for the 3 it was given: does it use what stands in its brackets?",
        )
        require(
            found.shape == (3, 28, 28), f"Here the shape (3, 28, 28) is expected, and yours is {tuple(found.shape)}."
        )
        numbers, exact = normalised[:, 0].double(), images.double()
        gap = (found - exact).abs().max()
        whole_gap = gap == round(float(gap))
        is_bytes = str(getattr(result, "dtype", "")) in ("torch.uint8", "uint8")
        require(gap > 0.01 or is_bytes, "The numbers are right, but they are not bytes yet: the dtype uint8.")
        require(
            not (gap == 1 and whole_gap and (found <= exact).all()),
            "Some pixels are one too small: a number a hair below a whole one was cut, not rounded.",
        )
        steps = [
            ((numbers + 0.1307) * 0.3081 * 255, "The steps are undone in the wrong order: the last one first."),
            (numbers * 0.3081 + 0.1307 * 255, "Only the mean is multiplied by 255. Where are brackets missing?"),
            (numbers * 0.3081 * 255, "The mean has not been added again."),
            ((numbers + 0.1307) * 255, "The standard deviation has been forgotten."),
            (numbers * 255, "Mean and standard deviation have been forgotten."),
            ((numbers / 255 - 0.1307) / 0.3081, "This normalises a second time. The way back is asked for."),
            ((numbers - 0.1307) / 0.3081, "This normalises a second time. The way back is asked for."),
        ]
        for wrong, message in steps:
            fits = (wrong > 1) & (wrong < 254) if is_bytes else torch.ones_like(wrong, dtype=torch.bool)
            require(not fits.any() or (found - wrong)[fits].abs().max() > 1.01, message)
        require(found.max() > 1.5, "Nothing is larger than 1: pixels go from 0 to 255.")
        require(gap <= 0.01, "Not every pixel came back. Compare one by hand: paper is 0, full ink 255.")
        alone = tensor(call(answer, normalised[:1].clone()))
        require(alone.shape == (1, 28, 28), "For a single image the first axis is gone: name the axis that is to go.")

    right = (
        lambda normalised: ((normalised * mh.STD + mh.MEAN) * 255).round().to(torch.uint8).squeeze(1),
        lambda normalised: (normalised.squeeze(1).double() * 78.5655 + 33.3285 + 0.5).byte(),
        lambda normalised: np.rint((normalised[:, 0].numpy() * 0.3081 + 0.1307) * 255).astype(np.uint8),
        lambda normalised: (255 * (0.1307 + 0.3081 * normalised)).round().clamp(0, 255).to(torch.uint8)[:, 0, :, :],
        lambda normalised: ((normalised * 0.3081 + 0.1307) * 255).round().byte().view(-1, 28, 28),
    )
    wrong = (
        Wrong("cut, not rounded", lambda n: ((n[:, 0] * 0.3081 + 0.1307) * 255).to(torch.uint8), "a hair below"),
        Wrong("the channel", lambda n: ((n * 0.3081 + 0.1307) * 255).round().byte(), "channel"),
        Wrong("no bytes", lambda n: ((n[:, 0] * 0.3081 + 0.1307) * 255).round(), "not bytes yet"),
        Wrong("other whole numbers", lambda n: ((n[:, 0] * 0.3081 + 0.1307) * 255).round().long(), "not bytes yet"),
        Wrong("no 255", lambda n: (n[:, 0] * 0.3081 + 0.1307).round().byte(), "larger than 1"),
        Wrong("no 255, decimals", lambda n: n[:, 0] * 0.3081 + 0.1307, "larger than 1"),
        Wrong("the order", lambda n: ((n[:, 0] + 0.1307) * 0.3081 * 255).round().clamp(0, 255).byte(), "wrong order"),
        Wrong("no brackets", lambda n: n[:, 0] * 0.3081 + 0.1307 * 255, "brackets missing"),
        Wrong("the first image", lambda n: ((n[0] * 0.3081 + 0.1307) * 255).round().byte(), "Only one of three"),
        Wrong("int", lambda n: int((n * 0.3081 + 0.1307) * 255), "take one number"),
        Wrong("Python's round", lambda n: round((n * 0.3081 + 0.1307) * 255), "take one number"),
        Wrong("NumPy's word", lambda n: (n * 0.3081 + 0.1307).astype("uint8"), "belongs to NumPy"),
        Wrong("no mean", lambda n: (n[:, 0] * 0.3081 * 255).round().clamp(0, 255).byte(), "mean has not been added"),
        Wrong("no deviation", lambda n: ((n[:, 0] + 0.1307) * 255).round().clamp(0, 255).byte(), "deviation has been"),
        Wrong("255 alone", lambda n: (n[:, 0] * 255).round().clamp(0, 255).byte(), "Mean and standard deviation"),
        Wrong("once more", lambda n: (n[:, 0] / 255 - 0.1307) / 0.3081, "second time"),
        Wrong("others", lambda n: torch.zeros(5000, 28, 28, dtype=torch.uint8), "in its brackets"),
        Wrong("squeezed", lambda n: ((n * 0.3081 + 0.1307) * 255).round().byte().squeeze(), "single image"),
        Wrong("rounded too late", lambda n: ((n[:, 0] * 0.3081 + 0.1307) * 255).byte().round(), "a hair below"),
        Wrong("no return", lambda n: None, "is there a `return`"),
    )


def nearest_neighbour(images, known_images, known_labels):
    distances = torch.cdist(images.flatten(1).float(), known_images.flatten(1).float())
    return known_labels[distances.argmin(1)]


def far(images, known):
    return torch.cdist(images.flatten(1).float(), known.flatten(1).float())  # (N, M)


class NearestNeighbour(Exercise):
    id = "01-nearest-neighbour"
    points, minutes = 3, 15
    expects = "a function of images (N, 28, 28), known ones (M, 28, 28) and their labels (M,) that returns labels (N,)"
    variable = None
    own = staticmethod(nearest_neighbour)
    hints = (
        "`torch.cdist(a, b)` wants tables with decimals and a row for each image, which `flatten(1)` makes.",
        "The distances are (N, M). For each of the N, where in its row stands the smallest?",
        "A place is not yet a label, but a tensor of places is an index: what does `known_labels[...]` give?",
    )
    rows = "`torch.cdist` compares rows: each image must become one row, (N, 784)."
    signs = (
        ("floating-point", "`torch.cdist` wants decimals, and images are bytes: one of the six moves helps."),
        ("must match", "N images do not fit M known ones. " + rows),
        ("X1 and X2 must have", rows),
        ("at least two dimensions", rows),
        ("at least 2D", rows + " `flatten()` makes a single one of all."),
        ("too many indices", "`min(1)` returns two things, the values and their places. Only one of them is an index."),
        ("out of bounds", "Without an axis, `argmin()` counts through the whole table. Each row has its own smallest."),
        ("not callable", "An index stands in square brackets; round ones call a function."),
    )

    def verify(self, answer, mnist=None):
        known = torch.randint(0, 256, (3000, 28, 28), dtype=torch.uint8)
        labels = torch.arange(3000) * 7 % 10
        places = torch.tensor([5, 2900, 1234, 77, 1999, 2048])
        images = (known[places].float() * 0.7 + 30).to(torch.uint8)
        takes = "images, known images and their labels"
        given = images.clone(), known.clone()
        found = tensor(stopped(answer, takes, (*given, labels.clone()), self.signs))
        require(found.shape != (6, 3000), "These are the distances to all known images. Which one is smallest?")
        require(found.shape != (3000,), "One answer for each *known* image came out: the other axis is meant.")
        require(found.ndim, "One number came out, and there are 6 images.")
        require(found.shape == (6,), f"For 6 images, labels of shape (6,) are expected, not {tuple(found.shape)}.")
        distances = far(images, known)
        means = torch.stack([known[labels == digit].float().mean(0) for digit in range(10)])
        wrapped = ((images[:, None] - known[None]) ** 2).sum((2, 3))
        places_of = "These are the places of the closest known images. Which labels stand there?"
        require(not torch.equal(found, distances.argmin(1).double()), places_of)
        smallest = "These are the smallest distances. Whose are they? Their labels are asked for."
        require(not torch.equal(found, distances.min(1).values.double()), smallest)
        others = tensor(call(answer, *given, (labels + 3) % 10))
        require(
            not torch.equal(found, others),
            "The answers do not depend on `known_labels`: where do yours come from? Look only in what the function is "
            "given. Elsewhere, the images to be read may be among those remembered.",
        )
        usual = [
            (labels[distances.argmax(1)], "These are the labels of the images that are farthest away."),
            (labels[distances[:, :1000].argmin(1)], "You look among the first 1,000 known images only."),
            (nearest_mean(images, means), "This is the nearest mean once more. Now each known image counts by itself."),
            (labels[wrapped.argmin(1)], "Bytes know no negative numbers, 3 − 5 is 254 there: make decimals first."),
        ]
        compare(found, labels[places], usual, "A darker copy of a known image does not get that image's label.")
        return self.measured(mnist)

    @staticmethod
    def measured(mnist):
        """How far this method comes; what it reads is the same for all right answers."""
        if mnist is None:
            return "Each image gets the label of the known image that is closest."
        known, some = mnist.train[-5000:], mnist.validation[:: max(1, len(mnist.validation) // 1000)]
        share = (nearest_neighbour(some.images, known.images, known.labels) == some.labels).float().mean()
        return (
            f"With {len(known):,} known images it reads {share:.1%} of {len(some):,} validation images: single images "
            "keep what an average blurs, but every one of them has to be stored and compared."
        )

    right = (
        lambda images, known, labels: [
            int(labels[((image.float() - known) ** 2).sum((1, 2)).argmin()]) for image in images
        ],
        lambda images, known, labels: labels[
            ((images[:, None].float() - known) ** 2).flatten(2).sum(2).min(1).indices
        ].numpy(),
        lambda images, known, labels: labels[far(images, known).topk(1, largest=False).indices[:, 0]],
    )
    wrong = (
        Wrong("bytes", lambda i, k, n: n[torch.cdist(i.flatten(1), k.flatten(1)).argmin(1)], "wants decimals"),
        Wrong("no rows", lambda i, k, n: n[torch.cdist(i.float(), k.float()).argmin(1)], "compares rows"),
        Wrong("one row for all", lambda i, k, n: torch.cdist(i.flatten().float(), k.flatten().float()), "a single one"),
        Wrong("values and places", lambda i, k, n: n[far(i, k).min(1)], "two things"),
        Wrong("no axis", lambda i, k, n: n[far(i, k).argmin()], "Without an axis"),
        Wrong("round brackets", lambda i, k, n: n(far(i, k).argmin(1)), "square brackets"),
        Wrong("places", lambda i, k, n: far(i, k).argmin(1), "places of"),
        Wrong("distances", lambda i, k, n: far(i, k), "distances to all"),
        Wrong("the smallest distance", lambda i, k, n: far(i, k).min(1).values, "Whose are they"),
        Wrong("farthest", lambda i, k, n: n[far(i, k).argmax(1)], "farthest"),
        Wrong("the other axis", lambda i, k, n: n[far(i, k).argmin(0)], "the other axis is meant"),
        Wrong("some of the known", lambda i, k, n: nearest_neighbour(i, k[:1000], n[:1000]), "first 1,000"),
        Wrong("other images", lambda i, k, n: torch.arange(len(i)), "do not depend on"),
        Wrong(
            "nearest mean", lambda i, k, n: nearest_mean(i, [mean_image(k, n, d) for d in range(10)]), "nearest mean"
        ),
        Wrong("wrapping", lambda i, k, n: n[((i[:, None] - k) ** 2).sum((2, 3)).argmin(1)], "3 − 5 is 254"),
        Wrong("one image", lambda i, k, n: n[((i[0].float() - k) ** 2).sum((1, 2)).argmin()], "there are 6 images"),
        Wrong("no return", lambda i, k, n: None, "is there a `return`"),
    )


def two_faced(count):
    """Images of digits that are each written in two opposite ways, so that all means are alike: a small `mh.Split`
    on which groups must be found."""
    generator = torch.Generator().manual_seed(1)
    forms = torch.randint(0, 2, (2, 5, 28, 28), generator=generator) * 2.0 - 1
    place = torch.arange(count).view(-1, 1, 1)
    labels, way, other = place % 10, place // 10 % 2 * 2 - 1, place % 2 * 2 - 1
    labels = labels.flatten()
    images = 128 + 40 * way * (forms[0][labels // 2] + other * forms[1][labels // 2])
    images += 15 * torch.randn(images.shape, generator=generator)
    return mh.Split(images.clamp(0, 255).to(torch.uint8), labels)


class TenADigit(Exercise):
    id = "01-ten-a-digit"
    kind, points, minutes = "open", 5, 30
    expects = "images (10, K, 28, 28): for each digit, K of them, at most ten, with values from 0 to 255"
    variable = "prototypes"
    goal, most = 0.88, 10
    hints = (
        "Look at the ones: some stand upright, some lean. One average blurs them; what if each kind had its own?",
        "For each digit, split its images into ten groups that look alike, and store the mean of each group. Alike can "
        "mean the slant, or the distance to one of ten images.",
        "Begin with any ten images of a digit. Put each image of that digit to the closest of the ten, and replace "
        "those by the means of their groups. You may do that again with the new ten.",
    )

    @staticmethod
    def own(images, labels):
        groups = []
        for digit in range(10):
            mine = images[labels == digit].flatten(1).float()
            centres = mine[:10]
            for _ in range(3):
                closest = torch.cdist(mine, centres).argmin(1)
                centres = torch.stack([mine[closest == k].mean(0) for k in range(10)])
            groups.append(centres.view(10, 28, 28))
        return torch.stack(groups)

    @cached_property
    def given(self):
        train = two_faced(400)
        return {"images": train.images, "labels": train.labels, "validation": two_faced(600)[400:]}

    def verify(self, answer, validation, images=None, labels=None):
        stored = self.in_form(tensor(answer))
        require(
            not self.hold(stored, validation.images),
            "One of them is a validation image itself. What is stored must come from training, or else "
            "you measure how well a label is remembered.",
        )
        require(
            stored.max() > 10,
            f"Their values go from {stored.min():.1f} to {stored.max():.1f}, and those of the images from 0 to 255.",
        )
        share = self.read(stored, validation)
        count = stored.shape[1]
        if share < self.goal:
            told = f"They read {share:.1%} of the validation images; the goal is {self.goal:.0%}."
            require(count > 1, f"{told} One image for each digit is the nearest mean once more: up to ten are allowed.")
            swapped = count == 10 and self.read(stored.transpose(0, 1), validation) >= self.goal
            require(not swapped, f"{told} The first axis counts the digits, the second the images of one digit.")
            alike = stored.std(1).mean() < 0.2 * validation.images.float().std(0).mean()
            require(not alike, f"{told} Those of one digit are nearly the same: are their groups unlike each other?")
            single = bool((stored == stored.round()).all())
            require(not single, f"{told} They are single images, each with its writer's whims. Could several be one?")
            fewer = f"Up to ten images for each digit are allowed, and you use {count}."
            raise NotYet(f"{told} {fewer if count < 10 else 'The more alike its images, the sharper an average.'}")
        return f"They read {share:.1%} of the validation images, with {count} stored for each digit, and no network."

    def in_form(self, stored):
        """What a student handed over as `float64 (10, K, 28, 28)`."""
        if stored.shape in ((10, 28, 28), (10, 784)):
            stored = stored.unsqueeze(1)
        if stored.ndim == 3 and stored.shape[2] == 784:
            stored = stored.unflatten(2, (28, 28))
        wanted = "The shape (10, K, 28, 28) is expected: the digit, its images, rows, columns. Yours is "
        require(stored.ndim == 4 and stored.shape[2:] == (28, 28), f"{wanted}{tuple(stored.shape)}.")
        require(
            not (stored.shape[1] == 10 < len(stored)) and stored.shape[1] <= self.most,
            f"Ten images for a digit are the most that is allowed, and yours has the shape {tuple(stored.shape)}.",
        )
        require(len(stored) == 10 and stored.shape[1], f"{wanted}{tuple(stored.shape)}.")
        bad = int((~stored.isfinite()).flatten(2).any(2).sum())
        require(not bad, f"{bad} of them hold no numbers (nan). Is there a group without any image? It has no mean.")
        return stored

    @staticmethod
    def read(stored, split):
        """The share of a split's images whose closest stored image is one of their own digit."""
        every = stored.float().flatten(0, 1).flatten(1)
        closest = torch.cdist(split.images.flatten(1).float(), every).argmin(1)
        return (closest // stored.shape[1] == split.labels).float().mean().item()

    @staticmethod
    def hold(stored, images):
        """Whether one of the stored images is one of `images`, to the byte."""
        whole = stored[(stored == stored.round()).flatten(2).all(2)].clamp(0, 255).to(torch.uint8)
        known = {image.tobytes() for image in images.numpy()}
        return any(image.tobytes() in known for image in whole.numpy())

    @property
    def right(self):
        own, given = self.own_answer(), self.given
        single = torch.stack([given["images"][given["labels"] == digit][:10] for digit in range(10)])
        return own.numpy(), list(own), own[:, :8], own.flatten(2), single

    @property
    def wrong(self):
        own, (images, labels, validation) = self.own_answer(), self.given.values()
        means = torch.stack([mean_image(images, labels, digit) for digit in range(10)])
        remembered = torch.stack([validation.images[validation.labels == digit][:10] for digit in range(10)])
        mixed = torch.stack([images[labels == digit].float().view(10, 4, 28, 28).mean(1) for digit in range(10)])
        empty = own.clone()
        empty[3, 2] = torch.nan
        return (
            Wrong("the ten means", means, "nearest mean once more"),
            Wrong("ten times the mean", means[:, None].expand(10, 10, 28, 28), "nearly the same"),
            Wrong("any ten groups", mixed, "the goal is 88%"),
            Wrong("too many", torch.cat([own, own], dim=1), "the most that is allowed"),
            Wrong("all in one row", own.flatten(0, 1), "(10, K, 28, 28) is expected"),
            Wrong("axes swapped", own.transpose(0, 1), "The first axis counts"),
            Wrong("from 0 to 1", own / 255, "to 1.0, and those of the images"),
            Wrong("normalised", own / 255 / 0.3081, "those of the images from 0"),
            Wrong("validation images", remembered, "how well a label is remembered"),
            Wrong("an empty group", empty, "(nan)"),
            Wrong("a function", mean_image, "are expected"),
        )
