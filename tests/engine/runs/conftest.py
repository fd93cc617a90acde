"""A small project that can be trained on."""

from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.data.store import Project
from tests.conftest import WORDS
from tests.engine.data.test_store import speech


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A set in three splits."""
    project = Project.create(tmp_path / "project", "p", "xx")
    for seed, text in enumerate(WORDS):
        write_wav(tmp_path / f"{seed}.wav", speech(seed))
        split = "dev" if seed in (0, 1) else "test" if seed == 2 else "train"
        project.keep(tmp_path / f"{seed}.wav", speech(seed), text, split=split)
    return project
