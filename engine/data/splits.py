"""Which clips teach (train), which choose the best step (dev), and which are kept for an honest score (test).

The same text is never on two sides, but for commands, all of which have to be learnt; and with enough speakers neither
is the same voice. What a rule costs is reported, never done quietly. Knows clips, no database; does not know the
project's text rules: texts are compared by the default ones, which call more texts the same than any others.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ..text.rules import TextRules
from ..text.vocabulary_building import are_commands
from .clips import SPLITS, UNKNOWN_SPEAKER, UNSPLIT, Clip

TINY_CLIPS = 40  # below, a tenth is too few to say anything
SHARES = {"test": 1 / 10, "dev": 1 / 10}
TINY_SHARES = {"test": 1 / 4, "dev": 1 / 8}  # meets the floor: 39 clips give 10 for the test
FLOOR_CLIPS = 10  # of test and of dev, from 40 clips on
ENOUGH_SPEAKERS = 5  # so that train has three voices at least
ACCEPTED_SIZE = (0.5, 2.0)  # of the aim, for test and dev when whole speakers are moved
MAX_DROPPED_SHARE = 0.1  # grouping by speaker is not worth more clips than this
TRIES = 20  # seeded orders of the speakers, of which the best is taken
SHOWN = 3  # examples in a sentence


@dataclass(frozen=True)
class SplitSize:
    """How large one split is."""

    clips: int
    seconds: float
    speakers: int  # named ones


@dataclass(frozen=True)
class SplitReport:
    """Where every clip goes, and why."""

    assignment: dict[int, str]  # clip id -> "train", "dev", "test", or "" for a clip that is not used
    rule: str  # what was done and why, in sentences
    dropped: list[tuple[int, str]]  # (clip id, why) of those that are not used
    leaks: list[str]  # what may make the score better than the truth, a sentence each
    counts: dict[str, SplitSize]  # by split
    seed: int  # the same clips and seed give the same report


@dataclass(frozen=True)
class _Task:
    clips: Sequence[Clip]  # the usable ones
    texts: Mapping[int, str]  # clip id -> its label in the form that is compared; of commands, one of its own
    unit: str  # what that is: "text" or "clip"
    given: Mapping[int, str]  # clip id -> the split that it keeps
    aims: Mapping[str, int]  # clips wanted in test and dev
    seed: int

    @property
    def free(self) -> list[Clip]:
        """The clips that still need a split."""
        return [clip for clip in self.clips if clip.id not in self.given]

    def text(self, clip: Clip) -> str:
        return self.texts[clip.id]


def assign(clips: Sequence[Clip], seed: int = 0, reassign: bool = False, apart: bool = False) -> SplitReport:
    """Splits `clips` about 80/10/10, the same way for the same clips and seed.

    A few short texts that are said again and again are commands, unless each text is to be kept `apart`, on one side,
    or is so in the splits that clips keep.

    Clips that have a split keep it, and new ones join their speaker and text, unless `reassign`. Where no clip was
    given to test or dev, these are drawn from train. Unusable clips and those that would leak get no split.
    """
    good = [clip for clip in clips if clip.usable]
    before = {} if reassign else {clip.id: clip.split for clip in good if clip.split}
    complete = {"dev", "test"} <= set(before.values())
    given = {id_: split for id_, split in before.items() if complete or split != "train"}
    texts = {clip.id: comparable(clip.text) for clip in good}
    rule = ""
    if not apart and are_commands([*texts.values()]) and not _are_apart(texts, given):
        rule = f"{len({*texts.values()})} short texts are said again and again: as commands, they are on all sides. "
        texts = {id_: str(id_) for id_ in texts}
    task = _Task(good, texts, "clip" if rule else "text", given, _aims(len(good)), seed)
    drawn, how = _draw(task, before)
    rule += how
    chosen = {**given, **drawn}
    return SplitReport(
        assignment={clip.id: chosen.get(clip.id, UNSPLIT) for clip in clips},
        rule=" ".join(filter(None, [_given_sentence(before, given), rule, _size_sentence(len(good), chosen)])),
        dropped=_dropped(clips, chosen, task),
        leaks=_leaks(task, chosen),
        counts={split: _size(clip for clip in good if chosen.get(clip.id) == split) for split in SPLITS},
        seed=seed,
    )


def _aims(clips: int) -> dict[str, int]:
    if clips >= TINY_CLIPS:
        return {split: max(FLOOR_CLIPS, round(share * clips)) for split, share in SHARES.items()}
    # One clip can only teach; of two, one can test.
    least = {"test": clips >= 2, "dev": clips >= 3}
    return {split: max(int(least[split]), round(share * clips)) for split, share in TINY_SHARES.items()}


def _are_apart(texts: Mapping[int, str], given: Mapping[int, str]) -> bool:
    sides = {(texts[id_], split) for id_, split in given.items()}
    return len({split for _, split in sides}) > 1 and len({text for text, _ in sides}) == len(sides)


def _draw(task: _Task, before: Mapping[int, str]) -> tuple[dict[int, str], str]:
    """Splits for the free clips, and the rule in words."""
    if not task.free:
        return {}, ""
    voices = {clip.speaker for clip in task.clips} - {UNKNOWN_SPEAKER}
    if task.given and len(set(before.values())) > 1:
        if _test_has_own_voices(task.clips, before):
            return _with_dev(task, _by_speaker(task, random.Random(task.seed))), "New clips join their speaker's split."
        return _by_text(task), f"New clips join their {task.unit}'s split: the splits share speakers already."
    if len(voices) < ENOUGH_SPEAKERS:
        why = f"fewer than {ENOUGH_SPEAKERS} speakers are named" if voices else "no speaker is named"
        return _by_text(task), f"Grouped by {task.unit} only, because {why}."
    if best := _best_by_speaker(task):
        return best, f"Grouped by speaker and by {task.unit}: each of the {len(voices)} speakers is in one split only."
    why = "whole speakers either miss the sizes or cost too many clips, because speakers read the same texts"
    return _by_text(task), f"Grouped by {task.unit} only: {why}."


def _best_by_speaker(task: _Task) -> dict[int, str] | None:
    """The best of some seeded tries that loses few clips and comes near the aims; None when no try does."""
    rng, total = random.Random(task.seed), len(task.free)
    tries = [_by_speaker(task, rng) for _ in range(TRIES)]

    def cost(drawn: dict[int, str]) -> tuple[int, int]:
        sizes = Counter([*task.given.values(), *drawn.values()])
        misses = sum(abs(sizes[split] - aim) for split, aim in task.aims.items())
        voices = {clip.speaker for clip in task.free if drawn.get(clip.id) == "test"}
        return misses + 2 * (total - len(drawn)), -len(voices)  # more voices make the better test of two

    def accepted(drawn: dict[int, str]) -> bool:
        sizes = Counter([*task.given.values(), *drawn.values()])
        low, high = ACCEPTED_SIZE
        near = all(low * aim <= sizes[split] <= high * aim for split, aim in task.aims.items())
        return near and total - len(drawn) <= MAX_DROPPED_SHARE * total

    return min(filter(accepted, tries), key=cost, default=None)


def _by_speaker(task: _Task, rng: random.Random) -> dict[int, str]:
    """Whole speakers to splits; of a text that then is on two sides, one side's free clips are left out."""
    homes = _homes(task, lambda clip: clip.speaker)
    homes.setdefault(UNKNOWN_SPEAKER, "train")
    homes |= _fill(_groups(task.free, lambda clip: clip.speaker, homes), _room(task, {}), task.aims, rng)
    placed = {clip.id: homes[clip.speaker] for clip in task.free}
    sides: dict[str, Counter[str]] = defaultdict(Counter)
    for id_, split in placed.items():
        sides[task.texts[id_]][split] += 1
    # The side with most clips stays, so that fewest are lost; test before train where they are equal.
    kept = {text: max(("test", "dev", "train"), key=lambda split: count[split]) for text, count in sides.items()}
    kept |= _homes(task, task.text)
    return {id_: split for id_, split in placed.items() if split == kept[task.texts[id_]]}


