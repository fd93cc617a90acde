"""Transcripts corrected in a real browser: by keys, by clicks, in two windows, through a kill; and made into clips."""

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lect.app.page.editor.place import Place, place_of
from lect.engine.audio.writing import write_wav
from lect.engine.data.store import Project
from lect.exports.transcript import Transcript
from tests.app.conftest import speech
from tests.app.test_page_editor import transcript
from tests.browser.conftest import PATIENCE_MS, Window, go, start_server, until

pytestmark = pytest.mark.browser
TEXTS = ("ba da go", "mi su", "la go")
HOUR = 900  # segments
NAMELESS = """() => [...document.querySelectorAll("lect-editor :is(button, input, select, a, [role=textbox])")]
  .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
  .map((each) => each.outerHTML)"""


def add(project: Project, folder: Path, found: Transcript) -> tuple[Place, str]:
    """A draft of a recording as long as the transcript."""
    place, path = place_of(str(project.folder)), folder / "interview.wav"
    wave = np.resize(speech("ba da go su mi la"), int(found.seconds * 16_000))
    write_wav(path, wave)
    return place, place.add(path.name, path, found)


@pytest.fixture
def draft(project: Project, tmp_path: Path) -> tuple[Place, str]:
    return add(project, tmp_path, transcript(*TEXTS))


def opened(window: Window, **options: Any) -> Any:
    """A window with the latest draft in the editor."""
    page = window(**options)
    if options.get("width", 1280) < 700:
        page.evaluate("""() => document.querySelector('#steps [data-tab-id="transcribe"]').click()""")
    else:
        go(page, "Transcribe")
    page.locator("lect-editor .parts li").first.wait_for()
    return page


def text(page: Any, row: int) -> Any:
    return page.locator("lect-editor .words").nth(row)


def test_keys_do_all_and_a_reload_finds_it(window: Window, draft: tuple[Place, str]) -> None:
    place, number = draft
    page = opened(window)

    def parts() -> list[Any]:
        return list(place.read(number).parts)

    def texts() -> list[str]:
        return [part.text for part in parts()]

    assert page.locator("lect-editor .unsure").count() == 7
    text(page, 0).click()
    page.keyboard.press("End")
    page.keyboard.type(" mi\tñu")
    until(page, lambda: texts()[0] == "ba da go mi ñu")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+i")
    until(page, lambda: texts() == ["ba", "da go mi ñu", "mi su", "la go"])
    page.keyboard.press("Control+j")  # of the second half, whether or not the page knows it already
    until(page, lambda: texts() == ["ba", "da go mi ñu mi su", "la go"])
    page.keyboard.press("Control+z")
    until(page, lambda: len(texts()) == 4)
    page.keyboard.press("Control+z")
    until(page, lambda: len(texts()) == 3)
    page.keyboard.press("Control+Shift+z")
    until(page, lambda: len(texts()) == 4)

    text(page, 3).click()
    before = parts()[3]
    page.keyboard.press("Alt+ArrowLeft")
    until(page, lambda: parts()[3].start == pytest.approx(before.start - 0.05))
    page.keyboard.press("Alt+Shift+ArrowRight")
    until(page, lambda: parts()[3].end == pytest.approx(before.end + 0.05))
    page.keyboard.press("Alt+ArrowUp")
    assert page.evaluate("document.activeElement.textContent") == "mi su"
    page.keyboard.press("Enter")
    until(page, lambda: parts()[2].checked)
    assert page.evaluate("document.activeElement.textContent") == "la go"
    page.keyboard.press("Alt+Delete")
    until(page, lambda: texts() == ["ba", "da go mi ñu", "mi su"])
    page.locator("lect-editor .saved", has_text=re.compile("^Saved")).wait_for()
    page.reload()
    go(page, "Transcribe")
    page.locator("lect-editor .parts li.done").wait_for()
    assert page.locator("lect-editor .words").all_text_contents() == ["ba", "da go mi ñu", "mi su"]
    assert page.locator("#drafts", has_text="1 of 3 checked").count() == 1
    assert page.evaluate(NAMELESS) == []


