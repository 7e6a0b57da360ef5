"""Every notebook once more, with all solutions put in: each is right where it stands, and every later cell holds."""

from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest

from mnist_helpers.exercises import catalogue
from scripts.notebooks import asked_in, numbered, run
from scripts.solved import ASKED, put_in_solutions

OFFLINE = {"MNIST_DATA": "", "MNIST_MIRRORS": " ", "OMP_NUM_THREADS": "1"}  # the sample is enough, and quick


def solved(path, cache):
    book = nbformat.read(path, as_version=4)
    put_in_solutions(book)
    run(book, **OFFLINE, MNIST_CACHE=str(cache))
    return book


@pytest.fixture(scope="module")
def books(request, tmp_path_factory):
    """The notebooks that are asked for, two at a time."""
    paths = {
        item.callspec.params["path"] for item in request.session.items if "books" in getattr(item, "fixturenames", ())
    }
    with ThreadPoolExecutor(2) as pool:
        yield {path: pool.submit(solved, path, tmp_path_factory.mktemp("cache")) for path in sorted(paths)}


@pytest.mark.parametrize("path", numbered(), ids=lambda path: path.stem)
def test_all_solutions_are_right_where_they_stand(path, books):
    book = books[path].result()
    known = {one.id for one in catalogue.exercises()}
    seen = set()
    for cell in book.cells:
        asked = ASKED.findall(cell.source) if cell.cell_type == "code" else []
        if asked:
            printed = "".join(output.get("text", "") for output in cell.outputs)
            assert printed.count("Right.") >= len(asked), printed
            seen.update(asked)
    assert seen == known & set(asked_in(book))


def test_a_missing_stub_is_noticed():
    new = nbformat.v4
    asked = next(iter(catalogue.exercises())).id
    with pytest.raises(ValueError, match=asked):
        put_in_solutions(new.new_notebook(cells=[new.new_code_cell(f'mh.exercise("{asked}").check(3)')]))
