# `make check` is the whole gate in one word. Everything runs in .venv, which `make .venv` makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: record test slow check lint types layers docs clean

$(VENV): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[test,check]"
	touch $(VENV)

record: $(VENV)
	$(BIN)/flex-capture record --subject S12

test: $(VENV)
	$(BIN)/python -m pytest

slow: $(VENV)
	$(BIN)/python -m pytest -n 0 -m slow --timeout 600

lint: $(VENV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)
	$(BIN)/mypy

layers: $(VENV)
	$(BIN)/lint-imports

docs: $(VENV)
	$(BIN)/python docs/generate_reference.py

check: lint types layers test slow

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
