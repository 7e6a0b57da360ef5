"""How far a student has come, over all notebooks."""

import html

from .catalogue import all_guesses, exercises
from .progress import own

COLUMNS = ("notebook", "guesses", "turns", "exercises", "points", "hints")


class Table:
    """Rows of text, shown as a table by notebooks and as lines elsewhere."""

    def __init__(self, head, rows):
        self.head, self.rows = head, rows

    def __repr__(self):
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        padded = ((f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def _repr_html_(self):
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.head)
        body = "".join(
            f'<tr><th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def progress():
    """A table of the guesses made, the turns and exercises solved, the points and the hints taken, by notebook."""
    kept = own()
    rows = []
    for notebook in dict.fromkeys(one.notebook for one in exercises()):
        mine = [one for one in exercises() if one.notebook == notebook]
        turns = [one for one in mine if one.kind == "turn"]
        others = [one for one in mine if one.kind != "turn"]
        asked = [one.id for one in all_guesses() if one.id[:2] == notebook[:2]]
        solved = [one for one in mine if one.id in kept["solved"]]
        rows.append(
            (
                notebook,
                _of(sum(id in kept["guesses"] for id in asked), len(asked)),
                _of(sum(one in solved for one in turns), len(turns)),
                _of(sum(one in solved for one in others), len(others)),
                _of(sum(one.points for one in solved), sum(one.points for one in mine)),
                str(sum(kept["hints"].get(one.id, 0) for one in mine)),
            )
        )
    total = [_of(*(sum(int(row[i].split(" of ")[k]) for row in rows) for k in (0, 1))) for i in range(1, 5)]
    return Table(COLUMNS, [*rows, ("all", *total, str(sum(int(row[5]) for row in rows)))])


def _of(part, whole):
    return f"{part} of {whole}"
