"""The sentences to record as a list: one jumps to a sentence, edits it, moves it or takes it out; a click each."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from lect.engine.contract.errors import UsageError
from lect.engine.data.store import Project

from . import sentences
from .events import Pick
from .markup import editor, speech, text
from .sentences import Sentence, Standing
from .texts import Say

SHOWN = 200  # rows, around the sentence in view


def shown(standing: Standing, at: int, say: Say, removed: tuple[int, str] | None = None) -> str:
    """The list; at: the sentence in view; removed: the place and text of one that can be brought back."""
    wanted = standing.sentences
    if not wanted and not removed:
        return ""
    first = min(max(0, at - SHOWN // 2), max(0, len(wanted) - SHOWN))
    rows = [_row(standing, each, at, say) for each in range(first, min(len(wanted), first + SHOWN))]
    if removed:
        place, words = removed
        undo = f'<button class="link" data-pick="bring:{place}" data-value="{text(words)}">{text(say("undo"))}</button>'
        rows.insert(min(place, len(rows)), f'<li><span role="status">{text(say("sentence_removed"))}</span>{undo}</li>')
    best = f'<button class="link" data-pick="best:0">{text(say("sentences_best"))}</button>' if len(wanted) > 2 else ""
    return f'{best}<ol class="sentences" aria-label="{text(say("sentences_list"))}">{"".join(rows)}</ol>'


def act(picked: Pick, project: Project) -> tuple[int, tuple[int, str] | None]:
    """Does what was clicked; (the sentence to show, one that can be brought back)."""
    kind, _, rest = picked.partition(":")
    place, _, mark = rest.partition(":")
    at, wanted = int(place), sentences.read(project)
    if kind == "bring":
        sentences.write(project, [*wanted[:at], Sentence(picked.value), *wanted[at:]])
        return at, None
    if kind == "best":
        sentences.write(project, _best_first(project, wanted))
        return 0, None
    if not (0 <= at < len(wanted) and _mark(wanted[at].text) == mark):
        raise UsageError("The list of sentences has changed in another window: open this step again.")
    if kind == "go":
        return at, None
    words = wanted[at].text
    where = ACTIONS[kind](wanted, at, picked.value)
    sentences.write(project, wanted)
    return where, (at, words) if kind == "remove" else None


def _best_first(project: Project, wanted: list[Sentence]) -> list[Sentence]:
    """Those first that teach a model most, of what is neither recorded nor skipped; the others as they were."""
    texts = ["" if one.skipped else one.text for one in wanted]
    first = [one.index for one in sentences.helpful(project, texts, len(wanted))]
    return [wanted[index] for index in [*first, *sorted({*range(len(wanted))} - {*first})]]


def _edit(wanted: list[Sentence], at: int, words: str) -> int:
    found = sentences.parse(words.replace("\t", " "))
    if len(found) != 1:
        raise UsageError("A sentence is one line of text: write it, or take the sentence out.")
    if any(one.text == found[0] for place, one in enumerate(wanted) if place != at):
        raise UsageError("That sentence is in the list already.")
    wanted[at] = replace(wanted[at], text=found[0])
    return at


def _move(wanted: list[Sentence], at: int, to: int) -> int:
    to = min(max(to, 0), len(wanted) - 1)
    wanted.insert(to, wanted.pop(at))
    return to


def _remove(wanted: list[Sentence], at: int, words: str) -> int:
    del wanted[at]
    return min(at, max(0, len(wanted) - 1))


ACTIONS: dict[str, Callable[[list[Sentence], int, str], int]] = {
    "edit": _edit,
    "up": lambda wanted, at, _: _move(wanted, at, at - 1),
    "down": lambda wanted, at, _: _move(wanted, at, at + 1),
    "remove": _remove,
}


def _row(standing: Standing, place: int, at: int, say: Say) -> str:
    one = standing.sentences[place]
    recorded = bool(standing.takes.get(one.text))
    state, mark = ("recorded", "✓") if recorded else ("skipped", "–") if one.skipped else ("open", "")
    here = ' aria-current="true"' if place == at else ""
    name = f"{place}:{_mark(one.text)}"
    how = f'<span class="state" title="{text(say(f"sentence_{state}"))}">{mark}</span><span>{place + 1}</span>'
    jump = f'<button class="jump" data-pick="go:{name}"{here}>{how}{speech(one.text)}</button>'
    signs = (("up", "↑"), ("down", "↓"), ("remove", "✕"))
    moves = "".join(_button(kind, sign, name, one.text, say) for kind, sign in signs)
    return f"<li>{jump}{editor(f'edit:{name}', one.text, say('sentence_edit'), say('save'))}{moves}</li>"


def _button(kind: str, sign: str, name: str, words: str, say: Say) -> str:
    title = text(say(f"sentence_{kind}"))
    named = f'aria-label="{title}: {text(words)}" title="{title}"'
    return f'<button class="icon" data-pick="{kind}:{name}" {named}>{sign}</button>'


def _mark(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:8]
