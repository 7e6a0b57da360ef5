"""What notebook 05 asks."""

from functools import cached_property
from types import SimpleNamespace

import numpy as np
import torch

import mnist_helpers as mh

from .answers import NotAnswered, NotYet, call, choice, compare, function, number, require, tensor, whole
from .exercise import Exercise, Wrong
from .guess import Guess
from .scales import Choices, Scale

GUESSES = (
    Guess(
        "05-batch",
        "How many times faster does the network read 500 images in one batch than one by one?",
        Scale(
            1,
            500,
            unit="times",
            bands=(
                (2, "The arithmetic is the same, but each call from Python has a price, and a batch pays it once."),
                (60, "The price of the calls is shared, most of the multiplying is not: a fair thought."),
                (500, "The price of the calls is shared, but each image still has to be multiplied with all weights."),
            ),
        ),
        span=(1.5, 400),
    ),
    Guess(
        "05-upside-down",
        "The network is handed sixes that stand on their heads. What will it read most of them as?",
        Choices(
            {
                "6": "It knows no “on its head”: it has only seen where ink is, and the ink has moved.",
                "9": "You saw it with the network's eyes: all that counts is what it looks like.",
                "0": "The loop is the same, but it has moved to the top, with a tail below it.",
                "anything, by chance": "It is no chance if the turned digit looks like another one.",
            }
        ),
        span=("9",),
    ),
    Guess(
        "05-no-digits",
        "How many of the 60 drawings that are no digits will get past the judge?",
        Scale(
            0,
            60,
            unit="drawings",
            bands=(
                (4, "That would be a judge that knows what digits are. It knows only how far away an image is."),
                (22, "You trust the distance, but not too far."),
                (60, "You do not trust it much. Distance tells more about strangers than confidence does."),
            ),
        ),
        span=(3, 25),
    ),
    Guess(
        "05-as-drawn",
        "What share of the 120 drawn digits will be read correctly as they were drawn, without centring?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (50, "You expect the photo's fate for all. But thin, thick and slanted digits were in MNIST, too."),
                (85, "You remember the photo, and that not every drawing is so far off."),
                (100, "On test digits it is that good. But they were all centred, and drawings are not."),
            ),
        ),
        span=(0.55, 0.85),
    ),
    Guess(
        "05-forgetting",
        "After 100 steps on ten drawings alone: what share of the test digits will the network still read correctly?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (60, "It forgets, but not everything: 100 small steps leave most weights near where they were."),
                (98, "You expect a price: nothing reminds it of what it knew."),
                (100, "As if nothing were lost? Each step serves the ten alone, and nothing protects the rest."),
            ),
        ),
        span=(0.75, 0.992),
    ),
)


CROSS = [[(0.1, 0.1), (0.9, 0.9)], [(0.9, 0.1), (0.1, 0.9)]]
NEARER = {
    "unfamiliar": "Bring it nearer to a digit: more of the pieces that digits have.",
    "undecided": "It lies between two digits: bring it nearer to one of them.",
}


def _drawing(answer):
    """A `Drawing`: one, the one on a pad, or strokes as lists."""
    if isinstance(answer, mh.Drawing):
        return answer
    if hasattr(answer, "trophies"):  # a pad
        return answer.drawing
    try:
        require(isinstance(answer, list | tuple), "Strokes are expected: a list of lists of points (x, y).")
        drawing = mh.Drawing(answer)
        largest = max((np.max(stroke) for stroke in answer if len(stroke)), default=0)
        require(
            largest <= 1, f"Your points go up to {largest:g}: the pad's side is 1, whatever its size on the screen."
        )
        return drawing
    except mh.ImageError as error:
        raise NotYet(f"This is no drawing: {error}. Even a single stroke stands in a list of strokes.") from error


def _require_new(drawing):
    """Refuse an empty drawing, one that was kept as a digit, and those that come with the course."""
    require(drawing.strokes, "The drawing is empty: draw first, then run this cell.")
    require(drawing.label is None, f"You kept it as a {drawing.label} yourself, and what is asked for is no digit.")
    for known in mh.load_drawings():
        if mh.Drawing(known.strokes, pen=drawing.pen, style=drawing.style) == drawing:
            kind = "is a digit of the course's" if known.label is not None else "comes with the course"
            raise NotYet(f"This drawing {kind}. Change it, or draw one of your own.")


