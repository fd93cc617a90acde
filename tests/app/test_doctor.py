"""The doctor tells what is broken from what is only missing, and goes on past both."""

from pathlib import Path

import pytest

from lect.app.commands import doctor
from tests.app.conftest import Lect


@pytest.fixture
def starter(graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny backbone in the starter's place."""
    (tmp_path / "starter").symlink_to(graphs, target_is_directory=True)
    monkeypatch.setattr("lect.engine.model.backbone.ASSETS", tmp_path)
    return tmp_path / "starter"


def test_a_sound_machine(lect: Lect, starter: Path) -> None:
    report = lect("doctor", "--json")
    findings = report.json["findings"]
    assert report.code == 0 and report.json["ok"]
    assert set(findings) == {
        "python", "libraries", "onnxruntime", "torch", "PyAV", "PortAudio", "espeak-ng", "starter", "disk",
    }  # fmt: skip
    assert "CPUExecutionProvider" in findings["onnxruntime"]["facts"]["providers"]
    assert findings["starter"]["facts"]["graphs"] == ["float32", "int8"]
    assert "Lect can transcribe" in lect("doctor").out


def test_no_starter_is_broken_and_all_else_is_still_told(
    lect: Lect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lect.engine.model.backbone.ASSETS", tmp_path)
    report = lect("doctor", "--json")
    assert report.code == 1 and not report.json["findings"]["starter"]["good"]
    assert len(report.json["findings"]) == len(doctor.LOOKS)


def test_both_onnxruntimes_at_once_are_broken(lect: Lect, starter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0")
    report = lect("doctor", "--json")
    assert report.code == 1 and "overwrite each other" in report.json["findings"]["onnxruntime"]["says"]


def test_a_damaged_starter_is_broken(
    lect: Lect, starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "damaged" / "starter"
    copy.mkdir(parents=True)
    for name in ("config.json", "SHA256SUMS"):
        (copy / name).write_bytes((starter / name).read_bytes())
    monkeypatch.setattr("lect.engine.model.backbone.ASSETS", tmp_path / "damaged")
    report = lect("doctor", "--json")
    assert report.code == 1 and "model.safetensors" in report.json["findings"]["starter"]["says"]


def test_a_torch_that_does_not_compute_is_said_and_stops_nothing(
    lect: Lect, starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nand a page of text")

    monkeypatch.setattr("lect.engine.model.device.choose_device", fail)
    report = lect("doctor", "--json")
    assert report.code == 0 and "no kernel image" in report.json["findings"]["torch"]["says"]


def test_a_full_disk_is_said(lect: Lect, starter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**18)
    report = lect("doctor", "--json")
    assert report.code == 0 and "free some" in report.json["findings"]["disk"]["says"]
