"""Error rates that can be trusted: corpus level, with counts, intervals and the conditions they were measured under.

It scores texts, and knows neither models nor audio nor the rules of a language: those come as `normalise`. Texts are
always brought to NFC and single spaces, so that spelling the same letter in two ways is no error; marks are kept.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jiwer
import numpy as np

from ..contract.errors import UsageError
from ..text.slots import slots_of
from .bootstrap import Floats, Interval, draws, interval, rates
from .slot_scores import RATES, slot_counts, slot_rates

# Part of every rate's name: a rate over other units is another rate.
WER_UNIT = "words between spaces, after NFC"
CER_UNIT = "code points after NFC, spaces included"


@dataclass(frozen=True)
class Counts:
    """A minimal edit alignment, counted in words or in characters."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def length(self) -> int:
        """Units in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference unit, above 1 when much is inserted; where the reference is empty, 0 or 1."""
        return float(rates(np.array(self.errors), np.array(self.length)))


@dataclass(frozen=True)
class Row:
    """One scored utterance."""

    id: str
    speaker: str  # "" where unknown
    reference: str  # as scored: normalised
    hypothesis: str  # as scored: normalised
    words: Counts
    characters: Counts

    @property
    def wer(self) -> float:
        """Word error rate, a fraction."""
        return self.words.rate

    @property
    def cer(self) -> float:
        """Character error rate, a fraction."""
        return self.characters.rate


@dataclass(frozen=True)
class SlotScores:
    """How well slots were filled, see `slot_scores`; fractions, with 95 % intervals as error rates have them."""

    type_f1: float
    value_cer: float
    edit_f1_full: float
    edit_f1_part: float
    intervals: dict[str, Interval]  # by the rate's name; empty where there is only one thing to draw

    def describe(self) -> str:
        """The rates in one line."""
        shown = (("slot type F1", "type_f1"), ("slot edit F1", "edit_f1_full"), ("slot value CER", "value_cer"))
        return ", ".join(f"{name} {_shown(getattr(self, rate), self.intervals.get(rate))}" for name, rate in shown)


@dataclass(frozen=True)
class Conditions:
    """What a rate was measured on."""

    split: str  # "train", "dev", "test" or "" for none
    clips: int
    seconds: float  # of audio; 0 where unknown
    speakers: int  # 0 where unknown


@dataclass(frozen=True)
class Scores:
    """The error rates of one system on one set of utterances."""

    rows: tuple[Row, ...]
    words: Counts  # sums over the rows
    characters: Counts
    wer_interval: Interval | None  # 95 %, bootstrap; none where there is only one thing to draw
    cer_interval: Interval | None
    resampled: str  # what the bootstrap drew: "utterances" or "speakers"
    normalisation: str  # the name of the text rules applied to both sides
    conditions: Conditions
    baseline: tuple[float, float] | None = None  # WER and CER before adaptation, of the same utterances
    slots: SlotScores | None = None  # where references have slots; error rates count their marks as text

    @property
    def wer(self) -> float:
        """Corpus word error rate, a fraction: all errors over all reference words."""
        return self.words.rate

    @property
    def cer(self) -> float:
        """Corpus character error rate, a fraction: all errors over all reference characters."""
        return self.characters.rate

    def with_baseline(self, base: "Scores") -> "Scores":
        """These scores beside those of the unadapted system. Errors: as `compare`."""
        paired(base, self)
        return replace(self, baseline=(base.wer, base.cer))

    def describe(self) -> str:
        """The rates in one line with everything needed to read them."""
        on, slots = self.conditions, f", {self.slots.describe()}" if self.slots else ""
        cer, wer = _shown(self.cer, self.cer_interval), _shown(self.wer, self.wer_interval)
        return (
            f"CER {cer} ({CER_UNIT}), WER {wer}{slots}; 95% intervals over {self.resampled}; "
            f"split {on.split or 'none'}, clips {on.clips}, seconds {on.seconds:.0f}, "
            f"speakers {on.speakers or 'unknown'}, normalisation {self.normalisation}"
        )

    def to_json(self, *, rows: bool = True) -> dict[str, Any]:
        """A JSON object that `from_json` reads back, with or without the utterances."""
        value = {"wer": self.wer, "cer": self.cer, "wer_unit": WER_UNIT, "cer_unit": CER_UNIT, **asdict(self)}
        baseline = self.baseline and {"wer": self.baseline[0], "cer": self.baseline[1]}
        return value | {"baseline": baseline, "rows": value["rows"] if rows else []}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Scores":
        """The scores in a JSON object; rates follow from the counts. Errors: KeyError and TypeError on another's."""
        baseline, intervals = value["baseline"], (value["wer_interval"], value["cer_interval"])
        wer_interval, cer_interval = (interval and (interval[0], interval[1]) for interval in intervals)
        return cls(
            rows=tuple(_row(row) for row in value["rows"]),
            words=Counts(**value["words"]),
            characters=Counts(**value["characters"]),
            wer_interval=wer_interval,
            cer_interval=cer_interval,
            resampled=value["resampled"],
            normalisation=value["normalisation"],
            conditions=Conditions(**value["conditions"]),
            baseline=baseline and (baseline["wer"], baseline["cer"]),
            slots=_slot_scores(value.get("slots")),
        )


