"""A project's clips and labels looked at before a training: what it would use, what it could not, and what would help.

Changes nothing, and words nothing but why a clip cannot be used.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from ..text.rules import SymbolCount, TextRules, inventory
from ..text.vocabulary_building import build_vocabulary
from .clips import SPLITS, UNKNOWN_SPEAKER, UNSPLIT, Clip
from .labels import doubts
from .splits import assign
from .store import Project

ENOUGH_MINUTES = 10  # of usable sound make a good start
MANY = 0.1  # a verdict on a larger share of the clips is worth a word
UNBALANCED = 0.6  # of the clips by one of several speakers
LABEL_LETTERS = 40  # of a label that names its clip
RATE_FACTOR = 3.0  # a label this much faster or slower than the others is likely another clip's


@dataclass(frozen=True)
class Problem:
    """A clip that cannot be used as it is."""

    clip: int  # its id
    label: str  # its beginning
    why: str  # one sentence


@dataclass(frozen=True)
class Review:
    """What there is to know about a project's clips."""

    clips: list[Clip]  # all but the excluded
    excluded: int  # clips that are kept and not used
    inventory: list[SymbolCount]
    problems: list[Problem]
    misfits: list[int]  # ids of clips whose label is far too long or too short for the recording
    doubts: dict[str, list[int]]  # why a label may be none, a sentence -> ids of such clips
    leaks: list[str]  # what lets the test know the training, a sentence each; none before there are splits

    @property
    def splits(self) -> dict[str, list[Clip]]:
        """Clips by split, UNSPLIT last; no empty ones."""
        parts = {name: [clip for clip in self.clips if clip.split == name] for name in (*SPLITS, UNSPLIT)}
        return {name: part for name, part in parts.items() if part}

    @property
    def speakers(self) -> dict[str, list[Clip]]:
        """Clips by speaker, sorted by name; UNKNOWN_SPEAKER first, where there is one."""
        names = sorted({clip.speaker for clip in self.clips})
        return {name: [clip for clip in self.clips if clip.speaker == name] for name in names}

    @property
    def verdicts(self) -> dict[str, int]:
        """Clips by verdict, the most frequent first."""
        return dict(Counter(clip.quality.verdict for clip in self.clips).most_common())

    @property
    def frequent_verdicts(self) -> dict[str, int]:
        """The verdicts on more than MANY of the clips."""
        return {verdict: count for verdict, count in self.verdicts.items() if count > MANY * len(self.clips)}

    @property
    def usable(self) -> list[Clip]:
        """What a training takes."""
        return [clip for clip in self.clips if clip.usable]

    @property
    def clips_to_enough(self) -> int:
        """How many more clips of the usable ones' mean length make ENOUGH_MINUTES; 0 without a usable one."""
        usable = self.usable
        seconds = total_seconds(usable)
        return max(0, ceil((60 * ENOUGH_MINUTES - seconds) / (seconds / len(usable)))) if usable else 0

    @property
    def dominant_speaker(self) -> str:
        """The one of several speakers with more than UNBALANCED of the clips; "" where there is none."""
        named = {name: len(part) for name, part in self.speakers.items() if name != UNKNOWN_SPEAKER}
        most = max(named, key=named.__getitem__, default="")
        return most if len(named) > 1 and named[most] > UNBALANCED * len(self.clips) else ""


def review(project: Project) -> Review:
    """Looks at all clips; those that are excluded count no further."""
    everything, rules = project.clips(), project.rules
    clips = [clip for clip in everything if not clip.excluded]
    return Review(
        clips=clips,
        excluded=len(everything) - len(clips),
        inventory=inventory([clip.text for clip in clips], rules),
        problems=_problems(clips, rules),
        misfits=_misfits(clips, rules),
        doubts=_doubts(clips, rules),
        leaks=assign(clips).leaks if any(clip.split for clip in clips) else [],
    )


def total_seconds(clips: Sequence[Clip]) -> float:
    """Their length together, to a hundredth."""
    return round(sum(clip.seconds for clip in clips), 2)


def _problems(clips: Sequence[Clip], rules: TextRules) -> list[Problem]:
    train = [text for clip in clips if clip.split == "train" and (text := rules.apply(clip.text))]
    vocabulary = build_vocabulary(train) if train else None
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


def _problem(clip: Clip, why: str) -> Problem:
    fits = len(clip.text) <= LABEL_LETTERS
    return Problem(clip.id, clip.text if fits else clip.text[: LABEL_LETTERS - 1] + "…", why)


def _doubts(clips: Sequence[Clip], rules: TextRules) -> dict[str, list[int]]:
    found = defaultdict[str, list[int]](list)
    for clip in clips:
        for why in doubts(clip.text, clip.seconds, rules):
            found[why].append(clip.id)
    return dict(found)


def _misfits(clips: Sequence[Clip], rules: TextRules) -> list[int]:
    rates = {clip.id: len(rules.apply(clip.text)) / clip.seconds for clip in clips if clip.seconds > 0}
    usual = median(rates.values()) if rates else 0.0
    return [clip for clip, rate in rates.items() if not usual / RATE_FACTOR <= rate <= usual * RATE_FACTOR]
