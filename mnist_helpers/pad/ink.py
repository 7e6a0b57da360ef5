"""Which ink speaks for an answer, and which against it."""

import torch

from ..images import STD, normalize

FIELDS = (
    *("at the upper left", "at the top", "at the upper right"),
    *("at the left", "in the middle", "at the right"),
    *("at the lower left", "at the bottom", "at the lower right"),
)


def ink_shares(model, image, digit, other=None):
    """What each pixel's ink adds to the output for `digit`, or to its lead over the output for `other`: `float32 (28,
    28)` on the CPU.

    It is gradient × input (Shrikumar et al. 2016, arXiv:1605.01713): how quickly the output grows with the pixel, times
    how far the pixel is from blank paper, as the network sees it. Blank pixels have no share.

    Args:
        image: `uint8 (28, 28)`, which the network read.
    """
    pixels = normalize(image.unsqueeze(0).to(next(model.parameters()).device)).requires_grad_()
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            outputs = model(pixels)[0]
            asked = outputs[digit] if other is None else outputs[digit] - outputs[other]
            (gradient,) = torch.autograd.grad(asked, pixels)
    finally:
        model.train(was_training)
    return gradient[0, 0].cpu() * image.cpu() / (255 * STD)


def why(model, prediction, asked):
    """Why a `Prediction` is what it is, or not the digit that is `asked`, as the browser shows it: a dict with a
    "sentence", and "shares": 784 bytes, 128 for nothing, above it for the answer, below it against."""
    answer, other = prediction.digit, None if asked == prediction.digit else asked
    shares = ink_shares(model, prediction.image, answer, other)
    scaled = 128 + 127 * shares / shares.abs().max().clamp(min=1e-9)
    return {"sentence": in_words(shares, answer, other), "shares": scaled.round().byte().numpy().tobytes()}


def in_words(shares, answer, other=None):
    """Where the ink speaks loudest, in a sentence; see `ink_shares`."""
    question, against = f"Why {answer}?", "against it"
    if other is not None:
        question, against = f"Why {answer}, not {other}?", f"for {other}"
    blue, orange = _loudest(shares.clamp(min=0), "blue"), _loudest(-shares.clamp(max=0), "orange")
    blue = f"Blue ink speaks for {answer}, {blue}" if blue else f"No ink speaks for {answer}"
    orange = f"orange {against}, {orange}" if orange else f"none {against}"
    return f"{question} {blue}; {orange}."


def _loudest(part, colour):
    """Which of nine fields has most of `part` `(28, 28)`, in words; none if there is nothing. The fields are those of a
    square around what there is."""
    rows, columns = part.nonzero().T
    if not len(rows):
        return ""
    side = 1 + max(axis.max() - axis.min() for axis in (rows, columns))

    def third(axis):
        start = (axis.min() + axis.max() + 1 - side) / 2
        return (3 * (axis + 0.5 - start) / side).long()

    sums = torch.zeros(9).index_add(0, 3 * third(rows) + third(columns), part[rows, columns])
    return f"most {FIELDS[sums.argmax()]} ({100 * sums.max() / sums.sum():.0f}\u00a0% of the {colour})"
