"""Labelled sets in, clips out: whatever a layout lists is hashed, decoded, measured and kept, a few at a time.

What is wrong with one recording is reported, and the others go on. Does not know how a set lies on the disk
(`layouts`), how sound is decoded (`audio`), nor where clips are kept (`store`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine.audio import load_audio, probe
from engine.clips import Kept, Speaker, Take, make_take
from engine.errors import AudioError, LectError
from engine.files import sha256_file
from engine.layouts import LAYOUTS, Item, cell, read
from engine.quality import usable
from engine.store import Project
from engine.text import nfc

__all__ = ["LAYOUTS", "ImportReport", "Item", "Progress", "import_into", "read"]

LICENCE_COLUMNS = ("license", "licence")
CONSENT_COLUMNS = ("consent",)

BATCH_CLIPS = 16  # kept in one transaction: syncing them together takes little longer than syncing one
LONGEST_IMPORT_S = 600.0  # beyond, it is a session and not a clip; up to here the quality verdict says "too long"


@dataclass(frozen=True)
class Progress:
    """How far an import is; all of it is on the disk."""

    done: int  # recordings dealt with
    total: int  # recordings listed
    taken: int  # new clips among those dealt with


@dataclass
class ImportReport:
    """What became of a set."""

    taken: list[int] = field(default_factory=list)  # ids of the new clips
    duplicates: list[Path] = field(default_factory=list)  # the project has that sound, with that label
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # (file, why) of what was not taken
    warnings: list[tuple[Path, str]] = field(default_factory=list)  # (file, what) of clips taken all the same


def import_into(
    project: Project,
    source: Path,
    layout: str = "auto",
    *,
    select: Callable[[Item], bool] = lambda item: True,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> ImportReport:
    """Keeps what `source` lists and `select` accepts; `progress` is only told of what is committed and synced.

    It may be killed at any moment and run again: what is there already is recognised without decoding it. Raises what
    `read` raises before anything is written, and StoreError when the project cannot be written any further.
    """
    items = [item for item in read(source, layout) if select(item)]
    known = {clip.sha256: Kept(clip, duplicate=True, in_trash=False) for clip in project.clips()}
    known |= {clip.sha256: Kept(clip, duplicate=True, in_trash=True) for clip in project.trash()}
    project.save_speakers(_speakers(items, project.speakers()))
    report, batch = ImportReport(), list[tuple[Item, Take]]()
    for done, item in enumerate(items, start=1):
        try:
            if kept := known.get(_hash(item)):
                _note(report, item, kept)
            else:
                batch.append((item, _take(item)))
        except LectError as error:
            report.skipped.append((item.path, str(error)))
        if len(batch) == BATCH_CLIPS or done == len(items):
            for (one, _), kept in zip(batch, project.keep_all([take for _, take in batch]), strict=True):
                _note(report, one, kept)
            batch.clear()
        progress(Progress(done - len(batch), len(items), len(report.taken)))
    return report


def _hash(item: Item) -> str:
    if item.problem:
        raise AudioError(item.problem)
    try:
        return sha256_file(item.path)
    except OSError as error:
        raise AudioError(f"{item.path.name} cannot be read ({error.strerror}): check its permissions.") from error


def _take(item: Item) -> Take:
    assert item.text is not None, "a layout says what the problem is"
    seconds = probe(item.path).seconds
    if seconds > LONGEST_IMPORT_S:
        raise AudioError(f"{item.path.name} lasts {seconds / 60:.0f} minutes: cut it into sentences, and import those.")
    waveform = load_audio(item.path)
    return make_take(item.path, waveform, item.text, item.speaker, language=item.language, split=item.split)


def _note(report: ImportReport, item: Item, kept: Kept) -> None:
    """Enters in the report what became of an item."""
    clip, quality = kept.clip, kept.clip.quality
    if kept.in_trash:
        report.skipped.append((item.path, f"It was deleted from this project as clip {clip.id}: restore it instead."))
    elif not kept.duplicate:
        report.taken.append(clip.id)
        if quality.verdict != "good":
            unused = "" if usable(quality) else ", so no training uses it"
            report.warnings.append((item.path, f"The recording is {quality.verdict}{unused}."))
    elif nfc(clip.text).strip() == nfc(item.text or "").strip():
        report.duplicates.append(item.path)
    else:
        why = f"Two labels for one recording: clip {clip.id} keeps “{clip.text}”, “{item.text}” is left out."
        report.skipped.append((item.path, why))


def _speakers(items: Iterable[Item], existing: Iterable[Speaker]) -> list[Speaker]:
    """The speakers about whom the set says something new; what a user has entered stays."""
    known, changed = {speaker.name: speaker for speaker in existing}, {}
    for item in items:
        old = known.get(item.speaker, Speaker(item.speaker))
        consent = old.consent or cell(item.extra, CONSENT_COLUMNS)
        licence = old.licence or cell(item.extra, LICENCE_COLUMNS)
        new = Speaker(old.name, consent, licence, old.notes)
        if item.speaker and not item.problem and new != old:
            known[new.name] = changed[new.name] = new
    return list(changed.values())
