"""The notebooks' own rules. That every cell runs, and prints what is stored, is nbval's part of the same test run."""

import re
from pathlib import Path

import nbformat
import pytest

from scripts.notebooks import NOTEBOOKS, address

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
COURSE = ["01_data_exploration", "02_model", "03_training", "04_evaluation", "05_prediction"]
IGNORED = "nbval-ignore-output"
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def book(request):
    book = nbformat.read(request.param, as_version=4)
    book.path = request.param
    return book


def cells(book, kind):
    return [cell for cell in book.cells if cell.cell_type == kind]


def output_text(cell):
    """Everything readable in a cell's outputs."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", ""))
        parts += [str(data) for kind, data in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(parts)


def test_the_course_is_complete():
    assert [path.stem for path in PATHS] == COURSE


def test_format(book):
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    assert book.path.stat().st_size < 2_000_000
    assert len({cell.id for cell in book.cells}) == len(book.cells)


def test_every_code_cell_ran_in_order_and_without_error(book):
    counts = [cell.execution_count for cell in cells(book, "code")]
    assert counts == list(range(1, len(counts) + 1))
    assert not [o for cell in cells(book, "code") for o in cell.outputs if o.output_type == "error"]


def test_outputs_are_stored(book):
    """nbval passes a notebook without outputs, so this must not."""
    code = cells(book, "code")
    silent = [cell for cell in code if not cell.outputs]
    assert len(silent) < len(code) / 3
    assert sum("image/png" in o.get("data", {}) for cell in code for o in cell.outputs) >= 3
    for cell in code:
        # What is printed or ends the cell must be there.
        if re.search(r"^print\(", cell.source, re.MULTILINE):
            assert cell.outputs, cell.source


def test_cells_are_short_and_prose_goes_with_code(book):
    code, prose = cells(book, "code"), cells(book, "markdown")
    assert 30 <= len(book.cells) <= 75
    assert 0.8 <= len(prose) / len(code) <= 1.4
    lengths = sorted(len([line for line in cell.source.splitlines() if line.strip()]) for cell in code)
    assert lengths[-1] <= 25
    assert 2 <= lengths[len(lengths) // 2] <= 6
    questions = sum(len(re.findall(r"\?\s*(?:\n|$|\*)", cell.source)) for cell in prose)
    assert questions >= 3


def test_badges_open_this_notebook(book):
    opening = book.cells[0].source
    where = f"{address()}/blob/main/notebooks/{book.path.name}"
    assert f"(https://colab.research.google.com/github/{where})" in opening
    assert f"(https://mybinder.org/v2/gh/{address()}/main?urlpath=lab/tree/notebooks/{book.path.name})" in opening
    assert re.search(r"\d+ minutes", opening)
    assert re.match(r"# \d\d ", opening)


def test_the_first_code_cell_fetches_the_package_on_colab(book):
    first = cells(book, "code")[0].source
    assert 'find_spec("mnist_helpers") is None' in first
    assert f"git+https://github.com/{address()}" in first


def test_the_last_cells_sum_up_and_lead_on(book):
    headings = [line for cell in book.cells for line in cell.source.splitlines() if line.startswith("## ")]
    for heading in ("## What you now know", "## Exercises", "## Glossary"):
        assert heading in headings
    position = COURSE.index(book.path.stem)
    following = COURSE[(position + 1) % len(COURSE)]
    assert f"[{following}]({following}.ipynb)" in book.cells[-1].source


def test_links_between_files_lead_somewhere(book):
    for cell in cells(book, "markdown"):
        for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", cell.source):
            assert (book.path.parent / target).exists(), target


def test_no_absolute_paths(book):
    pattern = re.compile(r"(?<![\w.:/])/(?:root|home|work|tmp|Users|var|opt)/|[A-Z]:\\\\")
    for cell in book.cells:
        text = cell.source + (output_text(cell) if cell.cell_type == "code" else "")
        found = pattern.search(text)
        assert not found, text[max(0, found.start() - 40) : found.end() + 40]


def test_what_is_not_compared_is_asserted(book):
    """A cell whose output nbval ignores must check its own result, unless it only draws or shows a widget."""
    for cell in cells(book, "code"):
        if IGNORED in cell.metadata.get("tags", []) and "assert" not in cell.source:
            lines = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]
            assert re.match(r"(\w+ = )?mh\.\w+\(|plt\.show\(\)|\)", lines[-1]), cell.source


def test_unanswered_exercises_say_so(book):
    """Every exercise's check has run without an answer, and has not passed."""
    text = [cell.source for cell in book.cells]
    start = next(i for i, source in enumerate(text) if source.startswith("## Exercises"))
    exercises = [cell for cell in book.cells[start:] if cell.cell_type == "code"]
    assert len(exercises) >= 3
    for cell in exercises:
        assert output_text(cell).strip() == "Not answered yet.", cell.source
        assert "assert" in cell.source


def numbers(text):
    return [(token, float(token.replace(",", ""))) for token in NUMBER.findall(text) if token.strip(",")]


def test_numbers_in_prose_are_backed_by_a_cell(book):
    """Every number of 13 or more, or with decimals, stands in the notebook's code or output too, up to rounding."""
    code = cells(book, "code")
    known = {value for cell in code for _, value in numbers(cell.source + "\n" + output_text(cell))}
    known |= {100 * value for value in known if value <= 1}
    for cell in cells(book, "markdown")[1:]:
        prose = re.sub(
            r"\]\([^)]*\)|\$[^$]*\$|https?://\S+|arXiv:\S+|doi:\S+|\(\d{4}\)|(?:in|of|,) (?:19|20)\d\d",
            " ",
            cell.source,
        )
        for token, value in numbers(prose.replace("`", " ")):
            decimals = len(token.partition(".")[2])
            if value < 13 and not decimals:
                continue
            assert any(round(other, decimals) == value for other in known), f"{token} in: {cell.source}"


def test_this_test_would_notice_a_number_out_of_the_air():
    fake = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# title"),
            nbformat.v4.new_code_cell("x = 41"),
            nbformat.v4.new_markdown_cell("The accuracy is 97.31 %."),
        ]
    )
    with pytest.raises(AssertionError, match=r"97\.31"):
        test_numbers_in_prose_are_backed_by_a_cell.__wrapped__(fake)


def test_the_tested_folder_is_the_courses():
    assert Path(__file__).parent.parent / "notebooks" == NOTEBOOKS
