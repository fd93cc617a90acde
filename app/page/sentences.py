"""The sentences that a project wants recorded: `sentences.tsv` in its folder, one a line, and why one is skipped.

What is recorded is not written there: a sentence is done by a speaker when a clip of theirs has it as its label.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lect.engine.contract.errors import TextError
from lect.engine.contract.files import write_bytes
from lect.engine.data.clips import Clip
from lect.engine.data.store import Project
from lect.engine.text.choosing import Choice, choose
from lect.engine.text.rules import nfc

FILE = "sentences.tsv"
LONG_CHARACTERS = 140  # takes longer than most can read in one breath, and near the 30 s that a clip may last
RARE_SHARE = 0.02  # of the sentences that have a character; below, it may be a slip
MANY_SENTENCES = 20  # before which nothing is called rare


@dataclass(frozen=True)
class Sentence:
    """One sentence to be read."""

    text: str
    skipped: str = ""  # why it is not to be read; "" when it is


@dataclass(frozen=True)
class Standing:
    """How far one speaker is."""

    sentences: list[Sentence]
    takes: dict[str, list[Clip]]  # a sentence's text -> the clips of this speaker that have it

    def done(self, index: int) -> bool:
        """Whether a sentence is recorded or skipped."""
        return bool(self.takes.get(self.sentences[index].text) or self.sentences[index].skipped)

    def first_gap(self, start: int = 0) -> int | None:
        """The next sentence from `start`, and round to the beginning, that is neither recorded nor skipped."""
        count = len(self.sentences)
        return next((at % count for at in range(start, start + count) if not self.done(at % count)), None)

    @property
    def recorded(self) -> int:
        """How many have a take."""
        return sum(bool(self.takes.get(sentence.text)) for sentence in self.sentences)


def read(project: Project) -> list[Sentence]:
    """The project's list; empty when there is none."""
    path = project.folder / FILE
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Sentence(row[0], row[1] if len(row) > 1 else "") for row in rows if row and row[0]]


def write(project: Project, sentences: Iterable[Sentence]) -> None:
    """Saves the list."""
    lines = (f"{one.text}\t{one.skipped}\n" if one.skipped else f"{one.text}\n" for one in sentences)
    write_bytes(project.folder / FILE, "".join(lines).encode())


def parse(text: str) -> list[str]:
    """Sentences of a TXT (one a line) or TSV (the column that holds the longest texts), each once, in NFC."""
    text = text.removeprefix("\ufeff")
    rows = [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE) if any(row)
    ]
    if not rows:
        return []
    column = _longest_column(rows)
    found = [" ".join(nfc(row[column]).split()) for row in rows if len(row) > column]
    if max(map(len, rows)) > 1 and found[0].lower() in ("sentence", "text", "transcription", "transcript"):
        found = found[1:]
    return list(dict.fromkeys(filter(None, found)))


def decode(data: bytes, name: str) -> str:
    """Text of a file in UTF-8 or UTF-16. Raises TextError for anything else."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextError(f"{name} is not text in UTF-8: save it as UTF-8 and choose it again.") from error


def add(project: Project, texts: Sequence[str]) -> int:
    """Adds the sentences that the list lacks; how many."""
    known = read(project)
    old = {sentence.text for sentence in known}
    new = [Sentence(text) for text in texts if text not in old]
    if new:
        write(project, [*known, *new])
    return len(new)


def helpful(project: Project, texts: Sequence[str], count: int) -> list[Choice]:
    """Up to so many of the texts, those first that bring a project most; compared under its text rules."""
    rules = project.rules
    recorded = (rules.apply(clip.text) for clip in project.clips())
    return choose([rules.apply(text) for text in texts], recorded, count)


def skip(project: Project, text: str, reason: str) -> None:
    """Says why a sentence is not to be read; "" takes that back."""
    reason = " ".join(reason.split())
    write(project, [Sentence(one.text, reason) if one.text == text else one for one in read(project)])


def standing(project: Project, speaker: str) -> Standing:
    """How far `speaker` is with the list."""
    takes: dict[str, list[Clip]] = {}
    for clip in project.clips():
        if clip.speaker == speaker:
            takes.setdefault(nfc(clip.text).strip(), []).append(clip)
    return Standing(read(project), takes)


def too_long(texts: Sequence[str]) -> list[str]:
    """Sentences that are hard to read in one go."""
    return [text for text in texts if len(text) > LONG_CHARACTERS]


def unusual(texts: Sequence[str]) -> list[str]:
    """Characters in very few of many sentences, which may be slips of the keyboard."""
    if len(texts) < MANY_SENTENCES:
        return []
    counts = Counter(character for text in texts for character in {*text.lower()})
    return sorted(character for character, count in counts.items() if count <= RARE_SHARE * len(texts))


def _longest_column(rows: Sequence[Sequence[str]]) -> int:
    width = max(map(len, rows))
    return max(range(width), key=lambda column: sum(len(row[column]) for row in rows if len(row) > column))
