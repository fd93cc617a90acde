"""Stretches of a recording whose text a person has corrected, as clips that a training learns from.

Neither a recording nor a voice gets into two splits by it, and no text that is tested is learnt. Does not know how
texts are corrected.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .clips import SPLITS, UNSPLIT, Clip
from .importers import import_items
from .layouts import Item
from .splits import comparable
from .store import Project


@dataclass
class Taken:
    """What became of a recording's stretches."""

    split: str = UNSPLIT  # in which they all are; "": a training will split them with all others
    clips: dict[int, str] = field(default_factory=dict)  # number -> label, of all that there are of it now
    new: int = 0  # of these, those that are there for the first time, or again
    relabelled: int = 0  # of these
    removed: int = 0  # that were of it before, now in the project's trash
    left: list[tuple[Path, str]] = field(default_factory=list)  # (place, why) of what was not taken


def take_corrected(project: Project, items: Sequence[Item], before: Mapping[int, str]) -> Taken:
    """Makes clips of stretches of one recording, in place of those that were made of it before.

    before: as `Taken.clips` was. A clip that was relabelled since keeps that label, unless its text is corrected again.
    """
    others = [clip for clip in project.clips() if clip.id not in before and clip.usable]
    split = _split(others, items)
    leaks = _leaks(others, items, split) if split else {}
    report = import_items(project, [replace(each, split=split) for n, each in enumerate(items) if n not in leaks])
    project.restore([number for number, _ in report.trashed])
    known = {clip.id: clip for clip in project.clips()}
    again = [*report.differing, *report.trashed]
    mended = {number: item.text for number, item in again if item.text and item.text != before.get(number)}
    mended = {number: text for number, text in mended.items() if text != known[number].text}
    for number, text in mended.items():
        project.relabel(number, text)
    clips = {number: known[number].text for number in (*report.taken, *report.repeated)}
    clips |= {number: item.text or "" for number, item in again}
    gone = [number for number in before if number in known and number not in clips]
    project.delete(gone)
    settled = {item.place for _, item in again}
    left = [(items[n].place, why) for n, why in leaks.items()]
    left += [(place, why) for place, why in report.skipped if place not in settled]
    return Taken(split, clips, len(report.taken) + len(report.trashed), len(mended), len(gone), left)


def _split(others: Sequence[Clip], items: Sequence[Item]) -> str:
    """Of the recording: where most of it has to be for its voices' sake."""
    if not {"dev", "test"} <= {clip.split for clip in others}:
        return UNSPLIT
    seconds = dict.fromkeys(SPLITS, 0.0)
    for item in items:
        seconds[_home(others, item.speaker)] += item.end - item.start
    return max(SPLITS, key=lambda split: seconds[split])


def _home(others: Iterable[Clip], speaker: str) -> str:
    """The one split that a voice is in; of one in several, or in none, train."""
    homes = {clip.split for clip in others if clip.split and speaker and clip.speaker == speaker}
    return homes.pop() if len(homes) == 1 else "train"


def _leaks(others: Sequence[Clip], items: Sequence[Item], split: str) -> dict[int, str]:
    """The items that would make a score better than the truth, and why."""
    elsewhere: dict[str, set[str]] = defaultdict(set)
    for clip in others:
        if clip.split not in ("", split):
            elsewhere[comparable(clip.text)].add(clip.split)
    found = {}
    for number, item in enumerate(items):
        if (home := _home(others, item.speaker)) != split:
            found[number] = f"{item.speaker} is in {home}, and the others of this recording are in {split}."
        elif sides := elsewhere[comparable(item.text or "")]:
            found[number] = f"The same text is in {' and '.join(sorted(sides))}."
    return found