def _by_text(task: _Task) -> dict[int, str]:
    """Whole texts to splits."""
    homes = _homes(task, task.text)
    joined = {clip.id: homes[task.text(clip)] for clip in task.free if task.text(clip) in homes}
    groups = _groups(task.free, task.text, homes)
    homes = _fill(groups, _room(task, joined), task.aims, random.Random(task.seed))
    return {**joined, **{id_: split for text, split in homes.items() for id_ in groups[text]}}


def _with_dev(task: _Task, drawn: dict[int, str]) -> dict[int, str]:
    """Where train has too few voices to spare one for dev, dev takes texts of train instead: it only chooses steps."""
    if "dev" in {*task.given.values(), *drawn.values()}:
        return drawn
    others = {**task.given, **{id_: split for id_, split in drawn.items() if split != "train"}}
    teaching = [clip for clip in task.clips if drawn.get(clip.id) == "train"]
    clips = [clip for clip in task.clips if clip.id in others] + teaching
    return {**drawn, **_by_text(replace(task, clips=clips, given=others))}


def _homes(task: _Task, key: Callable[[Clip], str]) -> dict[str, str]:
    """The split of each speaker or text among the given clips; of one on several sides test, else train."""
    found: dict[str, str] = {}
    for split in ("dev", "train", "test"):
        found |= {key(clip): split for clip in task.clips if task.given.get(clip.id) == split}
    return found


