# Skywire for Python. Each target makes the virtual environment it needs in .venv; none needs root.
#
#   make demo     a private network on this machine, and the URL of its web page (Ctrl-C ends it)
#   make test     lint, types, layers and all tests
#   make lint     the first three of these
#   make bench    measure; one JSON line per figure
#   make docs     write the reference again
#   make clean    remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# setuptools comes from the constraints too, so nothing is fetched again when all is there
INSTALL := $(PIP) install --constraint $(CONSTRAINTS) --no-build-isolation

ARGS ?=
PYTEST_ARGS ?= -n 2 --dist loadgroup

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint bench docs clean

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is missing or older than 3.11; try: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "making the virtual environment $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/setuptools: $(VENV)/made $(CONSTRAINTS)
	@$(PIP) install --constraint $(CONSTRAINTS) setuptools
	@touch $@

$(VENV)/installed: $(VENV)/setuptools pyproject.toml
	@echo "installing skywire and what it needs" >&2
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/setuptools pyproject.toml
	@echo "installing skywire and what its tests need" >&2
	@$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/installed $@

demo: $(VENV)/installed
	@exec $(BIN)/skywire demo $(ARGS)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest $(PYTEST_ARGS)

bench: $(VENV)/installed-dev
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/installed
	$(BIN)/skywire doc commands --output docs/reference/commands.md
	$(BIN)/skywire doc config --output docs/reference/configuration.md
	$(BIN)/skywire doc library --output docs/reference/library.md

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	  .import_linter_cache .coverage .benchmarks
