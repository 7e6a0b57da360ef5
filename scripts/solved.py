"""Put the course's own solutions into a notebook, in the place of the stubs."""

import ast
import re

from mnist_helpers.exercises.catalogue import exercise

ASKED = re.compile(r"mh\.exercise\(\s*\"([^\"]+)\"")


def put_in_solutions(book):
    """Replace each stub of a notebook by the solution, and leave everything else as it is.

    Raises:
        ValueError: the notebook asks for an answer that it has no stub for.
    """
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    done = set()
    for place, cell in enumerate(code):
        for id in ASKED.findall(cell.source):
            if id not in done:
                done.add(id)
                _replace(exercise(id), code[place::-1])


def _replace(one, cells):
    """Put one solution into the nearest of some cells, the latest first, that holds its stub."""
    for cell in cells:
        stub = _stub(one, cell.source)
        if stub is not None:
            lines = cell.source.splitlines()
            lines[stub.lineno - 1 : stub.end_lineno] = one.source.splitlines()
            cell.source = "\n".join(lines)
            return
    raise ValueError(f"{one.id} has no stub in its notebook")


def _stub(one, code):
    """The statement of some code that the solution takes the place of, or None."""
    for statement in ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", code, flags=re.MULTILINE)).body:
        if one.variable is None:
            named = isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == one.own.__name__
        else:
            named = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == one.variable
        if named:
            return statement
    return None
