"""Every step works offline, in every language and at the width of a phone, and names its controls."""

from typing import Any

import pytest

from lect.app.page.plurals import form
from lect.app.page.texts import catalogues
from lect.engine.data.store import Project
from tests.browser.conftest import Window, fill, settled

pytestmark = pytest.mark.browser
SCRIPTS = {"latin": "Ɓa ŋgɔ́", "arabic": "جاهز", "hebrew": "שלום", "devanagari": "नमस्ते", "ethiopic": "ሰላም"}
STEPS = ("project", "record", "import", "clips", "train", "results", "export", "transcribe")


def visit(page: Any, step: str, language: str = "en") -> None:
    """Opens a step, whose tab may be behind the menu of a narrow window."""
    name = catalogues()[language][f"tab_{step}"]
    tab = page.get_by_role("tab", name=name, exact=True).locator("visible=true")
    if tab.count():
        tab.first.click()
    else:
        page.locator("#steps .overflow-menu > button").first.click()
        page.locator("#steps .overflow-dropdown button", has_text=name).first.click()
    page.wait_for_timeout(400)


@pytest.mark.parametrize("language", sorted(catalogues()))
def test_every_step_in_every_language(window: Window, project: Project, language: str) -> None:
    page = window(locale=language)
    texts = catalogues()[language]
    assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
    for step in STEPS:
        visit(page, step, language)
        assert "__i18n__" not in page.inner_text("body")
    assert texts["export_make"] in page.content()
    assert page.evaluate("document.fonts.check('16px Lect')")
    counts = [*range(130), 1000]
    assert page.evaluate(
        "([name, counts]) => counts.map((count) => new Intl.PluralRules(name).select(count))", [language, counts]
    ) == [form(language, count) for count in counts]


def test_nothing_is_wider_than_a_phone(window: Window, project: Project) -> None:
    page = window(width=390, height=800)
    for step in STEPS:
        visit(page, step)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, step


def test_at_twice_the_size_nothing_is_wider_than_the_window(window: Window, project: Project) -> None:
    page = window(width=640, height=450, device_scale_factor=2)  # what zooming to 200 % makes of 1280 x 900
    for step in STEPS:
        visit(page, step)
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, step


def test_in_a_narrow_window_the_buttons_of_a_take_are_whole(window: Window, project: Project) -> None:
    for language, onward in (("en", "ArrowRight"), ("ar", "ArrowLeft")):
        page = window(locale=language, width=390, height=800)
        visit(page, "record", language)
        fill(page, "typed", "ba da go\nsu mi")
        page.locator("#add-sentences").click()
        page.locator("#keep").wait_for()
        broken = page.evaluate(
            "[...document.querySelectorAll('.keys button')].filter((e) => e.offsetHeight > 50).map((e) => e.innerText)"
        )
        assert not broken
        page.locator("#skip").focus()
        page.keyboard.press(onward)
        page.locator("#prompt .sentence", has_text="su mi").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_chosen_is_seen_under_the_pointer(window: Window, project: Project, scheme: str) -> None:
    page = window(color_scheme=scheme)
    visit(page, "train")
    chosen, other = (page.locator(f"#effort input{state}").first for state in (":checked", ":not(:checked)"))
    paint = "(input) => getComputedStyle(input).backgroundColor"
    before = chosen.evaluate(paint)
    chosen.hover()
    assert chosen.evaluate(paint) == before != other.evaluate(paint)


def test_every_control_has_a_name(window: Window, project: Project) -> None:
    page = window()
    for step in STEPS:
        visit(page, step)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, input, textarea, select")]
              .filter((e) => e.offsetParent && !["file", "hidden"].includes(e.type) && !e.closest(".away"))
              .filter((e) => !(e.ariaLabel || e.title || e.innerText || e.labels?.length || e.closest("label")))
              .map((e) => e.outerHTML.slice(0, 160))"""
        )
        assert not nameless, step


@pytest.mark.parametrize("weight", [400, 500, 700])
def test_the_letters_come_from_the_fonts_that_ship(window: Window, weight: int) -> None:
    page = window()
    page.evaluate(
        """([scripts, weight]) => Object.entries(scripts).forEach(([id, text]) => {
          const style = `font: ${weight} 16px Lect, system-ui`;
          document.body.insertAdjacentHTML("beforeend", `<p id="${id}" style="${style}">${text}</p>`);
        })""",
        [SCRIPTS, weight],
    )
    page.wait_for_function("document.fonts.status === 'loaded'")
    settled(page)
    tools = page.context.new_cdp_session(page)
    tools.send("DOM.enable")
    tools.send("CSS.enable")
    root = tools.send("DOM.getDocument")["root"]["nodeId"]
    for script in SCRIPTS:
        node = tools.send("DOM.querySelector", {"nodeId": root, "selector": f"#{script}"})["nodeId"]
        fonts = tools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        names = {font["familyName"] for font in fonts if font["isCustomFont"]}
        assert names == {"Noto Sans" if script == "latin" else f"Noto Sans {script.title()}"}, script
        assert all(font["isCustomFont"] for font in fonts), script
