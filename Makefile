## make demo    see the product do its job
## make test    run the tests, but for those that compile much
## make test-all  run them all
## make lint    run ruff, mypy, and purestate on itself
## make docs    write the pages of the rules anew
## make clean   remove what the others made
##
## PYTHON=python3.13 names the interpreter (3.11 or newer), VENV=path the environment (.venv).

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?=

.DELETE_ON_ERROR:
.PHONY: help demo test test-all lint docs clean

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

demo: $(VENV)/.demo
	@$(BIN)/python demo_project/run.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/purestate check .

docs: $(VENV)/.dev
	$(BIN)/python -m pytest_purestate._check.docs docs/rules

# An empty file stands for "installed": it is newer than pyproject.toml as long as the installation is right.
$(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: pyproject.toml | $(VENV)/.python
	@echo "installing pytest-purestate[$*] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(VENV)/.python:
	@python=; for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "error: pytest-purestate needs Python 3.11 or newer, and $(or $(PYTHON),python3) is not" >&2; \
	  echo "help: install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { \
	  echo "error: $$python could not make a virtual environment in $(VENV)" >&2; \
	  echo "help: on Debian and Ubuntu, install the package python3-venv" >&2; \
	  exit 1; \
	}
	@touch $@

clean:
	rm -rf .venv .ci-venv dist build demo_project/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache demo_project/.pytest_cache .hypothesis .purestate_cache