def score(
    references: Sequence[str],
    hypotheses: Sequence[str],
    ids: Sequence[str],
    *,
    normalisation: str,
    normalise: Callable[[str], str] | None = None,
    split: str = "",
    seconds: float = 0.0,
    speakers: Sequence[str] | None = None,
    seed: int = 0,
) -> Scores:
    """Scores hypotheses against references, one per utterance; `normalisation` names what `normalise` does.

    The intervals are percentiles of 1000 seeded bootstrap draws (Bisani and Ney 2004), of speakers where at least
    `MIN_SPEAKERS` are named and every utterance has one, else of utterances. Of very few they are too narrow.
    An empty reference is legitimate (silence): whatever is written there is inserted.
    Errors: UsageError when there is nothing to score or an id comes twice.
    """
    if not references:
        raise UsageError("There are no utterances to score: choose a split that has clips, or import and split some.")
    if len(set(ids)) < len(ids):
        raise UsageError("An utterance comes twice among those to score: give each its own id.")
    speakers = speakers if speakers is not None else [""] * len(ids)
    before, after = ([tidy(text, normalise) for text in texts] for texts in (references, hypotheses))
    words = [_counts(chunks) for chunks in jiwer.process_words(before, after).alignments]
    characters = [_counts(chunks) for chunks in jiwer.process_characters(before, after).alignments]
    rows = tuple(Row(*parts) for parts in zip(ids, speakers, before, after, words, characters, strict=True))
    conditions = Conditions(split, len(rows), seconds, len({*speakers} - {""}))
    return replace(_scores(rows, normalisation, conditions, seed), slots=_filled(rows, seed))


def pooled(several: Sequence[Scores], seed: int = 0) -> Scores:
    """Trainings that differ in their seed alone as one system, whose rates are the means of theirs.

    Counts are added up utterance by utterance, so that the intervals tell of the utterances, not of the seeds. The rows
    of several hold no hypotheses, and their slot scores no intervals. Errors: as `compare`.
    """
    if len(several) == 1:
        return several[0]
    pairs = [paired(several[0], each)[1] for each in several]
    rows = tuple(
        replace(one[0], hypothesis="", words=_sum([r.words for r in one]), characters=_sum([r.characters for r in one]))
        for one in zip(*pairs, strict=True)
    )
    slots = [each.slots for each in several if each.slots]
    means = {rate: float(np.mean([getattr(each, rate) for each in slots])) for rate in RATES if slots}
    found = _scores(rows, several[0].normalisation, several[0].conditions, seed)
    return replace(found, slots=SlotScores(**means, intervals={}) if slots else None)


