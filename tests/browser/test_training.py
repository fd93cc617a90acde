"""A training and the page: it survives a reload and a second window, is ended early, and leaves the page quick."""

import time

import pytest

from engine.store import Project
from tests.browser.conftest import Window, choose_tiny, fill, go

pytestmark = pytest.mark.browser
LONG = 3000  # steps: more than a test waits for
CLICK_S = 10.0  # a page that waited for the training would take longer; how quick it is, is measured by hand


def step_of(page) -> int:  # type: ignore[no-untyped-def]
    """The step that the page shows."""
    words = page.locator("#live .meter p").inner_text().split()
    return int(words[1]) if words[0] == "Step" else 0


def test_reload_second_window_and_stopping_with_the_best_kept(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, LONG)
    page.locator("#start").click()
    page.locator("#live", has_text="Step ").wait_for()

    page.reload()
    page.locator("#header", has_text="Watch the training").wait_for()
    page.locator("#header .act").click()
    page.locator("#live", has_text="Step ").wait_for()
    before = step_of(page)
    page.wait_for_function(f"parseInt(document.querySelector('#live .meter p').innerText.split(' ')[1]) > {before}")

    second = window()
    go(second, "Train")
    second.locator("#live", has_text="Step ").wait_for()
    second.locator("#start", has_text="Add to the queue").wait_for()

    go(page, "Clips")
    page.locator("#clips .clip").first.wait_for()
    began = time.monotonic()
    page.locator("#clips .clip").nth(2).click()
    page.locator("#clip audio").wait_for()
    assert time.monotonic() - began < CLICK_S

    second.locator("#stop").click()
    second.locator("#live", has_text="Done: best at step").wait_for()
    run = project.runs()[-1]
    assert run.status == "done" and run.facts["stopped"] and (run.folder / "best.safetensors").exists()
    assert len(project.runs()) == 1


def test_runs_wait_for_each_other(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, LONG)
    page.locator("#start").click()
    page.locator("#start", has_text="Add to the queue").wait_for()
    fill(page, "expert-max-steps", "10")
    for number in ("002", "003"):
        page.locator("#start").click()
        page.locator("#live", has_text=f"Run {number}").wait_for()
        page.locator("#live", has_text="It waits for the run that trains").wait_for()
    page.locator("#leave").click()
    page.locator("#runs tr", has_text="003").filter(has_text="new").wait_for()

    page.locator("#runs [data-pick='001']").click()
    page.locator("#live", has_text="Step ").wait_for()
    page.locator("#stop").click()
    page.locator("#runs tr", has_text="002").filter(has_text="done").wait_for()
    assert [run.status for run in project.runs()] == ["done", "done", "created"]

    go(page, "Results")
    page.locator("#result-against input").click()
    page.get_by_role("option", name="Run 001").click()
    page.locator("#summary .rate.before", has_text="Run 001").first.wait_for()


def test_the_time_is_estimated_on_this_machine(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, 40)
    page.locator("#estimate").click()
    page.locator("#train-said", has_text="at most: 40 steps on").wait_for()
    assert not project.runs()


def test_what_the_command_refuses_the_page_refuses_too(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, 20)
    page.locator("#expert-placement :is(input, textarea)").fill("e:last99")
    page.locator("#start").click()
    page.get_by_text("Placement 'e:last99' is not understood").first.wait_for()
    assert not project.runs()
