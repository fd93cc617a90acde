"""Labelled sets in, clips out: whatever a layout lists is hashed, decoded, measured and kept, a few at a time.

A stretch of a longer recording becomes a clip of its own, a FLAC file of what the models read of it: then a project
stays whole when the recording moves, one speaker's clips can be deleted for good, and training never decodes an hour
for a sentence. What is wrong with one recording is reported, and the others go on. Does not know how a set lies on the
disk (`layouts`), how sound is decoded (`audio`), nor where clips are kept (`store`).
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..audio.quality import Quality, usable
from ..audio.reading import Samples, each_stretch, load_audio, notes, probe
from ..audio.writing import encoded
from ..contract.errors import AudioError, LectError
from ..contract.files import sha256_file
from ..text.rules import TextRules, nfc
from .clips import Kept, Speaker, Take, make_take
from .labels import doubts
from .layouts import Item, cell, choose, left_over, listed
from .store import Project

LICENCE_COLUMNS = ("license", "licence")
CONSENT_COLUMNS = ("consent",)

BATCH_CLIPS = 16  # kept in one transaction: syncing them together takes little longer than syncing one
LONGEST_IMPORT_S = 600.0  # beyond, it is a session and not a clip; up to here the quality verdict says "too long"
EDGE_SLACK_S = 0.5  # annotations may end a little after their recording: tools round its length in their own ways
WHOLE_SLACK_S = 0.01  # a stretch that leaves less than this of its recording is all of it


@dataclass(frozen=True)
class Progress:
    """How far an import is; all of it is on the disk."""

    done: int  # recordings dealt with
    total: int  # recordings listed
    taken: int  # new clips among those dealt with


@dataclass(frozen=True)
class Candidate:
    """A recording, or a stretch of one, that could be taken."""

    sha256: str  # of the bytes that would be kept
    take: Callable[[], Take]  # decodes and measures it, if that is not done yet; raises LectError


@dataclass
class ImportReport:
    """What became of a set."""

    taken: list[int] = field(default_factory=list)  # ids of the new clips
    duplicates: list[Path] = field(default_factory=list)  # the project has that sound, with that label
    repeated: list[int] = field(default_factory=list)  # ids of the clips that it has them as
    differing: list[tuple[int, Item]] = field(default_factory=list)  # the clip that keeps another label; skipped too
    trashed: list[tuple[int, Item]] = field(default_factory=list)  # the clip in the trash; skipped too
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # (file, why) of what was not taken
    warnings: list[tuple[Path, str]] = field(default_factory=list)  # (file, what) of clips taken all the same
    left: list[Path] = field(default_factory=list)  # other files of the folder


def import_into(
    project: Project,
    source: Path,
    layout: str = "auto",
    *,
    tiers: Sequence[str] = (),
    select: Callable[[Item], bool] = lambda item: True,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> ImportReport:
    """Keeps what `source` lists and `select` accepts; `progress` counts only what is committed and synced.

    It may be killed at any moment and run again: what is there already is recognised without decoding it. Raises what
    `read` raises before anything is written, and StoreError when the project cannot be written any further.
    """
    everything = list(listed(source, layout))
    items = [item for item in choose(everything, tiers) if select(item)]
    report = import_items(project, items, progress)
    report.left = left_over(source, everything)
    return report


def import_items(
    project: Project, items: Sequence[Item], progress: Callable[[Progress], None] = lambda progress: None
) -> ImportReport:
    """As `import_into`, of what is listed already."""
    rules = project.rules
    known = {clip.sha256: Kept(clip, duplicate=True, in_trash=False) for clip in project.clips()}
    known |= {clip.sha256: Kept(clip, duplicate=True, in_trash=True) for clip in project.trash()}
    project.save_speakers(_speakers(items, project.speakers()))
    report = ImportReport()
    batch = list[tuple[Item, Take]]()
    for done, (item, found) in enumerate(candidates(items), start=1):
        try:
            if isinstance(found, LectError):
                raise found
            if kept := known.get(found.sha256):
                _note(report, item, kept, rules)
            else:
                batch.append((item, found.take()))
        except LectError as error:
            report.skipped.append((item.place, str(error)))
        if len(batch) == BATCH_CLIPS or done == len(items):
            for (one, _), kept in zip(batch, project.keep_all([take for _, take in batch]), strict=True):
                _note(report, one, kept, rules)
            batch.clear()
        progress(Progress(done - len(batch), len(items), len(report.taken)))
    return report


def candidates(items: Iterable[Item]) -> Iterator[tuple[Item, Candidate | LectError]]:
    """Each item with what could be taken of it, or why not; the stretches of one recording together."""
    groups: dict[Path | int, list[Item]] = {}
    for number, item in enumerate(items):
        groups.setdefault(item.path if item.is_stretch and not item.problem else number, []).append(item)
    for path, group in groups.items():
        if isinstance(path, Path) and not _is_whole(group):
            yield from zip(group, _stretches(path, group), strict=True)
        else:
            yield from ((item, _whole(item)) for item in group)


def warnings_of(item: Item, quality: Quality, rules: TextRules) -> list[str]:
    """What a clip is taken in spite of, a sentence each."""
    unused = "" if usable(quality) else ", so no training uses it"
    verdict = [] if quality.verdict == "good" else [f"The recording is {quality.verdict}{unused}."]
    return [*verdict, *notes(item.path), *doubts(item.text or "", quality.seconds, rules)]


def _is_whole(group: Sequence[Item]) -> bool:
    """Whether these stretches of one recording are a single one that is all of it."""
    if len(group) > 1 or group[0].start > WHOLE_SLACK_S:
        return False
    try:
        return group[0].end > probe(group[0].path).seconds - WHOLE_SLACK_S
    except AudioError:
        return True  # it says what is wrong when it is taken


def _whole(item: Item) -> Candidate | LectError:
    if item.problem:
        return AudioError(item.problem)
    try:
        return Candidate(sha256_file(item.path), lambda: _take(item))
    except OSError as error:
        return AudioError(f"{item.path.name} cannot be read ({error.strerror}): check its permissions.")


def _take(item: Item) -> Take:
    seconds = probe(item.path).seconds
    if seconds > LONGEST_IMPORT_S:
        raise AudioError(f"{item.path.name} lasts {seconds / 60:.0f} minutes: cut it into sentences, and import those.")
    return _made(item, item.path, load_audio(item.path))


def _stretches(path: Path, group: Sequence[Item]) -> list[Candidate | LectError]:
    """What could be taken of the stretches of one recording, which is decoded once."""
    found: dict[int, Candidate | LectError] = {}
    try:
        stated = probe(path).seconds
        short = [n for n, item in enumerate(group) if min(item.end, stated) - item.start <= LONGEST_IMPORT_S]

        def use(index: int, waveform: Samples) -> None:
            found[short[index]] = _stretch(group[short[index]], waveform)

        seconds = each_stretch(path, [(group[n].start, group[n].end) for n in short], use)
    except LectError as error:
        return [error] * len(group)
    for number, item in enumerate(group):
        if item.start >= seconds or seconds + EDGE_SLACK_S < item.end < math.inf:
            found[number] = AudioError(f"{item.place.name} ends after its recording: does it belong to another one?")
        elif number not in found:
            found[number] = AudioError(f"{item.place.name} lasts over {LONGEST_IMPORT_S:g} s: cut it into sentences.")
    return [found[number] for number in range(len(group))]


def _stretch(item: Item, waveform: Samples) -> Candidate | LectError:
    data = encoded(waveform, "FLAC")
    # What that file gives back.
    stored = np.rint(waveform * np.float32(32_768)).clip(-32_768, 32_767) / np.float32(32_768)
    try:
        take = _made(item, (data, "flac"), stored)
    except LectError as error:
        return error
    return Candidate(hashlib.sha256(data).hexdigest(), lambda: take)


def _made(item: Item, source: Path | tuple[bytes, str], waveform: Samples) -> Take:
    assert item.text is not None, "a layout says what the problem is"
    return make_take(source, waveform, item.text, item.speaker, language=item.language, split=item.split)


def _note(report: ImportReport, item: Item, kept: Kept, rules: TextRules) -> None:
    """Enters in the report what became of an item."""
    clip = kept.clip
    if kept.in_trash:
        report.skipped.append((item.place, f"It was deleted from this project as clip {clip.id}: restore it instead."))
        report.trashed.append((clip.id, item))
    elif not kept.duplicate:
        report.taken.append(clip.id)
        report.warnings += [(item.place, each) for each in warnings_of(item, clip.quality, rules)]
    elif nfc(clip.text).strip() == nfc(item.text or "").strip():
        report.duplicates.append(item.place)
        report.repeated.append(clip.id)
    else:
        why = f"Two labels for one recording: clip {clip.id} keeps “{clip.text}”, “{item.text}” is left out."
        report.skipped.append((item.place, why))
        report.differing.append((clip.id, item))


def _speakers(items: Iterable[Item], existing: Iterable[Speaker]) -> list[Speaker]:
    """The speakers about whom the set says something new; what a user has entered stays."""
    known, changed = {speaker.name: speaker for speaker in existing}, {}
    for item in items:
        old = known.get(item.speaker, Speaker(item.speaker))
        consent = old.consent or cell(item.extra, CONSENT_COLUMNS)
        licence = old.licence or cell(item.extra, LICENCE_COLUMNS)
        new = replace(old, consent=consent, licence=licence)
        if item.speaker and not item.problem and new != old:
            known[new.name] = changed[new.name] = new
    return list(changed.values())
