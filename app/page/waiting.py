"""Takes that wait to be kept or discarded: in the project's folder, with the sentence and the speaker beside each.

A take is there when its JSON file is, which is written last.
"""

import json
import shutil
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lect.engine.audio.reading import Samples, load_audio
from lect.engine.contract.files import atomic_path, read_json, write_json
from lect.engine.data.clips import Take, make_take
from lect.engine.data.store import Project

FOLDER = "waiting"


@dataclass(frozen=True)
class Waiting:
    """One take."""

    path: Path
    sentence: str
    speaker: str  # who was named when it was recorded

    @property
    def name(self) -> str:
        """What it is called in addresses."""
        return self.path.stem

    def read(self) -> tuple[Take, Samples]:
        """The take with its verdict, and its samples at 16 kHz; decoded and measured once."""
        return _read(self.path, self.sentence)


def put(project: Project, source: Path, sentence: str, speaker: str) -> Waiting:
    """Moves a recording in, synced. Raises AudioError, and keeps nothing, when it cannot be read."""
    made = Waiting(project.folder / FOLDER / f"{uuid.uuid4().hex}{source.suffix or '.wav'}", sentence, speaker)
    with atomic_path(made.path) as temporary:
        shutil.copyfile(source, temporary)
    try:
        made.read()
    except Exception:
        made.path.unlink()
        raise
    write_json(made.path.with_suffix(".json"), {"file": made.path.name, "sentence": sentence, "speaker": speaker})
    source.unlink(missing_ok=True)
    return made


def get(project: Project, name: str) -> Waiting | None:
    """A take by its name, if it still waits."""
    return next((each for each in _all(project) if each.name == name), None)


def of_speaker(project: Project, speaker: str) -> Waiting | None:
    """The one that has waited longest for this speaker."""
    return next((each for each in _all(project) if each.speaker == speaker), None)


def drop(take: Waiting) -> None:
    """Forgets a take: it was kept, or is discarded."""
    take.path.with_suffix(".json").unlink(missing_ok=True)
    take.path.unlink(missing_ok=True)


def _all(project: Project) -> list[Waiting]:
    notes = sorted((project.folder / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime)
    found = []
    for note in notes:
        try:
            facts = read_json(note)
            one = Waiting(note.with_name(facts["file"]), facts["sentence"], facts["speaker"])
        except (OSError, json.JSONDecodeError, KeyError):  # another window has just dropped it
            continue
        if one.path.is_file():
            found.append(one)
    return found


@lru_cache(4)
def _read(path: Path, sentence: str) -> tuple[Take, Samples]:
    samples = load_audio(path)
    return make_take(path, samples, sentence, ""), samples
