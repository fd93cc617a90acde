"""What a project holds, as frozen records and as plain rows, and how a recording becomes a take that can be kept.

Knows no database and no folders (`store`), and no audio format (`audio`).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.quality import Quality, measure, usable
from ..contract.errors import AudioError, StoreError, TextError
from ..text.rules import TextRules

SPLITS = ("train", "dev", "test")
UNSPLIT = ""  # the split of a clip that no training and no score uses
UNKNOWN_SPEAKER = ""


@dataclass(frozen=True)
class Clip:
    """One recording with its label."""

    id: int  # never used again, not even after a deletion
    sha256: str  # of the original file's bytes
    path: Path  # absolute; the original, byte for byte
    seconds: float  # length
    text: str  # the label as given; the project's rules are applied at use
    speaker: str  # "" when unknown
    language: str  # BCP-47 or any name the user likes
    split: str  # "train", "dev", "test", or "" for none
    quality: Quality  # measured when the clip was kept
    excluded: bool = False  # kept, and not used

    @property
    def usable(self) -> bool:
        """Whether trainings and scores take it."""
        return not self.excluded and usable(self.quality)


@dataclass(frozen=True)
class Take:
    """A recording that is ready to be kept: measured, its waveform no longer needed."""

    source: Path | bytes  # the original: a file, or its bytes
    extension: str  # of the original, without the dot
    sound_sha256: str  # of the samples, so that the same sound in another container is recognised
    quality: Quality
    text: str  # the label as given
    speaker: str = UNKNOWN_SPEAKER
    language: str = ""  # "" is the project's
    split: str = UNSPLIT

    def original(self) -> bytes:
        """The original's bytes. Raises AudioError when its file cannot be read any more."""
        if isinstance(self.source, bytes):
            return self.source
        try:
            return self.source.read_bytes()
        except OSError as error:
            raise AudioError(
                f"{self.source.name} cannot be read ({error.strerror}): check that it is still there."
            ) from error


@dataclass(frozen=True)
class Kept:
    """What became of a take."""

    clip: Clip  # the new clip, or the one that has this sound already
    duplicate: bool  # nothing was written: the sound was there
    in_trash: bool  # it was there, but had been deleted: `restore` brings it back


@dataclass(frozen=True)
class Edit:
    """One action on clips that were kept, which can be undone."""

    made: str  # ISO 8601, UTC
    before: dict[int, dict[str, Any]]  # clip id -> the columns that it changed, as they were


@dataclass(frozen=True)
class Speaker:
    """A voice, and what its owner allows."""

    name: str  # as the clips name it
    consent: str = ""  # what was agreed to, in free words
    licence: str = ""  # of the recordings, such as "CC0-1.0"
    notes: str = ""
    uses: Mapping[str, str] = field(
        default_factory=dict
    )  # of `consent.USES` -> yes or no; what is not there: not asked

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Speaker":
        """From the database."""
        return cls(**{**row, "uses": json.loads(row["uses"])})

    def row(self) -> dict[str, Any]:
        """For the database."""
        return {**asdict(self), "uses": to_json(dict(self.uses))}


@dataclass(frozen=True)
class Community:
    """Whose language or tradition the recordings are of, and what it allows."""

    name: str = ""
    consent: str = ""  # what was agreed to, in free words
    licence: str = ""  # of all recordings whose speaker states none
    labels: tuple[str, ...] = ()  # codes of Local Contexts' labels
    uses: Mapping[str, str] = field(default_factory=dict)  # of `consent.USES` -> yes, no, or ask each person

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Community":
        """From what the project keeps."""
        return cls(**{**value, "labels": tuple(value.get("labels", ()))})


@dataclass(frozen=True)
class Run:
    """One training."""

    id: str  # "001", "002", …
    created: str  # ISO 8601, UTC
    method: str  # "prompt", "adapter", "fine-tune", …
    settings: dict[str, Any]  # as given at its start
    status: str  # "created" first; then what the training says
    facts: dict[str, Any]  # found out on the way: best step, seconds, device, …
    folder: Path  # absolute; events and checkpoints