def joined(several: Sequence[Scores], seed: int = 0) -> Scores:
    """Trainings on splits of their own as one system: every utterance counts as often as it was tested.

    A voice in two tests counts as two, so that the intervals tell of the trainings too.
    """
    rows = tuple(
        replace(row, id=f"{number}/{row.id}", speaker=row.speaker and f"{number}/{row.speaker}")
        for number, each in enumerate(several)
        for row in each.rows
    )
    first, on = several[0], [each.conditions for each in several]
    seconds, voices = sum(each.seconds for each in on), len({*speakers(rows)} - {""})
    found = _scores(rows, first.normalisation, Conditions(on[0].split, len(rows), seconds, voices), seed)
    return replace(found, slots=_filled(rows, seed))


def _scores(rows: tuple[Row, ...], normalisation: str, conditions: Conditions, seed: int) -> Scores:
    resampled, drawn = draws(speakers(rows), totals(rows), seed)
    return Scores(
        rows=rows,
        words=_sum([row.words for row in rows]),
        characters=_sum([row.characters for row in rows]),
        wer_interval=None if drawn is None else interval(rates(drawn[:, 0], drawn[:, 1])),
        cer_interval=None if drawn is None else interval(rates(drawn[:, 2], drawn[:, 3])),
        resampled=resampled,
        normalisation=normalisation,
        conditions=conditions,
    )


def totals(rows: Sequence[Row]) -> Floats:
    """(utterances, 4): errors and lengths, in words and in characters."""
    counts = [(r.words.errors, r.words.length, r.characters.errors, r.characters.length) for r in rows]
    return np.array(counts, np.float64)


def speakers(rows: Sequence[Row]) -> list[str]:
    """Of each utterance."""
    return [row.speaker for row in rows]


def paired(before: Scores, after: Scores) -> tuple[Sequence[Row], Sequence[Row]]:
    """The utterances of two systems, in one order. Errors: UsageError unless both scored the same ones alike."""
    others = {row.id: row for row in after.rows}
    if before.normalisation != after.normalisation or {row.id for row in before.rows} != others.keys():
        raise UsageError("These scores cannot be compared: score both systems on the same clips with the same rules.")
    pairs = [(row, others[row.id]) for row in before.rows]
    if any(row.reference != other.reference for row, other in pairs):
        raise UsageError("These scores cannot be compared: a label changed in between, so score both systems again.")
    return [row for row, _ in pairs], [other for _, other in pairs]


def _filled(rows: Sequence[Row], seed: int) -> SlotScores | None:
    if not any(slots_of(row.reference) for row in rows):
        return None
    counts = slot_counts([row.reference for row in rows], [row.hypothesis for row in rows])
    _, drawn = draws(speakers(rows), counts, seed)
    intervals = {} if drawn is None else dict(zip(RATES, map(interval, slot_rates(drawn).T), strict=True))
    return SlotScores(**dict(zip(RATES, map(float, slot_rates(counts.sum(0))), strict=True)), intervals=intervals)


def _slot_scores(value: Mapping[str, Any] | None) -> SlotScores | None:
    if value is None:
        return None
    return SlotScores(**{**value, "intervals": {name: (low, high) for name, (low, high) in value["intervals"].items()}})


def _shown(rate: float, interval: Interval | None) -> str:
    return f"{rate:.1%}" + (f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else "")


def tidy(text: str, normalise: Callable[[str], str] | None = None) -> str:
    """A text as it is scored: under `normalise`, in NFC, with single spaces."""
    return unicodedata.normalize("NFC", " ".join((normalise(text) if normalise else text).split()))


def _counts(chunks: Sequence[jiwer.AlignmentChunk]) -> Counts:
    found = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
    for chunk in chunks:
        found[chunk.type] += max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
    return Counts(found["equal"], found["substitute"], found["delete"], found["insert"])


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(
        *(sum(getattr(c, part) for c in counts) for part in ("hits", "substitutions", "deletions", "insertions"))
    )


def _row(value: Mapping[str, Any]) -> Row:
    return Row(**{**value, "words": Counts(**value["words"]), "characters": Counts(**value["characters"])})
