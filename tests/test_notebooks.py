"""The notebooks' own rules. That every cell runs, and prints what is stored, is nbval's part of the same test run."""

import ast
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch

import mnist_helpers as mh
from mnist_helpers.exercises import catalogue
from scripts.notebooks import FOLDED, NOTEBOOKS, PICTURES, PROJECT, address, asked_in, fold_answers, minutes

PATHS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
APP = NOTEBOOKS / "app.ipynb"  # the web app: a page, not a lesson
COURSE = [
    "01_data_exploration",
    "02_model",
    "03_training",
    "04_evaluation",
    "05_prediction",
    "06_cnn",
    "07_robustness",
    "08_tuning",
    "09_scaling",
    "10_project",
]
IGNORED = "nbval-ignore-output"
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def book(path):
    return nbformat.read(path, as_version=4)


def cells(book, kind):
    return [cell for cell in book.cells if cell.cell_type == kind]


def output_text(cell):
    """Everything readable in a cell's outputs."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", ""))
        texts = [str(data) for kind, data in output.get("data", {}).items() if kind.startswith("text/")]
        parts += [re.sub(r'src="data:[^"]*"', "", text) for text in texts]  # the bytes of a picture are no text
    return "\n".join(parts)


def test_the_course_is_complete():
    assert [path.stem for path in PATHS] == COURSE
    assert set(NOTEBOOKS.glob("*.ipynb")) == {*PATHS, APP}


def test_the_app_is_the_pad_and_little_else():
    book = nbformat.read(APP, as_version=4)
    code = cells(book, "code")
    assert [cell.execution_count for cell in code] == [1, 2]
    assert IGNORED in code[-1].metadata.tags
    assert "Drawing pad" in output_text(code[-1])
    assert not output_text(code[0])  # nothing stands on the page but the pad
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", "\n".join(cell.source for cell in book.cells)):
        assert (NOTEBOOKS / target).exists(), target


@pytest.mark.parametrize("path", [*PATHS, APP], ids=lambda path: path.stem)
def test_no_widget_is_stored(path):
    """Its state would be a copy of the package's front end as it once was."""
    text = path.read_text(encoding="utf-8")
    assert "application/vnd.jupyter.widget-state+json" not in text
    assert "application/vnd.jupyter.widget-view+json" not in text


def test_format(path, book):
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 2_000_000
    assert len({cell.id for cell in book.cells}) == len(book.cells)


def test_every_code_cell_ran_in_order_and_without_error(book):
    counts = [cell.execution_count for cell in cells(book, "code")]
    assert counts == list(range(1, len(counts) + 1))
    assert not [o for cell in cells(book, "code") for o in cell.outputs if o.output_type == "error"]


def prints(source):
    """Whether a cell calls print by itself; one in the text of a program that it writes does not count."""
    tree = ast.parse(re.sub(r"^(\s*)%.*$", r"\1pass", source, flags=re.MULTILINE))
    calls = [node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)


def test_outputs_are_stored(book):
    """nbval passes a notebook without outputs, so this must not."""
    code = cells(book, "code")
    silent = [cell for cell in code if not cell.outputs]
    assert len(silent) < len(code) / 3
    assert sum("image/png" in o.get("data", {}) for cell in code for o in cell.outputs) >= 3
    for cell in code:
        # What is printed or ends the cell must be there.
        if prints(cell.source):
            assert cell.outputs, cell.source


def test_cells_are_short_and_prose_goes_with_code(path, book):
    code, prose = cells(book, "code"), cells(book, "markdown")
    assert 30 <= len(book.cells) <= 75
    assert 0.8 <= len(prose) / len(code) <= 1.4
    lengths = sorted(len([line for line in cell.source.splitlines() if line.strip()]) for cell in code)
    assert lengths[-1] <= 25
    assert 2 <= lengths[len(lengths) // 2] <= (8 if path.stem < "06" else 10)  # the second part's steps are longer
    questions = sum(len(re.findall(r"\?\s*(?:\n|$|\*)", cell.source)) for cell in prose)
    assert questions >= 3


def test_badges_open_this_notebook(path, book):
    opening = book.cells[0].source
    where = f"{address()}/blob/main/notebooks/{path.name}"
    assert f"(https://colab.research.google.com/github/{where})" in opening
    assert f"(https://mybinder.org/v2/gh/{address()}/main?urlpath=lab/tree/notebooks/{path.name})" in opening
    assert re.match(r"# \d\d ", opening)


def test_the_minutes_are_those_of_the_one_method(path, book):
    reading, all_of_it = minutes(book)
    assert f"**Time**: about {reading} minutes to read, {all_of_it} with the exercises." in book.cells[0].source
    table = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in table if f"({path.parent.name}/{path.name})" in line)
    assert row.split("|")[3].strip() == f"{reading}, {all_of_it}"


