"""What goes into a pretraining corpus: recordings of any layout, or texts that espeak-ng speaks; with their phones.

A clip is left out, and counted, when it is too short, too long or too dense to be what its label says, and, unless
unlabelled speech is wanted, when its language has no voice to spell it. Some speakers are held out for evaluation. It
does not know how training draws from it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..audio.reading import SAMPLE_RATE, load_audio
from ..contract.errors import LectError
from ..data.layouts import Item, read, sounds_in
from ..text.phones import available_voices, phones, voice_for
from .corpus import SYNTHETIC, CorpusWriter
from .synth import Spoken, phrases, speak_all

HELD_OUT_SHARE = 0.05  # of the speakers
SECONDS = (0.8, 20.0)  # of a clip
MOST_PHONES_PER_SECOND = 30.0  # beyond, the label cannot belong to the sound
PHRASE_WORDS = (2, 14)


@dataclass
class Prepared:
    """What became of a source."""

    clips: int = 0
    seconds: dict[str, float] = field(default_factory=dict)  # by language
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> clips


def add_recordings(
    corpus: Path,
    part: str,
    source: Path,
    *,
    layout: str = "auto",
    language: str = "",
    leave_out: frozenset[str] = frozenset(),
    unlabelled: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Prepared:
    """Writes the recordings of `source` as one part of a corpus, with espeak-ng's phones of their labels.

    language: of the recordings that state none. leave_out: languages not to take. unlabelled: take the sound alone, of
    any folder, for `units`. Raises UsageError for a source that cannot be read or an espeak-ng that is not there.
    """
    voices = set[str]() if unlabelled else available_voices()
    items = list(sounds_in(source) if unlabelled else read(source, layout))

    def take(item: Item) -> _Taken | str:
        progress()
        spoken = item.language or language or "und"
        try:
            if spoken in leave_out:
                raise _LeftOut("language left out")
            label = "" if unlabelled else _spelled(item, spoken, voices)
            return _Taken(_sound(item, label), label, spoken, item.speaker or item.path.name)
        except _LeftOut as why:
            return str(why)

    prepared = Prepared()
    with CorpusWriter(corpus, part) as writer, ThreadPoolExecutor() as pool:
        for taken in pool.map(take, items):
            if isinstance(taken, str):
                prepared.left_out[taken] += 1
                continue
            _note(prepared, taken.language, len(taken.waveform))
            writer.add(
                taken.waveform,
                taken.label,
                language=taken.language,
                speaker=taken.speaker,
                source=part,
                held_out=_held_out(f"{part}/{taken.speaker}"),
            )
    return prepared


def add_synthetic(
    corpus: Path,
    part: str,
    text: str,
    voice: str,
    *,
    hours: float,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Prepared:
    """Writes the phrases of `text`, spoken by espeak-ng in many voices until there are `hours`, as one part."""
    prepared = Prepared()
    with CorpusWriter(corpus, part) as writer:
        for clip in _until(hours, speak_all(phrases(text, PHRASE_WORDS), voice, seed=seed)):
            progress()
            try:
                label = _spelled(Item(Path(), clip.text), voice, {voice})
                _check(len(clip.waveform) / SAMPLE_RATE, label)
            except _LeftOut as why:
                prepared.left_out[str(why)] += 1
                continue
            _note(prepared, voice, len(clip.waveform))
            held_out = _held_out(f"{part}/{clip.text}")
            writer.add(clip.waveform, label, language=voice, speaker=clip.speaker, source=SYNTHETIC, held_out=held_out)
    return prepared


def symbols(texts: Iterable[str], least: int) -> Sequence[str]:
    """The characters that occur at least `least` times, sorted; rarer ones are too few to learn."""
    counts = Counter(character for text in texts for character in text if character != " ")
    return sorted(character for character, count in counts.items() if count >= least)


class _LeftOut(Exception):
    """Why a clip is not taken."""


@dataclass(frozen=True)
class _Taken:
    waveform: np.ndarray
    label: str
    language: str
    speaker: str


def _spelled(item: Item, language: str, voices: set[str]) -> str:
    if item.problem or not item.text:
        raise _LeftOut("no label or no file")
    if item.is_stretch:
        raise _LeftOut("a stretch of a longer recording")
    voice = voice_for(language, voices)
    if voice is None:
        raise _LeftOut("no espeak-ng voice")
    if not (sounds := phones(item.text, voice)):
        raise _LeftOut("no phones for its label")
    return sounds


def _sound(item: Item, label: str) -> np.ndarray:
    try:
        waveform: np.ndarray = load_audio(item.path)
    except LectError as error:
        raise _LeftOut("not readable") from error
    _check(len(waveform) / SAMPLE_RATE, label)
    return waveform


def _until(hours: float, clips: Iterator[Spoken]) -> Iterator[Spoken]:
    seconds = 0.0
    for clip in clips:
        yield clip
        seconds += len(clip.waveform) / SAMPLE_RATE
        if seconds >= hours * 3600:
            return


def _check(seconds: float, label: str) -> None:
    if not SECONDS[0] <= seconds <= SECONDS[1]:
        raise _LeftOut("too short or too long")
    if len(label) / seconds > MOST_PHONES_PER_SECOND:
        raise _LeftOut("too many phones for its length")


def _note(prepared: Prepared, language: str, samples: int) -> None:
    prepared.clips += 1
    prepared.seconds[language] = prepared.seconds.get(language, 0.0) + samples / SAMPLE_RATE


def _held_out(key: str) -> bool:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32 < HELD_OUT_SHARE
