"""When the words of a Whisper were spoken, by what its alignment heads attended to and by where there is sound.

The heads of a token that follows a pause attend to the pause too, so words are cut to the sound in them. It knows
neither graphs nor how words are made of tokens.
"""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.decoding.attention_alignment import attention_align
from lect.engine.decoding.ctc import Floats

from .onnx_sessions import Array
from .transcript import TimedWord

# On words of espeak-ng at known times, English and Dutch, Whisper-base's heads turn to the next token 0.06 s too early.
LAG_S = 0.04
ATTENTION_REACH_S = 0.06  # at a pause a word may lie so far outside of its tokens; the silence in it is cut away
SILENCE_SHARE = 0.3  # of the way from a clip's quiet to its loud frames, in decibels: below it there is silence
FRAME_SAMPLES = SAMPLE_RATE // 100
SPOKEN_MARKS = frozenset("%‰&@#*/\\")  # punctuation to Unicode, and words to a speaker


def token_spans(attended: Array, pieces: Sequence[str], hop: float) -> Floats:
    """(tokens, 2) seconds; attended: as `attention_align` takes it, its frames `hop` seconds apart; pieces: their text.

    Punctuation takes no time: what heads give it is the pause that it stands for.
    """
    spans = attention_align(attended).astype(np.float64) * hop + LAG_S
    for span, piece in zip(spans, pieces, strict=True):
        if _is_punctuation(piece):
            span[:] = span[1 if piece.startswith(" ") else 0]
    return spans


def without_silence(words: Iterable[TimedWord], waveform: Samples) -> tuple[TimedWord, ...]:
    """Words in a waveform (samples,), each from its first to its last frame with sound; as it is where it has none."""
    heard = _heard(waveform)
    return tuple(_cut(word, heard) for word in words)


def _cut(word: TimedWord, heard: npt.NDArray[np.bool_]) -> TimedWord:
    first = math.floor(word.start * SAMPLE_RATE / FRAME_SAMPLES)
    sounds = np.flatnonzero(heard[first : math.ceil(word.end * SAMPLE_RATE / FRAME_SAMPLES)])
    if not len(sounds):
        return word
    start, end = (first + np.array([sounds[0], sounds[-1] + 1])) * FRAME_SAMPLES / SAMPLE_RATE
    return replace(word, start=max(word.start, round(float(start), 3)), end=min(word.end, round(float(end), 3)))


def _heard(waveform: Samples) -> npt.NDArray[np.bool_]:
    """(frames,) of 10 ms: whether there is more than the clip's silence."""
    frames = waveform[: len(waveform) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    if not len(frames):
        return np.zeros(0, np.bool_)
    levels = np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
    quiet, loud = np.percentile(levels, [5, 95])
    heard: npt.NDArray[np.bool_] = levels > quiet + SILENCE_SHARE * (loud - quiet)
    return heard


def _is_punctuation(piece: str) -> bool:
    marks = piece.strip()
    return bool(marks) and all(unicodedata.category(m).startswith("P") and m not in SPOKEN_MARKS for m in marks)
