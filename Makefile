# `make quickstart` and `make test` do their whole set-up themselves.
PYTHON ?= python3
VENV ?= .venv
DATA ?= synthetic
DATA_DIR ?=
BIN := $(VENV)/bin

# Else every process would compile what it imports anew, TensorFlow for 17 seconds.
unexport PYTHONDONTWRITEBYTECODE

# The files with a mark alone. `make test` reads the others, with the newest TensorFlow.
marked = $(shell grep -rlE --include='test_*.py' 'mark\.($(1))\b' tests)

.PHONY: install environments quickstart test test-floor test-backends test-peers lint \
	benchmark benchmark-embeddings benchmark-ranking

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "keras_recs needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[all]'
	touch $@

# Those of `test`, `test-floor` and `test-backends`; with `-j3` at the same time.
environments: install $(VENV)-floor/.installed $(VENV)-backends/.installed

quickstart: install
	$(BIN)/python -m pipelines.quickstart --data=$(DATA) --data_dir='$(DATA_DIR)'

# Two processes, each with whole files of tests in the order of tests/conftest.py; other
# backends have a target of their own.
test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not backends'

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy keras_recs

# The oldest supported TensorFlow, which is also the one that tensorflow-io works with.
test-floor: $(VENV)-floor/.installed
	$(VENV)-floor/bin/python -m pytest -m 'io or smoke' $(call marked,io|smoke)

$(VENV)-floor/.installed: setup.cfg setup.py
	$(PYTHON) -m venv $(VENV)-floor
	$(VENV)-floor/bin/python -m pip install --quiet --no-compile --upgrade pip
	$(VENV)-floor/bin/python -m pip install --quiet --no-compile --editable '.[io,test]'
	touch $@

# The same tables and optimizers on JAX and PyTorch, in an environment without TensorFlow.
test-backends: install $(VENV)-backends/.installed
	$(BIN)/python -m pytest -m backends $(call marked,backends)

$(VENV)-backends/.installed: setup.cfg setup.py
	$(PYTHON) -m venv $(VENV)-backends
	$(VENV)-backends/bin/python -m pip install --quiet --no-compile torch==2.13.0
	$(VENV)-backends/bin/python -m pip install --quiet --no-compile jax 'keras>=3.14.1' \
		absl-py matplotlib pyarrow tqdm
	$(VENV)-backends/bin/python -m pip install --quiet --no-compile --no-deps --editable .
	touch $@

# The numbers of other libraries with the same weights, each in its own environment.
test-peers: install
	$(BIN)/python benchmarks/peers/build_venvs.py
	$(BIN)/python -m pytest -m peers

# Beside other libraries, each in an environment of its own; an interrupted run goes on.
benchmark: benchmark-embeddings benchmark-ranking

# The default set of cells, or those of PEERS, MODELS, ROWS, BATCH and INPUT, such as
# make benchmark-embeddings PEERS=torchrec,keras_recs MODELS=dlrm ROWS=1000,40000
benchmark-embeddings: install
	$(BIN)/python benchmarks/peers/build_venvs.py $(if $(PEERS),--peers=$(PEERS))
	$(BIN)/python -m benchmarks.embeddings $(if $(PEERS),--peers=$(PEERS)) \
		$(if $(MODELS),--models=$(MODELS)) $(if $(ROWS),--rows=$(ROWS)) \
		$(if $(BATCH),--batch=$(BATCH)) $(if $(INPUT),--input=$(INPUT))

RANKING_PEERS := deepctr,torch_rechub,fuxictr

# Every ranking model beside other libraries, or those of MODELS, PEERS, ROWS and BATCH.
benchmark-ranking: install
	$(BIN)/python benchmarks/peers/build_venvs.py \
		--peers=$(or $(PEERS),$(RANKING_PEERS))
	$(BIN)/python -m benchmarks.ranking $(if $(PEERS),--peers=$(PEERS)) \
		$(if $(MODELS),--models=$(MODELS)) $(if $(ROWS),--rows=$(ROWS)) \
		$(if $(BATCH),--batch=$(BATCH))
