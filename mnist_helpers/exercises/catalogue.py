"""Find an exercise or a guess by its name. The files named after notebooks are read when first needed."""

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from .exercise import Exercise
from .guess import Asked

HERE = str(Path(__file__).parent)


@cache
def _room(number):
    """The module of the notebook with this number, "01"."""
    for module in iter_modules([HERE]):
        if module.name.startswith(f"n{number}_"):
            return import_module(f".{module.name}", __package__)
    raise ValueError(f"there is no notebook {number!r}; notebooks are named by two digits")


def _numbers():
    return sorted(module.name[1:3] for module in iter_modules([HERE]) if module.name[1:3].isdigit())


@cache
def _of(number):
    """A notebook's exercises, by id, in the order in which they are written."""
    room = _room(number)
    kinds = [kind for kind in vars(room).values() if isinstance(kind, type) and issubclass(kind, Exercise) and kind.id]
    return {kind.id: kind() for kind in kinds if kind.__module__ == room.__name__}


def exercise(id):
    """The exercise with this id, such as "03-loop": an `Exercise`.

    Raises:
        ValueError: there is none.
    """
    return _find(id, _of(str(id)[:2]), "exercise")


def exercises():
    """All `Exercise`s of the course, a list in the order of the notebooks."""
    return [one for number in _numbers() for one in _of(number).values()]


def guess(id):
    """The guess with this id, such as "01-nearest-mean", as a widget; see `Asked`.

    Raises:
        ValueError: there is none.
    """
    return Asked(_find(id, {one.id: one for one in guesses_of(str(id)[:2])}, "guess"))


def guesses_of(number):
    """The `Guess`es of the notebook with this number, "01"."""
    return list(_room(number).GUESSES)


def all_guesses():
    """All `Guess`es of the course, a list in the order of the notebooks."""
    return [one for number in _numbers() for one in guesses_of(number)]


def _find(id, known, what):
    if id not in known:
        raise ValueError(f"there is no {what} {id!r}; the notebook has {', '.join(known) or 'none'}")
    return known[id]