def test_a_click_lets_a_word_be_heard_and_lines_never_break(window: Window, draft: tuple[Place, str]) -> None:
    place, number = draft
    page = opened(window)
    page.wait_for_function("document.querySelector('lect-editor').wave.surfer !== undefined")
    position = "document.querySelector('lect-editor').wave.sound.currentTime"
    page.locator("lect-editor .hear").nth(2).click()
    page.wait_for_function(f"{position} >= 6")
    page.keyboard.press("Escape")
    part = place.read(number).parts[1]
    text(page, 1).click(position={"x": 12, "y": 18})
    page.wait_for_function(f"{position} < {part.end} && {position} >= {part.words[0].start - 0.1}")
    page.keyboard.press("End")
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text/plain", " la\\n\\tgo\\n");
          const options = { clipboardData: data, bubbles: true, cancelable: true };
          document.activeElement.dispatchEvent(new ClipboardEvent("paste", options));
        }"""
    )
    until(page, lambda: place.read(number).parts[1].text == "mi su la go")
    with page.expect_download() as download:
        page.locator("#save-srt").click()
    cues = Path(download.value.path()).read_text()
    assert cues.count(" --> ") == 3 and "\nmi su la go\n" in cues


def test_two_windows_lose_nothing_of_each_other(window: Window, draft: tuple[Place, str]) -> None:
    place, number = draft
    one, other = opened(window), opened(window)
    one.locator("lect-editor .checked").nth(0).check()
    until(one, lambda: place.read(number).parts[0].checked)
    other.locator("lect-editor .checked").nth(1).check()
    other.locator("lect-editor [role=alert]", has_text="Another window has changed").wait_for()
    other.locator("lect-editor .parts li.done").first.wait_for()
    other.locator("lect-editor .checked").nth(1).check()
    until(other, lambda: [part.checked for part in place.read(number).parts] == [True, True, False])


def test_what_is_typed_survives_a_kill(browser: Any, home: Path, draft: tuple[Place, str]) -> None:
    place, number = draft
    doomed = start_server(home)
    port = doomed.url.rpartition(":")[2]
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(doomed.url)
    go(page, "Transcribe")
    text(page, 1).click()
    page.keyboard.press("End")
    page.keyboard.type(" ñu")
    page.locator("lect-editor .saved", has_text=re.compile("^Saved")).wait_for()
    doomed.stop(signal.SIGKILL)
    assert place.read(number).parts[1].text == "mi su ñu"
    page.keyboard.type(" go")
    page.locator("lect-editor .saved", has_text="Not saved yet").wait_for()
    again = start_server(home, "--port", port)
    until(page, lambda: place.read(number).parts[1].text == "mi su ñu go")
    again.stop()
    context.close()


def test_an_hour_draws_only_what_is_seen(window: Window, project: Project, tmp_path: Path) -> None:
    place, number = add(project, tmp_path, transcript(*["ba da go su mi"] * (HOUR - 1), "la"))
    page = opened(window)
    page.wait_for_function("document.querySelector('lect-editor').wave.shown.size > 0")
    drawn = page.evaluate(
        "() => ({ rows: document.querySelectorAll('lect-editor li').length, "
        "marked: document.querySelectorAll('lect-editor li[data-marked]').length, "
        "regions: document.querySelector('lect-editor').wave.shown.size })"
    )
    assert drawn["rows"] == HOUR and drawn["marked"] < 60 and drawn["regions"] < 60
    page.evaluate("() => document.querySelector('lect-editor').choose(900, { focus: true })")
    page.keyboard.press("End")
    page.keyboard.type(" go")
    until(page, lambda: place.read(number).parts[-1].text == "la go")
    page.wait_for_function("document.querySelector('lect-editor').wave.shown.has('900')")


def test_checked_segments_become_clips_of_the_project(
    window: Window, project: Project, draft: tuple[Place, str]
) -> None:
    page = opened(window)
    page.locator("#use").click()
    page.locator("lect-editor .outcome", has_text="No segment is checked yet").wait_for()
    for row in range(2):
        page.locator("lect-editor .checked").nth(row).check()
    page.locator("#who").fill("ana")
    page.locator("#consent").fill("yes")
    page.locator("#use").click()
    page.locator("lect-editor .outcome", has_text="of this recording, 2 of them new").wait_for()
    clips = [clip for clip in project.clips() if clip.speaker == "ana"]
    assert [(clip.text, clip.split) for clip in clips] == [("ba da go", "train"), ("mi su", "train")]
    assert {each.name: each.consent for each in project.speakers()}["ana"] == "yes"
    page.locator("#again").click()
    page.locator("lect-editor .outcome", has_text="No training has ended here yet").wait_for()


def test_a_recording_without_text_is_cut_and_typed(window: Window, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "raw.wav"
    write_wav(path, np.concatenate([speech("ba da go"), np.zeros(16_000, np.float32), speech("mi su")]))
    page = window()
    go(page, "Transcribe")
    page.locator("#transcribe-files input[type=file]").set_input_files(path)
    page.locator("#transcribe-files", has_text=path.suffix).wait_for()
    page.locator("#transcribe-cut").click()
    page.locator("lect-editor h3", has_text="raw.wav").wait_for()
    place = place_of(str(project.folder))
    (entry,) = place.entries()
    if not entry.parts:  # bursts of sine waves are no speech to every network: a segment is added by hand
        page.evaluate("() => document.querySelector('lect-editor').draft.act({ do: 'add', start: 0.1, end: 1.2 })")
    text(page, 0).click()
    page.keyboard.type("ba da go")
    page.keyboard.press("Enter")
    until(page, lambda: place.read(entry.number).parts[0].checked)
    assert place.read(entry.number).parts[0].text == "ba da go"
    page.locator("#drafts button", has_text="Discard").click()
    until(page, lambda: place.entries() == [])
    page.locator("lect-editor").wait_for(state="detached")


def test_a_phone_has_no_hints_of_keys_and_room_for_fingers(window: Window, draft: tuple[Place, str]) -> None:
    page = opened(window, width=390, height=800)
    assert not page.locator("lect-editor .editor-keys").is_visible()
    text(page, 1).click()
    box = page.locator("lect-editor .tools button").first.bounding_box()
    assert box["height"] >= 40
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
