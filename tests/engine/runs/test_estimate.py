"""How long a training would take: a real measurement on a tiny project."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import TrainError
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.model.backbone import Backbone
from lect.engine.runs import estimate as program
from lect.engine.runs.estimate import estimate
from tests.conftest import WORDS
from tests.engine.data.test_store import speech

SETTINGS = TrainSettings(max_steps=50, copies=2, per_device_train_batch_size=4)


def project_of(folder: Path, clips: int) -> Project:
    """Good clips of one second."""
    project = Project.create(folder / "project", "p", "xx")
    for seed in range(clips):
        write_wav(folder / f"{seed}.wav", speech(seed))
        project.keep(folder / f"{seed}.wav", speech(seed), WORDS[seed])
    return project


@pytest.fixture
def asked(tiny_backbone: Backbone) -> RunRequest:
    return RunRequest(str(tiny_backbone.folder), device="cpu", precision="float32", settings=SETTINGS)


def test_more_steps_take_longer_and_the_project_stays_as_it_is(tmp_path: Path, asked: RunRequest) -> None:
    project = project_of(tmp_path, len(WORDS))
    files = sorted(project.folder.rglob("*"))
    before = project.clips()
    short = estimate(project, asked)
    long = estimate(project, replace(asked, settings=replace(SETTINGS, max_steps=5000)))
    assert math.isfinite(short.seconds) and 0 < short.seconds < long.seconds
    assert (short.steps, long.steps) == (50, 5000) and 4 <= short.clips < len(WORDS)
    assert short.device.startswith("CPU") and short.precision == "float32"
    assert project.clips() == before and project.runs() == [] and sorted(project.folder.rglob("*")) == files


def test_too_few_clips_to_try_it_with(tmp_path: Path, asked: RunRequest) -> None:
    with pytest.raises(TrainError, match="too few usable clips"):
        estimate(project_of(tmp_path, 2), asked)


def test_the_program_answers_in_json(
    tmp_path: Path, asked: RunRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = project_of(tmp_path, 2)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asked.to_json())))
    assert program.main(str(project.folder)) == 1
    assert "too few usable clips" in json.loads(capsys.readouterr().out)["error"]
