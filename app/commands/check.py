"""Reports on a project's clips and labels: what a training would use, what it could not, and what would help.

Fails when a clip cannot be used as it is: no usable sound, no label under the text rules, or a label of dev or test
with characters that no training clip has.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..options import add_project, open_project
from ..output import counted, duration, lines, print_result, table

if TYPE_CHECKING:
    from lect.engine.data.clips import Clip
    from lect.engine.data.review import Review
    from lect.engine.text.rules import SymbolCount

SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only the project."""
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Looks, and changes nothing."""
    from lect.engine.data.review import review

    from ..advice import advice

    found = review(open_project(args))
    sentences = advice(found)
    following = f"Next: {_next_command(found)} --project {args.project}"
    text = [*_described(found), "", *(f"- {each}" for each in [*sentences, following])]
    print_result(args, {**_values(found), "advice": sentences, "next": following}, "\n".join(text))
    return int(bool(found.problems))


def _next_command(found: "Review") -> str:
    if not found.clips:
        return "lect import SOURCE"
    return "lect train" if any(clip.split for clip in found.clips) else "lect split"


def _values(found: "Review") -> dict[str, Any]:
    """For machines."""
    return {
        "clips": len(found.clips),
        "excluded": found.excluded,
        "seconds": _seconds(found.clips),
        "splits": _sizes(found.splits),
        "speakers": _sizes(found.speakers),
        "verdicts": found.verdicts,
        "problems": [asdict(problem) for problem in found.problems],
        "inventory": [asdict(symbol) | {"script": symbol.script} for symbol in found.inventory],
    }


def _sizes(parts: "Mapping[str, Sequence[Clip]]") -> dict[str, dict[str, float]]:
    return {name: {"clips": len(part), "seconds": _seconds(part)} for name, part in parts.items()}


def _described(found: "Review") -> list[str]:
    """For people, all but advice."""
    named = len(found.speakers.keys() - {""})
    excluded = f"; {counted(found.excluded, 'clip')} left out" if found.excluded else ""
    text = [
        f"{counted(len(found.clips), 'clip')}, {_length(found.clips)}, {counted(named, 'named speaker')}{excluded}."
    ]
    rows = [(name or "none", len(part), _length(part)) for name, part in found.splits.items()]
    text += ["", table(("split", "clips", "length"), rows, right=(1, 2))]
    text += ["", "Recordings: " + ", ".join(f"{number} {verdict}" for verdict, number in found.verdicts.items()) + "."]
    if found.problems:
        text += ["", f"{counted(len(found.problems), 'clip')} cannot be used as they are:"]
        text += lines([f"  clip {p.clip} “{p.label}”: {p.why}" for p in found.problems], SHOWN)
    return [*text, "", *_symbols(found.inventory)]


def _symbols(inventory: "Sequence[SymbolCount]") -> list[str]:
    often = " ".join(symbol.symbol for symbol in inventory if not symbol.rare)
    rare = [(s.symbol, s.clips, " + ".join(s.names)) for s in inventory if s.rare]
    shown = [f"{counted(len(inventory), 'symbol')}: {often}"]
    if rare:
        shown += [f"{len(rare)} of them rare:", table(("symbol", "clips", "name"), rare[:SHOWN], right=(1,))]
        shown += [f"… and {len(rare) - SHOWN} more (--json lists all)"] if len(rare) > SHOWN else []
    return shown


def _seconds(clips: "Sequence[Clip]") -> float:
    from lect.engine.data.review import total_seconds

    return total_seconds(clips)


def _length(clips: "Sequence[Clip]") -> str:
    return duration(_seconds(clips))
