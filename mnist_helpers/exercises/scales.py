"""What one may guess on: a slider, a number, or a few choices; and what is said to a guess.

What is said belongs to the guess, not to the truth: each band of a scale and each choice has an idea behind it."""

from dataclasses import dataclass, field

NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high`, on a slider.

    Args:
        bands: pairs `(up to, text)`, rising; the first band that holds a guess is the one that is spoken to.
        unit: what follows a number. With "%" the scale goes in per cent, guesses and outcomes are shares from 0 to 1.
        step: of the slider, and the precision in which numbers are said.
        typed: whether a number is typed in place of a slider.
    """

    low: float
    high: float
    bands: tuple
    unit: str = ""
    step: float = 1
    typed: bool = False

    @property
    def kind(self):
        return "number" if self.typed else "slider"

    @property
    def factor(self):
        return 0.01 if self.unit == "%" else 1

    def outcome(self, value):
        """A float, from whatever the notebook computed: a number, or a tensor of one."""
        return float(value)

    def say(self, value):
        """A guess or an outcome in words: "80.8 %"."""
        shown = value / self.factor
        digits = len(f"{self.step:g}".partition(".")[2])
        if shown != round(shown) and abs(shown) < 1000:  # an outcome is said more finely than one can guess
            digits = max(digits, 1)
        return f"{shown:,.{digits}f}{NO_BREAK + self.unit if self.unit else ''}"

    def holds(self, guess):
        return isinstance(guess, int | float) and self.low <= guess / self.factor <= self.high * (1 + 1e-9)

    def idea(self, guess):
        """What is said to this guess."""
        return next((text for bound, text in self.bands if guess / self.factor <= bound), self.bands[-1][1])


@dataclass(frozen=True)
class Choices:
    """A few texts of which one is chosen.

    Args:
        ideas: dict of each choice to what is said to it.
    """

    ideas: dict = field(hash=False)

    kind = "choices"

    def outcome(self, value):
        if value not in self.ideas:
            raise ValueError(f"{value!r} is none of the choices {', '.join(self.ideas)}")
        return value

    def say(self, value):
        return f"“{value}”"

    def holds(self, guess):
        return isinstance(guess, str) and guess in self.ideas

    def idea(self, guess):
        return self.ideas[guess]
