"""The page in a real browser: how long it takes to open, to answer a click, and to a first transcription of one's own.

    python -m tests.benchmarks.page

The whole way of a new user is walked with the sample project and counted; clicks are timed before a training and
during it, from the click to the answer on the page. Prints one JSON object.
"""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM_NAMES, PATIENCE_MS, go, start_server

CLICKS = 40
TRAINING_MS = 3_600_000
# Clicks a clip; milliseconds until its card is there.
CLICK = """(at) => new Promise((done) => {
  const clip = document.querySelectorAll("#clips .clip")[at];
  const name = ` ${clip.dataset.pick}`;
  const began = performance.now();
  const look = () => document.querySelector("#clip h3")?.innerText.endsWith(name)
    ? done(performance.now() - began) : requestAnimationFrame(look);
  clip.click();
  look();
})"""


def main() -> None:
    """Everything, in as long as a quick training of the sample takes."""
    with tempfile.TemporaryDirectory(prefix="lect-page-") as folder:
        server = start_server(Path(folder), OMP_NUM_THREADS=str(os.cpu_count()))
        try:
            print(json.dumps(measured(server.url)))
        finally:
            server.stop()


def measured(url: str) -> dict[str, Any]:
    """All figures."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        page = browser.new_page(locale="en-GB")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        page.locator("#header .header").wait_for()
        walked = walk(page)
        loads = [load_seconds(browser, url) for _ in range(5)]
    return {"load": os.getloadavg(), "load_seconds": median(loads), **walked}


def walk(page: Any) -> dict[str, Any]:
    """From the sample to a text by the pack that it gave."""
    began = time.monotonic()
    click(page, "#sample")
    page.locator("#header", has_text="Sample").wait_for()
    idle, spent = clicks(page)
    go(page, "Train")
    page.locator("#effort label", has_text="Quick try").click()
    click(page, "#start")
    page.locator("#live", has_text="Step ").wait_for()
    busy, more = clicks(page)
    go(page, "Train")
    page.locator("#live", has_text="Done: best at step").wait_for(timeout=TRAINING_MS)
    go(page, "Export")
    click(page, "#export-make")
    click(page, "#export-made [data-step=transcribe]")
    sound = next((Path(__file__).parents[2] / "assets" / "sample" / "audio").glob("*.ogg"))
    page.locator("#transcribe-files input[type=file]").set_input_files(sound)
    page.locator("#transcribe-files", has_text=sound.suffix).wait_for()
    click(page, "#transcribe-go")
    page.locator("#transcribed", has_text="1 of 1 recording").wait_for()
    minutes = (time.monotonic() - began - spent - more) / 60
    return {
        "clicks_to_first_transcript": 9,
        "minutes_to_first_transcript": minutes,
        "idle_ms": idle,
        "training_ms": busy,
    }


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
