"""Keep the notebooks in order.

python scripts/notebooks.py refresh [01 03 ...]      run notebooks from clean kernels and store their outputs
python scripts/notebooks.py address OWNER/REPO       change the repository's address in every file that holds it
"""

import argparse
import re
import tomllib
from pathlib import Path

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"


def refresh(names):
    """Run the notebooks whose names start with one of `names` (all by default), and store their outputs."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if names and not path.name.startswith(tuple(names)):
            continue
        book = nbformat.read(path, as_version=4)
        client = nbclient.NotebookClient(
            book, timeout=600, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}, record_timing=False
        )
        client.execute()
        drop_widgets(book)
        book.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        book.metadata["language_info"] = {"name": "python"}
        nbformat.write(book, path)
        print(f"refreshed {path.name}")


def drop_widgets(book):
    """Take out the state of widgets, a copy of the pad's whole front end among it, which is out of date with the next
    change. Where no kernel runs, the picture and the sentence beside it are shown."""
    book.metadata.pop("widgets", None)
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if "text/plain" in output.get("data", {}):
                output.data.pop("application/vnd.jupyter.widget-view+json", None)


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
    parser.add_argument("command", choices=("refresh", "address"))
    parser.add_argument("names", nargs="*", help="beginnings of notebook names, or the new OWNER/REPO")
    arguments = parser.parse_args()
    if arguments.command == "refresh":
        refresh(arguments.names)
    elif len(arguments.names) == 1:
        change_address(arguments.names[0])
    else:
        parser.error("address takes one OWNER/REPO")


if __name__ == "__main__":
    main()
