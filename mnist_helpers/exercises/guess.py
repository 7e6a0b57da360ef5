"""A guess: a question that the student answers before the result is there, as a widget with the browser's own controls,
which keyboards and screen readers know."""

import html
import math
from dataclasses import dataclass
from pathlib import Path

import anywidget
import traitlets

from ..plotting import say
from . import progress
from .scales import Choices, Scale

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Guess:
    """What is asked. Lists of these, called `GUESSES`, stand in the files named after notebooks.

    Args:
        id: the notebook's number and a name, such as "01-nearest-mean".
        question: one sentence or two, ending in a question mark.
        scale: a `Scale` or `Choices`.
        span: what the outcome must lie in, on every machine and on the offline sample, or the notebook is wrong: the
            smallest and the largest value (shares from 0 to 1), or the possible choices.
    """

    id: str
    question: str
    scale: Scale | Choices
    span: tuple

    def answer(self, guess, outcome):
        """What is said once the outcome is known; `guess` is None if there was none."""
        scale = self.scale
        came_out = scale.say(outcome)
        it_is = f"the answer is {came_out}" if isinstance(scale, Choices) else f"it is {came_out}"
        if guess is None:
            return f"{it_is[0].upper()}{it_is[1:]}."
        if scale.say(guess) == came_out:
            return f"You said {came_out}, and so it is. {scale.idea(guess)}"
        return f"You said {scale.say(guess)}; {it_is}. {scale.idea(guess)}"

    def expects(self, outcome):
        """Whether an outcome is one that a sound notebook can have."""
        if isinstance(self.scale, Choices):
            return outcome in self.span
        return math.isfinite(outcome) and self.span[0] <= outcome <= self.span[1]


class Asked(anywidget.AnyWidget):
    """A `Guess` on the page. Nobody must guess: `reveal` works without one, too."""

    _esm = HERE / "guess.js"
    _css = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("frame.css", "guess.css"))
    question = traitlets.Unicode().tag(sync=True)
    kind = traitlets.Unicode().tag(sync=True)
    low, high, step = (traitlets.Float().tag(sync=True) for _ in range(3))
    unit = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List().tag(sync=True)
    chosen = traitlets.Any(None, allow_none=True).tag(sync=True)  # as the browser shows it: 80 for 80 %
    said = traitlets.Unicode().tag(sync=True)

    def __init__(self, asked):
        self.asked = asked
        scale = asked.scale
        shape = {"choices": list(scale.ideas)} if isinstance(scale, Choices) else {}
        if not shape:
            shape = {"low": scale.low, "high": scale.high, "step": scale.step, "unit": scale.unit}
        super().__init__(question=asked.question, kind=scale.kind, **shape)
        earlier = progress.own()["guesses"].get(asked.id, {}).get("guess")
        if earlier is not None and scale.holds(earlier):
            self._show(earlier)
        self.observe(self._commit, ["chosen"])

    @property
    def value(self):
        """The guess, a share from 0 to 1 where the scale goes in per cent; None if there is none."""
        scale, guess = self.asked.scale, self.chosen
        if not isinstance(scale, Choices) and isinstance(guess, int | float):
            guess *= scale.factor
        return guess if scale.holds(guess) else None

    def reveal(self, value):
        """Print what came out, beside what was guessed, and keep both.

        Args:
            value: the outcome: a number or a tensor of one (a share from 0 to 1 where the scale goes in per cent), or
                one of the choices.

        Raises:
            AssertionError: no sound notebook has this outcome.
        """
        outcome = self.asked.scale.outcome(value)
        assert self.asked.expects(outcome), f"{outcome} is not what this notebook should find: {self.asked.span}"
        guess = self.value
        if guess is not None:
            progress.record(lambda kept: kept["guesses"].update({self.asked.id: {"guess": guess, "outcome": outcome}}))
        say(self.asked.answer(guess, outcome))

    def _commit(self, change):
        guess = self.value
        if guess is not None:
            progress.record(lambda kept: kept["guesses"].setdefault(self.asked.id, {}).update(guess=guess))
            self._show(guess)

    def _show(self, guess):
        scale = self.asked.scale
        self.chosen = guess if isinstance(scale, Choices) else round(guess / scale.factor, 6)
        self.said = f"Your guess: {scale.say(guess)}. Run on to see."

    def _repr_mimebundle_(self, **kwargs):
        """Where nothing runs: the question, and what one may choose from."""
        scale = self.asked.scale
        ways = " · ".join(self.choices) or f"from {scale.low:g} to {scale.high:g} {scale.unit}".strip()
        words = f"Your guess: {self.question} ({ways})"
        still = {"text/plain": words, "text/html": f"<blockquote>{html.escape(words)}</blockquote>"}
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | still, metadata
