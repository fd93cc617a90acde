"""Small pieces of HTML. Whatever comes from a person or a file passes `text`, which escapes it."""

from collections.abc import Iterable, Sequence
from html import escape as text
from pathlib import Path

from lect.engine.data.clips import Clip

from . import recent
from .texts import Say, duration

__all__ = [
    "card",
    "chips",
    "editor",
    "empty",
    "figure_of",
    "label",
    "meter",
    "notice",
    "play",
    "player",
    "speech",
    "table",
    "text",
]


def speech(spoken: str) -> str:
    """A label or transcript: in the fonts that ship, in its own direction."""
    return f'<bdi class="speech">{text(spoken)}</bdi>'


def empty(sentence: str, button: str = "", step: str = "") -> str:
    """What a step shows while there is nothing to show; step: where the button leads."""
    action = f'<button class="act primary" data-step="{step}">{text(button)}</button>' if button else ""
    return f'<div class="empty"><p>{text(sentence)}</p>{action}</div>'


def notice(sentence: str, kind: str = "") -> str:
    """A sentence in a frame. kind: "", good, warn or bad."""
    return f'<div class="notice {kind}" role="status">{text(sentence)}</div>' if sentence else ""


def card(title: str, body: str) -> str:
    """A titled part."""
    return f'<section class="card"><h2>{text(title)}</h2>{body}</section>'


def chips(pairs: Iterable[tuple[str, str]]) -> str:
    """Figures in a row: (figure, what)."""
    inside = "".join(f"<div><b>{figure_of(figure)}</b><span>{text(what)}</span></div>" for figure, what in pairs)
    return f'<div class="chips">{inside}</div>'


def meter(share: float, sentence: str) -> str:
    """A bar that is filled to a share, with words beneath."""
    percent = round(100 * min(max(share, 0), 1), 1)
    aria = f'role="progressbar" aria-valuenow="{percent}" aria-valuemin="0" aria-valuemax="100"'
    bar = f'<div class="bar" {aria} aria-label="{text(sentence)}"><i style="width:{percent}%"></i></div>'
    return f'<div class="meter">{bar}<p>{text(sentence)}</p></div>'


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", numbers: Sequence[int] = ()
) -> str:
    """Cells are HTML; those in the columns `numbers` are figures, set to the end of their line."""
    kinds = [' class="number"' if column in numbers else "" for column in range(len(headings))]
    head = "".join(f'<th scope="col"{kind}>{text(heading)}</th>' for heading, kind in zip(headings, kinds, strict=True))
    body = "".join(f"<tr>{_cells(row, numbers)}</tr>" for row in rows)
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    inside = f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll" tabindex="0"><table>{inside}</table></div>'


def figure_of(figure: str) -> str:
    """A number with its unit, from the left wherever it stands."""
    return f'<bdi dir="ltr">{text(figure)}</bdi>'


def _cells(row: Sequence[str], numbers: Sequence[int]) -> str:
    return "".join(
        f'<td class="number">{figure_of(cell)}</td>' if at in numbers else f"<td>{cell}</td>"
        for at, cell in enumerate(row)
    )


def address(folder: Path, clip: Clip) -> str:
    """Where a clip's original is served."""
    return f"/project/{recent.key(folder)}/clip/{clip.id}"


def play(folder: Path, clip: Clip, name: str) -> str:
    """A small button that plays a clip."""
    named = f'aria-label="{text(name)}: {text(clip.text)}" title="{text(name)}"'
    return f'<button class="play" data-play="{address(folder, clip)}" {named}>▶</button>'


def player(folder: Path, clip: Clip) -> str:
    """The browser's own player, from the file as it was recorded: nothing is made louder."""
    return f'<audio controls preload="none" src="{address(folder, clip)}"></audio>'


def editor(pick: str, value: str, name: str, save: str, words: str = "") -> str:
    """A text that is edited where it stands: unfolded by a click, saved by a click or Enter (data-pick `pick`).

    words: what is clicked, a pencil when "".
    """
    opens = text(words) if words else '<span aria-hidden="true">✎</span>'
    kind, named = ("link", "") if words else ("icon", f' aria-label="{text(name)}: {text(value)}" title="{text(name)}"')
    field = f'<input type="text" dir="auto" value="{text(value)}" aria-label="{text(name)}">'
    return (
        f'<details class="edit"><summary class="{kind}"{named}>{opens}</summary><div data-form>{field}'
        f'<button class="act primary" data-pick="{text(pick)}">{text(save)}</button></div></details>'
    )


def onward(words: str, step: str, kind: str = "act primary") -> str:
    """A button that leads to another step; page.js opens it."""
    arrow = '<span class="arrow" aria-hidden="true">→</span>'
    return f'<button class="{kind}" data-step="{step}">{text(words)} {arrow}</button>'


def label(name: str, body: str) -> str:
    """A named fact."""
    return f"<dt>{text(name)}</dt><dd>{body}</dd>"


def length(clips: Iterable[Clip], say: Say) -> str:
    """All clips' time."""
    return duration(sum(clip.seconds for clip in clips), say)
