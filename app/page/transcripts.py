"""Transcripts as the page shows them and as its files are made of. It does not know how speech becomes text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.page.diff import marked
from app.page.markup import card, table, text
from app.page.texts import Say

UNSURE = 0.6  # a word below is marked

Result = Mapping[str, Any]  # a file's name, and what was heard in it or why nothing was: {"file", "error"}


def shown(names: Sequence[str], results: Sequence[Sequence[Result]], total: int, say: Say) -> str:
    """What the packs `names` heard, recording by recording; a second pack's text is marked where it differs."""
    rows = [(text(heard[0]["file"]), _texts(names, heard, say), _figures(heard[0])) for heard in results]
    caption = say("transcribe_progress", done=len(results), total=say("count_recordings", count=total))
    return card(say("transcribe_heard"), table([say("column_file"), say("column_heard"), ""], rows, caption))


def editable(results: Sequence[Result]) -> str:
    """The texts, a segment a line; with the recording's name in front where there are several."""
    lines = [(one["file"], part["text"]) for one in results for part in segments(one)]
    return "\n".join(words if len(results) == 1 else f"{name}\t{words}" for name, words in lines)


def as_json(results: Sequence[Result], pack: str, device: str) -> str:
    """What the files that are saved are made of."""
    files = [{**one, "segments": segments(one)} for one in results]
    return json.dumps({"pack": pack, "device": device, "files": files}, ensure_ascii=False)


def segments(one: Result) -> list[dict[str, Any]]:
    """Stretches of a recording with their texts; the whole of it where the runtime tells no stretches."""
    if not one.get("text"):
        return []
    whole = [{"start": 0.0, "end": one["seconds"], "text": one["text"]}]
    return [dict(part) for part in one.get("segments") or whole]


def _texts(names: Sequence[str], heard: Sequence[Result], say: Say) -> str:
    if len(heard) == 1:
        return _words(heard[0], say)
    second = heard[1]
    beside = (
        _words(second, say) if "error" in second or "error" in heard[0] else marked(heard[0]["text"], second["text"])
    )
    pairs = zip(names, (_words(heard[0], say), beside), strict=True)
    return (
        f'<div class="texts">{"".join(f"<div><span>{text(name)}</span>{words}</div>" for name, words in pairs)}</div>'
    )


def _words(one: Result, say: Say) -> str:
    if "error" in one:
        return f'<span class="bad">{text(one["error"])}</span>'
    if not one["text"]:
        return f'<span class="muted">{text(say("transcribe_silence"))}</span>'
    return f'<bdi class="speech">{" ".join(map(_word, one["words"]))}</bdi>'


def _word(word: Mapping[str, Any]) -> str:
    kind = ' class="unsure"' if word["confidence"] < UNSURE else ""
    return f'<span{kind} title="{word["confidence"]:.0%}">{text(word["text"])}</span>'


def _figures(one: Result) -> str:
    if "error" in one:
        return ""
    sure = [f"{one['confidence']:.0%}"] if one["text"] else []
    told = " · ".join([*sure, f"{one['seconds']:.1f} s", f"×{one['real_time_factor']:.2f}"])
    return f'<span class="muted figures" dir="ltr">{told}</span>'