def _twin(drawing):
    """The label of a recorded digit that makes nearly the same image, or None. Their cosine is above 0.82 for three in
    four of the recorded digits, and for none of the recorded drawings that are no digits."""
    digits = mh.as_split([known for known in mh.load_drawings() if known.label is not None])
    near = torch.cosine_similarity(digits.images.flatten(1).float(), mh.render(drawing).flatten()[None].float())
    return digits.labels[near.argmax()].item() if near.max() > 0.82 else None


class _Drawn(Exercise):
    """What is asked of a drawing. The tests' judge knows the recorded digits, and no others."""

    @cached_property
    def given(self):
        model = mh.load_pretrained()
        digits = mh.as_split([drawing for drawing in mh.load_drawings() if drawing.label is not None])
        return {"model": model, "judge": mh.Judge(model, SimpleNamespace(train=digits, validation=digits, test=digits))}


def centre_of_mass(ink):
    height, width = ink.shape
    row = (ink.sum(1) * torch.arange(height)).sum() / ink.sum()
    column = (ink.sum(0) * torch.arange(width)).sum() / ink.sum()
    return row, column


class CentreOfMass(Exercise):
    id = "05-write-centre"
    kind, points, minutes = "turn", 2, 8
    expects = "a function of ink (height, width) that returns two numbers, the row and the column of its centre of mass"
    variable = None
    own = staticmethod(centre_of_mass)
    hints = (
        "Begin with the row. `ink.sum(1)` is the ink in each row: one number a row. Which row has the number 0?",
        "Three rows with 1, 0 and 3 of ink: each row number counts as often as it has ink: 0, 2, 2, 2. Their mean is?",
        "`torch.arange(height)` holds the row numbers. Weigh them, add up, and share out among all the ink.",
    )
    praise = "Strong pixels pull more than faint ones, and blank ones not at all."

    def verify(self, answer):
        function(answer, "ink")
        for turns in (0, 1):
            ink = torch.zeros(6, 9)
            ink[:, 6], ink[4, 1:8], ink[0, 2] = 0.5, 1.0, 0.25
            self._compare(self._found(answer, ink.rot90(turns)), ink.rot90(turns))

    def _found(self, answer, ink):
        try:
            return call(answer, ink)
        except NotYet as error:
            raise NotYet(f"{error} The ink that it got is {ink.shape[0]} rows by {ink.shape[1]} columns.") from error

    def _compare(self, found, ink):
        found = tensor(found).flatten()
        require(len(found) == 2, f"Two numbers are expected, the row and the column, and yours are {len(found)}.")
        ink, size = ink.double(), torch.tensor(ink.shape)
        right, inked = torch.stack(centre_of_mass(ink)), (ink > 0).double()
        sums = right * ink.sum()
        scaled = "That is on a scale from 0 to 1. Count in pixels: rows and columns, numbered from 0."
        known = (
            (right.flip(0), "Your two are swapped: an image is indexed by the row first, then the column."),
            (torch.stack(centre_of_mass(inked)), "With you, faint pixels count as much as strong ones: weigh them."),
            ((size - 1) / 2, "That is the middle of the box, wherever the ink is."),
            (size / 2, "That is the middle of the box, wherever the ink is."),
            (ink.nonzero().aminmax(dim=0).max / 2, "That is the middle of the box, wherever the ink is."),
            (right / size, scaled),
            (right / (size - 1), scaled),
            (right + 1, "You count from 1: the first row and the first column have the number 0."),
            (sums, "A sum is no mean yet: with twice as much ink, your centre would lie twice as far down."),
            (sums / size, "A sum is no mean yet: with twice as much ink, your centre would lie twice as far down."),
            (sums / ink.numel(), "You share out among all pixels, blank ones, too: blank paper has no weight."),
            (
                sums / inked.sum(),
                "You share out among the inked pixels. But they are weighed: what do all weights make?",
            ),
            ((ink == ink.max()).nonzero()[0], "That is the first of the strongest pixels: all ink has a say."),
            (right - (size - 1) / 2, "You measure from the middle. Rows and columns are numbered from the upper left."),
            (right + 0.5, "Half a pixel too far: row 0 counts as 0."),
            (right.round(), "Do not round yet: the centre lies between pixels."),
            (right.floor(), "Do not round yet: the centre lies between pixels."),
            (13.5 - right, "That is the way to the middle of 28. Only the centre itself is asked for here."),
            (
                torch.stack([ink.sum(1).argmax(), ink.sum(0).argmax()]),
                "You take the row and the column with most ink: the others pull, too.",
            ),
        )
        places = [f"({row:.2f}, {column:.2f})" for row, column in (found, right)]
        otherwise = (
            f"For a test image of {size[0]} rows and {size[1]} columns yours is {places[0]}; it should be {places[1]}."
        )
        compare(found, right, known, otherwise, within=0.01)

    right = (
        lambda ink: np.average(np.indices(ink.shape), axis=(1, 2), weights=np.stack([ink, ink])),
        lambda ink: ((torch.nonzero(ink) * ink[ink > 0][:, None]).sum(0) / ink.sum()).tolist(),
        lambda ink: [sum(i * float(r.sum()) for i, r in enumerate(x)) / float(ink.sum()) for x in (ink, ink.T)],
    )
    wrong = (
        Wrong("(x, y)", lambda ink: centre_of_mass(ink)[::-1], "row first"),
        Wrong("unweighted", lambda ink: ink.nonzero().float().mean(0), "faint pixels"),
        Wrong("the box", lambda ink: ((ink.shape[0] - 1) / 2, (ink.shape[1] - 1) / 2), "middle of the box"),
        Wrong("one number", lambda ink: centre_of_mass(ink)[0], "Two numbers"),
        Wrong("from 0 to 1", lambda ink: torch.stack(centre_of_mass(ink)) / torch.tensor(ink.shape), "0 to 1"),
        Wrong("from 1", lambda ink: torch.stack(centre_of_mass(ink)) + 1, "count from 1"),
        Wrong("a sum", lambda ink: torch.stack(centre_of_mass(ink)) * ink.sum(), "no mean yet"),
        Wrong("all pixels", lambda ink: torch.stack(centre_of_mass(ink)) * ink.mean(), "blank paper"),
        Wrong("the strongest", lambda ink: divmod(int(ink.argmax()), ink.shape[1]), "strongest"),
        Wrong("the fullest row and column", lambda ink: (ink.sum(1).argmax(), ink.sum(0).argmax()), "with most ink"),
        Wrong("28 rows, always", lambda ink: (ink.sum(1) * torch.arange(28)).sum() / ink.sum(), "6 rows by 9 columns"),
        Wrong("the way to the middle", lambda ink: 13.5 - torch.stack(centre_of_mass(ink)), "the way to"),
        Wrong("half a pixel", lambda ink: torch.stack(centre_of_mass(ink)) + 0.5, "Half a pixel"),
        Wrong("rounded", lambda ink: [round(float(value)) for value in centre_of_mass(ink)], "not round"),
        Wrong(
            "weighed ink, counted pixels", lambda ink: torch.stack(centre_of_mass(ink)) * ink[ink > 0].mean(), "inked"
        ),
    )


