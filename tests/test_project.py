"""The project holds together: one list of dependencies, one address, rooms that import one way, and train.py."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import nbformat
import pytest
import torch
from packaging.requirements import Requirement

from scripts import notebooks

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE = ROOT / "mnist_helpers"
TRAIN = ROOT / "train.py"
HOUSE = " ".join(ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())).split())  # which names the rooms
CORE, *WINGS = (row.split(" → ") for row in re.findall(r"\w+(?: → \w+)+", HOUSE))
WINGS = dict(zip(("pad", "beyond", "exercises"), WINGS, strict=True))
PROGRAMS = ["tune"]
ROOMS = [*CORE, *(f"{wing}/{room}" for wing, rooms in WINGS.items() for room in rooms)]
LESSONS = [f"exercises/n{path.stem}" for path in notebooks.numbered()]  # what each notebook asks
# Modules that are not called like their package.
PACKAGE_OF = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "matplotlib_inline": "matplotlib-inline",
    "websocket": "websocket-client",
}


def imported(source):
    """Names of the modules of other packages that `source` imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module.partition(".")[0]}
    return names


def neighbours(room):
    """The rooms that the room "training" or "pad/judge" imports from, in the same form."""
    folder, found = Path(room).parent, set()
    for node in ast.walk(ast.parse((PACKAGE / f"{room}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder if node.level == 1 else folder.parent
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {(base / name.replace(".", "/")).as_posix() for name in names}
    return found


def names_of(requirements):
    return {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}


def foreign(source):
    return {PACKAGE_OF.get(name, name) for name in imported(source) - sys.stdlib_module_names} - {"mnist_helpers"}


# Dependencies


def test_what_the_package_imports_is_declared():
    declared = names_of(PROJECT["dependencies"])
    # A search needs the course's packages; SQLAlchemy comes with Optuna, whose storages raise its errors.
    course = declared | names_of(PROJECT["optional-dependencies"]["course"]) | {"sqlalchemy"}
    for room in [*ROOMS, *PROGRAMS, *LESSONS]:
        allowed = course if room in ("tune", "beyond/search", "beyond/storage") else declared
        assert not foreign((PACKAGE / f"{room}.py").read_text()) - allowed, room
    assert not foreign(TRAIN.read_text()) - declared


def test_what_the_tests_and_the_scripts_import_is_declared():
    extras = PROJECT["optional-dependencies"]
    declared = names_of(PROJECT["dependencies"]) | names_of(extras["course"]) | names_of(extras["test"])
    declared |= {"tornado", "jupyter_server", "traitlets", "packaging", "sqlalchemy"}  # of Voilà's, pytest's, Optuna's
    for path in (*ROOT.glob("tests/*.py"), *ROOT.glob("scripts/*.py")):
        own = {other.stem for folder in (path.parent, ROOT / "benchmarks") for other in folder.glob("*.py")}
        own |= {"scripts", "benchmarks", "train"}
        assert not foreign(path.read_text()) - declared - own, path.name


@pytest.mark.parametrize(("name", "unsafe"), [("torch", "2.9.1"), ("filelock", "3.20.2")])
def test_versions_with_known_holes_are_not_allowed(name, unsafe):
    (needed,) = (one for one in map(Requirement, PROJECT["dependencies"]) if one.name == name)
    assert unsafe not in needed.specifier
    assert "99" in needed.specifier


def test_what_is_declared_is_used():
    used = set()
    for folder in ("mnist_helpers", "tests", "scripts", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= foreign(path.read_text())
    for path in notebooks.NOTEBOOKS.glob("*.ipynb"):
        used |= foreign(notebook_source(path))
    programs = {"jupyterlab", "nbval", "ruff", "psycopg"}  # run, or named in an address, not imported
    declared = names_of(chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()))
    assert declared - programs <= {name.lower() for name in used}


def test_what_is_declared_is_pinned_in_a_version_that_is_allowed():
    pinned = dict(line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    for line in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), line


def notebook_source(path):
    book = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    return re.sub(r"^(\s*)%.*$", r"\1pass", code, flags=re.MULTILINE)


@pytest.mark.parametrize("path", sorted(notebooks.NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_the_notebooks_import_is_declared(path):
    declared = names_of(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["course"])
    assert not foreign(notebook_source(path)) - declared - {"IPython"}  # comes with jupyterlab


def conda_packages(path):
    return set(re.findall(r"^  - ([\w-]+)", (ROOT / path).read_text(), re.MULTILINE)) - {"conda-forge"}


def test_conda_and_binder_point_to_the_one_list():
    assert conda_packages("environment.yml") == {"python", "pip"}
    assert re.search(r"^      - -e \.\[course\]$", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    assert 'install --no-cache-dir -e ".[course]"' in (ROOT / "binder" / "postBuild").read_text()
    # Binder gets PyTorch's CPU build from conda, under conda's names for packages of the list.
    extra = conda_packages("binder/environment.yml") - {"python", "pip"}
    declared = names_of(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["course"])
    assert {{"pytorch-cpu": "torch"}.get(name, name) for name in extra} <= declared


# The package


def test_contributing_draws_the_same_house():
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    for row in (CORE, *WINGS.values()):
        assert " → ".join(row) in text


def test_every_file_of_the_package_is_a_room():
    found = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
    assert {name for name in found if not name.endswith("__init__")} == {*ROOMS, *PROGRAMS, *LESSONS}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_from_their_left_and_a_wing_from_the_core(room):
    row = CORE if room in CORE else [*CORE, *(f"{room.partition('/')[0]}/{name}" for name in WINGS[room.split("/")[0]])]
    assert neighbours(room) <= set(row[: row.index(room)])


@pytest.mark.parametrize("lesson", LESSONS)
def test_what_a_notebook_asks_needs_the_machine_and_no_other_notebook(lesson):
    machine = [f"exercises/{room}" for room in WINGS["exercises"]]
    assert neighbours(lesson) <= {*CORE, *machine[: machine.index("exercises/catalogue")]}


def test_the_rule_notices_a_wrong_import(monkeypatch):
    """From the right, or from a wing."""
    wrong = {
        "data": "from .training import fit",
        "widgets": "from .pad.widget import Pad",
        "pad/strokes": "from .judge import Judge",
        "pad/judge": "from ..beyond import attacks",
    }
    for room, line in wrong.items():
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", lambda path, line=line: line)
            with pytest.raises(AssertionError):
                test_rooms_import_only_from_their_left_and_a_wing_from_the_core(room)


def lines_without_docstring(function):
    documented = ast.get_docstring(function) is not None
    text = function.body[0].end_lineno - function.body[0].lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - text


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_are_short_and_functions_fit_a_screen(path):
    source = path.read_text()
    # What a notebook asks stands in one file: mostly lists of answers, which are read one exercise at a time.
    assert len(source.splitlines()) <= (800 if re.match(r"n\d\d_", path.name) else 300)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    assert {function.name: lines_without_docstring(function) for function in functions
            if lines_without_docstring(function) > 60} == {}  # fmt: skip


def test_the_pad_s_front_end_is_in_short_files_too():
    for path in (*PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.css")):
        assert len(path.read_text().splitlines()) <= 300, path


def test_every_public_name_exists_and_is_documented():
    import mnist_helpers as mh

    assert len(mh.__all__) == len(set(mh.__all__))
    for name in mh.__all__:
        thing = getattr(mh, name)
        assert name in dir(mh)
        assert isinstance(thing, float) or thing.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mh.nonsense


def test_training_needs_neither_figures_nor_widgets():
    program = (
        "import sys, mnist_helpers; "
        "print({'matplotlib', 'ipywidgets', 'sklearn', 'torchvision', 'mlxtend', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "set()"


def test_no_data_is_in_the_project():
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in (".venv", ".git", ".hypothesis")]
    names = [path.name for folder in folders for path in folder.rglob("*")]
    assert len(names) > 30
    assert not [name for name in names if re.search(r"ubyte|\.csv|\.gz|\.npz", name)]


# The address


def test_one_command_changes_the_address_everywhere(tmp_path, monkeypatch):
    old = notebooks.address()
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "docs", "notebooks"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    notebooks.change_address("some-body/else.where")
    assert notebooks.address() == "some-body/else.where"
    for path in (*tmp_path.glob("notebooks/*.ipynb"), tmp_path / "README.md", tmp_path / "docs" / "classroom.md"):
        text = path.read_text()
        assert not re.search(rf"(github\.com|github|gh)/{old}", text), path
        assert text.count("some-body/else.where") == (ROOT / path.relative_to(tmp_path)).read_text().count(f"/{old}")
    assert f"/{old}" in (ROOT / "README.md").read_text()
    with pytest.raises(SystemExit, match="no address"):
        notebooks.change_address("nonsense")


def test_every_address_is_the_one_in_pyproject():
    for path in (ROOT / "README.md", *(ROOT / "notebooks").glob("[0-9]*.ipynb")):
        text = path.read_text()
        found = re.findall(
            r"(?:mybinder\.org/v2/gh|colab\.research\.google\.com/github|git\+https://github\.com)/([\w.-]+/[\w.-]+)",
            text,
        )
        assert found
        assert set(found) == {notebooks.address()}, path


def test_links_in_the_documents_lead_somewhere():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), target


# train.py


def test_train_py_trains_evaluates_saves_and_shows(run_program):
    done = run_program(TRAIN, "--epochs", "2", "--batch-size", "256")
    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^epoch +\d  loss \d\.\d{4}  validation accuracy \d\d\.\d\d%", done.stdout, re.MULTILINE)) == 2
    )
    accuracy = float(re.search(r"Test set: accuracy ([\d.]+)%", done.stdout)[1])
    assert accuracy > 70
    assert re.search(r"The network says \d .* the label is \d", done.stdout)
    assert (done.folder / "prediction.png").read_bytes().startswith(b"\x89PNG")
    state = torch.load(done.folder / "mnist_model.pth", weights_only=True)
    assert state["epoch"] == 2

    again = run_program(TRAIN, "--epochs", "2", "--batch-size", "256", "--resume")  # nothing left to do
    assert again.returncode == 0
    assert f"accuracy {accuracy:.2f}%" in again.stdout


def test_train_py_trains_the_cnn_too(run_program):
    few = {"MNIST_DATA": "", "MNIST_MIRRORS": "", "XDG_CACHE_HOME": "nothing"}  # the offline sample
    few["RANK"] = "1"  # as other programs set it, for purposes of their own
    done = run_program(TRAIN, "--model", "CNN", "--epochs", "2", "--batch-size", "64", **few)
    assert done.returncode == 0, done.stderr
    assert "28,794 parameters" in done.stdout
    assert float(re.search(r"Test set: accuracy ([\d.]+)%", done.stdout)[1]) > 70
    saved = (done.folder / "mnist_model.pth").read_bytes()

    other = run_program(TRAIN, "--epochs", "2", "--batch-size", "64", "--resume", **few)  # forgets which network it was
    assert other.returncode == 1
    assert "holds a CNN" in other.stderr
    assert other.stderr.count("\n") == 1
    assert (done.folder / "mnist_model.pth").read_bytes() == saved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--batch-size", "100000"], "batch_size is 100000"),
        (["--device", "abacus"], "'abacus' cannot be used"),
        (["--device", "meta"], "'meta' cannot be used"),
        (["--resume"], "no checkpoint 'mnist_model.pth'"),
        (["--output", "missing/model.pth"], "no folder 'missing'"),
        (["--output", ""], "the name of the file to write is empty"),
        (["--output", "."], "'.' is a folder"),
        (["--output", "../pipe"], "'../pipe' is a device or a pipe"),
        (["--output", 300 * "x"], "nothing can be written to"),
    ],
)
def test_train_py_fails_with_one_line_before_it_trains(run_program, options, message, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = run_program(TRAIN, *options)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert "epoch " not in done.stdout
    assert not list(done.folder.iterdir())
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_picture_that_cannot_be_saved_is_no_failure_of_the_training(run_program, tmp_path):
    (tmp_path / "program" / "prediction.png").mkdir(parents=True)
    done = run_program(TRAIN, "--epochs", "1")
    assert done.returncode == 0
    assert "The picture could not be saved: " in done.stdout
    assert not done.stderr
    assert torch.load(done.folder / "mnist_model.pth", weights_only=True)["epoch"] == 1


def test_train_py_has_the_defaults_of_fit():
    import inspect

    import mnist_helpers as mh
    import train as program

    options = vars(program.parse([]))
    defaults = {name: parameter.default for name, parameter in inspect.signature(mh.fit).parameters.items()}
    for name in ("epochs", "batch_size", "learning_rate", "seed", "resume"):
        assert options[name] == defaults[name], name


def test_train_py_is_thin():
    assert len(TRAIN.read_text().splitlines()) < 100
