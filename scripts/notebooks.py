"""Keep the notebooks in order.

python scripts/notebooks.py refresh [01 03 ...]      run notebooks from clean kernels and store their outputs
python scripts/notebooks.py address OWNER/REPO       change the repository's address in every file that holds it
python scripts/notebooks.py minutes                  how long each takes a reader, without and with the exercises
"""

import argparse
import os
import re
import tempfile
import tomllib
from pathlib import Path

import nbclient
import nbformat

from mnist_helpers.exercises.catalogue import exercises

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
PICTURES = {"image/png", "image/svg+xml"}  # figures and widgets; drawings
PROJECT = "10"  # the notebook that is no lesson
FOLDED = "hide-output"


def numbered():
    """The course's notebooks, in order; the web app is none."""
    return sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))


def refresh(names):
    """Run the notebooks whose names start with one of `names` (all by default), and store their outputs."""
    for path in (*numbered(), NOTEBOOKS / "app.ipynb"):
        if names and not path.name.startswith(tuple(names)):
            continue
        book = nbformat.read(path, as_version=4)
        run(book)
        drop_widgets(book)
        fold_answers(book)
        describe_pictures(book)
        # As JupyterLab writes it, which else would call a notebook changed as soon as it is opened.
        book.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        nbformat.write(book, path)
        print(f"refreshed {path.name}")


def run(book, **environment):
    """Run a notebook from a clean kernel, as a student who has not yet guessed or solved anything; further variables
    of the environment may be given."""
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            book, timeout=600, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}, record_timing=False
        )
        client.execute(env={**os.environ, "MNIST_PROGRESS": folder, **environment})


def fold_answers(book):
    """Fold the outputs that answer a question, until their cell is run. JupyterLab keeps to `outputs_hidden`, the
    course's site to the tag, and others show everything."""
    before = None
    for cell in book.cells:
        if cell.cell_type == "code":
            tags = [tag for tag in cell.metadata.get("tags", []) if tag != FOLDED]
            jupyter = dict(cell.metadata.get("jupyter", {}))
            jupyter.pop("outputs_hidden", None)
            if answers_a_question(before, cell):
                tags, jupyter = [*tags, FOLDED], {**jupyter, "outputs_hidden": True}
                hide_first_line(cell)
            for name, value in (("tags", tags), ("jupyter", jupyter)):
                if value:
                    cell.metadata[name] = value
                else:
                    cell.metadata.pop(name, None)
        before = cell


def hide_first_line(cell):
    """JupyterLab shows the first line of a folded output that is not empty. So let that be one of a blank, which
    `tests/nbval_sanitize.cfg` takes off again."""
    if cell.outputs and cell.outputs[0].output_type == "stream":
        cell.outputs[0].text = " \n" + cell.outputs[0].text.removeprefix(" \n")


def answers_a_question(before, cell):
    """Whether the output of a code cell answers what was asked: right before it, or by a guess that it reveals."""
    if ".reveal(" in cell.source:
        return True
    if before is None or before.cell_type != "markdown" or re.search(r"mh\.(exercise|guess)\(", cell.source):
        return False
    return before.source.splitlines()[-1].startswith("> **Predict**: ") or before.source.rstrip("*_ ").endswith("?")


def asked_in(book):
    """The ids of the exercises and guesses of a notebook, in their order."""
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    return list(dict.fromkeys(re.findall(r"mh\.(?:exercise|guess)\(\s*\"([^\"]+)\"", code)))


def drop_widgets(book):
    """Take out the state of widgets, a copy of the pad's whole front end among it, which is out of date with the next
    change. Where no kernel runs, the picture and the sentence beside it are shown."""
    book.metadata.pop("widgets", None)
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if "text/plain" in output.get("data", {}):
                output.data.pop("application/vnd.jupyter.widget-view+json", None)


def describe_pictures(book):
    """Give every picture the words that its cell prints: for those who cannot see it."""
    for cell in book.cells:
        printed = "".join(output.text for output in cell.get("outputs", []) if output.get("name") == "stdout")
        for output in cell.get("outputs", []):
            for kind in PICTURES & output.get("data", {}).keys():
                words = re.sub(r"<[^>]+>", "", printed if cell_draws(output) else output.data["text/plain"])
                output.metadata.setdefault(kind, {})["alt"] = " ".join(words.split())


def cell_draws(output):
    """Whether a picture is a figure of Matplotlib's, whose text is only its size, and not a widget."""
    return output.data["text/plain"].startswith("<Figure")


def minutes(book):
    """How long a notebook takes, in minutes: its reading, and with all that there is to write. A sum over words (150 a
    minute), lines of code (11 seconds), questions (35 seconds), figures (30 seconds) and the exercises' own minutes,
    rounded to 5 minutes."""
    start = next(i for i, cell in enumerate(book.cells) if re.search("## (Exercises|Glossary)", cell.source))
    prose = " ".join(cell.source for cell in book.cells[1:start] if cell.cell_type == "markdown")
    code = [cell for cell in book.cells[3:start] if cell.cell_type == "code"]
    lines = sum(bool(re.search(r"\w", line)) for cell in code for line in cell.source.splitlines())
    figures = sum(bool(PICTURES & output.get("data", {}).keys()) for cell in code for output in cell.outputs)
    known = {one.id: one.minutes for one in exercises()}
    asked = asked_in(book)
    questions = len(re.findall(r"\?(?!\w)", prose)) + sum(id not in known for id in asked)
    reading = len(prose.split()) / 150 + lines * 11 / 60 + questions * 35 / 60 + figures / 2
    return tuple(5 * round(time / 5) for time in (reading, reading + sum(known.get(id, 0) for id in asked)))


def address():
    """The repository's address in the form OWNER/REPO, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].removeprefix("https://github.com/")


def change_address(new):
    """Replace the repository's address by `new` in pyproject.toml, the documents and the notebooks."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", new):
        raise SystemExit(f"{new!r} is no address of the form OWNER/REPO")
    # Only where an address stands: behind github.com/ (links, Colab's cell), github/ (Colab's badge) or gh/ (Binder's).
    pattern = re.compile(rf"((?:github\.com|github|gh)/){re.escape(address())}(?![\w-])")
    documents = ("pyproject.toml", "README.md", "CONTRIBUTING.md", "docs/classroom.md")
    for path in (*(ROOT / name for name in documents), *NOTEBOOKS.glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        path.write_text(pattern.sub(rf"\g<1>{new}", text), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("refresh", "address", "minutes"))
    parser.add_argument("names", nargs="*", help="beginnings of notebook names, or the new OWNER/REPO")
    arguments = parser.parse_args()
    if arguments.command == "refresh":
        refresh(arguments.names)
    elif arguments.command == "minutes":
        for path in numbered():
            reading, all_of_it = minutes(nbformat.read(path, as_version=4))
            print(f"{path.stem}: about {reading} minutes to read, {all_of_it} with the exercises")
    elif len(arguments.names) == 1:
        change_address(arguments.names[0])
    else:
        parser.error("address takes one OWNER/REPO")


if __name__ == "__main__":
    main()
