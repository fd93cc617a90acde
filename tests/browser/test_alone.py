"""What the page can do by a backbone alone: it transcribes without a project, and Whispers found here are added."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lect.engine.contract.files import ASSETS
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.store import Project
from tests import ROOT
from tests.app.tiny_whisper import whisper_folder
from tests.browser.conftest import Server, Window, choose, fill, go, start_server, unfold

pytestmark = pytest.mark.browser
SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"
MINI, LITTLE = "whisper-mini", "whisper-little"  # installed; kept by another program


def lect(home: Path, *arguments: str) -> None:
    """`lect` in a process of its own: PyTorch's exporter logs so much that pytest doubles its time."""
    variables = {**os.environ, "LECT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lect", *arguments, "--quiet"]
    subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a tiny Whisper and no project, on a computer where another program keeps a second one."""
    home, cache = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("cache")
    source = whisper_folder(tmp_path_factory.mktemp("foreign") / MINI)
    lect(home, "backbone", "add", str(source), "--window-seconds", "3")
    lect(home, "export", "--backbone", MINI)
    hub = cache / "huggingface" / "hub"
    shutil.copytree(source, hub / f"models--org--{LITTLE}" / "snapshots" / "1234")
    damaged = hub / "models--org--whisper-damaged" / "snapshots" / "1"
    shutil.copytree(source, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    places = {"XDG_CACHE_HOME": str(cache), "HF_HOME": "", "HF_HUB_CACHE": "", "BUZZ_MODEL_ROOT": str(cache / "none")}
    started = start_server(home, **places)
    yield started
    started.stop()


def transcribe(page: Any) -> str:
    """Transcribes a recording; what is shown of it."""
    page.locator("#transcribe-files input[type=file]").set_input_files(SPEECH)
    page.locator("#transcribe-files", has_text=SPEECH.suffix).wait_for()
    page.locator("#transcribe-go").click()
    page.locator("#transcribed", has_text="1 of 1 recording").wait_for()
    assert page.locator("#transcribed .bad").count() == 0
    return str(page.locator("#transcribed").inner_text())


def test_a_recording_is_transcribed_before_any_project_exists(window: Window, alone: Server) -> None:
    page = window(alone.url)
    fill(page, "first-language", "quc")
    page.locator("#already", has_text="does not know K'iche' (quc)").wait_for()
    assert not page.locator("#already [data-step=transcribe]").count()
    fill(page, "first-language", "sw")
    page.locator("#already", has_text="writes Swahili (sw) on this computer already, without any training").wait_for()
    page.locator("#already [data-step=transcribe]:not([data-record])").click()
    page.locator("#pack").wait_for()
    choose(page, "pack", "Whisper mini, 2 languages, nothing trained")
    language = page.locator("#spoken-language input")
    page.wait_for_function("document.querySelector('#spoken-language input')?.value === 'Swahili (sw)'")
    assert "Language found" not in transcribe(page)
    choose(page, "spoken-language", "find out")
    page.locator("#transcribe-go").click()
    page.locator("#transcribed", has_text="Language found: ").wait_for()
    assert " % sure" in page.locator("#transcribed").inner_text() and language.input_value() == "find out"
    with page.expect_download() as download:
        page.locator("#save-json").click()
    assert json.loads(Path(download.value.path()).read_text())["file"] == SPEECH.name
    assert page.locator("#header", has_text="Teach a speech model your language").count()


def test_a_whisper_that_another_program_keeps_is_added_with_one_click(window: Window, alone: Server) -> None:
    page = window(alone.url)
    go(page, "Transcribe")
    unfold(page, "found-transcribe")
    rows = page.locator("#found-transcribe-list tbody tr")
    rows.filter(has_text=LITTLE).wait_for()
    assert ["Hugging Face" in row for row in rows.all_inner_texts()] == [True, True]
    rows.filter(has_text="whisper-damaged").locator("button").click()
    page.locator(".toast-wrap", has_text="cut short or damaged").first.wait_for()
    rows.filter(has_text="whisper-damaged").locator("button").wait_for()

    rows.filter(has_text=LITTLE).locator("button").click()
    page.locator("#found-transcribe-said", has_text="Whisper little is ready: choose it above.").wait_for()
    rows.filter(has_text=LITTLE).filter(has_text="here already").wait_for()
    choose(page, "pack", "Whisper little, 2 languages, nothing trained")
    transcribe(page)
    other = window(alone.url)
    closed = other.locator("#steps [role=tab]:disabled").all_inner_texts()
    assert closed == ["Record", "Import", "Clips", "Train", "Results", "Export"]
    fill(other, "first-language", "sw")
    other.locator("#already", has_text="Swahili").wait_for()
    other.locator("#already [data-pick=teach]").dblclick()
    other.locator("#header", has_text="Swahili (sw) · 0 clips").wait_for()
    other.locator("#typed textarea").wait_for()  # where it goes on
    go(other, "Train")
    other.locator("#backbone label", has_text="Whisper little knows 2 languages, yours among them").wait_for()
    go(other, "Project")
    assert not other.locator("#recent .item").count(), "two clicks made two projects"


@pytest.fixture
def mini(home: Path) -> Iterator[None]:
    """The tiny Whisper in the store of all other tests, for this one."""
    source = whisper_folder(home / MINI)
    lect(home, "backbone", "add", str(source), "--window-seconds", "2")
    yield
    shutil.rmtree(source)
    shutil.rmtree(home / "backbones" / MINI)


def test_the_backbone_is_the_first_choice_on_train(mini: None, window: Window, project: Project) -> None:
    page = window()
    for language, words in (
        ("sw", "Whisper mini knows 2 languages, yours among them"),
        ("x-test", "Whisper mini does not know your language: it will learn from its sounds"),
    ):
        project.set_language(language)
        go(page, "Project")
        go(page, "Train")
        page.locator("#backbone label", has_text=words).wait_for()
    assert page.locator("fieldset >> visible=true").first.get_attribute("id") == "backbone"
    assert not page.locator("#expert #backbone").count()
    project.set_language("Swahili")
    page.locator(f"#backbone input[value={MINI}]").check()
    go(page, "Project")
    go(page, "Train")
    assert page.locator(f"#backbone input[value={MINI}]").is_checked(), "a choice was undone"
    unfold(page, "expert")
    fill(page, "expert-max-steps", "10")
    page.locator("#start").click()
    page.locator("#train-message code", has_text=f"--backbone {MINI} --language sw").wait_for()
    page.locator("#live", has_text="Done: best at step").wait_for()
    asked = RunFiles(project.runs()[-1].folder).request()
    assert (asked.backbone, asked.language) == (MINI, "sw")