def limit(scores, share):
    return scores.sort().values[int(share * len(scores))]


class Limit(Exercise):
    id = "05-write-limit"
    kind, points, minutes = "turn", 2, 6
    expects = "a function of scores (N,) and a share that returns the number which that share of the scores lies below"
    variable = None
    own = staticmethod(limit)
    hints = (
        "Ten scores, and 20 % of them are to lie below: how many is that, and which of the ten is then your limit?",
        "Put the scores in order, `scores.sort().values`. At which position do you stop?",
        "Or look for the word *quantile* in PyTorch or NumPy: mind whether the share goes from 0 to 1 or to 100.",
    )
    praise = "This much is refused of the digits that set the limit; of others, about as much."

    def verify(self, answer):
        function(answer, "scores and share")
        scores = torch.linspace(0.2, 1, 1000)[torch.randperm(1000)] ** 0.25
        for share in (0.02, 0.4):
            found = number(call(answer, scores, share))
            below = (scores < found).double().mean().item()
            if abs(below - share) > 0.0021:
                self._explain(found, below, scores, share)

    def _explain(self, found, below, scores, share):
        low, high = scores.aminmax()
        known = (
            (share, f"You return the share. Where is the score that {share:.0%} lie below?"),
            (scores[int(share * len(scores))], "You take the right position, but the scores are in no order."),
            (int(share * len(scores)), "That is how many lie below, and so a position. Which score stands there?"),
            (low + share * (high - low), "You divide the range of the scores. The share is one of the scores' number."),
            (share * high, "You divide the range of the scores. The share is one of the scores' number."),
            (low, "That is the smallest score: nothing lies below it."),
            (scores.quantile(share / 100), f"You take {share} per cent. The share {share} is {share:.0%}."),
            (scores.mean() - 2 * scores.std(), "That fits a bell curve. Confidence has none: count the scores."),
            (scores.mean(), "That is the mean: about half of the scores lie below it."),
        )
        wrong_end = f"The wrong end: {below:.0%} lie below yours, and would be refused."
        require(abs(below - 1 + share) > 0.0021, wrong_end)
        compare(
            found,
            -1,
            known,
            f"Asked for a share of {share:.0%}, yours lies above {below:.1%} of the scores.",
            within=1e-5,
        )

    right = (
        lambda scores, share: scores.quantile(share),
        lambda scores, share: np.quantile(scores.numpy(), share),
        lambda scores, share: sorted(scores.tolist())[round(share * len(scores))],
        lambda scores, share: scores.kthvalue(max(1, int(share * len(scores)))).values,
    )
    wrong = (
        Wrong("the other end", lambda scores, share: scores.quantile(1 - share), "wrong end"),
        Wrong("the share", lambda scores, share: share, "return the share"),
        Wrong("not in order", lambda scores, share: scores[int(share * len(scores))], "in no order"),
        Wrong("a position", lambda scores, share: int(share * len(scores)), "a position"),
        Wrong("of the range", lambda scores, share: scores.min() + share * (scores.max() - scores.min()), "range"),
        Wrong("the smallest", lambda scores, share: scores.min(), "nothing lies below"),
        Wrong("per cent", lambda scores, share: np.percentile(scores, share), "0.02 per cent"),
        Wrong("per cent for quantile", lambda scores, share: scores.quantile(100 * share), "range [0, 1]"),
        Wrong("mean and deviation", lambda scores, share: scores.mean() - 2 * scores.std(), "bell curve"),
        Wrong("all of them", lambda scores, share: scores < share, "One number"),
    )


