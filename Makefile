# Everything happens in .venv, made from the hash-pinned lock file; nothing else has to be installed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# One process for each core; a file stays together, because its tests share runs.
SPREAD := -n auto --dist loadfile

.PHONY: help demo setup test test-all lint types layers bench use-cases gallery notebooks mutants lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup  ## run the street for a day
	$(BIN)/degsim run scenarios/street.yaml

setup: $(READY)  ## make .venv

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; call make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

test: lint types layers  ## all checks: style, types, layers, fast tests
	$(BIN)/python -m pytest $(SPREAD)

test-all: lint types layers  ## the same with the slow tests
	$(BIN)/python -m pytest $(SPREAD) -m "slow or not slow"

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

bench: setup  ## measure; writes nothing
	$(BIN)/python -m tests.bench

use-cases: setup  ## run the library of scenarios and write its pages, docs/use_cases and docs/building_blocks.md
	$(BIN)/python -m tests.use_cases.pages

gallery: setup  ## run every scenario that ships and draw results/gallery anew
	$(BIN)/python -m scenarios.gallery

notebooks: setup  ## execute the notebooks under docs/notebooks and keep what their cells give
	$(BIN)/python -m tests.notebooks

mutants: setup  ## change the code of formulas, ledger and settlement in small ways; list the changes that no test notices
	$(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev --extra simbench \
	  --constraint requirements.lock \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet pyproject.toml -o requirements-simbench.lock

clean:  ## remove .venv and caches, not your runs
	rm -rf mutants .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
