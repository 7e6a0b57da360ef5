"""Trophies: drawings of which people say that they are no digit, and of which a judge was sure that they are one."""

from .drawings import as_lists
from .panels import percent
from .strokes import Drawing, render

INVITATION = "Draw something that is no digit, and make the network sure that it is one."
REASONS = {
    "unfamiliar": "it is unlike the digits that the network learnt from",
    "undecided": "no digit is likely enough",
}


class Trophies:
    """The tricks that were tried on a pad. The same strokes count once.

    Attributes:
        won: the `Drawing`s that fooled a judge, without a label; their `style` says what they were read as.
        refused: how many drawings a judge was not sure of.
        sentence: what came of the last one.
    """

    def __init__(self):
        self.sentence, self._won, self._refused = INVITATION, {}, set()

    @property
    def won(self):
        return [drawing for drawing, _ in self._won.values()]

    @property
    def refused(self):
        return len(self._refused)

    def claim(self, drawing, prediction, verdict, how):
        """Count a `Drawing` that is no digit, of which the `Prediction` and the judge's verdict are these; `how` it was
        read: by which network, and whether as drawn."""
        strokes, digit = str(as_lists(drawing)), prediction.digit
        answer = f"{digit} with {percent(prediction.probabilities[digit])}"
        if strokes in self._won:
            self.sentence = "This drawing has its trophy already: change something."
        elif verdict == "sure":
            self._won[strokes] = Drawing(drawing.strokes, None, drawing.pen, f"read as {digit} by {how}"), digit
            self.sentence = f"Fooled! It is read as {answer}, and the judge is sure."
        else:
            self._refused.add(strokes)
            self.sentence = f"Refused as {verdict}: {REASONS[verdict]}. Without a judge it would be {answer}."

    def shown(self):
        """What the browser shows: the sentence, the counts, and a picture of each trophy with what it was read as."""
        images = [render(drawing, fit=False).numpy().tobytes() for drawing in self.won]
        return {
            "sentence": self.sentence,
            "won": len(self._won),
            "refused": self.refused,
            "images": b"".join(images),
            "captions": [str(digit) for _, digit in self._won.values()],
        }