def _groups(clips: Iterable[Clip], key: Callable[[Clip], str], without: Collection[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for clip in clips:
        if key(clip) not in without:
            groups[key(clip)].append(clip.id)
    return dict(groups)


def _room(task: _Task, joined: Mapping[int, str]) -> dict[str, int]:
    taken = Counter([*task.given.values(), *joined.values()])
    return {split: aim - taken[split] for split, aim in task.aims.items()}


def _fill(
    groups: Mapping[str, list[int]], room: Mapping[str, int], aims: Mapping[str, int], rng: random.Random
) -> dict[str, str]:
    """Group -> split: in a seeded order those that fit go to test, then to dev; the rest to train."""
    names, homes = sorted(groups), dict[str, str]()
    rng.shuffle(names)
    for split in ("test", "dev"):
        left = room[split]
        for name in names:
            if name not in homes and len(groups[name]) <= left:
                homes[name] = split
                left -= len(groups[name])
        others = [name for name in names if name not in homes]
        if left == aims[split] > 0 and len(others) > 1:  # all are too large, and an empty test is worse than that
            homes[min(others, key=lambda name: len(groups[name]))] = split
    return {name: homes.get(name, "train") for name in names}


def _test_has_own_voices(clips: Iterable[Clip], before: Mapping[int, str]) -> bool:
    clips = [clip for clip in clips if clip.id in before and clip.speaker != UNKNOWN_SPEAKER]
    tested = {clip.speaker for clip in clips if before[clip.id] == "test"}
    return bool(tested) and not tested & {clip.speaker for clip in clips if before[clip.id] != "test"}


def comparable(text: str) -> str:
    """A label in the form in which two are the same."""
    return TextRules().apply(text) or text


def _size(clips: Iterable[Clip]) -> SplitSize:
    clips = list(clips)
    seconds = round(sum(clip.seconds for clip in clips), 2)
    return SplitSize(len(clips), seconds, len({clip.speaker for clip in clips} - {UNKNOWN_SPEAKER}))


def _given_sentence(before: Mapping[int, str], given: Mapping[int, str]) -> str:
    if not before:
        return ""
    redrawn = len(before) - len(given)
    kept = f"{len(given)} clips keep the split they had." if given else ""
    drawn = f"{redrawn} train clips could be drawn again, because test or dev had none." if redrawn else ""
    return f"{kept} {drawn}".strip()


def _size_sentence(clips: int, chosen: Mapping[int, str]) -> str:
    tests = Counter(chosen.values())["test"]
    if clips >= TINY_CLIPS or not tests:
        return ""
    return (
        f"With fewer than {TINY_CLIPS} clips a quarter is kept for the test and an eighth for dev, since a tenth says "
        f"nothing: each of the {tests} test clips is {100 / tests:.0f} % of the score, so take it as a rough figure."
    )


def _dropped(clips: Iterable[Clip], chosen: Mapping[int, str], task: _Task) -> list[tuple[int, str]]:
    sides: dict[str, set[str]] = defaultdict(set)
    for id_, split in chosen.items():
        sides[task.texts[id_]].add(split)

    def why(clip: Clip) -> str:
        if clip.id not in task.texts:
            return f"The recording is {clip.quality.verdict}."
        return f"The same text is in {' and '.join(sorted(sides[task.text(clip)]))}, where the speaker is not."

    return [(clip.id, why(clip)) for clip in clips if clip.id not in chosen]


def _leaks(task: _Task, chosen: Mapping[int, str]) -> list[str]:
    used = [clip for clip in task.clips if clip.id in chosen]
    found = []
    for one, other in combinations(SPLITS, 2):
        if texts := _on_both(used, chosen, task.text, one, other):
            found.append(f"{_some(texts, 'text')} in both {one} and {other}: split again with --reassign.")
    for one, other in combinations(SPLITS, 2):
        if "test" in (one, other) and (voices := _on_both(used, chosen, lambda clip: clip.speaker, one, other)):
            found.append(f"{_some(voices, 'speaker')} in both {one} and {other}: a new voice may score worse.")
    unknown = sum(clip.speaker == UNKNOWN_SPEAKER for clip in used)
    if unknown:
        found.append(f"{unknown} clips do not say who speaks: the same voice may be on two sides.")
    if used and "test" not in chosen.values():
        found.append("No clip is left to test on: record other texts.")
    return found


def _on_both(
    clips: Sequence[Clip], chosen: Mapping[int, str], key: Callable[[Clip], str], one: str, other: str
) -> list[str]:
    first, second = ({key(clip) for clip in clips if chosen[clip.id] == split} for split in (one, other))
    return sorted((first & second) - {UNKNOWN_SPEAKER})


def _some(found: Sequence[str], what: str) -> str:
    shown = ", ".join(f"“{each}”" for each in found[:SHOWN])
    more = ", …" if len(found) > SHOWN else ""
    return f"{len(found)} {what}{'s' if len(found) > 1 else ''} ({shown}{more}) {'are' if len(found) > 1 else 'is'}"