def test_minutes_are_words_lines_questions_figures_and_exercises():
    new = nbformat.v4
    figure = new.new_output("display_data", {"image/png": "", "text/plain": "<Figure size 700x300>"})
    head = [new.new_markdown_cell("# 01"), new.new_code_cell("import this"), new.new_code_cell("import that")]
    prose = new.new_markdown_cell("word " * 1500 + "? " * 12)  # 10 minutes for the words, 7 for the questions
    code = new.new_code_cell("x = 1\n)\n" * 60, outputs=[figure] * 6)  # 11 for the lines with words, 3 to look
    known = catalogue.exercises()[:2]
    end = [new.new_code_cell(f'mh.exercise("{one.id}").check(None)') for one in known]
    end.insert(0, new.new_markdown_cell("## Exercises"))
    reading, all_of_it = minutes(new.new_notebook(cells=[*head, prose, code, *end]))
    assert reading == 30
    assert all_of_it == 5 * round((31 + sum(one.minutes for one in known)) / 5)


def test_the_first_code_cell_fetches_the_package_on_colab(book):
    first = cells(book, "code")[0].source
    assert 'find_spec("mnist_helpers") is None' in first
    assert f"git+https://github.com/{address()}" in first


# One form for all: the opening, what the reader is asked, figures, and the end


