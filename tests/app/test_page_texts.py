"""The page's words: each in every language, with the same values and all forms of its plural."""

import re
import string

import pytest

from lect.app.page.plurals import FORMS, form
from lect.app.page.texts import DEFAULT, RIGHT_TO_LEFT, catalogues, duration, language_of, names, words_in
from tests import ROOT


def values(text: str) -> set[str]:
    """The names in a text's braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def forms(entry: str | dict[str, str]) -> list[str]:
    """All that an entry can become."""
    return [entry] if isinstance(entry, str) else list(entry.values())


def test_there_are_three_languages_one_from_the_right() -> None:
    assert len(catalogues()) >= 3 and RIGHT_TO_LEFT & catalogues().keys() and FORMS.keys() == catalogues().keys()


@pytest.mark.parametrize("language", sorted(catalogues()))
def test_every_text_is_in_every_language(language: str) -> None:
    first, texts = catalogues()[DEFAULT], catalogues()[language]
    assert list(texts) == list(first)
    for key, entry in texts.items():
        assert all(text.strip() for text in forms(entry)), key
        if isinstance(entry, dict):
            assert tuple(entry) == FORMS[language], key
        wanted = set.union(*map(values, forms(first[key])))
        for text in forms(entry):  # a form that says "one" or "two" needs no figure
            assert wanted - {"count"} <= values(text) <= wanted, key


@pytest.mark.parametrize(
    ("header", "language"),
    [("fr-CA,fr;q=0.9,en;q=0.8", "fr"), ("ar", "ar"), ("quc-GT,ar;q=0.5", "ar"), ("quc", "en"), ("", "en")],
)
def test_the_browsers_first_known_language_is_taken(header: str, language: str) -> None:
    assert language_of(header) == language


def test_what_was_chosen_on_the_page_goes_before_the_browser() -> None:
    assert language_of("en", "lect-7860=x; lect-language=fr") == "fr"
    assert language_of("ar", "lect-language=klingon") == "ar" and language_of("ar", "=;;") == "ar"


def test_every_catalogue_says_which_language_it_is() -> None:
    assert {name: texts["language_code"] for name, texts in catalogues().items()} == {name: name for name in names()}
    assert next(iter(names())) == DEFAULT and len(set(names().values())) == len(names())


def test_no_text_is_left_that_nothing_says() -> None:
    places = [*(ROOT / "app" / "page").rglob("*.py"), *(ROOT / "assets" / "page").rglob("*.js")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in places)
    begins = {"method_", "effort_", "choose_"}  # the rest is a value
    begins |= set(re.findall(r'f?"([a-z_]+_)(?:\{|"\s*\+)', code)) | set(re.findall(r"`([a-z_]+_)\$\{", code))
    quoted = set(re.findall(r"""["']([a-z_]+)["']""", code))
    assert not [key for key in catalogues()[DEFAULT] if key not in quoted and not key.startswith(tuple(begins))]


def test_a_length_of_time_is_in_the_language() -> None:
    assert duration(9.04, words_in("en")) == "9.0 s" and duration(3725, words_in("fr")) == "1 h 02 min"
    assert "\u2068" in duration(75, words_in("ar")) and "min" not in duration(75, words_in("ar"))


def test_counts_take_the_form_of_their_language() -> None:
    assert [form("en", n) for n in (0, 1, 2)] == ["other", "one", "other"]
    assert [form("fr", n) for n in (0, 1, 2)] == ["one", "one", "other"]
    arabic = {0: "zero", 1: "one", 2: "two", 3: "few", 10: "few", 11: "many", 99: "many", 100: "other", 103: "few"}
    assert {n: form("ar", n) for n in arabic} == arabic
