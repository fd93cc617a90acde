"""A server with a tiny backbone, a real Chromium with a fake microphone, and windows that may reach nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
import soxr

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.data.importers import import_into
from lect.engine.data.store import Project
from tests import ROOT
from tests.app.conftest import speech, tiny_home, write_set

MICROPHONE_RATE = 48_000  # what Chromium's fake device reads
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
FAKE_DEVICE, YES_TO_ALL = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
BUILD = """
from lect.engine.model.backbone import open_backbone
from lect.engine.model.weights import load_model
from lect.exports.backbone_graphs import build_backbone
backbone = open_backbone("tiny")
build_backbone(backbone, load_model(backbone))
"""
BLOCKED, REFUSED = "Content Security Policy", (403, 404)  # what our page asks for, and is not given
PATIENCE_MS = 120_000  # two cores that others keep busy


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """LECT_HOME with the backbone `tiny` and its graphs."""
    with tiny_home(tmp_path_factory.mktemp("home")) as folder:
        # In a process of its own: PyTorch's exporter logs so much that pytest, which keeps it, doubles its time.
        # One thread: on a busy machine, threads that wait for each other take many times as long.
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", BUILD], cwd=ROOT, env=variables, check=True, capture_output=True)
        yield folder


@dataclass
class Server:
    """`lect ui` in a process of its own."""

    process: subprocess.Popen[str]
    url: str

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ends it by a signal."""
        self.process.send_signal(number)
        self.process.wait(120)


def start_server(home: Path, *options: str, **environment: str) -> Server:
    """Starts one at a free port and waits until it listens."""
    command = [sys.executable, "-m", "lect", "ui", "--port", "0", "--json", *options]
    variables = {**os.environ, "LECT_HOME": str(home), "OMP_NUM_THREADS": "1", **environment}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=variables)
    assert process.stdout is not None
    return Server(process, json.loads(process.stdout.readline())["url"])


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    """The server of all tests that do not kill it."""
    started = start_server(home)
    yield started
    started.stop()


def write_microphone(path: Path) -> Path:
    """What the fake microphone records, again and again: a sentence and a pause."""
    wave = soxr.resample(
        np.concatenate([speech("ba da go"), np.zeros(SAMPLE_RATE // 2, np.float32)]), SAMPLE_RATE, MICROPHONE_RATE
    )
    noise = np.random.default_rng(0).standard_normal(len(wave)).astype(np.float32)
    soundfile.write(path, wave + 0.0005 * noise, MICROPHONE_RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the fake microphone."""
    return write_microphone(tmp_path_factory.mktemp("microphone") / "speech.wav")


@pytest.fixture(scope="session")
def browser(microphone: Path) -> Iterator[Any]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'lect[dev]' gives playwright")
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium or Chrome (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        arguments = [*ARGUMENTS, ONLY_HERE, FAKE_DEVICE, YES_TO_ALL, f"--use-file-for-fake-audio-capture={microphone}"]
        launched = driver.chromium.launch(executable_path=found, headless=True, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def browser_with(browser: Any) -> Iterator[Callable[..., Any]]:
    """`browser_with(*arguments)`: another Chromium, without a microphone that says yes to all."""
    path, launched = next(filter(None, map(shutil.which, CHROMIUM_NAMES))), []

    def launch(*arguments: str) -> Any:
        launched.append(browser.browser_type.launch(executable_path=path, args=[*ARGUMENTS, ONLY_HERE, *arguments]))
        return launched[-1]

    yield launch
    for each in launched:
        each.close()


Window = Callable[..., Any]


@pytest.fixture
def window(browser: Any, server: Server) -> Iterator[Window]:
    """`window(locale=…, width=…)`: a page in a context of its own; what it asks of another machine fails the test."""
    contexts, outside, errors = [], list[str](), list[str]()

    def note(request: Any) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            outside.append(request.url)

    def opened(url: str = server.url, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(
            permissions=["microphone"], viewport={"width": width, "height": height}, **{"locale": "en-GB"} | options
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", note)  # none is held up: `ONLY_HERE` refuses what would leave
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if BLOCKED in message.text else None)
        page.on("response", lambda answer: errors.append(answer.url) if answer.status in REFUSED else None)
        page.goto(url)
        page.locator("#header .header").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not outside, "the page asked another machine for something"
    assert not errors


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Iterator[Project]:
    """A project of twelve clips, split, that the page opens next."""
    from lect.app.page.recent import new_folder, remember
    from lect.engine.runs.process import stop_run

    made = Project.create(new_folder("clips"), f"Clips {tmp_path.name}", "x-test")
    import_into(made, write_set(tmp_path / "set"))
    made.assign_splits()
    remember(made)
    yield made
    for run in reversed(made.runs()):  # those that wait are taken out of the queue first
        made.update_run(run.id, status="created" if run.status == "queued" else run.status)
        stop_run(made, run.id)


def until(page: Any, so: Callable[[], bool]) -> None:
    """Waits until the server's files say so."""
    for _ in range(PATIENCE_MS // 50):
        if so():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never was so")


def go(page: Any, step: str) -> None:
    """Opens a step by its English name."""
    page.get_by_role("tab", name=step, exact=True).click()
    settled(page)


def lead(page: Any, button: str) -> None:
    """Opens a step by a button that leads to it."""
    page.locator(button).click()
    settled(page)


def unfold(page: Any, element: str) -> None:
    """Opens a part that is folded."""
    page.locator(f"#{element} > button, #{element} .label-wrap").first.click()
    settled(page)


def settled(page: Any) -> None:
    """Waits two frames: Gradio sets the fields of what is opened for the first time to their values once more, in the
    frame after they appear. No person types before; a test under load does, and what it typed is gone."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def fill(page: Any, element: str, words: str) -> None:
    """Types into a field of the page."""
    page.locator(f"#{element} :is(input, textarea)").first.fill(words)


def choose(page: Any, element: str, name: str) -> None:
    """Chooses one of a list."""
    page.locator(f"#{element} input").click()
    page.get_by_role("option", name=name, exact=True).last.click()  # the list of the one before may still be closing


def choose_tiny(page: Any, steps: int) -> None:
    """Chooses the tiny backbone, and a number of steps in the expert drawer."""
    page.locator("#backbone input[value=tiny]").check()
    unfold(page, "expert")
    fill(page, "expert-max-steps", str(steps))
    fill(page, "expert-copies", "2")
    fill(page, "expert-per-device-train-batch-size", "4")
