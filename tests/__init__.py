"""Tests, by room. This file must stay light: benchmarks import it, whose own memory would hide a small child's."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository
