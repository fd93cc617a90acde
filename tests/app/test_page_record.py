"""A take on the page: judged once, and kept as it was judged."""

from pathlib import Path

import gradio as gr
import pytest

from lect.app.page import sentences
from lect.app.page.record import judge, keep_take
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import UsageError
from lect.engine.data.store import Project
from tests.app.conftest import speech

IN_ENGLISH = gr.Request(headers={"accept-language": "en"})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "project", "Takes", "x-test")
    sentences.add(made, ["ba da go", "su mi"])
    return made


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    write_wav(tmp_path / "take.wav", speech("ba da go"))
    return tmp_path / "take.wav"


def test_a_take_is_decoded_and_measured_once(project: Project, wav: Path) -> None:
    verdict, take, keep = judge(str(wav), str(project.folder), "", 0, IN_ENGLISH)
    assert "A good take" in verdict and keep.interactive
    wav.write_bytes(b"what nothing could decode once more")
    keep_take(str(project.folder), " Ana ", 0, take, IN_ENGLISH)
    (clip,) = project.clips()
    assert clip.quality == take.quality and clip.quality.verdict == "good"
    assert (clip.text, clip.speaker, clip.seconds) == ("ba da go", "Ana", take.quality.seconds)
    assert not wav.exists()


def test_a_take_keeps_the_sentence_that_it_was_recorded_for(project: Project, wav: Path) -> None:
    _, take, _ = judge(str(wav), str(project.folder), "", 0, IN_ENGLISH)
    keep_take(str(project.folder), "Ana", 1, take, IN_ENGLISH)  # another sentence is shown for who is named later
    assert [clip.text for clip in project.clips()] == ["ba da go"]


def test_what_cannot_be_used_is_not_offered_to_be_kept(project: Project, tmp_path: Path) -> None:
    write_wav(tmp_path / "click.wav", speech("")[:800])
    verdict, _, keep = judge(str(tmp_path / "click.wav"), str(project.folder), "", 0, IN_ENGLISH)
    assert "Too short to use" in verdict and not keep.interactive


def test_without_a_take_or_a_sentence_nothing_is_kept(project: Project, wav: Path) -> None:
    with pytest.raises(UsageError, match="no take to keep"):
        keep_take(str(project.folder), "", 0, None, IN_ENGLISH)
    with pytest.raises(UsageError, match="no sentence to this recording"):
        judge(str(wav), str(project.folder), "", 2, IN_ENGLISH)
    assert not project.clips()
