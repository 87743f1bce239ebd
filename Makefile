# make demo: train, evaluate and report on the simulated cohort.  make test: lint, types, layers, tests.
# make fuzz: each property so many seconds (FUZZ_SECONDS).  make audit: known holes in what constraints.txt pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

FUZZ_SECONDS ?= 60

.PHONY: demo test install slow fuzz audit golden docs package clean

demo: $(VENV)/.installed
	$(BIN)/tumorline train

# Bytecode is kept in any case: the processes that tests start would compile the program anew, each of them.
test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

fuzz: $(VENV)/.installed-dev
	FUZZ_SECONDS=$(FUZZ_SECONDS) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/fuzz -n auto --maxprocesses 8

audit: $(VENV)/.installed-audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

# Whether the wheel is whole: built, from the sdist too, and tried in an empty environment without torch.
package: $(VENV)/.installed-dev
	$(BIN)/python tests/package.py

# Whether the working tree writes what the commit BASE wrote: make golden BASE=main~1
golden: $(VENV)/.installed-dev
	$(BIN)/python tests/golden/between_commits.py $(BASE)

# The pages that are made from the program: docs/commands.md, docs/configuration.md
docs: $(VENV)/.installed
	$(BIN)/python -m tumorline.cli.reference docs

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tumorline needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[train,lite]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[train,lite,app,paper,tune,ray,tensorboard,mlflow,onnxruntime,dev]'
	touch $@

$(VENV)/.installed-audit: $(VENV)/.installed-dev
	$(INSTALL) pip-audit
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info
