"""What a student has guessed and solved, in one small file beside the notebooks: `.course-progress.json`, or the file
that `MNIST_PROGRESS` names. No network, no names. It is written whole or not at all, and two kernels lose nothing."""

import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from ..atomic import atomic_write
from ..plotting import say

NAME = ".course-progress.json"
PARTS = ("guesses", "attempts", "hints", "solved")

_unkept = {}  # where nothing can be written: progress lasts as long as the program
_told = set()


def progress_file():
    """Where progress is kept; a folder in `MNIST_PROGRESS` takes the file's usual name."""
    path = Path(os.environ.get("MNIST_PROGRESS") or NAME).absolute()
    return path / NAME if path.is_dir() else path


def own():
    """The student's own progress, as `load` returns it. A damaged file is put aside and told of, and counted anew."""
    path = progress_file()
    try:
        return load(path)
    except ValueError:
        record(lambda kept: None)
        return load(path)


def load(path):
    """The progress in a file: a dict with

    - `guesses`: by id, a dict with the `guess` and, once revealed, the `outcome`;
    - `attempts` and `hints`: by id, how many wrong answers were checked, how many hints taken;
    - `solved`: by id, True.

    Raises:
        ValueError: the file holds something else.
    """
    path = Path(path)
    kept = _unkept.get(path, {})
    if not kept and path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} holds no progress: {error}") from error
        if not isinstance(kept, dict) or not all(isinstance(kept.get(part, {}), dict) for part in PARTS):
            raise ValueError(f"{path} holds no progress")
    return {part: dict(kept.get(part, {})) for part in PARTS}


def record(change):
    """Let `change` change the progress, a dict as `load` returns it, and keep it."""
    path = progress_file()
    try:
        with FileLock(f"{path}.lock", timeout=5):
            kept = _load_or_put_aside(path)
            change(kept)
            with atomic_write(path) as part:
                part.write_text(json.dumps(kept, indent=1, sort_keys=True), encoding="utf-8")
    except (OSError, Timeout) as error:
        kept = load(path) if path in _unkept else {part: {} for part in PARTS}
        change(kept)
        _unkept[path] = kept
        _tell_once(path, f"Your progress is kept only until this kernel stops: {error}")


def _load_or_put_aside(path):
    try:
        return load(path)
    except ValueError as error:
        places = (path.with_suffix(f".damaged{number}.json") for number in ("", *range(2, 1000)))
        aside = next(place for place in places if not place.exists())  # an earlier one stays as it is
        os.replace(path, aside)
        _tell_once(path, f"{error}. It is now called {aside.name}, and progress is counted anew.")
        return load(path)


def _tell_once(path, message):
    if path not in _told:
        _told.add(path)
        say(message)
