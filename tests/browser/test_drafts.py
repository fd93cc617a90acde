"""What was typed or recorded and is not saved yet is there after another click, another step and a reload."""

from typing import Any

import pytest

from lect.engine.data.store import Project
from tests.browser.conftest import Window, fill, go, until

pytestmark = pytest.mark.browser


def label(page: Any) -> str:
    """What the label's field says."""
    return str(page.locator("#label textarea").input_value())


def test_a_label_that_was_pasted_is_there_after_another_clip_and_a_reload(window: Window, project: Project) -> None:
    page = window()
    go(page, "Clips")
    page.locator("#clips .clip").nth(1).click()
    page.locator("#clip audio").wait_for()
    fill(page, "label", "ba gó")
    page.locator("#clips .clip").nth(2).click()
    page.wait_for_function("document.querySelector('#label textarea').value !== 'ba gó'")
    page.locator("#clips .clip").nth(1).click()
    page.locator("#clip", has_text="not saved yet").wait_for()
    assert label(page) == "ba gó"
    page.reload()
    page.locator("#header .header").wait_for()
    go(page, "Clips")
    page.locator("#clips li", has_text="not saved").locator(".clip").click()
    page.locator("#clip", has_text="not saved yet").wait_for()
    assert label(page) == "ba gó" and "ba gó" not in {clip.text for clip in project.clips()}
    page.locator("#clip [data-pick=forget]").click()
    page.wait_for_function("document.querySelector('#label textarea').value !== 'ba gó'")


def test_a_recording_ends_with_its_step_and_waits(window: Window, project: Project) -> None:
    page = window()
    go(page, "Record")
    fill(page, "speaker", "Ana")
    fill(page, "typed", "ba da go\nsu mi")
    page.locator("#add-sentences").click()
    page.locator("#prompt", has_text="Sentence 1 of 2").wait_for()
    page.locator("#sentence-list .jump").nth(1).click()
    page.locator("#prompt", has_text="Sentence 2 of 2").wait_for()
    page.locator("lect-recorder .record >> visible=true").click()
    page.locator("lect-recorder .record.going >> visible=true").wait_for()
    assert page.locator("lect-recorder .device select >> visible=true").count(), "the microphone is not named"
    page.wait_for_timeout(1500)
    go(page, "Clips")
    page.wait_for_function("!document.querySelector('lect-recorder[data-state=recording]')")
    until(page, lambda: any((project.folder / "waiting").glob("*.json")))
    page.reload()
    page.locator("#header .header").wait_for()
    go(page, "Record")
    page.locator("#verdict .notice").wait_for()
    page.locator("#prompt", has_text="Sentence 2 of 2").wait_for()
    assert page.locator("#speaker :is(input, textarea)").input_value() == "Ana"
    assert len(project.clips()) == 12


def test_the_language_is_chosen_on_the_page(window: Window, project: Project) -> None:
    page = window()
    page.locator("[data-language]").select_option("de")
    page.get_by_role("tab", name="Projekt", exact=True).wait_for()
    assert page.evaluate("document.documentElement.lang") == "de"
    page.reload()
    page.get_by_role("tab", name="Aufnehmen", exact=True).wait_for()
