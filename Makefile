# The commands of the house. `make demo` needs only Python >= 3.11; everything goes into .venv.
PYTHON ?= python3
BIN    := .venv/bin
SHELL  := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# An environment is fresh when a stamp named by the hash of what it was made from exists.
BASE_KEY := $(shell cat requirements.txt pyproject.toml | sha256sum | cut -c1-16)
DEV_KEY  := $(shell cat requirements*.txt pyproject.toml | sha256sum | cut -c1-16)
BASE     := .venv/.stamp-base-$(BASE_KEY)
DEV      := .venv/.stamp-dev-$(DEV_KEY)

.PHONY: help demo test test-full check bench docs docs-gates docs-demo env dev-env

help:
	@echo "make demo       set up, then run a trained network on the chip"
	@echo "make test       every check and the tests (what CI runs)"
	@echo "make test-full  the long tests too"
	@echo "make bench      print every measured claim of the README"
	@echo "make docs       write the generated pages of docs/reference"
	@echo "make docs-gates run the tutorial of gates, draw its waveforms"

demo: $(BASE)
	@$(BIN)/jiriki demo

test: check
	@$(BIN)/pytest -n 2 --dist worksteal -m "not full"

test-full: check
	@$(BIN)/pytest -n 2 --dist worksteal

check: $(DEV)
	@$(BIN)/ruff check jiriki tests docs bench
	@$(BIN)/ruff format --check jiriki tests docs bench
	@$(BIN)/pyright
	@$(BIN)/lint-imports

bench: $(DEV)
	@for name in $(basename $(notdir $(wildcard bench/*.py))); do \
	  echo "== bench.$$name"; $(BIN)/python -m "bench.$$name"; done

docs: $(DEV)
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/shown.py docs/tutorial-fleet.md docs/tutorial-chips.md

docs-gates: $(DEV)
	@$(BIN)/python docs/waves.py

docs-demo: $(DEV)
	@$(BIN)/python docs/generate.py --demo

env: $(BASE)
dev-env: $(DEV)

# $(1) requirements file, $(2) stamp, $(3) its key-free prefix. The log is shown only on failure.
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || { echo "jiriki needs Python >= 3.11; run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
@echo "setting up .venv from $(1) (once, about two minutes) ..."
@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; { \
  { test -x $(BIN)/pip || $(PYTHON) -m venv .venv; } \
  && $(BIN)/pip install --quiet --disable-pip-version-check --no-input -r $(1) \
  && $(BIN)/pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e . \
  && $(BIN)/python -m jiriki.sim.timing; \
  } >"$$log" 2>&1 || { grep -v "^WARNING: Location" "$$log" | tail -n 20 | cut -c1-400 >&2; \
  echo "setting up .venv from $(1) failed: see above; is the package index reachable?" >&2; exit 1; }
@rm -f $(3)*; touch $(2)
endef

$(BASE):
	$(call install,requirements.txt,$(BASE),.venv/.stamp-base-)

# The gates are compiled by the system's C++ compiler, or by one from PyPI.
CXX_FILE := $(if $(shell command -v c++ g++ clang++),,-r requirements-cxx.txt)

$(DEV):
	$(call install,requirements-dev.txt $(CXX_FILE),$(DEV),.venv/.stamp-dev-)
	@rm -f .venv/.stamp-base-*; touch $(BASE)
