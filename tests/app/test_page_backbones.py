"""What the page says of backbones, and a transcription by one of them with no project and no pack."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lect.app.page import first, languages, train_form, transcribe
from lect.app.page.backbones import Installed, installed, spoken_by, titled, writer_of, writers
from lect.app.page.editor.draft import transcript_of
from lect.app.page.editor.place import place_of
from lect.app.page.texts import words_in
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS
from lect.engine.contract.run_request import STARTER, RunRequest
from lect.engine.data.store import Project
from lect.exports.runtime import Runtime
from lect.exports.transcript import Transcript
from tests.app.conftest import Lect
from tests.app.tiny_whisper import whisper_folder

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"
MINI = "whisper-mini"  # of English and Swahili
SAY = words_in("en")
REQUEST = gr.Request(headers={"accept-language": "en"})


@pytest.fixture(scope="module")
def mini(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Whisper in the store, with graphs."""
    from lect.app.cli import main

    source = whisper_folder(tmp_path_factory.mktemp("foreign") / MINI)
    assert main(["backbone", "add", str(source), "--window-seconds", "3", "--quiet"]) == 0
    assert main(["export", "--backbone", MINI, "--quiet"]) == 0
    yield home / "backbones" / MINI
    shutil.rmtree(home / "backbones" / MINI)


def one(name: str) -> Installed:
    """An installed one by its folder's name."""
    return next(each for each in installed() if each.folder.name == name)


def sentences(language: str) -> dict[str, str]:
    """Name -> what Train says of a backbone to a project in this language."""
    return {name: words for words, name in train_form.backbones(language, None, SAY).choices}


def shown(typed: str = "", folder: str = "", seen: Any = ()) -> dict[str, Any]:
    """The Transcribe step's fields."""
    names = ("seen", "pack", "beside", "language", "advice")
    return dict(zip(names, transcribe.show(folder, typed, seen, REQUEST), strict=True))


