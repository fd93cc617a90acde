# Every target makes .venv itself when it is missing, installs what it needs and no more, and does nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# What `make bench-peers` hears: any labelled set in a language that Whisper knows.
SET ?= assets/sample
SPOKEN ?= sw

# Extras of pyproject.toml: which of them each one brings, and how large .venv grows on Linux with PyTorch for CPUs.
BRINGS_train := train
BRINGS_app := app train
BRINGS_dev := dev app train
SIZE_train := 1.7 GB
SIZE_app := 2.0 GB
SIZE_dev := 2.8 GB

.PHONY: help demo app test test-slow fuzz check bench bench-peers portable clean

help:
	@echo "make demo       adapt Whisper-base to the sample set, score it, export a pack, transcribe offline"
	@echo "make app        open the page"
	@echo "make test       run the tests"
	@echo "make test-slow  run the tests that take minutes"
	@echo "make fuzz       an hour of bytes that nobody meant, for every reader"
	@echo "make check      format, lint, types and layers"
	@echo "make bench      measure, and print the ratios"
	@echo "make bench-peers  the same beside other programs: half an hour"
	@echo "make portable   build/portable: a folder with Python and Lect inside that transcribes on any such Linux"
	@echo "make clean      remove .venv and everything built"

$(VENV)/.ready-%: pyproject.toml
	@echo "Setting up $(VENV) with lect[$*]: minutes, and about $(SIZE_$*); with PyTorch for CUDA, which pip takes on most Linux, several GB more."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable ".[$*]"
	@touch $(BRINGS_$*:%=$(VENV)/.ready-%)

demo: $(VENV)/.ready-train
	@$(BIN)/lect demo

app: $(VENV)/.ready-app
	@$(BIN)/lect ui

AXE := tests/browser/node_modules/axe-core/axe.min.js

# What looks for barriers on the page, for the tests alone; without npm they are skipped.
$(AXE): tests/browser/package.json
	@! command -v npm > /dev/null || npm install --silent --no-fund --no-audit --no-package-lock --prefix tests/browser

test: $(VENV)/.ready-dev $(AXE)
	@$(BIN)/python -m pytest

test-slow: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest -m slow

fuzz: $(VENV)/.ready-dev
	@$(PIP) install --quiet atheris
	@$(BIN)/python -m tests.fuzz 3600

check: $(VENV)/.ready-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m tests.benchmarks

bench-peers: $(VENV)/.ready-dev
	@$(PIP) install --quiet --editable ".[dev,bench]"
	@$(PIP) install --quiet --no-deps faster-whisper openai-whisper
	@$(BIN)/python -m tests.benchmarks.peers build/peers $(SET) --language $(SPOKEN)
	@$(BIN)/python -m tests.benchmarks.peft_training build/peft

# A folder that runs from anywhere, in any HOME: the interpreter itself, without what only builders need, and Lect.
PORTABLE := build/portable
portable:
	@rm -rf $(PORTABLE) && mkdir -p $(PORTABLE)
	@cp -a "$$($(PYTHON) -c 'import sys; print(sys.base_prefix)')" $(PORTABLE)/python
	@cd $(PORTABLE)/python && rm -rf include share lib/libpython*.a lib/python*/test lib/python*/config-* \
		lib/python*/idlelib lib/python*/ensurepip lib/python*/site-packages/[!_p]* lib/python*/EXTERNALLY-MANAGED
	@$(PORTABLE)/python/bin/python3 -m pip --disable-pip-version-check install --quiet --no-warn-script-location .
	@printf '#!/bin/sh\nexec "$$(dirname "$$(readlink -f "$$0")")/python/bin/python3" -I -m lect "$$@"\n' > $(PORTABLE)/lect
	@chmod +x $(PORTABLE)/lect
	@du -sh $(PORTABLE)

clean:
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
