PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test fuzz quick lint types check notebooks ui clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rdad needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # on all cores, where pip compiles on one; templates fail
	@touch $@

install: $(STAMP) ## create .venv and install rdad with the tested versions

demo: $(STAMP) ## train on embedded photographs of brick, on what pip brings alone
	$(BIN)/python -m rdad.train experiment=quick hydra.run.dir=outputs/demo

test: $(STAMP) ## run all tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

fuzz: $(STAMP) ## hostile input of all kinds, for an hour; RDAD_FUZZ=images:17 tries one case alone
	RDAD_FUZZ=$${RDAD_FUZZ:-long} $(BIN)/python -m pytest tests/fuzz tests/integration/test_serving.py

quick: lint types ## lint, types and the tests that start no process and train no network
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

lint: $(STAMP) ## check style, format, and which room imports from which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(STAMP) ## check types
	$(BIN)/pyrefly check

check: lint types test ## lint, types and tests

notebooks: $(STAMP) ## run the notebooks, and show them with their pictures in docs/notebooks
	$(BIN)/python notebooks/render.py

ui: $(STAMP) ## open MLflow's web page on the runs of this folder
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/mlflow.db

clean: ## remove what building and testing left (not runs, not .venv)
	rm -rf build dist .pytest_cache .ruff_cache *.egg-info
	find rdad tests -name __pycache__ -type d -exec rm -rf {} +
