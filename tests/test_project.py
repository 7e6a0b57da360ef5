"""The project holds together: one list of dependencies, one address, rooms that import one way, and train.py."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import nbformat
import pytest
import torch

from scripts import notebooks

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = [
    "data",
    "models",
    "training",
    "evaluation",
    "corruptions",
    "robustness",
    "drawing",
    "prediction",
    "neighbours",
    "plotting",
    "widgets",
]
PACKAGE_OF = {"PIL": "pillow", "sklearn": "scikit-learn"}  # modules that are not called like their package


def imported(source, relative=False):
    """Names of the modules that `source` imports: of other packages, or of its own."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and not relative:
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and bool(node.level) == relative:
            names |= {(node.module or node.names[0].name).partition(".")[0]}
    return names


def names_of(requirements):
    return {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}


def foreign(source):
    return {PACKAGE_OF.get(name, name) for name in imported(source) - sys.stdlib_module_names} - {"mnist_helpers"}


# Dependencies


def test_what_the_package_imports_is_declared():
    declared = names_of(PROJECT["dependencies"])
    for room in ROOMS:
        missing = foreign((ROOT / "mnist_helpers" / f"{room}.py").read_text()) - declared
        assert not missing, room
    assert not foreign((ROOT / "train.py").read_text()) - declared
    # The search needs the course's packages; SQLAlchemy comes with Optuna, whose storages raise its errors.
    course = names_of(PROJECT["optional-dependencies"]["course"]) | {"sqlalchemy"}
    assert not foreign((ROOT / "mnist_helpers" / "tune.py").read_text()) - declared - course


def test_what_is_declared_is_used():
    used = set()
    for folder in ("mnist_helpers", "tests", "scripts", "benchmarks"):
        for path in (ROOT / folder).glob("*.py"):
            used |= foreign(path.read_text())
    for path in notebooks.NOTEBOOKS.glob("*.ipynb"):
        used |= foreign(notebook_source(path))
    programs = {"jupyterlab", "nbval", "ruff", "voila"}  # run, not imported
    declared = names_of(chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()))
    assert declared - programs <= {name.lower() for name in used}


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


def test_the_documents_know_the_rooms():
    for path in (ROOT / "CONTRIBUTING.md", ROOT / "mnist_helpers" / "__init__.py"):
        assert " → ".join(ROOMS) in " ".join(path.read_text().split()), path


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_from_their_left(room):
    source = (ROOT / "mnist_helpers" / f"{room}.py").read_text()
    assert imported(source, relative=True) <= set(ROOMS[: ROOMS.index(room)])


def test_every_public_name_exists_and_is_documented():
    import mnist_helpers as mh

    for name in mh.__all__:
        thing = getattr(mh, name)
        assert name in dir(mh)
        assert isinstance(thing, float) or thing.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mh.nonsense


def test_training_needs_neither_figures_nor_widgets():
    program = (
        "import sys, mnist_helpers; "
        "print({'matplotlib', 'ipywidgets', 'sklearn', 'torchvision', 'mlxtend'} & set(sys.modules))"
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


def run_train(folder, *options):
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, str(ROOT / "train.py"), *options]
    return subprocess.run(
        command, cwd=folder, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )


def test_train_py_trains_evaluates_saves_and_shows(tmp_path):
    done = run_train(tmp_path, "--epochs", "2", "--batch-size", "256")
    assert done.returncode == 0, done.stderr
    assert (
        len(re.findall(r"^epoch +\d  loss \d\.\d{4}  validation accuracy \d\d\.\d\d%", done.stdout, re.MULTILINE)) == 2
    )
    accuracy = float(re.search(r"Test set: accuracy ([\d.]+)%", done.stdout)[1])
    assert accuracy > 70
    assert re.search(r"The network says \d .* the label is \d", done.stdout)
    assert (tmp_path / "prediction.png").read_bytes().startswith(b"\x89PNG")
    state = torch.load(tmp_path / "mnist_model.pth", weights_only=True)
    assert state["epoch"] == 2

    again = run_train(tmp_path, "--epochs", "2", "--batch-size", "256", "--resume")  # nothing left to do
    assert again.returncode == 0
    assert f"accuracy {accuracy:.2f}%" in again.stdout


def test_train_py_trains_the_cnn_too(tmp_path):
    done = run_train(tmp_path, "--model", "CNN", "--epochs", "1", "--batch-size", "128")
    assert done.returncode == 0, done.stderr
    assert "28,794 parameters" in done.stdout
    assert float(re.search(r"Test set: accuracy ([\d.]+)%", done.stdout)[1]) > 70
    saved = (tmp_path / "mnist_model.pth").read_bytes()

    other = run_train(tmp_path, "--epochs", "1", "--batch-size", "128", "--resume")  # forgets which network it was
    assert other.returncode == 1
    assert "holds a CNN" in other.stderr
    assert other.stderr.count("\n") == 1
    assert (tmp_path / "mnist_model.pth").read_bytes() == saved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--batch-size", "100000"], "batch_size is 100000"),
        (["--device", "abacus"], "'abacus' cannot be used"),
        (["--resume"], "no checkpoint 'mnist_model.pth'"),
        (["--output", "missing/model.pth"], "no folder 'missing'"),
    ],
)
def test_train_py_fails_with_one_line(tmp_path, options, message):
    done = run_train(tmp_path, *options)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_train_py_has_the_defaults_of_fit():
    import inspect

    import mnist_helpers as mh
    import train as program

    options = vars(program.parse([]))
    defaults = {name: parameter.default for name, parameter in inspect.signature(mh.fit).parameters.items()}
    for name in ("epochs", "batch_size", "learning_rate", "seed", "resume"):
        assert options[name] == defaults[name], name


def test_train_py_is_thin():
    assert len((ROOT / "train.py").read_text().splitlines()) < 100
