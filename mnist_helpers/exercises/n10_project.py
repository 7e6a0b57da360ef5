"""What notebook 10 asks: the three milestones of a project, whose solutions serve the tests and are not shown."""

from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

import mnist_helpers as mh

from .answers import NotYet, call, compare, described, function, numbers, require
from .exercise import Exercise, Wrong
from .guess import Guess
from .scales import Scale

GUESSES = (
    Guess(
        "10-whole-codes",
        "Each digit alone is read rightly as often as you have just seen. Of which share of the codes are all five?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (80, "You expect errors to add up, and so they do: but only five times over."),
                (97, "One error in five digits spoils a code, so a code has about five times a digit's errors."),
                (100, "As if five were as easy as one? A code is wrong as soon as one of its digits is."),
            ),
        ),
        span=(0.9, 0.995),
    ),
    Guess(
        "10-columns",
        "Of which share of the codes does the cut at empty columns make five parts?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (30, "Slanted digits reach over one another, as you say. But many stand upright and apart."),
                (75, "You saw that paper between two digits need not be a straight column of paper."),
                (100, "There is paper between all of them. But a stripe of it, from top to bottom?"),
            ),
        ),
        span=(0.4, 0.75),
    ),
    Guess(
        "10-strangers",
        "In 60 codes one digit is replaced by a letter or a scribble. "
        "What share of these codes is read as if all were digits?",
        Scale(
            0,
            100,
            unit="%",
            bands=(
                (10, "You trust the limit on the probability. It was set on digits, and knows nothing of letters."),
                (60, "You remember notebook 05: of what is no digit, a good part passes for one."),
                (100, "The limit is not blind: many strangers look like two digits at once, and are refused."),
            ),
        ),
        span=(0, 0.9),
    ),
    Guess(
        "10-test",
        "By how many points will the share of test codes that are read differ from that of the validation codes?",
        Scale(
            0,
            20,
            step=0.5,
            unit="points",
            bands=(
                (0.5, "So near? Two samples of 300 codes of the very same kind differ by more, mostly."),
                (6, "As much as two samples of 300 codes may differ by luck, as their intervals say."),
                (20, "That would be more than luck. Nearly nothing was chosen on validation, so little was flattered."),
            ),
        ),
        span=(0, 15),
    ),
)


# Pages to try answers on


def lay(images, rng, gap=None):
    """Digits side by side on a page, in the way of the notebook's `write_code`.

    Args:
        images: uint8 (N, 28, 28).
        rng: a NumPy generator, which chooses sizes, heights and gaps.
        gap: pixels of paper around each digit at least; 0 lets neighbours touch. By default 3 to 7.

    Returns:
        the page, uint8 (48, W), and its digits, each alone on such a page.
    """
    alone, left = [], 4
    page = np.zeros((48, 52 * len(images) + 8), np.uint8)
    for image in np.asarray(images):
        rows, columns = image.any(1).nonzero()[0], image.any(0).nonzero()[0]
        digit = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        scale = rng.uniform(0.9, 1.2)
        size = [max(1, round(side * scale)) for side in digit.size]
        digit = np.asarray(digit.resize(size, Image.Resampling.BILINEAR))
        height, width = digit.shape
        top = int(rng.integers(2, 47 - height))
        around = int(rng.integers(3, 8)) if gap is None else gap
        near = ndimage.maximum_filter(page, 2 * around + 1) > 0
        while (near[top : top + height, left : left + width] & (digit > 0)).any():
            left += 1
        layer = np.zeros_like(page)
        layer[top : top + height, left : left + width] = digit
        page = np.maximum(page, layer)
        alone.append(layer)
        left += width // 2 + 1
    end = page.any(0).nonzero()[0][-1] + 5
    return page[:, :end], [layer[:, :end] for layer in alone]


def drawn(digits, rng, count=5, gap=None):
    """A random code of a `Split`: its page, its digits alone, and its text."""
    chosen = torch.from_numpy(rng.integers(len(digits), size=count))
    page, alone = lay(digits.images.cpu()[chosen], rng, gap)
    return page, alone, "".join(str(label) for label in digits.labels.cpu()[chosen].tolist())


