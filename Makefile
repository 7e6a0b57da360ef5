# make run    sets everything up in .venv and runs train.py
# make test   sets everything up and runs all tests: helpers, faults, every cell of every notebook
# make lab    sets everything up and opens the course in JupyterLab
# make app    sets everything up and serves the drawing pad as a web page; make app IP=0.0.0.0 lets phones in, too
# With LOCKED=1 each of them installs the very versions that were tested, those in constraints.txt.
# On Windows, see "Without make" in README.md.

PYTHON ?= python3
IP ?= 127.0.0.1
BIN := .venv/bin
READY := .venv/.ready$(LOCKED)
# In a container one is often root, which JupyterLab refuses without this.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: run test lab app offline refresh constraints address benchmark

run: $(READY)
	$(BIN)/python train.py

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m scripts.browser
	$(BIN)/python -m scripts.postgres
	$(BIN)/pytest

lab: $(READY)
	$(BIN)/jupyter lab notebooks $(AS_ROOT)

app: $(READY)
	$(BIN)/python -m scripts.app --Voila.ip=$(IP)

# The notebooks once more as on a machine without a network: no data folder, no mirrors, an empty cache.
offline: $(READY)
	folder=$$(mktemp -d) && MNIST_DATA= MNIST_MIRRORS= XDG_CACHE_HOME=$$folder TMPDIR=$$folder $(BIN)/pytest notebooks; \
	status=$$?; rm -rf $$folder; exit $$status

# Run notebooks and store their outputs: make refresh, or make refresh ONLY="01 03".
refresh: $(READY)
	$(BIN)/python scripts/notebooks.py refresh $(ONLY)

# Store the versions that are installed, once the tests have passed with them: the next class gets the same.
constraints: $(READY)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.txt

# Change the repository's address everywhere: make address REPO=owner/name.
address: $(READY)
	$(BIN)/python scripts/notebooks.py address $(REPO)

benchmark: $(READY)
	$(BIN)/python benchmarks/core.py
	$(BIN)/python benchmarks/pad.py
	mkdir -p build
	$(BIN)/python benchmarks/peers.py --output build

$(READY): pyproject.toml $(if $(LOCKED),constraints.txt)
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, and this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv || { echo "No virtual environment could be made; on Debian and Ubuntu install python3-venv."; exit 1; }
	$(BIN)/python -m pip install $(if $(LOCKED),-c constraints.txt) -e ".[course,test]"
	@touch $@