class Fool(_Drawn):
    id = "05-fool"
    kind, points, minutes = "turn", 2, 10
    expects = (
        "a drawing that is no digit: strokes as lists, a Drawing, several Drawings such as pad.trophies, or the pad"
    )
    hints = (
        "Which letters or signs passed the judge above? What do they share with a digit?",
        "The network knows pieces of digits. Draw one that has the pieces of a digit, put together wrongly.",
        "Take a digit that closes with a curve, and give it corners, or leave open what it closes.",
    )

    @staticmethod
    def own():
        return [[(0.5, 0.1), (0.8, 0.5), (0.5, 0.9), (0.2, 0.5), (0.5, 0.1)]]

    def verify(self, answer, model, judge):
        several = isinstance(answer, list | tuple) and all(isinstance(one, mh.Drawing) for one in answer)
        drawings = answer if several else [_drawing(answer)]
        if not drawings:
            raise NotAnswered
        complaints = []
        for drawing in drawings:  # one that fools is enough, whatever the others are
            try:
                return self._fooled(drawing, model, judge)
            except NotYet as error:
                complaints.append(str(error))
        raise NotYet(complaints[0])

    def _fooled(self, drawing, model, judge):
        _require_new(drawing)
        twin = _twin(drawing)
        require(twin is None, f"People would call that a {twin}: draw what nobody calls a digit.")
        centred, drawn = (mh.predict(model, drawing, fit=fit) for fit in (True, False))
        for read in (centred, drawn):
            if judge(read) == "sure":
                return f"It is read as {read}, and the judge is sure. Whether it is no digit, people say: ask one."
        raise NotYet(f"Read as {centred}, but the judge calls it {judge(centred)}. {NEARER[judge(centred)]}")

    right = (
        mh.Drawing([[(0.2, 0.1), (0.2, 0.9)], [(0.8, 0.1), (0.8, 0.9)], [(0.2, 0.5), (0.8, 0.5)]]),
        [mh.Drawing(CROSS), mh.Drawing([[(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)]])],
        SimpleNamespace(trophies=[], drawing=mh.Drawing([[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]])),
        [mh.Drawing([[(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]]), mh.Drawing(own())],  # a 7 among them does no harm
    )

    @property
    def wrong(self):
        recorded = mh.load_drawings()
        digit = next(drawing for drawing in recorded if drawing.label == 3)
        other = next(drawing for drawing in recorded if drawing.label is None)
        return (
            Wrong("not like a digit", CROSS, "unfamiliar"),
            Wrong("a digit", digit, "kept it as a 3"),
            Wrong("the same digit, without its label", mh.Drawing(digit.strokes), "a digit of the course's"),
            Wrong("a digit of one's own", [[(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]], "call that a 7"),
            Wrong("in pixels", [[(10, 20), (200, 200)]], "pad's side is 1"),
            Wrong("a recorded one", mh.Drawing(other.strokes), "comes with the course"),
            Wrong("an empty pad", SimpleNamespace(trophies=[], drawing=mh.Drawing([])), "is empty"),
            Wrong("one stroke, not in a list", [(0.2, 0.1), (0.2, 0.9)], "Even a single stroke"),
            Wrong("its name", "a heart", "Strokes are expected"),
        )


class TurningPoint(Exercise):
    id = "05-turning-point"
    points, minutes = 1, 5
    expects = "an angle in degrees"
    hints = (
        "`curves` has a row for each angle, with ten probabilities. What does the network say at each?",
        "`curves.argmax(1)` are the answers, in the order of `angles`. Look at those above zero.",
        "A mask picks angles that fulfil two conditions at once: above zero, and not read as 6. You want the first.",
    )

    @cached_property
    def given(self):
        angles, said = torch.arange(-180, 181, 5), torch.full((73,), 6)
        said[angles < -40], said[angles > 55], said[angles > 110] = 5, 4, 9
        return {"curves": torch.eye(10)[said] * 0.9 + 0.01, "angles": angles}

    @staticmethod
    def own(curves, angles):
        other = (angles > 0) & (curves.argmax(1) != 6)
        return angles[other].min()

    def verify(self, answer, curves, angles):
        found = number(answer.rstrip("° degrs") if isinstance(answer, str) else answer)
        said = curves.argmax(1).cpu()
        right = self.own(curves.cpu(), angles.cpu()).item()
        if found == right:
            return f"At {right}° it says {said[angles == right].item()}. So far and no further may this 6 be turned."
        place = int((angles == right).nonzero())
        known = (
            (place, f"That is the position in `angles`, not the angle: what is `angles[{place}]`?"),
            (np.deg2rad(right), "In radians? `angles` are in degrees."),
            (angles[said == 6].max(), "There it still says 6. Which angle comes next?"),
        )
        for value, message in known:
            require(abs(found - float(value)) > 0.01, message)
        require(found > 0, "Only angles above zero are asked for: counter-clockwise.")
        require(bool((angles == found).any()), f"The curve was not computed at {found:g}°: it goes in steps of 5.")
        require(said[angles == found].item() != 6, "There it still says 6. Go further.")
        raise NotYet("There it says no 6 any more. But is it the smallest such angle above zero?")

    right = (60, "60", "60°", 60.0, np.int64(60), [60], torch.tensor([60]))
    wrong = (
        Wrong("the position", 48, "position in `angles`"),
        Wrong("the other side", -60, "above zero"),
        Wrong("the last 6", 55, "still says 6"),
        Wrong("the first 9", 115, "smallest such angle"),
        Wrong("in radians", 1.047, "radians"),
        Wrong("between the steps", 57.5, "steps of 5"),
        Wrong("all of them", [60, 65, 70], "One number"),
    )


def _middle(image):
    """How far to the right and down an image's ink would have to move to be in the middle."""
    row, column = centre_of_mass(image.float())
    return 13.5 - column.item(), 13.5 - row.item()


def moved(image):
    """An image `(28, 28)` with its ink in the middle, at the size that it has."""
    return mh.affine(image[None], shift=[round(way) for way in _middle(image)])[0]


def resized(image):
    """An image `(28, 28)` with its ink where it is, but 20 pixels high or wide."""
    right, down = _middle(image)
    height, width = np.ptp(image.nonzero().numpy(), axis=0) + 1
    centred = mh.affine(image[None], shift=(right, down))
    return mh.affine(mh.affine(centred, scale=20 / max(height, width)), shift=(-right, -down))[0]


class LargeAndLost(_Drawn):
    id = "05-large-and-lost"
    points, minutes = 2, 10
    expects = 'three things: the drawing (pad.drawing), its digit, and "its place", "its size" or "both"'
    hints = (
        "Switch the pad to “as drawn”, and draw a digit over its whole height. Where on the pad can it still stand?",
        "A narrow digit can be high and yet far from the middle. A wide one fills the pad: is that what MNIST is like?",
        "Draw it once more in the middle, as large as before. If it is now read, you know what it lacked.",
    )

    @staticmethod
    def own():
        return [[(0.7, 0.05), (0.97, 0.05), (0.8, 0.95)]], 7, "its place"

    def verify(self, answer, model, judge):
        require(isinstance(answer, list | tuple) and len(answer) == 3, f"Expected are {self.expects}.")
        drawing, digit, cause = (
            _drawing(answer[0]),
            whole(answer[1]),
            str(answer[2]).casefold().strip(),
        )
        cause = choice(cause.removeprefix("its "), ("place", "size", "both"))
        require(drawing.strokes, "The drawing is empty: draw first, then run this cell.")
        width, height = np.ptp(np.concatenate(drawing.strokes), axis=0)
        require(
            max(width, height) >= 0.5,
            f"Draw it larger: it covers {height:.0%} of the height, {width:.0%} of the width.",
        )
        centred, drawn = (mh.predict(model, drawing, fit=fit) for fit in (True, False))
        require(
            centred.digit == digit,
            f"Centred like MNIST it is read as {centred}, and you drew a {digit}: draw it clearer.",
        )
        require(judge(centred) == "sure", f"Centred like MNIST it is right, but the judge calls it {judge(centred)}.")
        require(drawn.digit != digit, f"It is not lost: as drawn, too, it is read as {drawn}.")
        self._find_cause(drawing.to_mnist(fit=False), digit, cause, model)
        did = "both together are" if cause == "both" else f"its {cause} is"
        return f"Drawn so, it is read as {drawn}; {did} what did it."

    def _find_cause(self, image, digit, cause, model):
        """Change the place alone and the size alone, and see whether the digit is then read."""
        alone = {"place": moved(image), "size": resized(image)}
        alone = {name: mh.predict(model, changed).digit for name, changed in alone.items()}
        if cause == "both":
            require(digit not in alone.values(), "One is enough: moved alone or made smaller alone, it is read.")
        else:
            what = "moved to the middle at this size" if cause == "place" else "made smaller where it is"
            require(alone[cause] == digit, f"It is something else: {what}, it is read as {alone[cause]}.")

    right = (
        (mh.Drawing([[(0.03, 0.05), (0.3, 0.05), (0.1, 0.95)]]), "7", " Its place"),
        [[[(0.03, 0.03), (0.97, 0.03), (0.03, 0.97), (0.97, 0.97)]], 2.0, "its size"],
    )
    wrong = (
        Wrong("the digit alone", 7, "three things"),
        Wrong("an empty pad", ([], 7, "its place"), "is empty"),
        Wrong("too small", ([[(0.1, 0.1), (0.3, 0.1), (0.15, 0.4)]], 7, "its place"), "larger"),
        Wrong("another digit", (own()[0], 1, "its place"), "draw it clearer"),
        Wrong("not lost", ([[(0.3, 0.1), (0.7, 0.1), (0.45, 0.9)]], 7, "its place"), "not lost"),
        Wrong("its size, but it is the place", (own()[0], 7, "its size"), "made smaller where"),
        Wrong("its place, but it is the size", (right[1][0], 2, "its place"), "moved to the middle"),
        Wrong("both, but one is enough", (own()[0], 7, "both"), "One is enough"),
        Wrong("another reason", (own()[0], 7, "its pen"), "One of"),
        Wrong("judge not sure", (CROSS, 4, "both"), "judge calls it"),
    )


def straighten(image, model):
    angles = torch.arange(-45, 46, 5)
    turned = mh.affine(image.expand(len(angles), -1, -1), rotation=angles)  # (19, 28, 28)
    return turned[mh.predict_logits(model, turned).max(1).values.argmax()]


def _along_the_axis(image, model):
    """By the direction in which the ink spreads most; no network is asked."""
    row, column = centre_of_mass(image.float())
    down, right = torch.arange(28)[:, None] - row, torch.arange(28) - column
    across = (image * down * right).sum(), (image * (down**2 - right**2)).sum()
    return mh.affine(image[None], rotation=-torch.atan2(2 * across[0], across[1]).rad2deg() / 2)[0]


def _through_the_whole_circle(image, model):
    turned = mh.affine(image.expand(36, -1, -1), rotation=torch.arange(0, 360, 10))
    return turned[mh.predict_logits(model, turned).max(1).values.argmax()]


class Askew(Exercise):
    id = "05-askew"
    kind, points, minutes = "open", 4, 30
    goal = 110
    expects = "a function of an image (28, 28) from 0 to 255 and the model that returns such an image, turned upright"
    variable = None
    own = staticmethod(straighten)
    hints = (
        "You do not know the angle, but `mh.affine` can try many. What would tell you that one of them was right?",
        "The network's answers tell how much it likes an image. Or measure in which direction the ink spreads most.",
        "Mind how far you turn: no page is turned by more than 45 degrees, and some digits look like others beyond.",
    )

    @cached_property
    def given(self):
        return {"model": mh.load_pretrained()}

    def verify(self, answer, model):
        function(answer, "image and model")
        digits = mh.as_split([drawing for drawing in mh.load_drawings() if drawing.label is not None])
        tilts = torch.empty(len(digits)).uniform_(20, 45) * torch.randn(len(digits)).sign()
        askew = mh.affine(digits.images, rotation=tilts)
        upright = torch.stack([self._turned(answer, image.clone(), model) for image in askew])
        without, said = (mh.predict_logits(model, images).argmax(1).cpu() for images in (askew, upright))
        right, before = (int((answers == digits.labels).sum()) for answers in (said, without))
        count = f"{right} of {len(digits)} are read, {before} without your function"
        require(not torch.equal(said, without), f"{count}: it changes no answer.")
        if right >= self.goal:
            return f"{count}. The angles were new, the hands were not: with other drawings it may do worse."
        heads = int(((digits.labels == 6) & (said == 9) | (digits.labels == 9) & (said == 6)).sum())
        require(heads < 5, f"{count}. {heads} are 6 and 9 read as each other: can a page be turned that far?")
        require(right > before, f"{count}: it does harm. Which way was each turned, and do all need the same?")
        raise NotYet(f"{count}; the goal is {self.goal}.")

    def _turned(self, answer, image, model):
        try:
            found = call(answer, image, model)
        except NotYet as error:
            batches = "`image` is (28, 28); `mh.affine` and `mh.predict_logits` take a batch, such as `image[None]`"
            raise NotYet(f"{error} ({batches}.)") from error
        require(not isinstance(found, tuple), "Several things come back: return the turned image alone.")
        found = tensor(found)
        require(found.ndim > 0, "Return the image, turned, and not what is read: the check asks the network.")
        require(found.squeeze().shape == (28, 28), f"An image (28, 28) is expected, and yours is {tuple(found.shape)}.")
        require(found.isfinite().all(), "Some pixels of your image are no numbers (nan): was something divided by 0?")
        require(found.min() >= 0, "Your image goes below 0: return it as it was, from 0 to 255, not normalised.")
        require(found.max() > 1, "Your image's strongest ink is 1 or less: it goes from 0 to 255.")
        return found.squeeze().clamp(0, 255).round().to(torch.uint8)

    right = (
        _along_the_axis,
        lambda image, model: max(
            (mh.affine(image[None], rotation=angle)[0] for angle in (-30, 0, 30)),
            key=lambda turned: mh.predict(model, turned).probabilities.max(),
        ).numpy(),
    )
    wrong = (
        Wrong("nothing", lambda image, model: image, "changes no answer"),
        Wrong("one angle for all", lambda image, model: mh.affine(image[None], rotation=32)[0], "does harm"),
        Wrong("the digit", lambda image, model: mh.predict(model, image).digit, "not what is read"),
        Wrong(
            "the whole circle",
            _through_the_whole_circle,
            "turned that far",
        ),
        Wrong("from 0 to 1", lambda image, model: straighten(image, model) / 255, "0 to 255"),
        Wrong("all turned images", lambda image, model: image.expand(19, -1, -1), "An image (28, 28)"),
        Wrong("no batch", lambda image, model: mh.affine(image, rotation=30), "take a batch"),
        Wrong("normalised", lambda image, model: mh.normalize(image[None])[0, 0], "not normalised"),
        Wrong("image and angle", lambda image, model: (image, 30), "Several things"),
        Wrong("only centred", lambda image, model: mh.to_mnist(image), "the goal is"),
    )