def share_a_column(alone):
    """Whether no empty column lies between two neighbours."""
    ends = [layer.any(0).nonzero()[0][[0, -1]] for layer in alone]
    return any(left[1] + 1 >= right[0] for left, right in pairwise(ends))


def whole(digits, rng, gap=None):
    """A random code whose digits each hang together, as not all of MNIST's do."""
    while True:
        page, alone, text = drawn(digits, rng, gap=gap)
        if all(ndimage.label(layer > 40, np.ones((3, 3)))[1] == 1 for layer in alone):
            return page, alone, text


def pages_to_part(digits, rng):
    """Pairs of what is special about a page, and `(page, its digits alone)`."""
    for special in ("apart", "overlap", "overlap", "overlap", "specks", "specks", "loose", "loose", "grey"):
        page, alone, _ = whole(digits, rng, gap=12 if special == "apart" else None)
        while special == "overlap" and not share_a_column(alone):
            page, alone, _ = whole(digits, rng)
        while special == "apart" and share_a_column(alone):
            page, alone, _ = whole(digits, rng, gap=12)
        if special == "specks":
            page = page.copy()
            for _ in range(4):
                free = np.argwhere(ndimage.maximum_filter(page, 11)[:-2, :-2] == 0)
                row, column = free[rng.integers(len(free))]
                page[row : row + 2, column : column + 1 + rng.integers(2)] = 220
        if special == "loose":  # the page is parted above the middle of its third digit
            row = int(alone[2].any(1).nonzero()[0][[0, -1]].mean()) - 3
            hole = alone[2][row] > 0
            page = page.copy()
            page[row][hole] = alone[2][row][hole] = 0
            for edge in (row - 1, row + 1):  # soft edges, which a limit on the ink would join
                faint = (alone[2][edge] > 0) & (alone[2][edge] <= 60)
                page[edge][faint] = alone[2][edge][faint] = 0
        if special == "grey":
            page = np.maximum(page, rng.integers(0, 26, page.shape).astype(np.uint8))
        yield special, page, alone
    yield "blank", np.zeros((48, 160), np.uint8), []


def boxed(image):
    """The shape of an image's ink, whatever its size and place: `float (24, 24)`, or None without ink."""
    ink = np.asarray(image, dtype=np.float32)
    ink = ink > 0.17 * ink.max()
    if not ink.any():
        return None
    rows, columns = ink.any(1).nonzero()[0], ink.any(0).nonzero()[0]
    box = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32))
    return ndimage.gaussian_filter(np.asarray(box.resize((24, 24), Image.Resampling.BILINEAR)), 1.5)


