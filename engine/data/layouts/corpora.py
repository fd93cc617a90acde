"""Layouts of published corpora: LibriSpeech, Multilingual LibriSpeech and Audio SNIPS.

Sources: the READMEs of these corpora; for Audio SNIPS, S3PRL's recipe for SUPERB (s3prl/downstream/ctc/snips.yaml).
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...contract.errors import TextError, UsageError
from ...text.slots import from_snips
from .finding import labelled, unlisted
from .items import Item, decode, files_in, sounds_in, split_of

MLS_LANGUAGES = {
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "polish": "pl",
    "portuguese": "pt",
    "spanish": "es",
}
LIMITED = "limited_supervision"
SNIPS_TABLE = "all.iob.snips.txt"
SNIPS_SPEAKERS = {  # SUPERB's choice: a voice is in one split only
    "train": frozenset("Ivy Joanna Joey Justin Kendra Kimberly Matthew Salli".split()),
    "dev": frozenset("Aditi Amy Geraint Nicole".split()),
    "test": frozenset("Brian Emma Raveena Russell".split()),
}


def librispeech(source: Path) -> Iterator[Item]:
    """`[SUBSET/]SPEAKER/CHAPTER/*.trans.txt` with `ID TEXT` in each line, and `ID.flac` beside it."""
    tables = [path for path in files_in(source) if path.name.endswith(".trans.txt")]
    if not tables:
        raise UsageError(f"{source} has no .trans.txt in it: name the folder of LibriSpeech or of one of its subsets.")
    listed = set()
    for table in tables:
        for name, text in pairs_of(table):
            item = labelled(table.parent / name, text, table, source)
            listed.add(item.path)
            yield replace(item, speaker=name.split("-")[0], split=split_of(table, source))
    yield from unlisted(source, listed, ".trans.txt")


def mls(source: Path) -> Iterator[Item]:
    """`{train,dev,test}/transcripts.txt` with `ID<TAB>TEXT`, and `audio/SPEAKER/BOOK/ID.flac` or `.opus`.

    A source inside of `train/limited_supervision` is the clips that the handles.txt below it name. What segments.txt
    says (the original recording, and where in it) is kept in `extra`.
    """
    if LIMITED in source.parts:
        yield from _limited(source)
        return
    tables = [path for path in files_in(source) if path.name == "transcripts.txt"]
    if not tables:
        raise UsageError(f"{source} has no transcripts.txt in it: name a folder of Multilingual LibriSpeech.")
    for table in tables:
        yield from _mls_items(table, split_of(table, source))


def snips(source: Path) -> Iterator[Item]:
    """`all.iob.snips.txt` with `ID BOS TEXT EOS<TAB>O SLOTS INTENT`, and `{train,valid,test}/ID.wav`.

    The text is the inline form of its slots. Only SUPERB's speakers of a split get that split, the others get none.
    """
    table = next((path for path in files_in(source) if path.name == SNIPS_TABLE), None)
    if table is None:
        raise UsageError(f"{source} has no {SNIPS_TABLE}: name the folder of Audio SNIPS as SUPERB prepares it.")
    found = {item.path.stem: item.path for item in sounds_in(table.parent)}
    listed = set()
    for name, line in pairs_of(table):
        speaker = name.split("-")[0]
        item = _slotted(labelled(found.get(name, table.parent / name), line, table, source))
        split = split_of(item.path, table.parent)
        listed.add(item.path)
        yield replace(item, speaker=speaker, split=split if speaker in SNIPS_SPEAKERS.get(split, ()) else "")
    yield from unlisted(table.parent, listed, SNIPS_TABLE)


def _slotted(item: Item) -> Item:
    try:
        return replace(item, text=item.text and from_snips(item.text))
    except TextError as error:
        return replace(item, problem=item.problem or str(error))


def pairs_of(table: Path) -> Iterator[tuple[str, str]]:
    """(id, rest) of each line that is not empty. Raises TextError when the file cannot be read."""
    for line in filter(str.strip, decode(table).split("\n")):
        name, *rest = line.strip().split(None, 1)
        yield name, rest[0] if rest else ""


def _mls_items(table: Path, split: str) -> Iterator[Item]:
    folder = table.parent
    language = next((MLS_LANGUAGES.get(part.split("_")[1], "") for part in folder.parts if part.startswith("mls_")), "")
    segments = folder / "segments.txt"
    origins = dict(pairs_of(segments)) if segments.is_file() else {}
    for name, text in pairs_of(table):
        speaker, *book = os.path.basename(name).split("_")[:2]
        item = labelled(folder.joinpath("audio", speaker, *book, os.path.basename(name)), text, table, folder)
        cells = dict(zip(("origin", "origin_start", "origin_end"), origins.get(name, "").split(), strict=False))
        yield replace(item, speaker=speaker, language=language, split=split, extra=cells)


def _limited(source: Path) -> Iterator[Item]:
    train = Path(*source.parts[: source.parts.index(LIMITED)])
    table = train / "transcripts.txt"
    handles = [path for path in files_in(source) if path.name == "handles.txt"]
    if not handles or not table.is_file():
        raise UsageError(f"{source} has no handles.txt in it, or {train} no transcripts.txt: put both there.")
    wanted = {name: path.parent.relative_to(train / LIMITED) for path in handles for name, _ in pairs_of(path)}
    for item in _mls_items(table, "train"):
        if (part := wanted.pop(item.path.stem, None)) is not None:
            yield replace(item, extra={**item.extra, "part": part.as_posix()})
    for name in wanted:
        yield Item(train / name, None, problem=f"{table.name} has no line for {name}: get that file again.")
