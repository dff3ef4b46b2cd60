# `make quickstart` and `make test` do their whole set-up themselves.
PYTHON ?= python3
VENV ?= .venv
DATA ?= synthetic
DATA_DIR ?=
BIN := $(VENV)/bin

.PHONY: install quickstart test lint notebooks

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "keras_recs needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

quickstart: install
	$(BIN)/python -m pipelines.quickstart --data=$(DATA) --data_dir='$(DATA_DIR)'

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy keras_recs
