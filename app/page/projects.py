"""All projects as a list: search, open, rename, delete to the trash and bring back."""

import time
from pathlib import Path

from lect.engine.contract.errors import UsageError
from lect.engine.data.store import Project

from ..output import size
from . import languages, recent, watch
from .events import Pick
from .markup import card, editor, figure_of, notice, text
from .texts import Say, duration

SHOWN = 50
MANY = 5  # projects, above which there is a field to search


def listed(search: str, opened: str, say: Say, message: str = "") -> str:
    """The list but for the open project; message: HTML above it."""
    folders = [folder for folder in recent.recent() if str(folder) != opened]
    found = [(folder, one) for folder in folders if (one := recent.facts_of(folder)) and _matches(folder, one, search)]
    items = "".join(_item(folder, one, say) for folder, one in found[:SHOWN])
    more = notice(say("projects_more", count=len(found) - SHOWN)) if len(found) > SHOWN else ""
    new = f'<button class="act" data-pick="new">{text(say("project_new"))}</button>' if opened else ""
    body = message + (f'<ul class="projects">{items}</ul>{more}' if items else "") + new + _trash(say)
    return card(say("project_others" if opened else "project_list"), body) if body else ""


def act(picked: Pick, opened: str, say: Say) -> tuple[str, str]:
    """Does what was clicked; (the folder of the project that is open now, a message as HTML)."""
    kind, _, name = picked.partition(":")
    if kind == "new":
        return "", ""
    if kind == "restore":
        there = next((folder for folder in recent.trash() if recent.key(folder) == name), None)
        if there is None:
            raise UsageError("That project is no longer in the trash.")
        recent.remember(recent.bring_back(there))
        return opened, ""
    project = recent.by_key(name)
    if project is None:
        raise UsageError("That project is gone from its place: open it where it is now.")
    if kind == "open":
        recent.remember(project)
        return str(project.folder), ""
    if kind == "rename":
        project.set_name(picked.value.strip() or project.name)
        return opened, ""
    return opened, _delete(project, say)


def _delete(project: Project, say: Say) -> str:
    if any(watch.look(run).live or run.status == "queued" for run in project.runs()):
        raise UsageError("A training is going on in that project: stop it first.")
    title = project.name
    place = recent.discard(project)
    return _with_undo(notice(say("project_trashed", name=title)), place, say)


def _with_undo(said: str, place: Path, say: Say) -> str:
    return f'<div class="undo">{said}{_bring(place, say("undo"))}</div>'


def _bring(place: Path, words: str) -> str:
    return f'<button class="link" data-pick="restore:{recent.key(place)}">{text(words)}</button>'


def _trash(say: Say) -> str:
    rows = []
    for place in recent.trash()[:SHOWN]:
        if one := recent.facts_of(place):
            what = f"<span>{text(one.name)} · {figure_of(size(one.bytes))}</span>"
            rows.append(f"<li>{what}{_bring(place, say('bring_back'))}</li>")
    if not rows:
        return ""
    title = text(say("project_trash", count=len(rows)))
    return f'<details class="trash"><summary>{title}</summary><ul>{"".join(rows)}</ul></details>'


def _matches(folder: Path, one: recent.Facts, search: str) -> bool:
    words = f"{one.name} {folder.name} {languages.shown(one.language)}".casefold()
    return all(word in words for word in search.casefold().split())


def _item(folder: Path, one: recent.Facts, say: Say) -> str:
    name = recent.key(folder)
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(recent.changed(folder)))
    facts = [
        languages.shown(one.language),
        say("count_clips", count=one.clips),
        duration(one.seconds, say),
        size(one.bytes),
    ]
    lines = f"<span>{text(' · '.join(facts))}</span><span>{figure_of(when)} · {figure_of(str(folder))}</span>"
    delete = f'<button class="icon" data-pick="delete:{name}" title="{text(say("clips_delete"))}" '
    delete += f'aria-label="{text(say("clips_delete"))}: {text(one.name)}">✕</button>'
    return (
        f'<li><button class="item" data-pick="open:{name}"><b>{text(one.name)}</b>{lines}</button>'
        f"{editor(f'rename:{name}', one.name, say('project_rename'), say('save'))}{delete}</li>"
    )
