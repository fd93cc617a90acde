"""A training on a disk that fills up says so, keeps what it had, and goes on when there is room again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.errors import TrainError
from lect.engine.contract.events import Done, Event, Failed, FeaturesReady, Stepped
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.model.backbone import Backbone
from lect.engine.runs.preparation import create_run
from lect.engine.runs.process import follow, start_run
from lect.engine.runs.worker import HELD_BYTES, main
from tests.conftest import WORDS
from tests.disks import mounted
from tests.engine.data.test_store import speech

ROOT = Path(__file__).parents[3]
SETTINGS = TrainSettings(AdaptationSpec(num_virtual_tokens=2), max_steps=20, copies=1, per_device_train_batch_size=4)


def made(folder: Path, source: Path, backbone: Backbone) -> tuple[Project, str]:
    """A project in three splits, and a run that has not started."""
    project = Project.create(folder, "p", "xx")
    for seed, text in enumerate(WORDS):
        write_wav(source / f"{seed}.wav", speech(seed))
        split = "dev" if seed in (0, 1) else "test" if seed == 2 else "train"
        project.keep(source / f"{seed}.wav", speech(seed), text, split=split)
    return project, create_run(project, RunRequest(str(backbone.folder), "cpu", "float32", SETTINGS))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One of 6 MB."""
    with mounted(tmp_path / "disk", "6m") as disk:
        yield disk


def fill(disk: Path, left: int) -> Path:
    """Leaves so many bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - left))
    return filler


def trained(project: Project, run_id: str) -> list[Event]:
    """The events of a training in a process of its own. Raises TrainError where it ended without a last one."""
    process = start_run(project, run_id)
    try:
        return list(follow(project.run(run_id).folder, process))
    finally:
        process.wait()


@pytest.mark.parametrize("left", [HELD_BYTES - 4_000, HELD_BYTES + 50_000])
def test_it_fails_with_a_sentence_and_resumes(disk: Path, tmp_path: Path, tiny_backbone: Backbone, left: int) -> None:
    project, run_id = made(disk / "p", tmp_path, tiny_backbone)
    files = RunFiles(project.run(run_id).folder)
    filler = fill(disk, left)
    events = trained(project, run_id)
    assert (
        isinstance(events[-1], Failed) and events[-1].message.startswith("The disk ") and "full" in events[-1].message
    )
    assert files.log.read_text() == "" and not files.held.exists()
    assert project.run(run_id).status == "failed"
    filler.unlink()
    process = start_run(project, run_id)
    assert isinstance(list(follow(files.folder, process, files.events.stat().st_size))[-1], Done)
    process.wait()
    assert [type(event) for event, _ in files.read_events()].count(Stepped) >= 20
    assert project.run(run_id).status == "done"


def test_a_disk_too_full_for_any_word_is_named_by_who_waits(
    disk: Path, tmp_path: Path, tiny_backbone: Backbone
) -> None:
    project, run_id = made(disk / "p", tmp_path, tiny_backbone)
    folder = project.run(run_id).folder
    fill(disk, 0)
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(TrainError, match=r"^The training stopped, as the disk is full: free .* `lect train --resume 0"):
        list(follow(folder, process))


def test_a_nearly_full_disk_is_left_to_others_than_the_cache(
    disk: Path, tmp_path: Path, tiny_backbone: Backbone
) -> None:
    project, run_id = made(disk / "p", tmp_path, tiny_backbone)
    events = trained(project, run_id)
    assert [event for event in events if isinstance(event, FeaturesReady)] == [FeaturesReady(1, 7, kept=False)]
    assert isinstance(events[-1], Done) and not list((project.folder / "cache").glob("*/*.npy"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of this kind")
def test_weights_that_the_disk_does_not_take(tmp_path: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    save = "import torch; from pathlib import Path; from lect.engine.model.weights import save_tensors; "
    save += "save_tensors(Path('x.safetensors'), {'a': torch.zeros(100_000)})"
    done = subprocess.run(
        [sys.executable, "-c", f"{limited}\n{save}"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large: 'x.safetensors'"
    assert not list(tmp_path.iterdir())


def test_half_a_line_of_a_kill_is_taken_back(tmp_path: Path, tiny_backbone: Backbone) -> None:
    project, run_id = made(tmp_path / "p", tmp_path, tiny_backbone)
    files = RunFiles(project.run(run_id).folder)
    files.events.write_bytes(b'{"event": "features", "done": 1, "to')
    assert main(str(project.folder), run_id) == 0
    events = [event for event, _ in files.read_events()]
    assert isinstance(events[-1], Done) and not isinstance(events[0], FeaturesReady)
