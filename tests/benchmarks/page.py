"""The page in a real browser: how long it takes to open, to answer a click, and to a first transcription of one's own.

    python -m tests.benchmarks.page

The whole way of a new user is walked twice, to one's own voice as text, and its clicks and keys are counted: with the
sample project, and with thirty takes of two to four seconds by the keys. Clicks are timed before a training and during
it, from the click to the answer on the page. Prints one JSON object.
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

from tests.browser.conftest import (
    ARGUMENTS,
    CHROMIUM_NAMES,
    FAKE_DEVICE,
    PATIENCE_MS,
    YES_TO_ALL,
    fill,
    go,
    settled,
    start_server,
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


class Way:
    """A page, and how many clicks and keys a way on it takes; texts are pasted, and cost none."""

    def __init__(self, page: Any) -> None:
        self.page, self.clicks, self.keys, self.began = page, 0, 0, time.monotonic()

    def click(self, element: str) -> None:
        """One click."""
        self.page.locator(element).click()
        self.clicks += 1

    def press(self, key: str) -> None:
        """One key."""
        self.page.keyboard.press(key)
        self.keys += 1

    def figures(self, spent: float = 0.0) -> dict[str, Any]:
        """What the way took; spent: seconds of measuring on it."""
        minutes = (time.monotonic() - self.began - spent) / 60
        return {"clicks": self.clicks, "keys": self.keys, "minutes": minutes}


def walk_recording(page: Any) -> dict[str, Any]:
    """From a language, and sentences typed, to a text by the pack that their takes gave."""
    if page.locator("#recent [data-pick=new]").count():
        page.locator("#recent [data-pick=new]").click()
    way = Way(page)
    fill(page, "first-language", "x-thirty")
    page.locator("#already", has_text="x-thirty").wait_for()
    way.click("#already [data-pick=teach]")
    page.locator("#typed textarea").wait_for()
    settled(page)
    syllables = itertools.product(("ba", "da", "go"), repeat=4)
    fill(page, "typed", "\n".join(" ".join(each) for each in itertools.islice(syllables, TAKES)))
    way.click("#add-sentences")
    page.locator("#prompt", has_text=f"Sentence 1 of {TAKES}").wait_for()
    fill(page, "speaker", "Ana")
    page.locator("#record-progress", has_text=f"0 of {TAKES}").wait_for()
    way.click("#prompt")  # keys are the recorder's outside of fields alone
    for number in range(TAKES):
        take(way, 2000 + 60 * number, number + 1)  # no two of a length: the microphone repeats itself
    recorded = time.monotonic() - way.began
    way.click("#prompt [data-step=train]")
    settled(page)
    train_and_speak(way)
    return way.figures() | {"recording_s": recorded}


def take(way: Way, milliseconds: int, done: int) -> None:
    """Records one take by keys, and keeps it."""
    way.press("r")
    way.page.locator("lect-recorder .record.going >> visible=true").wait_for()
    way.page.wait_for_timeout(milliseconds)
    way.press("ArrowRight")
    kept = way.page.locator("#record-progress", has_text=f"{done} of {TAKES}")
    kept.or_(way.page.locator("#verdict .notice")).first.wait_for()
    if not kept.count():  # it is not good, and waits
        way.press("ArrowRight")
        kept.wait_for()


def walk(page: Any) -> dict[str, Any]:
    """From the sample to one's own voice as text, by the pack that it gave."""
    way = Way(page)
    way.click("#sample")
    page.locator("#live", has_text="Ready to train").wait_for()
    idle, spent = clicks(page)
    go(page, "Train")
    page.locator("#backbone input[value=starter]").check()  # to measure sooner: nobody has to
    page.locator("#effort label", has_text="Quick try").click()
    way.click("#start")
    page.locator("#live", has_text="Step ").wait_for()
    busy, more = clicks(page)
    go(page, "Train")
    train_and_speak(way, started=True)
    return way.figures(spent + more) | {"idle_ms": idle, "training_ms": busy}


def train_and_speak(way: Way, started: bool = False) -> None:
    """The end of both ways: a training, and a sentence that is spoken and written by what it gave."""
    page = way.page
    if not started:
        page.locator("#backbone input[value=starter]").check()
        page.locator("#effort label", has_text="Quick try").click()
        way.click("#start")
    page.locator("#live", has_text="Done: best at step").wait_for(timeout=TRAINING_MS)
    way.click("#live [data-pick^=try]")
    page.locator("lect-recorder .record.going >> visible=true").wait_for()
    page.wait_for_timeout(2000)
    way.click("lect-recorder .record >> visible=true")
    page.locator("#transcribed", has_text="1 of 1 recording").wait_for()


def clicks(page: Any) -> tuple[dict[str, float], float]:
    """How long clicks on clips take, and the seconds that measuring it took."""
    began = time.monotonic()
    go(page, "Clips")
    page.locator("#clips .clip").first.wait_for()
    taken = [page.evaluate(CLICK, at % 30) for at in range(CLICKS)]
    return {"median": median(taken), "p95": quantiles(taken, n=20)[-1], "most": max(taken)}, time.monotonic() - began


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
