"""Reports on a project's clips and labels: what a training would use, what it could not, and what would help.

Fails when a clip cannot be used as it is: no usable sound, no label under the text rules, or a label of dev or test
with characters that no training clip has.
"""

import argparse
from collections import Counter
from dataclasses import asdict, dataclass
from math import ceil
from statistics import median
from typing import TYPE_CHECKING, Any

from lect.app.options import add_project, open_project
from lect.app.output import counted, duration, lines, print_result, table

if TYPE_CHECKING:
    from lect.engine.data.clips import Clip
    from lect.engine.data.store import Project
    from lect.engine.text.rules import SymbolCount, TextRules

SHOWN = 12
SHORT_LABEL = 40  # characters of a label that are shown
MANY = 0.1  # a verdict on a larger share of the clips is worth a word
UNBALANCED = 0.6  # of the clips by one of several speakers
ENOUGH_MINUTES = 10
RATE_FACTOR = 3.0  # a label this much faster or slower than the others is likely another clip's
ADVICE = {
    "noisy": "record in a quieter place, or nearer to the microphone",
    "too quiet": "go nearer to the microphone, or turn its level up",
    "clipped": "turn the microphone's level down",
    "cut off": "wait a moment before and after speaking",
    "empty": "check that the right microphone records",
}


@dataclass(frozen=True)
class Problem:
    """A clip that cannot be used as it is."""

    clip: int
    label: str
    why: str


@dataclass(frozen=True)
class Report:
    """All that is said about a project."""

    clips: "list[Clip]"  # all but those that are left out
    excluded: int  # clips that are left out
    inventory: "list[SymbolCount]"
    problems: list[Problem]
    advice: list[str]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "clips": len(self.clips),
            "excluded": self.excluded,
            "seconds": round(sum(clip.seconds for clip in self.clips), 2),
            "splits": {name: {"clips": len(part), "seconds": _seconds(part)} for name, part in self.splits().items()},
            "speakers": {
                name: {"clips": len(part), "seconds": _seconds(part)} for name, part in self.speakers().items()
            },
            "verdicts": self.verdicts(),
            "problems": [asdict(problem) for problem in self.problems],
            "inventory": [asdict(symbol) | {"script": symbol.script} for symbol in self.inventory],
            "advice": self.advice,
        }

    def splits(self) -> "dict[str, list[Clip]]":
        """Clips by split, "" last."""
        return {
            name: part for name in ("train", "dev", "test", "") if (part := [c for c in self.clips if c.split == name])
        }

    def speakers(self) -> "dict[str, list[Clip]]":
        """Clips by speaker."""
        names = sorted({clip.speaker for clip in self.clips})
        return {name: [clip for clip in self.clips if clip.speaker == name] for name in names}

    def verdicts(self) -> dict[str, int]:
        """Clips by verdict, the most frequent first."""
        return dict(Counter(clip.quality.verdict for clip in self.clips).most_common())

    def describe(self) -> str:
        """For people."""
        speakers = self.speakers()
        named = len(speakers.keys() - {""})
        left_out = f"; {counted(self.excluded, 'clip')} left out" if self.excluded else ""
        text = [
            f"{counted(len(self.clips), 'clip')}, {_length(self.clips)}, {counted(named, 'named speaker')}{left_out}."
        ]
        rows = [(name or "none", len(part), _length(part)) for name, part in self.splits().items()]
        text += ["", table(("split", "clips", "length"), rows, right=(1, 2))]
        text += [
            "",
            "Recordings: " + ", ".join(f"{number} {verdict}" for verdict, number in self.verdicts().items()) + ".",
        ]
        if self.problems:
            text += ["", f"{counted(len(self.problems), 'clip')} cannot be used as they are:"]
            text += lines([f"  clip {p.clip} “{p.label}”: {p.why}" for p in self.problems], SHOWN)
        text += ["", *self._symbols()]
        return "\n".join([*text, "", *(f"- {each}" for each in self.advice)])

    def _symbols(self) -> list[str]:
        often = " ".join(symbol.symbol for symbol in self.inventory if not symbol.rare)
        rare = [(s.symbol, s.clips, " + ".join(s.names)) for s in self.inventory if s.rare]
        shown = [f"{counted(len(self.inventory), 'symbol')}: {often}"]
        if rare:
            shown += [f"{len(rare)} of them rare:", table(("symbol", "clips", "name"), rare[:SHOWN], right=(1,))]
            shown += [f"… and {len(rare) - SHOWN} more (--json lists all)"] if len(rare) > SHOWN else []
        return shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only the project."""
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Looks, and changes nothing."""
    report = report_on(open_project(args))
    following = f"Next: {_next_command(report)} --project {args.project}"
    print_result(args, report.to_json() | {"next": following}, f"{report.describe()}\n- {following}")
    return int(bool(report.problems))