def transcribed(path: str, language: str) -> Transcript:
    """One recording as the step transcribes it while no project is open."""
    *_, (said, _, _, number) = transcribe.run(REQUEST, [str(SPEECH)], "", path, language, None, None, 4, "float32", "")
    assert number.isdecimal(), said
    return transcript_of(place_of("").read(number))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("sw", "sw"), ("SW-KE", "sw"), ("swh", "sw"), ("Swahili", "sw"), ("nb", "no"), ("cmn-Hans", "zh"),
        ("Greek", "el"), ("Javanese", "jw"), ("iw", "he"), ("quc", ""), ("x-sw", ""), ("und", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_language_is_known_by_its_tags_and_its_name(written: str, code: str) -> None:
    assert languages.among(written, ("el", "en", "he", "jw", "no", "sw", "zh")) == code


def test_a_tag_with_a_region_is_known_too() -> None:
    assert languages.among("pa", ("ga-IE", "pa-IN")) == "pa-IN"
    assert languages.shown("jw") == "Javanese (jw)" and languages.shown("x-bada") == "x-bada"


def test_what_is_installed_is_told_apart(mini: Path) -> None:
    found = one(MINI)
    assert (found.name, found.spoken, found.spells, found.ready) == ("Whisper mini", ("en", "sw"), True, True)
    assert found.knows("sw-TZ") and not found.knows("quc")
    assert not one(STARTER).spells and not one(STARTER).spoken
    names = [each.folder.name for each in writers()]
    assert MINI in names and not {STARTER, "tiny"} & set(names)
    assert titled("starter") == "Starter" and spoken_by(STARTER) == spoken_by("absent") == ()


def test_one_without_graphs_does_not_write(mini: Path) -> None:
    kept = [*mini.glob("*.onnx"), *mini.glob("int8/*.onnx")]
    for path in kept:
        path.rename(path.with_suffix(".away"))
    assert not one(MINI).ready and MINI not in [each.folder.name for each in writers()]
    for path in kept:
        path.with_suffix(".away").rename(path)
    assert one(MINI).ready


def test_train_says_of_each_whether_it_knows_the_projects_language(mini: Path) -> None:
    assert sentences("sw")[MINI] == "Whisper mini knows 2 languages, yours among them"
    unknown = "Whisper mini does not know your language: it will learn from its sounds"
    assert sentences("quc")[MINI] == unknown
    assert sentences("und")[MINI] == sentences("")[MINI] == "Whisper mini knows 2 languages"
    assert sentences("sw")[STARTER] == "Starter is small, and knows the sounds of 38 languages but no spelling"


def test_the_backbone_that_a_bare_command_takes_is_chosen_until_another_is(mini: Path) -> None:
    for language in ("sw", "quc"):
        assert train_form.backbones(language, None, SAY).value == RunRequest().backbone
    assert "value" not in train_form.backbones("sw", "tiny", SAY).constructor_args, "a choice was undone"
    assert train_form.backbones("quc", "absent", SAY).value == RunRequest().backbone


@pytest.mark.parametrize(
    ("language", "asked"), [("swh", "sw"), ("Swahili", "sw"), ("sw", ""), ("sw-KE", ""), ("quc", ""), ("und", "")]
)
def test_a_training_is_told_the_backbones_own_code(mini: Path, tmp_path: Path, language: str, asked: str) -> None:
    project = Project.create(tmp_path / "project", "Words", language)
    assert train_form.for_project(RunRequest(backbone=MINI), project).language == asked
    assert train_form.for_project(RunRequest(backbone="tiny"), project).language == ""


def test_the_first_screen_says_what_there_is_for_a_language(mini: Path) -> None:
    known, able = first.already("sw", SAY)
    assert able and "writes Swahili (sw) on this computer already, without any training" in known
    unknown, able = first.already("quc", SAY)
    assert not able and "does not know K'iche' (quc)" in unknown and "30 recorded sentences" in unknown
    asked, able = first.already(" ", SAY)
    assert able and "type yours" in asked and first.already("und", SAY)[0] == asked
    assert "data-step" in first.can_do("sw", SAY) and "data-step" not in first.can_do("quc", SAY)
    assert "<script>" not in first.can_do("<script>", SAY)
    writer = writer_of("sw")
    assert writer and writer.knows("sw")


def test_without_a_project_the_whisper_writes_and_finds_the_language_out(mini: Path) -> None:
    view = shown()
    words = dict((path, words) for words, path in view["pack"].choices)[str(mini)]
    assert words == "Whisper mini, 2 languages, nothing trained"
    found = transcribed(str(mini), "")
    assert found.text == Runtime.open(mini).transcribe(SPEECH).text
    assert found.language and found.language.probability and 0.5 <= found.language.probability <= 1
    seen = transcribe.transcripts.shown([MINI], [[transcribe.Transcribed("a.ogg", found)]], 1, SAY)
    code, probability = found.language.code, found.language.probability
    assert f"Language found: {languages.shown(code)}, {100 * probability:.1f} % sure" in seen


def test_a_given_language_is_not_found_out_and_the_next_window_is_not_bound_to_it(mini: Path) -> None:
    other = {"en": "sw", "sw": "en"}[code_of(transcribed(str(mini), ""))]
    given = transcribed(str(mini), other)
    assert code_of(given) == other and given.language and given.language.probability is None
    shown_of = transcribe.transcripts.shown([MINI], [[transcribe.Transcribed("a.ogg", given)]], 1, SAY)
    assert "Language found" not in shown_of
    assert code_of(transcribed(str(mini), "")) != other


def code_of(found: Transcript) -> str:
    """The language that a transcript is in."""
    assert found.language
    return found.language.code


def test_the_language_follows_what_was_typed_and_what_a_person_chose(mini: Path) -> None:
    view = shown(typed="swh")
    assert view["language"].value == "sw" and view["language"].visible
    again = shown(typed="swh", seen=view["seen"])
    assert all(again[name] == gr.skip() for name in ("pack", "beside", "language")), "a choice was undone"
    assert shown(typed="en", seen=view["seen"])["language"].value == "en", "another language was asked for"
    assert transcribe.choose("", "sw", str(mini), "", "", REQUEST).value == "", "a choice was undone"
    assert shown(typed="quc")["language"].value == ""
    assert not transcribe.choose("", "sw", None, "", None, REQUEST).visible


def test_only_what_is_offered_can_write(mini: Path, home: Path) -> None:
    for path in (home / "backbones" / "tiny", ASSETS / "starter", SPEECH.parent):
        with pytest.raises(UsageError, match="Nothing is chosen"):
            transcribed(str(path), "")


def test_packs_come_first(lect: Lect, mini: Path, trained: Path, graphs: Path, tmp_path: Path) -> None:
    project = shutil.copytree(trained, tmp_path / "project")
    assert lect("pack", "001", "--project", project, "-o", project / "packs" / "mine.lect").code == 0
    view = shown(folder=str(project))
    assert view["pack"].choices[0][0] == "mine.lect" and Path(view["pack"].value).name == "mine.lect"
    assert str(mini) in [path for _, path in view["beside"].choices]
    assert not view["language"].visible