def same_ink(part, alone):
    """How alike the shapes of two images' ink are: a cosine, 1 for the same."""
    one, other = boxed(part), boxed(alone)
    return 0.0 if one is None else float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def split_code(image):
    ink = image > 40
    pieces, count = ndimage.label(ndimage.binary_dilation(ink))
    parts = {}
    for number in range(1, count + 1):
        alone = np.where(ink & (pieces == number), image, 0)
        rows, columns = alone.nonzero()
        if len(rows) >= 15:
            box = alone[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            parts[columns.mean()] = np.pad(box, 4)
    return [parts[place] for place in sorted(parts)]


FEW = {
    "apart": "the digits of this page stand far apart.",
    "overlap": "no two of this page touch, and yet there is no empty column between two of them.",
    "specks": "with the specks, digits have gone, too. How small is a digit's ink at least?",
    "loose": "one of them has a loose stroke, and no two digits touch.",
    "grey": "this page's paper is not quite 0, as in a photo. From which grey on is it ink?",
}
MANY = {
    "specks": "a speck of two or four pixels is no digit.",
    "loose": "one has a stroke that hangs loose, a row of paper away, and that belongs to it.",
    "grey": FEW["grey"],
}


def columns_alone(image):
    """The usual first try: a part begins and ends where a column of paper is."""
    pieces, _ = ndimage.label((image > 40).any(0))
    return [image[:, place[0]] for place in ndimage.find_objects(pieces)]


def by_pieces(limit=40, least=15, joined=True, from_above=False):
    """A way to part a page by pieces of ink, of which one choice may be wrong: what is ink, whether a loose stroke
    belongs to a digit, how small a digit may be, and the order."""

    def split_code(image):
        ink = image > limit
        pieces, count = ndimage.label(ndimage.binary_dilation(ink) if joined else ink, np.ones((3, 3)))
        alone = [np.where(ink & (pieces == number), image, 0) for number in range(1, count + 1)]
        alone = [part for part in alone if (part > 0).sum() >= least]
        return alone if from_above else sorted(alone, key=lambda part: part.any(0).argmax())

    return split_code


def _changed(change, split=split_code):
    """The reference with a mistake: what it returns, changed."""

    def split_code(image):
        return change(split(image), image)

    return split_code


def _in_their_boxes(image):
    """Boxes cut from the page, with whatever of a neighbour lies in them."""
    pieces, _ = ndimage.label(ndimage.binary_dilation(image > 40))
    boxes = [place for number, place in enumerate(ndimage.find_objects(pieces), 1) if (pieces == number).sum() > 40]
    return [image[place] for place in sorted(boxes, key=lambda place: place[1].start)]


def _loud(part):
    """An image on the scale from 0 to 255, with paper around it."""
    return np.pad((part * (255 / max(part.max(), 1e-9))).astype(np.uint8), 2)


def _by_torch(image):
    """Another method: pieces are joined where few pixels of paper lie between them, and come as tensors."""
    pieces, _ = ndimage.label(image > 40, np.ones((3, 3)))
    near = ndimage.label(ndimage.distance_transform_edt(image <= 40) <= 1)[0]
    groups = [np.where((near == number) & (pieces > 0), image, 0) for number in range(1, near.max() + 1)]
    groups = [group for group in groups if (group > 40).sum() > 12]
    groups.sort(key=lambda group: group.any(0).nonzero()[0].mean())
    return [torch.from_numpy(group) for group in groups]


class Part(Exercise):
    id = "10-part"
    kind, points, minutes = "milestone", 4, 45
    expects = (
        "a function of an image (H, W), 0 paper to 255 ink, that returns a list of images, one a digit, left to right"
    )
    variable = None
    own = staticmethod(split_code)
    hints = (
        "Look at a page on which it goes wrong, with `ax.imshow`. What lies between those two digits?",
        "Two pixels belong together if one can walk from one to the other over ink: `scipy.ndimage.label` numbers such "
        "pieces. What else is a piece, and what is more than one?",
        "Three questions are left: how small a piece is none, how near a loose stroke must be to belong, and in which "
        "order the pieces come.",
    )
    praise = "Overlapping neighbours, specks, a loose stroke, grey paper: each digit comes alone and whole."

    @cached_property
    def given(self):
        return {"digits": mh.as_split([drawing for drawing in mh.load_drawings() if drawing.label is not None])}

    def verify(self, answer, digits):
        function(answer, "an image (H, W)")
        alike = []
        for special, page, alone in pages_to_part(digits, np.random.default_rng(10)):
            parts = self._parts(answer, page, special)
            if special == "blank":
                require(not parts, f"A page without ink has no digits, and yours finds {len(parts)}.")
                continue
            self._require_five(parts, special, page.shape)
            self._require_whole(parts, alone, special)
            alike += [same_ink(part, digit) for part, digit in zip(parts, alone, strict=True)]
        cut = "Your parts are not whole: ink is cut off at their edges. `image[a:b]` ends before row `b`."
        require(np.mean(alike) > 0.975, cut)

    def _parts(self, answer, page, special):
        """What comes back for a page, as a list of arrays `(H, W)`."""
        try:
            found = call(answer, page.copy())
        except NotYet as error:
            what = "is blank" if special == "blank" else f"has the shape {page.shape}"
            raise NotYet(f"{error} The page that it was given {what}.") from error
        if isinstance(found, np.ndarray | torch.Tensor) and found.ndim < 3 and special != "blank":
            raise NotYet(f"A list of images is expected, one for each digit, not {described(found)}.")
        listed = isinstance(found, list | tuple | np.ndarray | torch.Tensor)
        require(listed, f"A list of images is expected, not {described(found)}.")
        parts = [part.cpu().numpy() if isinstance(part, torch.Tensor) else part for part in found]
        parts = [part[0] if np.ndim(part) == 3 and len(part) == 1 else part for part in parts]
        for part in parts:
            image = isinstance(part, np.ndarray) and part.dtype.kind in "buif" and part.ndim == 2 and part.size
            require(image, "Each part is to be an image, with its ink; numbers, boxes or digits come later.")
        return parts

    def _require_five(self, parts, special, shape):
        count = len(parts)
        widths = [part.shape[1] for part in parts if len(part) == shape[0]]
        fifths = len(widths) == 5 and max(widths) - min(widths) <= 1 and abs(sum(widths) - shape[1]) < 5
        require(not fifths, "Five equal parts cut through digits: a 1 is narrow, a 0 wide, and the gaps differ.")
        known = MANY if count > 5 else FEW
        require(count == 5, f"Of 5 digits yours makes {count}: {known.get(special, 'look at these parts.')}")

    def _require_whole(self, parts, alone, special):
        """Refuse parts in another order than from left to right, or with other ink than one digit's."""
        alike = np.array([[same_ink(part, digit) for digit in alone] for part in parts])  # (parts, digits)
        if alike.diagonal().min() > 0.8:
            for part, digit in zip(parts, alone, strict=True) if special == "overlap" else ():
                self._require_alone(part, digit)
            return
        order = alike.argmax(1).tolist()
        if sorted(order) == list(range(5)) and alike.max(1).min() > 0.8:
            tops = [layer.any(1).argmax() for layer in alone]
            require(order != order[::-1] and order != [4, 3, 2, 1, 0], "Your parts come from right to left.")
            from_above = [tops[digit] for digit in order]
            require(from_above != sorted(from_above), "Your parts come from top to bottom: sort them by their columns.")
            raise NotYet("The parts are the right ones, but they do not come from left to right.")
        raise NotYet("A part of yours holds not one digit: a piece of it, or ink of its neighbour.")

    def _require_alone(self, part, digit):
        corner = "In the box of a digit lies a corner of its neighbour: keep only the ink that belongs to it."
        require(len(by_pieces(least=5)(_loud(part))) <= len(by_pieces(least=5)(digit)), corner)

    right = (
        _by_torch,
        _changed(lambda parts, image: [mh.to_mnist(part) for part in parts]),
        _changed(lambda parts, image: tuple(part[None] / 255 for part in parts)),
    )
    wrong = (
        Wrong("five equal parts", lambda image: np.array_split(image, 5, axis=1), "Five equal parts"),
        Wrong("empty columns", columns_alone, "no empty column between"),
        Wrong("a loose stroke as a digit", by_pieces(joined=False), "hangs loose"),
        Wrong("specks as digits", by_pieces(least=1), "a speck"),
        Wrong("only large ones", by_pieces(least=90), "How small"),
        Wrong("from top to bottom", by_pieces(from_above=True), "top to bottom"),
        Wrong("from right to left", _changed(lambda parts, image: parts[::-1]), "right to left"),
        Wrong("cut off", _changed(lambda parts, image: [part[4:-5, 4:-5] for part in parts]), "cut off"),
        Wrong("whole boxes", _in_their_boxes, "corner of its neighbour"),
        Wrong("any grey is ink", by_pieces(limit=0), "not quite 0"),
        Wrong("one image", lambda image: image, "A list of images"),
        Wrong("the pieces' numbers", lambda image: ndimage.label(image > 40)[0], "one for each digit"),
        Wrong("how many", lambda image: len(split_code(image)), "A list of images"),
        Wrong("where they are", _changed(lambda parts, image: [[4, 9]] * 5), "to be an image"),
        Wrong("a part on blank paper", lambda image: split_code(image) or [image], "without ink"),
    )


SEED = 13  # of the hidden codes


def read_code(image, model):
    parts = split_code(image)
    if len(parts) != 5:
        return "?"
    read = [mh.predict(model, part) for part in parts]
    sure = min(one.probabilities.max() for one in read) > 0.9
    return "".join(str(one.digit) for one in read) if sure else "?"


def _tight(split, limit=0.9, least=min, refusal="?"):
    """Readers that differ from the reference in how they refuse."""

    def read_code(image, model):
        parts = split(image)
        if len(parts) != 5:
            return refusal
        read = [mh.predict(model, part) for part in parts]
        sure = least([float(one.probabilities.max()) for one in read]) > limit
        return "".join(str(one.digit) for one in read) if sure else refusal

    return read_code


def _whatever(image, model):
    return "".join(str(mh.predict(model, part).digit) for part in split_code(image))


def _first_five(image, model):
    parts = split_code(image)[:5]
    return "".join(str(mh.predict(model, part).digit) for part in parts) if len(parts) == 5 else "?"


def _fifths_instead(image, model):
    parts = split_code(image)
    parts = parts if len(parts) == 5 or not image.any() else np.array_split(image, 5, axis=1)
    return "".join(str(mh.predict(model, part).digit) for part in parts) if len(parts) == 5 else "?"


def _as_it_lies(image, model):
    """No fitting: each part is only shrunk, as notebook 05 warns of."""
    parts = [np.pad(part, 10) for part in split_code(image)]
    return "".join(str(mh.predict(model, part, fit=False).digit) for part in parts) if len(parts) == 5 else "?"


def _then(change, read=read_code):
    """The reference, whose answer is changed."""
    return lambda image, model: change(read(image, model))


class Read(Exercise):
    id = "10-read"
    kind, points, minutes, seconds = "milestone", 4, 40, 120
    least_right, most_wrong = 0.75, 0.02
    expects = 'a function of an image (H, W) and the model that returns text: five digits, or "?" for a refusal'
    variable = None
    own = staticmethod(read_code)
    hints = (
        "First without refusing anything but a page that has not five parts. How many codes are wrong, and which?",
        "Look at what the network sees, `mh.predict(model, part).image`, of a code that is read wrongly.",
        "A code is as sure as the least sure of its digits. Try some limits on your validation codes, count right and "
        "wrong for each, and choose.",
    )

    @cached_property
    def given(self):
        digits = mh.as_split([drawing for drawing in mh.load_drawings() if drawing.label is not None])
        return {"model": mh.load_pretrained(), "digits": digits, "count": 100}

    def verify(self, answer, model, digits, count):
        """`count`: how many hidden codes are read."""
        function(answer, "an image (H, W) and the model")
        rng = np.random.default_rng(SEED)
        self._refuses(answer, model, digits, rng)
        pages = [drawn(digits, rng) for _ in range(count)]
        read = [self._text(answer, page, model) for page, _, _ in pages]
        pairs = list(zip(read, [text for *_, text in pages], strict=True))
        right = sum(one == text for one, text in pairs) / count
        refused = read.count("?") / count
        wrong = sum(one not in ("?", text) for one, text in pairs) / count
        result = f"Of {count} codes that you have not seen, {right:.0%} are read rightly, {wrong:.1%} wrongly"
        backwards = sum(one == text[::-1] for one, text in pairs) / count
        require(backwards < max(0.3, right), f"{result}, and {backwards:.0%} from right to left.")
        require(wrong < 0.15, f"{result}. So many are no bad luck: what does the network see of each part?")
        goal = f"The goal: {self.least_right:.0%} at least, {self.most_wrong:.0%} at most."
        if wrong > self.most_wrong:
            how = "Of what has five parts you refuse nothing." if refused < 0.02 else "Refuse more of what is not sure."
            raise NotYet(f"{result}. {goal} {how}")
        few = "Are they refused for want of five parts, or of certainty?"
        require(right >= self.least_right, f"{result}, and {refused:.0%} are refused. {goal} {few}")
        return f"{result}, the rest are refused. {self._strangers(answer, model, digits, rng)}"

    def _refuses(self, answer, model, digits, rng):
        """What has not five digits must be refused; of touching ones, few may be read wrongly."""
        require(self._text(answer, np.zeros((48, 160), np.uint8), model) == "?", "A blank page was read. Refuse it.")
        for count in (4, 6, 4, 6):
            page, _, text = drawn(digits, rng, count)
            read = self._text(answer, page, model, count)
            require(read == "?", f"A page with the {count} digits {text} was read as {read}. Refuse it.")
        touching = [drawn(digits, rng, gap=0) for _ in range(10)]
        read = [(self._text(answer, page, model), text) for page, _, text in touching]
        wrong = sum(one not in ("?", text) for one, text in read)
        require(
            wrong < 3, f"Of 10 codes whose digits touch, {wrong} were read, and wrongly. Refuse what you cannot part."
        )

    def _strangers(self, answer, model, digits, rng):
        strangers = [mh.render(drawing) for drawing in mh.load_drawings() if drawing.label is None]
        passed = 0
        for place in range(20):
            images = digits.images.cpu()[torch.from_numpy(rng.integers(len(digits), size=5))].clone()
            images[place % 5] = strangers[3 * place]
            passed += self._text(answer, lay(images, rng)[0], model) != "?"
        return f"Of 20 codes with a letter or scribble in them, {passed} passed for digits: no limit on that here."

    def _text(self, answer, page, model, digits=5):
        """What is read on a page with so many digits."""
        try:
            read = call(answer, page.copy(), model)
        except NotYet as error:
            raise NotYet(f'{error} (A refusal is the text "?".)') from error
        number = isinstance(read, int | float | np.number) and not isinstance(read, bool)
        require(not number, 'A number loses its leading zeros: "00123" would be 123. Return text.')
        require(isinstance(read, str), f'Text is expected, such as "40312" or "?", not {described(read)}.')
        few = read.isdecimal() and len(read) == digits != 5
        require(not few, f"A page with {digits} digits was read as {read}: a postcode has five. Refuse it.")
        form = read == "?" or (read.isdecimal() and len(read) == 5)
        require(form, f'Five digits or "?" are expected, and yours reads {read!r:.30}.')
        return read

    right = (
        _tight(by_pieces(), limit=0.85),
        lambda image, model: _tight(split_code, 0.75, least=np.prod)(image, model),
    )
    wrong = (
        Wrong("never refuses", _tight(split_code, limit=0), "refuse nothing"),
        Wrong("refuses too much", _tight(split_code, limit=0.99), "for want of"),
        Wrong("sure on average", _tight(split_code, limit=0.9, least=np.mean), "Refuse more"),
        Wrong("reads what there is", _whatever, "and yours reads ''"),
        Wrong("four is enough", lambda image, model: _whatever(image, model) or "?", "a postcode has five"),
        Wrong("the first five of six", _first_five, "the 6 digits"),
        Wrong("five equal parts instead", _fifths_instead, "the 4 digits"),
        Wrong("not fitted", _as_it_lies, "does the network see"),
        Wrong("backwards", _then(lambda text: text[::-1]), "from right to left"),
        Wrong("a number", _then(lambda text: int(text) if text != "?" else 0), "leading zeros"),
        Wrong("a list", _then(list), "Text is expected"),
        Wrong("None for a refusal", _tight(split_code, refusal=None), 'the text "?"'),
        Wrong("other words", _tight(split_code, refusal="not sure"), "Five digits or"),
        Wrong("always refuses", lambda image, model: "?", "100% are refused"),
    )


def report(read, codes, answers):
    said = [read(code) for code in codes]
    right = sum(one == answer for one, answer in zip(said, answers, strict=True))
    low, high = mh.wilson_interval(right, len(codes))
    return right / len(codes), low, high, said.count("?") / len(codes)


def _pretended(rng, count, wrong, refused):
    """A reader whose mistakes are known: `(read, codes, answers, what it says)`. Each wrong one errs in one digit."""
    answers = ["".join(str(digit) for digit in row) for row in rng.integers(10, size=(count, 5))]
    said = list(answers)
    order = rng.permutation(count)
    for place in order[:wrong]:
        text, at = said[place], int(rng.integers(5))
        said[place] = text[:at] + str((int(text[at]) + 3) % 10) + text[at + 1 :]
    for place in order[wrong : wrong + refused]:
        said[place] = "?"
    codes = [np.full((2, 2), place, np.uint8) for place in range(count)]
    return lambda code: said[int(code[0, 0])], codes, answers, said


def _by_hand(read, codes, answers):
    """Wilson's interval from its formula, as a list."""
    n, z = len(codes), 1.96
    said = np.array([read(code) for code in codes])
    p = float((said == np.array(answers)).mean())
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [p, (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n), float((said == "?").mean())]


def _digits_right(said, answers):
    """How many digits are right, of all; those of a refused code are not."""
    return sum(a == b for one, text in zip(said, answers, strict=True) for a, b in zip(one, text, strict=False))


def _reporting(count=None, interval=None, refused=None, order=(0, 1, 2, 3)):
    """A report with a mistake: which are counted as right and of how many, which interval, what counts as refused."""
    count = count or (lambda said, answers: (sum(map(str.__eq__, said, answers)), len(said)))

    def report(read, codes, answers):
        said = [read(code) for code in codes]
        right, of = count(said, answers)
        low, high = (interval or (lambda right, of: mh.wilson_interval(right, of)))(right, of)
        gone = refused(said, answers) if refused else said.count("?") / len(said)
        found = (right / of, low, high, gone)
        return tuple(found[place] for place in order)

    return report


def _normal(right, of):
    share = right / of
    half = 1.96 * (share * (1 - share) / of) ** 0.5
    return share - half, share + half


class Report(Exercise):
    id = "10-report"
    kind, points, minutes = "milestone", 3, 25
    expects = "a function of read, codes and answers that returns four numbers: share right, low, high, share refused"
    variable = None
    own = staticmethod(report)
    hints = (
        "Read each code once and keep what was said in a list. Which of it is right, which wrong, which refused?",
        "The unit is the code: a code counts as right if its five digits are, and all codes count, refused ones too.",
        "Notebook 04 has the interval, `mh.wilson_interval`: what are its two whole numbers here?",
    )
    praise = "Of all codes, with their own interval, and what was refused said beside it."

    given = {"seed": 12}  # noqa: RUF012

    def verify(self, answer, seed):
        """`seed`: of the pretended readers."""
        function(answer, "read, codes and answers")
        rng = np.random.default_rng(seed)
        for count, wrong, refused in ((80, 6, 14), (120, 3, 30), (50, 0, 0)):
            read, codes, answers, said = _pretended(rng, count, wrong, refused)
            times = []
            found = call(answer, lambda code, read=read, times=times: times.append(0) or read(code), codes, answers)
            require(times, "Your function never calls `read`: what comes back for `read(codes[0])`?")
            self._compare(numbers(found, 4), said, answers)
            often = f"`read` was called {len(times)} times for {count} codes: once for each is enough, and it is slow."
            require(len(times) == count, often)

    def _compare(self, found, said, answers):
        found = [value / 100 for value in found] if found[1] > 1.5 else found
        count, refused = len(said), said.count("?")
        right = sum(one == text for one, text in zip(said, answers, strict=True))
        share, low, high, gone = found
        of_digits = _digits_right(said, answers) / (5 * count)
        answered = count - refused
        of_answered = _digits_right(said, answers) / (5 * answered)
        shares = (
            (of_digits, "That is the share of digits. A code with one wrong digit goes to the wrong town."),
            (of_digits**5, "That is a digit's share to the power of 5, an estimate. Count the codes that are right."),
            (of_answered**5, "That is a digit's share to the power of 5, an estimate. Count the codes that are right."),
            (of_answered, "That is the share of digits. A code with one wrong digit goes to the wrong town."),
            ((right + refused) / count, "You count the refused as right: somebody will have to read them by hand."),
            (right / answered, "That is the share of those answered. All codes count: refusing everything is no art."),
            (1 - right / count, "That is the share of those not right."),
            (right, "That is how many are right. Which share of all is it?"),
        )
        compare(share, right / count, shares, f"{right} of {count} are right here; your share is {share:.4g}.", 1e-4)
        self._compare_interval(low, high, right, count)
        others = (
            (refused, "That is how many are refused. Which share of all is it?"),
            (1 - right / count, 'What is read wrongly is not refused: only "?" is.'),
            (1 - right / count - refused / count, 'That is the share read wrongly. Refused is only "?".'),
            (refused / max(answered, 1), "You divide the refused by the answered: the share is one of all codes."),
        )
        compare(gone, refused / count, others, f"{refused} of {count} are refused; your share is {gone:.4g}.", 1e-4)

    def _compare_interval(self, low, high, right, count):
        require(low < high, "The interval's lower end comes first, then the upper one.")
        intervals = (
            (
                mh.wilson_interval(5 * right, 5 * count),
                "Your interval is too narrow: that of digits. There are {count} codes.",
            ),
            (mh.wilson_interval(right, count, 1), "Your interval holds 68 %, one deviation. 95 % are asked for."),
            (mh.wilson_interval(right, count, 2.576), "Your interval holds 99 %. 95 % are asked for."),
        )
        known = [(torch.tensor(wrong), words.format(count=count)) for wrong, words in intervals]
        normal = "That is share ± 1.96 deviations, which goes beyond 1 or has no width at the ends. Take Wilson's."
        known.append((torch.tensor(_normal(right, count)), normal))
        wilson = mh.wilson_interval(right, count)
        otherwise = f"For {right} of {count} your interval is {low:.3f} to {high:.3f}: is it Wilson's, for 95 %?"
        compare(torch.tensor([low, high]), torch.tensor(wilson), known, otherwise, within=2e-4)

    right = (
        _by_hand,
        lambda read, codes, answers: torch.tensor(report(read, codes, answers)),
        lambda read, codes, answers: [100 * value for value in report(read, codes, answers)],
    )
    wrong = (
        Wrong("digits", _reporting(lambda said, answers: (_digits_right(said, answers), 5 * len(said))), "of digits"),
        Wrong(
            "the power of 5",
            _reporting(lambda said, answers: ((_digits_right(said, answers) / 5 / len(said)) ** 5 * 100, 100)),
            "power of 5",
        ),
        Wrong(
            "refused is right",
            _reporting(
                lambda said, answers: (sum(a in ("?", b) for a, b in zip(said, answers, strict=True)), len(said))
            ),
            "by hand",
        ),
        Wrong(
            "of the answered",
            _reporting(lambda said, answers: (sum(map(str.__eq__, said, answers)), len(said) - said.count("?"))),
            "no art",
        ),
        Wrong(
            "an interval of digits",
            _reporting(interval=lambda right, of: mh.wilson_interval(5 * right, 5 * of)),
            "narrow",
        ),
        Wrong("share ± 1.96 deviations", _reporting(interval=_normal), "deviations"),
        Wrong("68 %", _reporting(interval=lambda right, of: mh.wilson_interval(right, of, 1)), "68 %"),
        Wrong("the wrong way round", _reporting(order=(0, 2, 1, 3)), "comes first"),
        Wrong(
            "wrong is refused",
            _reporting(refused=lambda said, answers: np.mean([a != b for a, b in zip(said, answers, strict=True)])),
            "is not refused",
        ),
        Wrong("a count", _reporting(refused=lambda said, answers: said.count("?") / 1), "how many are refused"),
        Wrong(
            "reads twice",
            lambda read, codes, answers: (report(read, codes, answers), report(read, codes, answers))[0],
            "once for each",
        ),
        Wrong("never reads", lambda read, codes, answers: (0.9, 0.8, 0.95, 0.1), "never calls"),
        Wrong("three numbers", _reporting(order=(0, 1, 2)), "(4,)"),
    )
