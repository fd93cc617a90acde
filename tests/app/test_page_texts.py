"""The page's words: each in every language, with the same values and all forms of its plural."""

import string

import pytest

from lect.app.page.plurals import FORMS, form
from lect.app.page.texts import DEFAULT, RIGHT_TO_LEFT, catalogues, language_of


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
    [("fr-CA,fr;q=0.9,en;q=0.8", "fr"), ("ar", "ar"), ("sw-KE,ar;q=0.5", "ar"), ("sw", "en"), ("", "en")],
)
def test_the_browsers_first_known_language_is_taken(header: str, language: str) -> None:
    assert language_of(header) == language


def test_counts_take_the_form_of_their_language() -> None:
    assert [form("en", n) for n in (0, 1, 2)] == ["other", "one", "other"]
    assert [form("fr", n) for n in (0, 1, 2)] == ["one", "one", "other"]
    arabic = {0: "zero", 1: "one", 2: "two", 3: "few", 10: "few", 11: "many", 99: "many", 100: "other", 103: "few"}
    assert {n: form("ar", n) for n in arabic} == arabic