def title(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")


def test_all_open_alike(book):
    opening, fetch, imports, first = book.cells[:4]
    form = (
        r"# \d\d .+\n\n\[!.+\n\n\*\*You will be able to\*\* .+\.\n\n\*\*You need\*\* .+\.\n\n\*\*Time\*\*: about .+\."
    )
    assert re.fullmatch(form, opening.source)
    assert [fetch.cell_type, imports.cell_type] == ["code", "code"]
    assert imports.source.endswith("\n\nmh.style_figures()")
    assert first.source.startswith("## ")


def test_a_prediction_is_asked_for_right_before_its_result(book):
    asked = [i for i, cell in enumerate(book.cells) if "> **Predict**: " in cell.source]
    assert 4 <= len(asked) + len(guessed(book)) <= 16
    for i in asked:
        text = book.cells[i].source
        assert text.splitlines()[-1].startswith("> "), text
        assert text.count("> **Predict**: ") == 1
        assert book.cells[i + 1].cell_type == "code"
    prose = "\n".join(cell.source for cell in cells(book, "markdown")).replace("> **Predict**: ", "")
    assert not re.search(r"\b(Predict|Sketch|Before you run)\b", prose)


def is_project(book):
    """The last notebook has milestones in its flow, in the place of turns and of exercises at the end."""
    return book.cells[0].source.startswith(f"# {PROJECT} ")


def exercises_start(book):
    """The place of the cell where the exercises begin; in the project, where its flow ends."""
    heading = "## Glossary\n" if is_project(book) else "## Exercises\n"
    return next(i for i, cell in enumerate(book.cells) if cell.source.startswith(heading))


def turns(book):
    """Where a student does something: the places of the cells in which a guess is asked for or an answer used, before
    the exercises."""
    start = exercises_start(book)
    hands_over = re.compile(r"= mh\.guess\(|mh\.exercise\([^)]*\)\.(use|check)\(")
    code = ((i, cell) for i, cell in enumerate(book.cells[:start]) if cell.cell_type == "code")
    return [i for i, cell in code if hands_over.search(cell.source)], start


def guessed(book):
    return [id for id in asked_in(book) if id in {one.id for one in catalogue.all_guesses()}]


def test_the_pen_is_handed_over_five_times(book):
    places, start = turns(book)
    kinds = [one.kind for one in catalogue.exercises() if one.id in asked_in(book)]
    assert len(places) >= 5
    assert len(guessed(book)) >= 2
    assert kinds.count("milestone" if is_project(book) else "turn") >= 2
    assert places[0] < 15
    for before, after in zip(places, [*places[1:], start], strict=True):
        assert after - before <= 15


def test_each_objective_has_a_turn(book):
    """The notebook's metadata say which; together the pieces are the whole sentence."""
    promise = re.search(r"\*\*You will be able to\*\* (.+)\.\n", book.cells[0].source)[1]
    asked = asked_in(book)
    for objective in book.metadata.objectives:
        assert objective.says in promise
        assert objective.turns
        assert set(objective.turns) <= set(asked), objective
        promise = promise.replace(objective.says, "", 1)
    assert not re.search(r"\b(?!and\b|to\b|then\b)\w{2,}", promise), promise


def test_what_answers_a_question_is_folded(book):
    expected = deepcopy(book)
    fold_answers(expected)
    for cell, folded in zip(book.cells, expected.cells, strict=True):
        assert cell == folded, cell.source
        if FOLDED in cell.metadata.get("tags", []) and cell.outputs:
            first = cell.outputs[0]  # whose first line is seen beside the fold
            assert first.output_type == "stream" or first.data["text/plain"].startswith("<Figure"), cell.source


def test_a_guess_is_revealed_after_it_was_asked_for(book):
    code = "\n".join(cell.source for cell in cells(book, "code"))
    asked = re.findall(r"^(\w+) = mh\.guess\(", code, flags=re.MULTILINE)
    assert len(set(asked)) == len(asked)  # or a cell that is run again would reveal another guess
    for name, id in re.findall(r"^(\w+) = mh\.guess\(\"([^\"]+)\"\)\n\1$", code, flags=re.MULTILINE):
        assert f"{name}.reveal(" in code[code.index(f'mh.guess("{id}")') :], id
    assert code.count("mh.guess(") == code.count(".reveal(") == len(guessed(book))


def test_folding_is_taken_back_where_nothing_is_asked_any_more():
    new = nbformat.v4
    question, other = new.new_markdown_cell("> **Predict**: how many?"), new.new_markdown_cell("So it is.")
    book = new.new_notebook(cells=[question, new.new_code_cell("print(3)"), other, new.new_code_cell("print(4)")])
    fold_answers(book)
    assert book.cells[1].metadata == {"tags": ["hide-output"], "jupyter": {"outputs_hidden": True}}
    assert book.cells[3].metadata == {}
    book.cells[0].source = "Three."
    fold_answers(book)
    assert book.cells[1].metadata == {}


def test_figures_have_one_form(book):
    for cell in cells(book, "code"):
        source = cell.source
        assert not source.endswith(";"), source
        assert not re.search(r"#[0-9A-Fa-f]{6}|\bplt\.(plot|bar|xlabel|ylabel|title|imshow|hist|legend)\(", source), (
            source
        )
        widths = re.findall(r"figsize=\(([\d.]+),", source)
        assert set(widths) <= {"9", "4.6"}, source
        for output in pictures(cell):
            assert "needs_background" not in output.metadata  # no white box on a dark page
            if output.data["text/plain"].startswith("<Figure"):
                assert source.endswith("plt.show()"), source


def pictures(cell):
    return [output for output in cell.get("outputs", []) if PICTURES & output.get("data", {}).keys()]


def test_every_picture_is_described(book):
    """By what its cell prints, or its widget says; a sentence for those who cannot see it."""
    for cell in cells(book, "code"):
        assert len(pictures(cell)) <= 1, cell.source
        for output in pictures(cell):
            for kind in PICTURES & output.data.keys():
                words = output.metadata[kind]["alt"]
                assert len(words.split()) >= 5, cell.source
                assert words in " ".join(re.sub(r"<[^>]+>", "", output_text(cell)).split())


def test_no_line_is_cut_on_a_narrow_page(book):
    for cell in cells(book, "code"):
        printed = "".join(output.get("text", "") for output in cell.outputs)
        for line in cell.source.splitlines() + printed.splitlines():
            assert len(line) <= 88 or "git+https://" in line, line


def test_nothing_on_a_device_is_made_64_bits_wide(path, book):
    """Apple's GPUs have no such numbers. What 01 and 02 compute stays on the processor."""
    for cell in cells(book, "code") if path.stem > "03" else []:
        assert not re.search(r"(?<!\.cpu\(\))\.double\(\)", cell.source), cell.source


def test_all_end_alike(path, book):
    [sum_up] = [cell for cell in book.cells if "## What you now know" in cell.source]
    heading, *bullets = [line for line in sum_up.source.splitlines() if line]
    assert heading == "## What you now know"
    assert 3 <= len(bullets) <= 5
    assert all(line.startswith("- ") for line in bullets)
    assert sum(cell.source.startswith("## Exercises\n") for cell in book.cells) == (not is_project(book))
    asked = cells(nbformat.from_dict({"cells": book.cells[exercises_start(book) : -1]}), "markdown")
    if is_project(book):
        asked = [cell for cell in cells(book, "markdown") if "**Milestone " in cell.source]
        assert len(asked) >= 3
    for number, cell in enumerate(asked, 1):
        assert re.search(rf"^\*\*(Milestone )?{number}\. [^*]+\.\*\* ", cell.source, re.MULTILINE), cell.source

    heading, *terms, links = [line for line in book.cells[-1].source.splitlines() if line]
    assert heading == "## Glossary"
    names = [re.fullmatch(r"- \*\*([^*]+)\*\*: .+\.", line)[1].casefold() for line in terms]
    assert names == sorted(names)
    position = COURSE.index(path.stem)
    way = [f"Back: [{title(name)}]({name}.ipynb)" for name in COURSE[max(0, position - 1) : position]]
    way += ["[All notebooks](../README.md)"]
    way += [f"Next: [{title(name)}]({name}.ipynb)" for name in COURSE[position + 1 : position + 2]]
    assert links == " · ".join(way)


def test_links_between_files_lead_somewhere(path, book):
    for cell in cells(book, "markdown"):
        for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", cell.source):
            assert (path.parent / target).exists(), target


def test_no_absolute_paths(book):
    pattern = re.compile(r"(?<![\w.:/])/(?:root|home|work|tmp|Users|var|opt)/|[A-Z]:\\\\")
    for cell in book.cells:
        text = cell.source + (output_text(cell) if cell.cell_type == "code" else "")
        found = pattern.search(text)
        assert not found, text[max(0, found.start() - 40) : found.end() + 40]


def test_what_is_not_compared_is_asserted(book):
    """A cell whose output nbval ignores checks its result, there or in the next cell, unless it prints nothing or ends
    in a figure or widget, which describes itself."""
    code = cells(book, "code")
    for cell, following in zip(code, [*code[1:], None], strict=True):
        checked = "assert" in cell.source.lower() or ".reveal(" in cell.source  # which asserts what may come out
        if IGNORED in cell.metadata.get("tags", []) and cell.outputs and not checked:
            shows = re.match(
                r"mh\.(plot_\w+|browse|transform|read_picture|mislead|progress)\(|plt\.show\(\)",
                cell.source.splitlines()[-1],
            )
            asks = re.search(r"mh\.(exercise|guess)\(", cell.source)
            assert shows or asks or "assert" in following.source or ".reveal(" in following.source, cell.source


def test_unanswered_exercises_say_so(book):
    """Every exercise's check has run without an answer, and has not passed."""
    text = [cell.source for cell in book.cells]
    start = next((i for i, source in enumerate(text) if "## Exercises" in source), None)
    exercises = [cell for cell in book.cells[start:] if cell.cell_type == "code"]
    if is_project(book):  # whose milestones are in the flow
        exercises = [cell for cell in exercises if "mh.exercise(" in cell.source]
    assert sum("mh.exercise(" in cell.source for cell in exercises) >= 3
    for cell in exercises:
        if "mh.exercise(" in cell.source:
            assert "Not answered yet." in output_text(cell), cell.source
        assert "assert" not in cell.source  # no check in sight


def numbers(text):
    return [(token, float(token.replace(",", ""))) for token in NUMBER.findall(text) if token.strip(",")]


def unbacked_numbers(book):
    """The numbers in prose, of 13 or more or with decimals, that stand neither in code nor in an output, up to rounding
    and percentages. Years, references, formulas and the widths of number types are not claims."""
    known = {value for cell in cells(book, "code") for _, value in numbers(cell.source + "\n" + output_text(cell))}
    known |= {100 * value for value in known if value <= 1}
    no_claim = (
        r"\[[^]]*\]\(\d\d_\w+\.ipynb\)|"  # a notebook's title
        r"\]\([^)]*\)|\$[^$]*\$|https?://\S+|(?:arXiv|doi):\S+|\(\d{4}\)|(?:in|of|,) (?:19|20)\d\d|\d+-bit|\d+ bits"
    )
    for cell in cells(book, "markdown")[1:]:
        for token, value in numbers(re.sub(no_claim, " ", cell.source)):
            decimals = len(token.partition(".")[2])
            claim = value >= 13 or decimals
            if claim and not any(round(other, decimals) == value for other in known):
                yield token, cell.source


def test_numbers_in_prose_are_backed_by_a_cell(book):
    assert not list(unbacked_numbers(book))


def test_a_number_out_of_the_air_is_noticed():
    new = nbformat.v4
    book = new.new_notebook(
        cells=[
            new.new_markdown_cell("# Title"),
            new.new_code_cell("share = 0.9731"),
            new.new_markdown_cell("The accuracy is 97.31 %, and not 97.13 %."),
        ]
    )
    assert [token for token, _ in unbacked_numbers(book)] == ["97.13"]


# Cells that are run twice, or on a machine where others are busy, too


def code_with(name, words):
    """The source of the one code cell of a notebook that contains some words."""
    book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    [source] = [cell.source for cell in cells(book, "code") if words in cell.source]
    return source


def test_the_control_of_09_starts_anew_each_time_it_is_run(mnist, capsys):
    small = type(mnist)(mnist.train[-1024:], mnist.validation[:100], mnist.test[:100], mnist.source)
    settings = {"epochs": 6, "batch_size": 512, "learning_rate": 3e-3, "progress": False}
    mh.set_seed(0)
    usual = mh.fit(mh.MLP(), small.train, small.validation, **settings)
    names = {"mh": mh, "torch": torch, "mnist": small, "several": "two processes"}
    names |= {"curve_one": torch.tensor(usual.train_loss), "apart": torch.zeros(6)}
    for _ in range(2):
        exec(code_with("09_scaling", "weights *= 1 +"), names)
    first, second = capsys.readouterr().out.split("apart, by epoch")[1:]
    assert first == second


def test_a_folder_of_09_may_be_there_already():
    assert "mkdir()" not in code_with("09_scaling", "--max-restarts")


def test_09_steps_aside_where_torchrun_cannot_start(monkeypatch, tmp_path, one_thread, capsys):
    """On a machine that says it is Windows, whose signals are fewer, on the small sample."""
    for name, value in (("MNIST_DATA", ""), ("MNIST_MIRRORS", " "), ("MNIST_CACHE", str(tmp_path))):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(plt, "show", plt.close)
    code = [cell.source for cell in cells(nbformat.read(NOTEBOOKS / "09_scaling.ipynb", as_version=4), "code")]
    last = next(i for i, source in enumerate(code) if "bit by bit" in source)
    run, commands, names = subprocess.run, [], {}
    with plt.rc_context():
        exec(code[1], names)  # the imports
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.delattr(signal, "SIGKILL")
        monkeypatch.setattr(subprocess, "run", lambda *given, **how: commands.append(given[0]) or run(*given, **how))
        for source in code[2 : last + 1]:
            first, _, rest = source.partition("\n")
            if first.startswith("%%writefile "):
                Path(first.split()[1]).write_text(rest, encoding="utf-8")
            else:
                exec(source, names)
    printed = capsys.readouterr().out
    assert printed.count("Windows: torchrun cannot start, so nothing is shown here.") == 3
    assert printed.count("Windows: torchrun cannot start, so one process stands in for two.") == 2
    assert "one process (Windows)" in printed
    assert len(commands) == 3
    assert not any("torch.distributed.run" in command for command in commands)


def test_a_worker_of_08_that_is_started_again_is_not_there_twice(monkeypatch, tmp_path):
    started = []

    def popen(command, env, **streams):
        started.append(SimpleNamespace(env=env, killed=False))
        started[-1].kill = lambda worker=started[-1]: setattr(worker, "killed", True)
        return started[-1]

    monkeypatch.setenv("MNIST_DATA", "somewhere")
    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = {"os": os, "sys": sys, "subprocess": subprocess, "tempfile": tempfile, "Path": Path, "database": "a.db"}
    for _ in range(2):  # the cell that defines it, too, may be run again
        exec(code_with("08_tuning", "def start_worker"), names)
        names["start_worker"]("first", 12)
        names["start_worker"]("second", 12)
    assert [worker.killed for worker in started] == [True, True, False, False]
    for worker in started:  # these find the sample and nothing else, on every system
        assert "MNIST_DATA" not in worker.env
        assert not worker.env["MNIST_MIRRORS"].split()
        assert Path(worker.env["MNIST_CACHE"]).parent == tmp_path


def test_the_race_of_05_is_run_by_one_thread(mnist, monkeypatch, capsys):
    """With two, a busy machine makes the batch wait, and it could lose."""
    used, original, before = set(), mh.predict_logits, torch.get_num_threads()
    monkeypatch.setattr(mh, "predict_logits", lambda *args: used.add(torch.get_num_threads()) or original(*args))
    names = {"mh": mh, "torch": torch, "math": math, "time": time, "mnist": mnist, "model": mh.load_pretrained()}
    names["guess_batch"] = SimpleNamespace(reveal=float)
    torch.set_num_threads(2)
    try:
        exec(code_with("05_prediction", "one_by_one"), names)
        assert used == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