@dataclass(frozen=True)
class Score:
    """Figures of one run on one split."""

    run: str  # the run's id
    split: str
    created: str  # ISO 8601, UTC
    figures: dict[str, Any]  # rates with their counts and conditions


@dataclass(frozen=True)
class Pack:
    """A pack that was made from a run."""

    run: str  # the run's id
    path: Path  # absolute
    sha256: str  # of the pack file
    created: str  # ISO 8601, UTC


def make_take(
    source: Path | tuple[bytes, str],
    waveform: NDArray[np.float32],
    text: str,
    speaker: str = UNKNOWN_SPEAKER,
    *,
    language: str = "",
    split: str = UNSPLIT,
) -> Take:
    """Measures a recording. source: its file, or (bytes, extension); waveform: (samples,) float32 at 16 kHz.

    Raises TextError when the label is empty.
    """
    original, extension = (source, source.suffix) if isinstance(source, Path) else source
    check_label(text)
    assert split in (*SPLITS, UNSPLIT), split
    pcm = np.round(np.clip(waveform, -1, 1) * 32767).astype("<i2")
    sound = hashlib.sha256(pcm.tobytes()).hexdigest()
    return Take(original, _safe_extension(extension), sound, measure(waveform), text, speaker.strip(), language, split)


def check_label(text: str) -> None:
    """Raises TextError for a label that says nothing."""
    if not text.strip():
        raise TextError("The label is empty: write what is said in the recording.")


def _safe_extension(extension: str) -> str:
    # It becomes part of a file name, and may come from a stranger's table.
    return re.sub(r"[^a-z0-9]", "", extension.lower())[:8] or "audio"


def project_row(name: str, language: str, rules: TextRules) -> dict[str, Any]:
    """A new project's settings as the one row of their table."""
    settings = {"id": 1, "name": name, "language": language, "rules": to_json(rules.to_json())}
    return {**settings, "created": now(), "split_rule": "", "split_seed": 0}


def clip_row(take: Take, sha256: str, language: str) -> dict[str, Any]:
    """A take as a new row of the table of clips, all but its number; sha256: of the original's bytes."""
    return {
        "sha256": sha256,
        "sound_sha256": take.sound_sha256,
        "extension": take.extension,
        "seconds": take.quality.seconds,
        "text": take.text,
        "speaker": take.speaker,
        "language": language,
        "split": take.split,
        "quality": to_json(asdict(take.quality)),
        "added": now(),
        "trashed": None,
    }


@contextmanager
def undamaged(table: str) -> Iterator[None]:
    """Raises StoreError where a row holds what no Lect wrote there."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise StoreError(
            f"The project's database is damaged (a row of {table}: {error!s:.100}): open a copy of the project instead."
        ) from error


@undamaged("clips")
def clip_of(row: dict[str, Any], path: Path) -> Clip:
    """The clip of a row; path: where its original lies."""
    same = ("id", "sha256", "seconds", "text", "speaker", "language", "split")
    quality, excluded = Quality(**json.loads(row["quality"])), bool(row.get("excluded"))  # a new row has no word on it
    return Clip(**{name: row[name] for name in same}, path=path, quality=quality, excluded=excluded)


@undamaged("edits")
def edit_of(row: dict[str, Any]) -> Edit:
    """The edit of a row."""
    return Edit(row["made"], {int(clip): columns for clip, columns in json.loads(row["before"]).items()})


def run_row(settings: dict[str, Any]) -> dict[str, Any]:
    """A new run as a row, all but its number."""
    start = {"created": now(), "method": str(settings.get("method", "")), "status": "created"}
    return {**start, "settings": to_json(settings), "facts": "{}"}


@undamaged("runs")
def run_of(row: dict[str, Any], folder: Path) -> Run:
    """The run of a row; folder: where its files lie."""
    return Run(
        id=run_name(row["id"]),
        created=row["created"],
        method=row["method"],
        settings=json.loads(row["settings"]),
        status=row["status"],
        facts=json.loads(row["facts"]),
        folder=folder,
    )


def run_name(number: int) -> str:
    """A run's id and folder name, sorted by age in any listing."""
    return f"{number:03d}"


def to_json(value: Any) -> str:
    """One line of JSON, any script readable; NaN is our own mistake and raises ValueError."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
