"""Choosing a folder of this machine by clicks, beside a field in which its path may be typed.

Only for a page that nobody else reaches: whoever browses learns what is there.
"""

import os
from pathlib import Path

import gradio as gr

from lect.engine.contract.errors import UsageError
from lect.engine.data.store import DATABASE

from .events import Pick, bind, bind_pick, html_block
from .markup import text
from .shared import Page
from .texts import Say, label, words_for

SHOWN = 300


def build(page: Page, field: gr.Textbox, elem_id: str) -> None:
    """The folded list of folders; what is clicked is in the field."""
    if not page.local:
        return
    with gr.Accordion(label("folders_title"), open=False, elem_id=elem_id) as part:
        inside = html_block(elem_id=f"{elem_id}-list", picks=True)
    bind(part.expand, show, [field], [inside])
    bind_pick(inside, enter, [], [field, inside])


def show(path: str, request: gr.Request) -> str:
    """The folders where the field points, else those of the user's own folder."""
    place = Path(path.strip() or "~").expanduser()
    return listed(place if place.is_dir() else Path.home(), words_for(request))


def enter(picked: Pick, request: gr.Request) -> tuple[str, str]:
    """(the path, the folders in it)."""
    place = Path(picked)
    if not place.is_dir():
        raise UsageError("That folder is gone: choose another.")
    return str(place), listed(place, words_for(request))


def listed(place: Path, say: Say) -> str:
    """A folder's own folders, and the way up."""
    try:
        names = sorted((one.name for one in os.scandir(place) if _shown(one)), key=str.casefold)
    except OSError:
        names = []
    up = [("..", place.parent, say("folders_up"))] if place.parent != place else []
    rows = [*up, *((name, place / name, "") for name in names[:SHOWN])]
    items = "".join(
        f'<li><button class="item" data-pick="{text(str(path))}"><span class="name">{text(name)} {text(more)}'
        f"{_kind(path)}</span></button></li>"
        for name, path, more in rows
    )
    none = "" if names else f'<p class="muted">{text(say("folders_none"))}</p>'
    return f'<p class="path" dir="ltr">{text(str(place))}</p><ul class="folders">{items}</ul>{none}'


def _shown(one: "os.DirEntry[str]") -> bool:
    return not one.name.startswith(".") and one.is_dir()


def _kind(path: Path) -> str:
    return " <b>Lect</b>" if (path / DATABASE).is_file() else ""
