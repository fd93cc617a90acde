"""The exported page in a real browser: text with times from files and the microphone, offline, and nothing leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.model.backbone import home as lect_home
from lect.engine.model.backbone import open_backbone
from lect.exports.onnxruntime_web import FETCHING, VERSION
from lect.exports.pack import write_pack
from lect.exports.runtime import Runtime
from lect.exports.web_folder import write_web
from tests import ROOT
from tests.browser.conftest import PATIENCE_MS
from tests.conftest import TINY
from tests.exports.conftest import LETTERS, adaptation, contents

RUNTIME = Path(os.environ.get("LECT_ONNXRUNTIME_WEB", lect_home() / f"onnxruntime-web-{VERSION}"))
SAMPLE = ROOT / "assets" / "sample" / "audio"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not RUNTIME.exists(), reason=f"needs ONNX Runtime Web in LECT_ONNXRUNTIME_WEB ({FETCHING.partition(',')[0]})"
    ),
]


def served(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """`lect web` in a process of its own."""
    command = [sys.executable, "-m", "lect", "web", str(folder), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())["url"]


def village(path: Path, seed: int, name: str) -> Path:
    """A pack of the tiny backbone, with a language model."""
    rng = np.random.default_rng(seed)
    texts = [rng.integers(4, len(LETTERS), 6).tolist() for _ in range(20)]
    learnt = adaptation(TINY, seed=seed)
    model = LanguageModel.of(texts, len(LETTERS), 0.3)
    write_pack(path, contents(open_backbone("tiny"), learnt, name=name, language_model=model))
    return path


@pytest.fixture(scope="module")
def packs(home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two packs of one backbone."""
    folder = tmp_path_factory.mktemp("packs")
    return [village(folder / f"{name}.lect", seed, name) for seed, name in ((1, "hill"), (2, "dale"))]


@pytest.fixture(scope="module")
def page(packs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the first one's page, in float32, where rounding changes no text."""
    folder = tmp_path_factory.mktemp("web") / "page"
    report = write_web(folder, open_backbone("tiny"), packs[0], RUNTIME, "float32")
    assert 0 < report.first_load <= report.bytes
    process, url = served(folder)
    yield url
    process.terminate()
    process.wait(60)


Opened = Callable[..., Any]


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    """`opened(url)`: the page once its model is loaded; what it asks of another machine fails the test."""
    contexts, outside = [], list[str]()

    def refuse(route: Any) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1" and route.request.method == "GET":
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    def open_page(url: str, width: int = 1100, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, permissions=["microphone"], **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.route("**/*", refuse)
        window = context.new_page()
        window.goto(url)
        window.locator("#input").wait_for()
        return window

    yield open_page
    for context in contexts:
        context.close()
    assert outside == []


def texts(window: Any) -> list[str]:
    """Of the newest card, once it is done."""
    card = window.locator(".card").first
    card.locator("progress").wait_for(state="detached")
    found: list[str] = card.locator(".segments bdi").all_inner_texts()
    return found


def recording(path: Path) -> Path:
    """Two sentences with a pause between that cuts them apart."""
    spoken = [load_audio(SAMPLE / f"Andrea-{number}.ogg") for number in ("0008", "0011")]
    write_wav(path, np.concatenate([spoken[0], np.zeros(2 * SAMPLE_RATE, np.float32), spoken[1]]))
    return path


def test_a_recording_becomes_the_text_of_the_python_runtime(
    opened: Opened, page: str, packs: list[Path], tmp_path: Path
) -> None:
    sound, window = recording(tmp_path / "talk.wav"), opened(page)
    assert window.inner_text("h1") == "hill" and window.evaluate("crossOriginIsolated")
    for pack in (packs[0], packs[1]):
        if pack is packs[1]:
            window.set_input_files("#file", [pack])
            window.locator("h1", has_text="dale").wait_for()
        window.set_input_files("#file", [sound])
        window.locator(".card").nth(packs.index(pack)).wait_for()
        expected = [segment.text for segment in Runtime.open(pack).segments(sound)]
        assert texts(window) == expected and expected


def test_texts_are_saved(opened: Opened, page: str, tmp_path: Path) -> None:
    window = opened(page)
    window.set_input_files("#file", [recording(tmp_path / "talk.wav")])
    assert texts(window)
    for name in ("txt", "srt", "vtt", "TextGrid", "eaf"):
        with window.expect_download() as saved:
            window.locator(".save button", has_text=name).first.click()
        assert saved.value.suggested_filename == f"talk.{name}"
        assert Path(saved.value.path()).stat().st_size > 0


def test_the_page_works_without_a_network_after_the_first_visit(opened: Opened, page: str, tmp_path: Path) -> None:
    window = opened(page)
    window.context.set_offline(True)
    window.reload()
    window.locator("#input").wait_for()
    window.set_input_files("#file", [recording(tmp_path / "talk.wav")])
    assert texts(window)


def test_the_microphone_is_transcribed(opened: Opened, page: str) -> None:
    window = opened(page)
    window.click("#record")
    window.wait_for_timeout(3_000)
    window.click("#record")
    window.locator(".card .name", has_text="recording").wait_for()
    texts(window)
    assert "s of sound" in window.inner_text(".card .state")


def test_a_file_that_is_none_is_refused_in_a_sentence(opened: Opened, page: str, tmp_path: Path) -> None:
    window = opened(page)
    for name in ("broken.wav", "broken.lect"):
        (tmp_path / name).write_bytes(b"no such thing")
        window.set_input_files("#file", [tmp_path / name])
    window.locator(".card.bad .state", has_text="cannot read this file").wait_for()
    window.locator("#notice", has_text="broken.lect was not taken").wait_for()


def test_the_page_can_reach_no_other_machine(opened: Opened, page: str) -> None:
    window = opened(page)
    asked = "() => fetch('https://example.org/').then(() => 'answered', (error) => error.name)"
    with window.expect_console_message(lambda message: "Content Security Policy" in message.text):
        assert window.evaluate(asked) == "TypeError"


@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_is_wider_than_the_window(opened: Opened, page: str, width: int, tmp_path: Path) -> None:
    window = opened(page, width=width)
    window.set_input_files("#file", [recording(tmp_path / f"{'long name ' * 12}.wav")])
    texts(window)
    assert window.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
@pytest.mark.parametrize("name", ["starter", "whisper-base"])
def test_forty_clips_get_the_text_of_the_python_runtime(
    opened: Opened, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("web") / name
    write_web(folder, open_backbone(name), None, RUNTIME, "float32")
    process, url = served(folder)
    try:
        window, runtime = opened(url), Runtime.open(str(open_backbone(name).folder), compute_type="float32")
        for number, source in enumerate(sorted(SAMPLE.glob("*.ogg"))[:40]):
            sound = wave_of(source, tmp_path_factory.getbasetemp() / f"{source.stem}.wav")
            window.set_input_files("#file", [sound])
            window.locator(".card").nth(number).wait_for()
            assert texts(window) == [segment.text for segment in runtime.segments(sound)], source.name
    finally:
        process.terminate()


def wave_of(source: Path, path: Path) -> Path:
    """The same sound in a form that both sides read alike: browsers decode Opus and Vorbis otherwise."""
    write_wav(path, load_audio(source))
    return path
