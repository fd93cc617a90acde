"""The page's words: one catalogue a language in assets/page/texts, for labels (by the browser) and sentences (by us).

Sentences of the engine and of its errors are English wherever they are shown.
"""

import json
from collections.abc import Callable
from functools import cache

import gradio as gr
from gradio.i18n import I18nData

from engine.files import ASSETS

FOLDER = ASSETS / "page" / "texts"
DEFAULT = "en"
RIGHT_TO_LEFT = frozenset({"ar"})
ISOLATE, END_ISOLATE = "\u2068", "\u2069"
Say = Callable[..., str]  # say("key", count=3)


@cache
def catalogues() -> dict[str, dict[str, str]]:
    """Language -> key -> text."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


@cache
def _labels() -> gr.I18n:
    return gr.I18n(**catalogues())


def labels() -> gr.I18n:
    """For `mount_gradio_app`."""
    return _labels()


def label(key: str) -> I18nData:
    """A label that the browser shows in its language."""
    assert key in catalogues()[DEFAULT], key
    return _labels()(key)


def language_of(header: str) -> str:
    """The first language of an Accept-Language header that there is a catalogue for, in the header's order."""
    for part in header.split(","):
        name = part.partition(";")[0].strip().partition("-")[0].lower()
        if name in catalogues():
            return name
    return DEFAULT


def words_for(request: gr.Request) -> Say:
    """The catalogue in the language of a request, as a function of a key and the values in its text."""
    language = language_of(request.headers.get("accept-language", ""))
    texts = catalogues()[language]

    def say(key: str, **values: object) -> str:
        if language in RIGHT_TO_LEFT:  # else figures and names from the left would be set among words from the right
            values = {name: f"{ISOLATE}{value}{END_ISOLATE}" for name, value in values.items()}
        return texts[key].format(**values)

    return say
