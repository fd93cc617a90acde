"""A take on the page: judged once, kept as it was judged, and there until it is kept or discarded."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lect.app.page import record, sentences, waiting
from lect.app.page.events import Pick
from lect.app.page.record import discard_take, judge, judge_and_keep, keep_take, list_pick, move, restore, show
from lect.app.page.sentences import Sentence
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import AudioError, UsageError
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


def judged(project: Project, path: Path, speaker: str = "", at: int = 0) -> tuple[Any, ...]:
    """(verdict, take, keep, discard, back, skip, gap, forward)."""
    return judge(str(path), str(project.folder), speaker, at, IN_ENGLISH)


def place(view: tuple[Any, ...]) -> int:
    """The sentence in a view of the whole step."""
    return int(view[4])


def test_a_take_is_decoded_and_measured_once(project: Project, wav: Path) -> None:
    verdict, take, keep, *_ = judged(project, wav)
    assert "A good take" in verdict and keep.interactive and not wav.exists()
    waits = waiting.get(project, take)
    assert waits
    waits.path.write_bytes(b"what nothing could decode once more")
    keep_take(str(project.folder), " Ana ", 0, take, IN_ENGLISH)
    (clip,) = project.clips()
    assert clip.quality.verdict == "good"
    assert (clip.text, clip.speaker) == ("ba da go", "Ana") and clip.seconds > 1
    assert not list((project.folder / waiting.FOLDER).iterdir())


def test_a_take_keeps_the_sentence_that_it_was_recorded_for(project: Project, wav: Path) -> None:
    _, take, *_ = judged(project, wav)
    keep_take(str(project.folder), "Ana", 1, take, IN_ENGLISH)  # another sentence is shown for who is named later
    assert [clip.text for clip in project.clips()] == ["ba da go"]


def test_no_move_drops_a_take_and_a_reload_finds_it(project: Project, wav: Path) -> None:
    folder = str(project.folder)
    _, take, _, discard, back, skip, gap, _ = judged(project, wav, "Ana", 1)
    assert discard.visible and not (back.interactive or skip.interactive or gap.interactive)
    assert place(move(folder, "Ana", 0, take, IN_ENGLISH)) == 1
    other = sentences.read(project)[0]
    jump = Pick(f"go:0:{__import__('hashlib').sha256(other.text.encode()).hexdigest()[:8]}")
    assert place(list_pick(jump, folder, "Ana", take, IN_ENGLISH)) == 1
    found = show(folder, "Ana", "", IN_ENGLISH)
    assert place(found) == 1 and found[6] == take and "A good take" in found[5]
    assert show(folder, "Ben", "", IN_ENGLISH)[6] == ""  # another speaker's list
    assert discard_take(folder, "Ana", 1, take, IN_ENGLISH)[1] == ""
    assert show(folder, "Ana", "", IN_ENGLISH)[6] == "" and not project.clips()


def test_a_good_take_is_kept_by_going_on_and_another_waits(project: Project, wav: Path, tmp_path: Path) -> None:
    folder = str(project.folder)
    view = judge_and_keep(str(wav), folder, "Ana", 0, IN_ENGLISH)
    assert [clip.text for clip in project.clips()] == ["ba da go"] and place(view) == 1
    write_wav(tmp_path / "quiet.wav", speech("su mi") * 0.003)
    view = judge_and_keep(str(tmp_path / "quiet.wav"), folder, "Ana", 1, IN_ENGLISH)
    assert len(project.clips()) == 1 and place(view) == 1
    assert waiting.of_speaker(project, "Ana")


def test_what_cannot_be_used_is_not_offered_to_be_kept(project: Project, tmp_path: Path) -> None:
    write_wav(tmp_path / "click.wav", speech("")[:800])
    verdict, _, keep, *_, forward = judged(project, tmp_path / "click.wav")
    assert "Too short to use" in verdict and not keep.interactive and not forward.interactive


def test_what_is_no_sound_does_not_wait(project: Project, tmp_path: Path) -> None:
    (tmp_path / "take.wav").write_text("no sound")
    with pytest.raises(AudioError):
        judged(project, tmp_path / "take.wav")
    assert not list((project.folder / waiting.FOLDER).iterdir())


def test_without_a_take_or_a_sentence_nothing_is_kept(project: Project, wav: Path) -> None:
    with pytest.raises(UsageError, match="no take to keep"):
        keep_take(str(project.folder), "", 0, "", IN_ENGLISH)
    with pytest.raises(UsageError, match="no sentence to this recording"):
        judged(project, wav, at=2)
    assert not project.clips()


def test_what_is_typed_is_found_again_until_it_is_added(project: Project) -> None:
    folder = str(project.folder)
    record.drafting(record.SPEAKER)(folder, "Ana")
    record.drafting(record.SENTENCES)(folder, "la la\nna")
    assert restore(folder) == ("Ana", "la la\nna")
    record.add_typed(folder, "Ana", "la la\nna", IN_ENGLISH)
    record.drafting(record.SENTENCES)(folder, "la la\nna")  # the last letter, which comes after the click
    assert restore(folder) == ("Ana", "")


def test_the_list_is_edited_and_a_stale_click_is_refused(project: Project) -> None:
    def click(kind: str, at: int, words: str, value: str = "") -> None:
        from lect.app.page.sentence_list import _mark, act

        picked = Pick(f"{kind}:{at}:{_mark(words)}")
        picked.value = value
        act(picked, project)

    def texts() -> list[str]:
        return [one.text for one in sentences.read(project)]

    sentences.skip(project, "su mi", "odd")
    click("down", 0, "ba da go")
    assert texts() == ["su mi", "ba da go"] and sentences.read(project)[0].skipped == "odd"
    click("edit", 1, "ba da go", " ba  da ")
    assert texts() == ["su mi", "ba da"]
    with pytest.raises(UsageError, match="in the list already"):
        click("edit", 1, "ba da", "su mi")
    with pytest.raises(UsageError, match="changed in another window"):
        click("remove", 1, "su mi")
    click("remove", 0, "su mi")
    assert texts() == ["ba da"]
    bring = Pick("bring:0")
    bring.value = "su mi"
    from lect.app.page.sentence_list import act

    act(bring, project)
    assert texts() == ["su mi", "ba da"]


def test_what_helps_most_is_put_first_and_nothing_is_left_out(project: Project) -> None:
    from lect.app.page.sentence_list import act

    wanted = ["ba da", "ba da ba", "ŋu mi!", "da ba"]
    sentences.write(project, map(Sentence, wanted))
    sentences.skip(project, "da ba", "no word")
    project.keep((b"RIFF", ".wav"), speech("ba da"), "ba da ba da")
    assert act(Pick("best:0"), project) == (0, None)
    found = sentences.read(project)
    assert found[0].text == "ŋu mi!" and sorted(one.text for one in found) == sorted(wanted)
    assert found[-1].skipped == "no word"
