# `make quickstart` and `make test` do their whole set-up themselves.
PYTHON ?= python3
VENV ?= .venv
DATA ?= synthetic
DATA_DIR ?=
BIN := $(VENV)/bin

.PHONY: install quickstart test test-floor lint

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

# The oldest supported TensorFlow, which is also the one that tensorflow-io works with.
test-floor: $(VENV)-floor/.installed
	$(VENV)-floor/bin/python -m pytest -m 'io or smoke'

$(VENV)-floor/.installed: setup.cfg setup.py
	$(PYTHON) -m venv $(VENV)-floor
	$(VENV)-floor/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-floor/bin/python -m pip install --quiet --editable '.[io,test]'
	touch $@
