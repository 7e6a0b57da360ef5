"""What a class expected: the guesses of many progress files, beside what came out."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ..colours import BLUE, GREY, ORANGE
from ..plotting import say
from .catalogue import all_guesses
from .progress import load
from .scales import Choices


def guesses(folder):
    """Pool the guesses of a class, plot each question's beside what came out, and print a sentence about each.

    Args:
        folder: with the students' progress files, under any name that ends in .json, in folders within it too.

    Raises:
        FileNotFoundError: there is no such folder, or no progress file with a guess in it.
    """
    kept, passed_over = _pool(Path(folder))
    asked = [guess for guess in all_guesses() if guess.id in kept]
    if not asked:
        raise FileNotFoundError(f"no file in {folder} holds a guess; progress files are called .course-progress.json")
    _, rows = plt.subplots(
        len(asked), 1, figsize=(9, 1.9 * len(asked)), layout="constrained", squeeze=False, gridspec_kw={"hspace": 0.1}
    )
    for guess, axes in zip(asked, rows[:, 0], strict=True):
        said, outcomes = kept[guess.id]
        axes.set_title(guess.question, loc="left", fontsize=10, wrap=True)
        (_choices if isinstance(guess.scale, Choices) else _numbers)(axes, guess.scale, said, outcomes)
        say(f"{guess.id}: {_sentence(guess.scale, said, outcomes)}")
    if passed_over:
        say(f"Passed over, for they hold no progress: {', '.join(passed_over)}.")
    plt.show()


def _pool(folder):
    """By id: all guesses, and all outcomes that were revealed; and the names of files that hold no progress."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    known = {guess.id: guess for guess in all_guesses()}
    kept, passed_over = {}, []
    for path in sorted(folder.rglob("*.json")):
        try:
            entries = load(path)["guesses"]
        except ValueError:
            passed_over.append(path.name)
            continue
        for id, entry in entries.items():
            if id in known and isinstance(entry, dict) and known[id].scale.holds(entry.get("guess")):
                said, outcomes = kept.setdefault(id, ([], []))
                said.append(entry["guess"])
                if known[id].scale.holds(entry.get("outcome")):
                    outcomes.append(entry["outcome"])
    return kept, passed_over


def _numbers(axes, scale, said, outcomes):
    """A dot for each guess, equal ones above each other, and a line at what came out."""
    bins = np.linspace(scale.low, scale.high, 41)
    places = np.digitize([guess / scale.factor for guess in said], bins)
    heights = [list(places[:i]).count(place) for i, place in enumerate(places)]
    axes.plot([guess / scale.factor for guess in said], heights, "o", color=BLUE, label="guessed")
    if outcomes:
        axes.axvline(np.median(outcomes) / scale.factor, color=ORANGE, linestyle="--", label="came out")
    axes.set(xlim=(scale.low, scale.high), ylim=(-0.8, max(heights) + 1.5), xlabel=scale.unit, yticks=[])
    axes.legend(loc="upper right", ncols=2)


def _choices(axes, scale, said, outcomes):
    """A bar for each choice; what came out in another colour."""
    options = list(scale.ideas)
    colours = [ORANGE if option in outcomes else GREY for option in options]
    axes.barh(options, [said.count(option) for option in options], color=colours)
    axes.invert_yaxis()
    axes.set(xlabel="guesses (orange: what came out)" if outcomes else "guesses")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _sentence(scale, said, outcomes):
    count = f"{len(said)} {'guess' if len(said) == 1 else 'guesses'}"
    if isinstance(scale, Choices):
        most = max(scale.ideas, key=said.count)
        words = f"{count}, most often {scale.say(most)} ({said.count(most)})"
    else:
        words = f"{count}, the middle one {scale.say(float(np.median(said)))}"
    if not outcomes:
        return words + "; nobody has seen yet what comes out."
    middle = max(scale.ideas, key=outcomes.count) if isinstance(scale, Choices) else float(np.median(outcomes))
    return f"{words}; it came out as {scale.say(middle)}."
