"""Words found in recordings, ranked, by what a CTC head heard; and a recording's finds as a transcript, to be written.

It does not know where what was heard is kept (`posterior_index`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lect.engine.contract.errors import UsageError
from lect.engine.decoding.spotting import spot
from lect.engine.text.rules import TextRules
from lect.engine.text.vocabulary import UNK, Vocabulary

from .posterior_index import Entry
from .transcript import Segment, TimedWord, Transcript

WORD_BOUNDARY = " "


@dataclass(frozen=True)
class Hit:
    """A place where a word may have been said."""

    recording: Path
    word: str
    start: float  # seconds
    end: float
    score: float  # see `spotting.Spot`


def spelled(word: str, rules: TextRules, vocabulary: Vocabulary) -> tuple[int, ...]:
    """A word's tokens. Raises UsageError for one that has none, or has symbols that the vocabulary lacks."""
    said = word if vocabulary.kind == "phone" else rules.apply(word)
    tokens = tuple(vocabulary.encode(said))
    if not tokens:
        raise UsageError(f"{word!r} has no letter that could be found: give a word.")
    if UNK in tokens:
        lacking = " ".join(vocabulary.unknown(said))
        raise UsageError(f"{word!r} has what this pack never wrote ({lacking}): spell it as in the pack's labels.")
    return tokens


def find(
    entries: Mapping[Path, Entry],
    words: Mapping[str, Sequence[int]],
    vocabulary: Vocabulary,
    least: float,
    whole: bool = True,
) -> list[Hit]:
    """Where each of `words` (its tokens) may be, best first.

    least: the lowest score; whole: not inside of longer words, where the vocabulary marks their boundaries.
    """
    places = [(path, entry, number) for path, entry in entries.items() for number in range(len(entry.pieces))]
    pieces = [entry.pieces[number] for _, entry, number in places]
    hits = list[Hit]()
    for word, tokens in words.items():
        for each in spot(pieces, tokens, least, _boundary(vocabulary) if whole else None) if pieces else ():
            path, entry, number = places[each.piece]
            start, end = (entry.starts[number] + frame * entry.hop for frame in (each.start, each.end))
            hits.append(Hit(path, word, round(start, 3), round(end, 3), each.score))
    return sorted(hits, key=lambda hit: -hit.score)


def _boundary(vocabulary: Vocabulary) -> int | None:
    """The token between words; None where there is none, as among subwords, which carry their own."""
    return vocabulary.tokens.index(WORD_BOUNDARY) if WORD_BOUNDARY in vocabulary.symbols else None


def as_transcript(hits: Sequence[Hit]) -> Transcript:
    """One recording's finds as segments; of those that overlap, the better."""
    chosen = list[Hit]()
    for hit in sorted(hits, key=lambda hit: -hit.score):
        if all(hit.end <= other.start or other.end <= hit.start for other in chosen):
            chosen.append(hit)
    chosen.sort(key=lambda hit: hit.start)
    words = [TimedWord(hit.word, hit.start, hit.end, hit.score) for hit in chosen]
    segments = tuple(Segment(word.start, word.end, word.text, (word,), word.confidence) for word in words)
    return Transcript(
        text=" ".join(word.text for word in words),
        segments=segments,
        skipped=(),
        words=tuple(words),
        confidence=max((word.confidence for word in words), default=0.0),
        seconds=max((word.end for word in words), default=0.0),
        real_time_factor=0.0,
        device="cpu",
        vad="silero",
        word_times="ctc",
    )