def report_on(project: "Project") -> Report:
    """Looks, and changes nothing; clips that are left out count no further."""
    from lect.engine.text.rules import inventory

    everything, rules = project.clips(), project.rules
    clips = [clip for clip in everything if not clip.excluded]
    symbols = inventory([clip.text for clip in clips], rules)
    excluded = len(everything) - len(clips)
    return Report(clips, excluded, symbols, _problems(clips, rules), _advice(clips, rules, symbols))


def _next_command(report: Report) -> str:
    if not report.clips:
        return "lect import SOURCE"
    return "lect train" if any(clip.split for clip in report.clips) else "lect split"


def _problems(clips: "list[Clip]", rules: "TextRules") -> list[Problem]:
    from lect.engine.text.vocabulary_building import build_vocabulary

    taught = [text for clip in clips if clip.split == "train" and (text := rules.apply(clip.text))]
    vocabulary = build_vocabulary(taught) if taught else None
    found = []
    for clip in clips:
        text = rules.apply(clip.text)
        lacking = vocabulary.unknown(text) if vocabulary and clip.split in ("dev", "test") else []
        if not clip.usable:
            found.append(_problem(clip, f"The recording is {clip.quality.verdict}."))
        elif not text:
            found.append(_problem(clip, "Nothing is left of its label under the project's text rules."))
        elif lacking:
            symbols = ", ".join(lacking)
            found.append(_problem(clip, f"No training clip has {symbols}, which this {clip.split} label has."))
    return found


def _problem(clip: "Clip", why: str) -> Problem:
    return Problem(clip.id, clip.text if len(clip.text) <= SHORT_LABEL else clip.text[: SHORT_LABEL - 1] + "…", why)


def _advice(clips: "list[Clip]", rules: "TextRules", symbols: "list[SymbolCount]") -> list[str]:
    if not clips:
        return ["There is no clip yet: record or import some."]
    verdicts = Counter(clip.quality.verdict for clip in clips)
    advice = [
        f"{counted(number, 'clip')} {verdict}: {ADVICE[verdict]}."
        for verdict, number in verdicts.items()
        if verdict in ADVICE and number > MANY * len(clips)
    ]
    return [*_amount(clips), *advice, *_voices(clips), *_rare(symbols), *_misfits(clips, rules), *_leaks(clips)]


def _amount(clips: "list[Clip]") -> list[str]:
    """How many clips like these make a good start."""
    good = [clip for clip in clips if clip.usable]
    lacking = 60 * ENOUGH_MINUTES - _seconds(good)
    if not good or lacking <= 0:
        return []
    more = ceil(lacking / (_seconds(good) / len(good)))
    return [
        f"There are {_length(good)} to use: {counted(more, 'clip')} more like these make {ENOUGH_MINUTES} minutes, "
        "a good start."
    ]


def _voices(clips: "list[Clip]") -> list[str]:
    voices = Counter(clip.speaker for clip in clips)
    if voices.pop("", 0):
        return ["Some clips do not say who speaks: then nothing tells whether the test hears a new voice."]
    if len(voices) == 1:
        return ["There is one speaker: others may be understood worse than the scores say."]
    name, most = voices.most_common(1)[0]
    if most <= UNBALANCED * len(clips):
        return []
    return [f"{name} speaks {most} of {len(clips)} clips: record the others more, or they will be understood worse."]


def _rare(symbols: "list[SymbolCount]") -> list[str]:
    """Symbols that a training hardly meets."""
    rare = [one.symbol for one in symbols if one.rare]
    if not rare:
        return []
    named = " ".join(rare[:SHOWN]) + (" …" if len(rare) > SHOWN else "")
    return [f"Record more sentences with {named}, or correct the labels where these are slips."]


def _misfits(clips: "list[Clip]", rules: "TextRules") -> list[str]:
    """Labels whose length does not suit their recording's."""
    rates = {clip.id: len(rules.apply(clip.text)) / clip.seconds for clip in clips if clip.seconds > 0}
    usual = median(rates.values()) if rates else 0
    odd = [name for name, rate in rates.items() if not usual / RATE_FACTOR <= rate <= usual * RATE_FACTOR]
    if not odd:
        return []
    named = ", ".join(map(str, odd[:SHOWN])) + (", …" if len(odd) > SHOWN else "")
    return [f"Listen to clip {named}: the label is far too long or too short for the recording."]


def _leaks(clips: "list[Clip]") -> list[str]:
    from lect.engine.data.splits import assign

    return assign(clips).leaks if any(clip.split for clip in clips) else []


def _seconds(clips: "list[Clip]") -> float:
    return round(sum(clip.seconds for clip in clips), 2)


def _length(clips: "list[Clip]") -> str:
    return duration(_seconds(clips))
