# Every target makes .venv itself when it is missing, and does nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo app test test-slow check bench bench-peers clean

help:
	@echo "make demo       adapt the starter to the sample set, score it, export a pack, transcribe offline"
	@echo "make test       run the tests"
	@echo "make test-slow  run the tests that take minutes"
	@echo "make check      format, lint, types and layers"
	@echo "make bench      measure, and print the ratios"
	@echo "make bench-peers  the same beside other programs: half an hour"
	@echo "make app        open the page"

$(READY): pyproject.toml
	@echo "Setting up $(VENV): a few minutes the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: $(READY)
	@$(BIN)/lect demo

app: $(READY)
	@$(BIN)/lect ui

test: $(READY)
	@$(BIN)/python -m pytest -rs

test-slow: $(READY)
	@$(BIN)/python -m pytest -rs -m slow

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/python -m tests.benchmarks

bench-peers: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,bench]"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps faster-whisper
	@$(BIN)/python -m tests.benchmarks.peers build/peers
	@$(BIN)/python -m tests.benchmarks.peft_training build/peft

clean:
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
