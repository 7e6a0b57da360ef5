"""Files of drawings with their labels, and drawings as a split that networks are trained and evaluated on."""

import json
from pathlib import Path

import torch
from filelock import FileLock

from ..atomic import atomic_write
from ..data import Split
from ..pictures import ImageError
from .strokes import Drawing, render

RECORDED = Path(__file__).parent.parent / "drawings.json"


def as_split(drawings, *, fit=True):
    """Labelled drawings as a `Split` that `evaluate` and training take; see `render` for `fit`.

    Raises:
        ImageError: there are no drawings, or one has no label or no strokes.
    """
    if not drawings:
        raise ImageError("there are no drawings yet: draw some and keep them first")
    for number, drawing in enumerate(drawings):
        if drawing.label is None or not drawing.strokes:
            raise ImageError(f"drawing {number} has no {'label' if drawing.strokes else 'strokes'}")
    images = torch.stack([render(drawing, fit=fit) for drawing in drawings])
    return Split(images, torch.tensor([drawing.label for drawing in drawings]))


def as_lists(drawing):
    """The strokes of a `Drawing` as lists of points `[x, y]`, to three decimals of the pad, for JSON."""
    return [stroke.round(3).tolist() for stroke in drawing.strokes]


def load_drawings(path=RECORDED):
    """The `Drawing`s in the file `path`, or in all `.json` files of a folder, such as a class's, by name.

    Without a path: the drawings that come with the course.

    Raises:
        FileNotFoundError: there is no such file or folder, or no `.json` file in it.
        ImageError: a file does not hold drawings; names it.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():  # without hidden files, such as those that macOS leaves beside others
        files = sorted(file for file in path.glob("*.json") if file.is_file() and not file.name.startswith("."))
    if not files or not files[0].is_file():
        raise FileNotFoundError(f"there are no drawings in {str(path)!r}")
    return [drawing for file in files for drawing in parse_drawings(file.read_bytes(), file.name)]


def parse_drawings(text, name="the file"):
    """The list of `Drawing`s in the JSON `text` that `save_drawings` wrote; `name` is for the message of an
    `ImageError`."""
    try:
        entries = json.loads(text)["drawings"]
        if not isinstance(entries, list):
            raise TypeError("the drawings are no list")
        return [Drawing(**entry) for entry in entries]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, ImageError) else ""
        raise ImageError(f"{name} does not hold drawings that were saved here{reason}") from error


def format_drawings(drawings):
    """The JSON text of a list of `Drawing`s, one a line, coordinates to three decimals of the pad."""
    lines = []
    for drawing in drawings:
        entry = {"label": drawing.label, "pen": drawing.pen, "style": drawing.style, "strokes": as_lists(drawing)}
        lines.append(json.dumps(entry, separators=(",", ":")))
    return '{"drawings": [\n' + ",\n".join(lines) + "\n]}\n"


def save_drawings(path, drawings):
    """Write `drawings` to `path`, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(format_drawings(drawings), encoding="utf-8")


def change_drawings(path, change, otherwise=()):
    """Replace the drawings in the file `path`, or those of `otherwise` if there is none, by `change(drawings)`, and
    return these. Several programs may change it at once. Raises as `load_drawings` does, and leaves a file that it
    cannot read as it is."""
    path = Path(path)
    with FileLock(path.with_name(f".{path.name}.lock")):
        drawings = change(load_drawings(path) if path.exists() else list(otherwise))
        save_drawings(path, drawings)
    return drawings


def without_last(drawings, unwanted):
    """`drawings` without the last that is, to three decimals, the one in the list `unwanted`; all if none is."""
    text = format_drawings(unwanted)
    for position in reversed(range(len(drawings))):
        if format_drawings(drawings[position : position + 1]) == text:
            return drawings[:position] + drawings[position + 1 :]
    return drawings
