"""Whispers that other programs keep on this computer: listed, and added with one click. Nothing is downloaded.

`lect backbone` and `lect export` look, copy the weights and make the graphs that transcribing needs, in processes of
their own: they load PyTorch, which the page's process would keep.
"""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lect.engine.contract.errors import LectError, UsageError
from lect.engine.contract.subprocesses import module_command

from ..output import size
from .backbones import Installed, installed, titled
from .events import bind, bind_pick, html_block, progressing
from .markup import notice, table, text
from .shared import Page
from .texts import Say, label, words_for

_one_at_a_time = threading.Lock()  # an export takes all cores, and two of one name would write one folder


@dataclass(frozen=True)
class Whisper:
    """One that is not as Lect needs it yet."""

    name: str
    kind: str  # whose format it is
    size: int  # bytes of weights
    path: str  # "": it was added, and lacks its graphs alone


def build(page: Page, step: str) -> list[Callable[..., Any]]:
    """The folded part, on this machine only; what it returns are the triggers of what a Whisper that was added changes.

    Whoever reaches the page from elsewhere has no business with this machine's files.
    """
    if not page.local:
        return []
    with gr.Accordion(label("found_title"), open=False, elem_id=f"found-{step}") as part:
        found = gr.State([])
        listed = html_block(elem_id=f"found-{step}-list", picks=True)
        said = html_block(elem_id=f"found-{step}-said")
    outputs = [found, listed, said]
    bind(part.expand, show, [], outputs)
    return [bind_pick(listed, add, [found], outputs).success]


def show(request: gr.Request) -> Iterator[tuple[Any, ...]]:
    """(the Whispers, their list, what is said)."""
    say = words_for(request)
    yield gr.skip(), "", notice(say("found_looking"))
    found = _look()
    yield found, _listed(found, say), ""


def add(picked: str, found: list[Whisper], request: gr.Request) -> Iterator[tuple[Any, ...]]:
    """Adds one and makes it ready; it goes on when the window is closed."""
    say, whisper = words_for(request), found[int(picked)]
    name = titled(whisper.name)
    yield found, "", notice(say("found_adding", name=name))
    try:
        for preparing, _ in progressing(lambda tell: _work(whisper, tell)):
            if preparing:
                yield found, "", notice(say("found_preparing", name=name))
    except (LectError, OSError):
        yield found, _listed(found, say), ""
        raise
    yield found, _listed(found, say), notice(say("found_added", name=name), "good")


def _work(whisper: Whisper, tell: Callable[[bool], None]) -> None:
    if not _one_at_a_time.acquire(blocking=False):
        raise UsageError("Another Whisper is being added: wait until it is there.")
    try:
        if whisper.path and not _here(whisper.name):
            _run("backbone", "add", whisper.path, "--name", whisper.name)
        tell(True)
        _run("export", "--backbone", whisper.name)
    finally:
        _one_at_a_time.release()


def _look() -> list[Whisper]:
    """Those of other programs, then those here that lack their graphs."""
    elsewhere = [Whisper(**one) for one in _run("backbone", "find")["found"]]
    names = {one.name for one in elsewhere}
    unready = [one for one in installed() if one.spells and not one.ready and one.folder.name not in names]
    return [*elsewhere, *(Whisper(one.folder.name, "Lect", one.bytes, "") for one in unready)]


def _run(*arguments: str) -> Any:
    command = module_command("lect", *arguments, "--quiet", "--json")
    ended = subprocess.run(command, capture_output=True, encoding="utf-8")
    if ended.returncode:
        raise UsageError((ended.stderr.strip().splitlines() or ["It ended early."])[-1].removeprefix("lect: "))
    return json.loads(ended.stdout)


def _here(name: str) -> Installed | None:
    return next((one for one in installed() if one.folder.name == name), None)


def _listed(found: list[Whisper], say: Say) -> str:
    if not found:
        return notice(say("found_none"))
    rows = [
        (text(one.name), text(one.kind), text(size(one.size)), _end(number, one, say))
        for number, one in enumerate(found)
    ]
    headings = [say("found_whisper"), say("found_kind"), say("export_size"), ""]
    return table(headings, rows, say("found_what"), numbers=(2,))


def _end(number: int, whisper: Whisper, say: Say) -> str:
    """What can be done with it."""
    same = _here(whisper.name)
    if same and same.ready:
        return f'<span class="muted">{text(say("found_here"))}</span>'
    words = say("found_prepare" if same else "found_add")
    named = f'aria-label="{text(words)}: {text(whisper.name)}"'
    return f'<button class="act" data-pick="{number}" {named}>{text(words)}</button>'
