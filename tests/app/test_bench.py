"""`lect bench`: figures of fresh processes, with their conditions."""

from pathlib import Path

from lect.engine.contract.files import ASSETS
from tests.app.conftest import Lect

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"


def test_figures_come_with_their_conditions(lect: Lect, graphs: Path) -> None:
    call = ("bench", "--pack", graphs, "--input", SPEECH, "--runs", "2", "--threads", "1")
    told = lect(*call, "--json").json
    assert (
        told["device"] == "cpu" and told["threads"] == 1 and told["runs"] == 2 and 1.5 < told["seconds_of_sound"] < 1.7
    )
    assert 0 < told["open_s"] < told["cold_start_s"] < 60 and 0 < told["real_time_factor"] < 10
    assert 5e7 < told["peak_memory_bytes"] < 4e8  # this process, which has PyTorch loaded, holds more
    assert all(least <= told[name] <= most for name, (least, most) in told["all"].items())
    shown = lect(*call)
    assert "cold start" in shown.out and "1 thread," in shown.out and "float32" in shown.out


def test_what_cannot_be_measured_is_a_sentence(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    assert lect("bench", "--pack", graphs, "--input", tmp_path / "gone.wav").failed_with("gone.wav", code=2)
    (tmp_path / "torn.lect").write_bytes(b"PK")
    assert lect("bench", "--pack", tmp_path / "torn.lect").failed_with("torn.lect")
