"""The page's words: one catalogue a language in assets/page/texts, for labels (by the browser) and sentences (by us).

A window's language is the one that was chosen on the page (a cookie), else its browser's.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from http.cookies import CookieError, SimpleCookie
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from lect.engine.contract.files import ASSETS

from .plurals import form

FOLDER = ASSETS / "page" / "texts"
DEFAULT = "en"
COOKIE = "lect-language"  # page.js sets it
RIGHT_TO_LEFT = frozenset({"ar"})
ISOLATE, END_ISOLATE = "\u2068", "\u2069"
Entry = str | dict[str, str]  # a text; or one for each form of the language's plural, chosen by the value `count`
Say = Callable[..., str]  # say("key", count=3)


@cache
def catalogues() -> dict[str, dict[str, Entry]]:
    """Language -> key -> text, or its forms by number."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


@cache
def labels() -> gr.I18n:
    """For `mount_gradio_app`."""
    return gr.I18n(**{name: texts_of(name) for name in catalogues()})


def texts_of(language: str) -> dict[str, str]:
    """What has one form; the browser has no use for the others."""
    return {key: text for key, text in catalogues()[language].items() if isinstance(text, str)}


def label(key: str) -> I18nData:
    """A label that the browser shows in its language."""
    assert isinstance(catalogues()[DEFAULT][key], str), key
    return labels()(key)


def names() -> dict[str, str]:
    """Language -> what its speakers call it, the default first."""
    return {language: str(texts["language"]) for language, texts in sorted(catalogues().items(), key=_default_first)}


def language_of(header: str, cookies: str = "") -> str:
    """The language that was chosen, else the first of an Accept-Language header that there is a catalogue for."""
    if (chosen := _cookie(cookies)) in catalogues():
        return chosen
    for part in header.split(","):
        name = part.partition(";")[0].strip().partition("-")[0].lower()
        if name in catalogues():
            return name
    return DEFAULT


def language_for(headers: Mapping[str, str]) -> str:
    """The language of a request with these headers."""
    return language_of(headers.get("accept-language", ""), headers.get("cookie", ""))


def words_for(request: gr.Request) -> Say:
    """The catalogue in the language of a request."""
    return words_in(language_for(request.headers))


def duration(seconds: float, say: Say) -> str:
    """A length of time as people read it in their language."""
    if seconds < 60:
        return say("time_seconds", seconds=f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return say("time_minutes", minutes=minutes, seconds=f"{rest:02d}")
    return say("time_hours", hours=minutes // 60, minutes=f"{minutes % 60:02d}")


def words_in(language: str) -> Say:
    """A language's catalogue, as a function of a key and the values in its text."""
    texts = catalogues()[language]

    def say(key: str, **values: Any) -> str:
        entry = texts[key]
        chosen = entry if isinstance(entry, str) else entry[form(language, values["count"])]
        if language in RIGHT_TO_LEFT:  # else figures and names from the left would be set among words from the right
            values = {name: f"{ISOLATE}{value}{END_ISOLATE}" for name, value in values.items()}
        return chosen.format(**values)

    return say


def _default_first(item: tuple[str, Any]) -> tuple[bool, str]:
    return item[0] != DEFAULT, item[0]


def _cookie(cookies: str) -> str:
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
