"""Errors on the page: in its own words, in every language, and never in those of the command line."""

import ast
import re
import string

import pytest

from lect.app.page.messages import catalogues, in_words
from lect.app.page.texts import catalogues as texts
from lect.app.page.texts import words_in
from tests import ROOT

COMMANDS = re.compile(r"--[a-z]|`?lect [a-z]+ |layout known here|pip install")


def values(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def own_sentences() -> list[str]:
    """What the page itself refuses, as far as it is one text."""
    found = []
    for path in (ROOT / "app" / "page").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            raised = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error")
            if raised and node.args and isinstance(node.args[0], ast.Constant) and node.func.id != "AssertionError":
                found.append(str(node.args[0].value))
    return found


def test_every_language_of_the_page_has_every_sentence() -> None:
    assert catalogues().keys() == texts().keys()
    for language, sentences in catalogues().items():
        assert list(sentences) == list(catalogues()["en"]), language
        for sentence, words in sentences.items():
            assert words.strip() and values(words) <= values(sentence), (language, sentence)


def test_no_sentence_names_the_command_line() -> None:
    assert not [words for each in catalogues().values() for words in each.values() if COMMANDS.search(words)]


def test_what_the_page_itself_refuses_is_in_the_catalogue() -> None:
    own = own_sentences()
    assert len(own) > 15 and not [sentence for sentence in own if sentence not in catalogues()["en"]]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("No project is open: make or open one in the first step.",) * 2,
        (
            "What you chose holds no labelled recordings in a layout known here: write a metadata.csv, put a .txt "
            "beside each, or name its layout, one of audiofolder, librispeech.",
            "There are no texts to the recordings: put a .txt of the same name beside each, or a metadata.csv with "
            "their texts.",
        ),
        ("a {b} c", "a {b} c"),
    ],
)
def test_a_sentence_is_said_in_the_pages_words(sentence: str, words: str) -> None:
    assert in_words(sentence, words_in("en")) == words


def test_what_stands_for_a_name_is_set_apart_among_words_from_the_right() -> None:
    said = in_words("/home/me/set is not there: check the path.", words_in("ar"))
    assert "\u2068/home/me/set\u2069" in said
