"""The page in a real browser: how long it takes to open, to answer a click, and to a first transcription of one's own.

    python -m tests.benchmarks.page

The whole way of a new user is walked twice and counted: with the sample project, and with thirty takes of two to four
seconds by the keys. Clicks are timed before a training and during it, from the click to the answer on the page. Prints
one JSON object.
"""

import itertools
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import sync_playwright

from tests import ROOT
from tests.browser.conftest import (
    ARGUMENTS,
    CHROMIUM_NAMES,
    FAKE_DEVICE,
    PATIENCE_MS,
    YES_TO_ALL,
    fill,
    go,
    start_server,
    unfold,
    write_microphone,
)

CLICKS = 40
TAKES = 30
TRAINING_MS = 3_600_000
# Clicks a clip; milliseconds until its card is there.
CLICK = """(at) => new Promise((done) => {
  const clip = document.querySelectorAll("#clips .clip")[at];
  const name = ` ${clip.dataset.pick}`;
  const began = performance.now();
  const look = () => document.querySelector("#clip h2")?.innerText.endsWith(name)
    ? done(performance.now() - began) : requestAnimationFrame(look);
  clip.click();
  look();
})"""


def main() -> None:
    """Everything, in as long as a quick training of the sample takes."""
    with tempfile.TemporaryDirectory(prefix="lect-page-") as folder:
        server = start_server(Path(folder), OMP_NUM_THREADS=str(os.cpu_count()))
        try:
            microphone = write_microphone(Path(folder) / "microphone.wav")
            print(json.dumps(measured(server.url, microphone)))
        finally:
            server.stop()


def measured(url: str, microphone: Path) -> dict[str, Any]:
    """All figures."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    sound = [FAKE_DEVICE, YES_TO_ALL, f"--use-file-for-fake-audio-capture={microphone}"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*ARGUMENTS, *sound])
        sample = walk(window(browser, url))
        loads = [load_seconds(browser, url) for _ in range(5)]
        recorded = walk_recording(window(browser, url))
    return {"load": os.getloadavg(), "load_seconds": median(loads), "sample": sample, "recorded": recorded}


def window(browser: Any, url: str) -> Any:
    """A page of its own, where nothing was chosen or uploaded yet."""
    page = browser.new_page(locale="en-GB")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.locator("#header .header").wait_for()
    return page


def walk_recording(page: Any) -> dict[str, Any]:
    """From a project's name, and sentences typed, to a text by the pack that their takes gave."""
    go(page, "Project")
    began = time.monotonic()
    unfold(page, "new-project")
    fill(page, "new-name", "Thirty")
    click(page, "#make")
    page.locator("#header", has_text="Thirty").wait_for()
    go(page, "Record")
    syllables = itertools.product(("ba", "da", "go"), repeat=4)
    fill(page, "typed", "\n".join(" ".join(each) for each in itertools.islice(syllables, TAKES)))
    click(page, "#add-sentences")
    page.locator("#prompt", has_text=f"Sentence 1 of {TAKES}").wait_for()
    fill(page, "speaker", "Ana")
    page.locator("#record-progress", has_text=f"0 of {TAKES}").wait_for()
    click(page, "#prompt")  # keys are the recorder's outside of fields alone
    for number in range(TAKES):
        take(page, 2000 + 60 * number)  # no two of a length: the microphone repeats itself, and no copy is kept
        page.locator("#record-progress", has_text=f"{number + 1} of {TAKES}").wait_for()
    recorded = time.monotonic() - began
    go(page, "Train")
    page.locator("#effort label", has_text="Quick try").click()
    click(page, "#start")
    transcribe_with_it(page)
    return {"clicks": 12, "keys": 3 * TAKES, "recording_s": recorded, "minutes": (time.monotonic() - began) / 60}


def take(page: Any, milliseconds: int) -> None:
    """Records and keeps one take, by keys."""
    page.keyboard.press("r")
    page.locator("lect-recorder .record.going >> visible=true").wait_for()
    page.wait_for_timeout(milliseconds)
    page.keyboard.press("r")
    page.locator("#keep:enabled").wait_for()
    page.keyboard.press("k")
    page.locator("#keep:disabled").or_(page.locator("#prompt .done")).first.wait_for(state="attached")


def walk(page: Any) -> dict[str, Any]:
    """From the sample to a text by the pack that it gave."""
    began = time.monotonic()
    click(page, "#sample")
    page.locator("#header", has_text="Sample").wait_for()
    idle, spent = clicks(page)
    go(page, "Train")
    page.locator("#backbone input[value=starter]").check()
    page.locator("#effort label", has_text="Quick try").click()
    click(page, "#start")
    page.locator("#live", has_text="Step ").wait_for()
    busy, more = clicks(page)
    go(page, "Train")
    transcribe_with_it(page)
    minutes = (time.monotonic() - began - spent - more) / 60
    return {"clicks": 10, "minutes": minutes, "idle_ms": idle, "training_ms": busy}


def transcribe_with_it(page: Any) -> None:
    """The end of both ways, in four clicks: a pack of the run that is under way, and a text by it."""
    page.locator("#live", has_text="Done: best at step").wait_for(timeout=TRAINING_MS)
    go(page, "Export")
    click(page, "#export-make")
    click(page, "#export-made [data-step=transcribe]")
    sound = next((ROOT / "assets" / "sample" / "audio").glob("*.ogg"))
    page.locator("#transcribe-files input[type=file]").set_input_files(sound)
    page.locator("#transcribe-files", has_text=sound.suffix).wait_for()
    click(page, "#transcribe-go")
    page.locator("#transcribed", has_text="1 of 1 recording").wait_for()


def clicks(page: Any) -> tuple[dict[str, float], float]:
    """How long clicks on clips take, and the seconds that measuring it took."""
    began = time.monotonic()
    go(page, "Clips")
    page.locator("#clips .clip").first.wait_for()
    taken = [page.evaluate(CLICK, at % 30) for at in range(CLICKS)]
    return {"median": median(taken), "p95": quantiles(taken, n=20)[-1], "most": max(taken)}, time.monotonic() - began


def click(page: Any, element: str) -> None:
    """One click."""
    page.locator(element).click()


def load_seconds(browser: Any, url: str) -> float:
    """From nothing to the line that tells the project, in a window of its own."""
    page = browser.new_page(locale="en-GB")
    began = time.monotonic()
    page.goto(url)
    page.locator("#header", has_text="clips").wait_for()
    seconds = time.monotonic() - began
    page.close()
    return seconds


if __name__ == "__main__":
    main()
