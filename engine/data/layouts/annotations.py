"""Long recordings with a file that says what is spoken when: which recording a file is about, and which tiers count."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ...contract.errors import AudioError, TextError, UsageError
from .elan import parse as parse_elan
from .flex import parse as parse_flex
from .items import LOSSLESS_SUFFIXES, SOUND_SUFFIXES, Item, Tier, beginning_of, files_in, same_name, split_of
from .praat import parse as parse_praat
from .spans import CUES, POINT_TIER, Annotated, Annotation
from .subtitles import parse_srt, parse_vtt
from .timed import is_timed, parse_timed

Parser = Callable[[bytes, str], Annotated]

MOST_BYTES = 64_000_000  # of an annotation file; twenty times the largest seen
SHOWN_TIERS = 12


@dataclass(frozen=True)
class AnnotationLayout:
    """One kind of annotation file."""

    what: str  # for people
    parsers: dict[str, Parser]  # by ending

    def holds(self, path: Path) -> bool:
        """Whether a file is of this kind."""
        if path.suffix.lower() not in self.parsers:
            return False
        return path.suffix.lower() != ".txt" or is_timed(beginning_of(path))

    def __call__(self, source: Path) -> Iterator[Item]:
        """The annotations of all tiers of one file, or of all files in a folder, each with its recording."""
        root = source if source.is_dir() else source.parent
        everything = list(files_in(root))
        sounds = [path for path in everything if path.suffix.lower() in SOUND_SUFFIXES]
        files = [path for path in (everything if source.is_dir() else [source]) if self.holds(path)]
        if not files:
            raise UsageError(f"{source} holds no {self.what}: name the folder of the recordings and those files.")
        annotated, by_name = set(), _by_name(sounds)
        for path in files:
            items = list(self._items(path, by_name, root))
            annotated |= {same_name(item.path.stem) for item in items}
            yield from items
        for sound in sounds if source.is_dir() else []:
            if same_name(sound.stem) not in annotated:
                yield Item(
                    sound, None, problem=f"{sound.name} has no {self.what}: put one beside it, of the same name."
                )

    def _items(self, path: Path, by_name: Mapping[str, list[Path]], root: Path) -> Iterator[Item]:
        try:
            annotated = self.parsers[path.suffix.lower()](_bytes(path), path.name)
            sound, offset = _recording(path, annotated, by_name)
        except TextError as error:
            yield Item(path, None, problem=str(error))
            return
        yield from stretches(annotated, path, sound, offset, root)


elan = AnnotationLayout(".eaf", {".eaf": parse_elan})
flextext = AnnotationLayout(".flextext", {".flextext": parse_flex})
textgrid = AnnotationLayout("TextGrid", {".textgrid": parse_praat})
subtitles = AnnotationLayout(".srt or .vtt", {".srt": parse_srt, ".vtt": parse_vtt})
audacity = AnnotationLayout(".txt with times", {".txt": parse_timed})


def stretches(annotated: Annotated, path: Path, sound: Path, offset: float, root: Path) -> Iterator[Item]:
    """What the annotation file `path` says about `sound`, in which its time begins at `offset` seconds."""
    if not any(annotations for _, annotations in annotated.tiers):
        yield Item(sound, None, problem=f"{path.name} has no text with times in it: write what is said there.")
    for tier, annotations in annotated.tiers:
        if tier.kind == CUES:  # talk.en.srt beside talk.wav is the tier en.srt
            rest = path.name.removeprefix(sound.name).removeprefix(sound.stem)
            tier = replace(tier, name=rest.lstrip("."))
        for each in annotations:
            yield _item(each, tier, sound, offset, path, split_of(path, root))


def tiers_of(items: Iterable[Item]) -> list[tuple[Tier, int, float]]:
    """Each tier with the number of its annotations and their length in seconds; tiers with the same facts are one."""
    counts, seconds = Counter[Tier](), defaultdict[Tier, float](float)
    for item in items:
        if item.tier:
            counts[item.tier] += 1
            seconds[item.tier] += item.end - item.start if item.is_stretch else 0.0
    return [(tier, count, seconds[tier]) for tier, count in counts.items()]


def choose(items: Sequence[Item], patterns: Sequence[str]) -> list[Item]:
    """The items of the tiers whose name or type is one of `patterns` (with * and ?), and all without tier.

    A participant counts like a name for tiers that stand alone: what depends on them is mostly translation.

    Without patterns they are the tiers that stand alone, if all are of one type and each has a participant of its own,
    or there is only one. Where several tiers name no participant, their names are the speakers. Raises UsageError.
    """
    tiers = [tier for tier, _, _ in tiers_of(items)]
    if not tiers:
        return list(items)
    chosen = [tier for tier in tiers if _matches(tier, patterns)] if patterns else _plain_choice(tiers)
    if not chosen:
        raise UsageError(f"{_question(patterns)}: name those with the text by --tier. There are {_listed(items)}.")
    several = len(chosen) > 1
    named = {tier: tier.participant or (tier.name if several and tier.kind != CUES else "") for tier in chosen}
    return [
        replace(item, speaker=item.speaker or named[item.tier]) if item.tier else item
        for item in items
        if item.tier is None or item.tier in named
    ]


def _matches(tier: Tier, patterns: Sequence[str]) -> bool:
    speaker = "" if tier.parent else tier.participant
    facts = [same_name(fact) for fact in (tier.name, tier.kind, speaker) if fact]
    return any(fnmatchcase(fact, same_name(pattern)) for fact in facts for pattern in patterns)


def _plain_choice(tiers: Sequence[Tier]) -> list[Tier]:
    alone = [tier for tier in tiers if not tier.parent and tier.kind != POINT_TIER]
    alone = alone or [tier for tier in tiers if not tier.parent]
    speakers = {tier.participant for tier in alone if tier.participant}
    one_each = len({tier.kind for tier in alone}) == 1 and len(speakers) == len(alone)
    return alone if one_each or len(alone) == 1 else []


def _question(patterns: Sequence[str]) -> str:
    return f"No tier is called {' or '.join(patterns)}" if patterns else "There are several tiers"


def _listed(items: Sequence[Item]) -> str:
    counted = tiers_of(items)
    shown = [f"{described(tier)} with {count:,}" for tier, count, _ in counted[:SHOWN_TIERS]]
    more = [f"{len(counted) - SHOWN_TIERS} more"] if len(counted) > SHOWN_TIERS else []
    return ", ".join(shown + more)


def described(tier: Tier) -> str:
    """A tier with its facts, for people."""
    facts = [f"type {tier.kind}" if tier.kind else "", f"by {tier.participant}" if tier.participant else ""]
    known = ", ".join(filter(None, facts))
    return f"“{tier.name}” ({known})" if known else f"“{tier.name}”"


def _item(each: Annotation, tier: Tier, sound: Path, offset: float, path: Path, split: str) -> Item:
    start, end = round(each.start + offset, 6), round(each.end + offset, 6)
    if 0 <= start < end < math.inf:
        return Item(sound, each.text, each.speaker, split=split, start=start, end=end, tier=tier)
    why = f"“{each.text[:60]}” in {path.name} has no length or no time: set its edges there."
    return Item(sound, None, each.speaker, split=split, tier=tier, problem=why)


def _by_name(sounds: Iterable[Path]) -> dict[str, list[Path]]:
    """Recordings by their names, with and without ending; the best first."""
    by_name = defaultdict[str, list[Path]](list)
    for sound in sorted(sounds, key=_is_lossy):
        for name in {same_name(sound.name), same_name(sound.stem)}:
            by_name[name].append(sound)
    return by_name


def _recording(path: Path, annotated: Annotated, by_name: Mapping[str, list[Path]]) -> tuple[Path, float]:
    """The recording that a file is about, and where in it the file's time begins, in seconds. Raises TextError.

    Of those that the file states, and that are called as they are without their ending, the first that is lossless and
    has sound: a film may be silent, and its sound is a lossy copy. If none is there, by the file's own name, which may
    go on after the recording's as in talk.wav.en.srt.
    """
    stated = [(sound, offset) for address, offset in annotated.media for sound in _stated(path, address, by_name)]
    if not stated:
        stems = [path.stem, *(path.name.rsplit(".", cut)[0] for cut in (2, 3))]
        stated = [(sound, 0.0) for sound in next(filter(None, (_near(path, stem, by_name) for stem in stems)), [])]
    candidates = sorted(dict.fromkeys(stated), key=lambda each: _is_lossy(each[0]))
    if candidates:
        return next((each for each in candidates if len(candidates) > 1 and _has_sound(each[0])), candidates[0])
    wanted = PurePosixPath(annotated.media[0][0]).name if annotated.media else f"{path.stem}.wav"
    raise TextError(f"{path.name} is about {wanted}, {_where(path.parent / wanted)}.")


def _stated(path: Path, address: str, by_name: Mapping[str, list[Path]]) -> list[Path]:
    """The recordings at an address that a file states: there, or else near; and those of their names beside them."""
    named = by_name.get(same_name(PurePosixPath(address).name), [])
    place = same_name(os.path.normpath(path.parent / address))
    found = [sound for sound in named if same_name(sound) == place] or _near(path, PurePosixPath(address).name, by_name)
    return [*found, *(s for each in found for s in by_name[same_name(each.stem)] if s.parent == each.parent)]


def _near(path: Path, name: str, by_name: Mapping[str, list[Path]]) -> list[Path]:
    """The recordings of a name beside a file, or else anywhere in the source if only one folder has such."""
    found = by_name.get(same_name(name), [])
    beside = [sound for sound in found if sound.parent == path.parent]
    return beside or (found if len({sound.parent for sound in found}) == 1 else [])


def _is_lossy(sound: Path) -> bool:
    return sound.suffix.lower() not in LOSSLESS_SUFFIXES


def _has_sound(path: Path) -> bool:
    from ...audio.reading import probe  # loads numpy, which the help of `lect import` must not

    try:
        return probe(path).seconds > 0
    except AudioError:
        return False


def _where(path: Path) -> str:
    """Why a recording was not found, and what to do."""
    if os.path.exists(path):
        return "which is of a kind that is not read: convert it to WAV, beside it"
    return "which is not in its folder: put it there"


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TextError(f"{path.name} is larger than {MOST_BYTES // 1_000_000} MB: split it.")
        return path.read_bytes()
    except OSError as error:
        raise TextError(f"{path.name} cannot be read ({error.strerror}): check its permissions.") from error
