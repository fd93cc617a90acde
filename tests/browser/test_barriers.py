"""What keeps nobody out: axe-core finds nothing serious on any step, and keys alone go all the way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lect.engine.data.store import Project
from tests import ROOT
from tests.browser.conftest import Window, fill, go, settled, unfold

pytestmark = pytest.mark.browser
AXE = ROOT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
STEPS = ("Project", "Record", "Import", "Clips", "Train", "Results", "Export", "Transcribe")
# WCAG 2.1 AA; Gradio's own accordions and dropdowns are looked at as ours are.
RUN = """async () => {
  const found = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] });
  const grave = found.violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = ({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`;
  return grave.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(told).join(" | ")}`);
}"""


def barriers(page: Any) -> list[str]:
    """What axe-core finds serious or critical on the page as it is."""
    settled(page)
    page.wait_for_timeout(700)  # colours fade in, and axe would measure them half way
    return list(page.evaluate(RUN))


@pytest.fixture
def examined(browser: Any, server: Any) -> Iterator[Callable[[str], Any]]:
    """`examined(scheme)`: a window with axe-core, which the page's own policy would not load."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: npm install --prefix tests/browser")
    contexts = []

    def opened(scheme: str) -> Any:
        context = browser.new_context(
            color_scheme=scheme, locale="en-GB", permissions=["microphone"], viewport={"width": 1280, "height": 900}
        )
        contexts.append(context)
        context.set_default_timeout(300_000)
        context.add_init_script(path=AXE)
        page = context.new_page()
        page.goto(server.url)
        page.locator("#header .header").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_step(examined: Callable[[str], Any], project: Project, scheme: str) -> None:
    page, found = examined(scheme), dict[str, list[str]]()
    for step in STEPS:
        go(page, step)
        if step == "Record":
            fill(page, "typed", "ba da go\nsu mi")
            page.locator("#add-sentences").click()
            page.locator("#prompt", has_text="Sentence 1 of 2").wait_for()
        if step == "Clips":
            page.locator("#clips .clip").first.click()
            page.locator("#clip audio").wait_for()
        if step == "Train":
            unfold(page, "expert")
        found[step] = barriers(page)
        assert page.locator("h1").count() == 1
    assert not {step: each for step, each in found.items() if each}


def test_axe_finds_nothing_serious_on_the_first_screen(examined: Callable[[str], Any], project: Project) -> None:
    page = examined("light")
    page.locator("#recent [data-pick=new]").click()
    page.locator("#already [data-pick=teach]").wait_for()
    assert not barriers(page)


def press_to(page: Any, selector: str, key: str = "Tab", most: int = 80) -> None:
    """Moves the focus by keys until it is where a selector says."""
    for _ in range(most):
        if page.evaluate("(wanted) => Boolean(document.activeElement?.closest(wanted))", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} is not reached by {key}")


def step_by_keys(page: Any, step: str) -> None:
    """Opens a step: to the steps by Tab, along them by arrow keys."""
    page.evaluate("document.activeElement?.blur()")
    press_to(page, "[role=tab]")
    press_to(page, f"[data-tab-id={step}]", "ArrowRight")
    page.locator(f"[data-tab-id={step}][aria-selected=true]").first.wait_for()
    settled(page)


def test_from_a_sentence_to_a_transcript_by_keys_alone(window: Window, project: Project, tmp_path: Path) -> None:
    page = window()
    step_by_keys(page, "record")
    press_to(page, "#typed")
    page.keyboard.type("ba da go\nmi su")
    press_to(page, "#add-sentences")
    page.keyboard.press("Enter")
    page.locator("#prompt", has_text="Sentence 1 of 2").wait_for()
    page.keyboard.press("r")
    page.locator("lect-recorder .record.going >> visible=true").wait_for()
    page.wait_for_timeout(1800)
    page.keyboard.press("ArrowRight")  # ends it, and goes on if it is good
    onward = page.locator("#prompt", has_text="Sentence 2 of 2")
    onward.or_(page.locator("#verdict .notice")).first.wait_for()
    if not onward.count():
        page.keyboard.press("k")
    onward.wait_for()
    assert project.clips()[-1].text == "ba da go"

    step_by_keys(page, "train")
    press_to(page, "#backbone")
    press_to(page, "#backbone label:has([value=tiny])", "ArrowDown")
    press_to(page, "#expert .label-wrap")
    page.keyboard.press("Enter")
    press_to(page, "#expert-max-steps")
    page.keyboard.type("20")
    press_to(page, "#start")
    page.keyboard.press("Enter")
    page.locator("#live", has_text="Done: best at step").wait_for()
    press_to(page, "#live [data-pick^=try]")
    page.keyboard.press("Enter")
    page.locator("[data-tab-id=transcribe][aria-selected=true]").first.wait_for()
    page.locator("lect-recorder .record.going >> visible=true").wait_for()
    page.wait_for_timeout(1800)
    page.keyboard.press("r")
    page.locator("#transcribed", has_text="1 of 1 recording").wait_for()
    assert project.packs()
