"""Errors in the page's own words and in its language.

The engine's sentences also name options and commands of the command line, of which a person at the page knows nothing.
A catalogue in assets/page/errors says what the page says in place of a sentence: {name} stands for any words, and each
line of a sentence that no catalogue has is left as it is.
"""

import json
import re
import string
from functools import cache

from lect.engine.contract.files import ASSETS

from .texts import END_ISOLATE, ISOLATE, RIGHT_TO_LEFT, Say

FOLDER = ASSETS / "page" / "errors"


@cache
def catalogues() -> dict[str, dict[str, str]]:
    """Language -> the engine's sentence -> the page's."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def in_words(sentence: str, say: Say) -> str:
    """What the page says for a sentence of an error, in the language of `say`."""
    language = say("language_code")
    for pattern, words in _patterns(language):
        if found := pattern.fullmatch(sentence.strip()):
            values = found.groupdict()
            if language in RIGHT_TO_LEFT:
                values = {name: f"{ISOLATE}{value}{END_ISOLATE}" for name, value in values.items()}
            return words.format(**values)
    return sentence


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    return [(_pattern(sentence), words) for sentence, words in catalogues()[language].items()]


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = [
        re.escape(words) + (f"(?P<{name}>.+?)" if name else "")
        for words, name, _, _ in string.Formatter().parse(sentence)
    ]
    return re.compile("".join(parts), re.DOTALL)
