"""The doctor tells what is broken from what is only missing, and goes on past both."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lect.app.commands.doctor import LOOKS
from tests import ROOT
from tests.app.conftest import Lect, Outcome
from tests.disks import mounted

BROKEN_TORCH = "raise RuntimeError('CUDA error: no kernel image is available\\nand a page of text')\n"
Doctor = Callable[..., Outcome]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """An installation of Lect without assets; beside it one may put a starter, and other libraries before the real."""
    package = tmp_path / "site" / "lect"
    for room in ("app", "engine", "exports"):
        shutil.copytree(ROOT / room, package / room)
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(ROOT / "lect" / name, package)
    (package / "assets").mkdir()
    return tmp_path / "site"


@pytest.fixture
def doctor(machine: Path, tmp_path: Path) -> Doctor:
    """`lect doctor --json` of that installation."""

    def call(where: Path = tmp_path) -> Outcome:
        environment = {**os.environ, "PYTHONPATH": str(machine), "LECT_HOME": str(where)}
        command = [sys.executable, "-m", "lect", "doctor", "--json"]
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, encoding="utf-8")
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


def put_distribution(site: Path, name: str) -> None:
    """What pip leaves of a library of this name."""
    folder = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def test_a_sound_machine(lect: Lect) -> None:
    report = lect("doctor", "--json")
    findings = report.json["findings"]
    assert report.code == 0 and report.json["ok"]
    assert set(findings) == {
        "python", "libraries", "onnxruntime", "torch", "PyAV", "PortAudio", "espeak-ng", "starter", "disk",
    }  # fmt: skip
    assert "CPUExecutionProvider" in findings["onnxruntime"]["facts"]["providers"]
    assert findings["starter"]["facts"]["graphs"] == ["float32", "int8"]
    assert "Lect can transcribe" in lect("doctor").out


def test_what_is_broken_is_told_beside_all_else(doctor: Doctor, machine: Path) -> None:
    (machine / "torch.py").write_text(BROKEN_TORCH)
    for name in ("onnxruntime", "onnxruntime-gpu"):
        put_distribution(machine, name)
    report = doctor()
    findings = report.json["findings"]
    assert report.code == 1 and not report.json["ok"] and len(findings) == len(LOOKS)
    assert not findings["starter"]["good"]
    assert "overwrite each other" in findings["onnxruntime"]["says"]
    assert findings["torch"]["says"].startswith("It does not compute (CUDA error: no kernel image is available)")


def test_a_torch_that_does_not_compute_stops_nothing(doctor: Doctor, machine: Path, graphs: Path) -> None:
    (machine / "torch.py").write_text(BROKEN_TORCH)
    (machine / "lect" / "assets" / "starter").symlink_to(graphs, target_is_directory=True)
    report = doctor()
    assert report.code == 0 and not report.json["findings"]["torch"]["good"]


def test_a_damaged_starter_is_broken(doctor: Doctor, machine: Path, graphs: Path) -> None:
    starter = machine / "lect" / "assets" / "starter"
    starter.mkdir()
    for name in ("config.json", "SHA256SUMS"):
        shutil.copy(graphs / name, starter)
    report = doctor()
    assert report.code == 1 and "model.safetensors" in report.json["findings"]["starter"]["says"]


def test_a_full_disk_is_reported(doctor: Doctor, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "1m") as disk:
        assert "free some" in doctor(disk).json["findings"]["disk"]["says"]
