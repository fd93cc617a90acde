"""Synthetic speech by espeak-ng: labelled clips in any language it speaks, in many voices, rates and pitches.

One more source for pretraining, and the maker of the sample set. It is no substitute for recordings: what is learned
on it alone does not carry over to people. It does not know phones (`phones`) or corpora.
"""

import csv
import io
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..audio.reading import SAMPLE_RATE, from_array
from ..contract.files import atomic_path
from ..text.phones import espeak

# Variants that differ audibly and speak clearly in every language.
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 Alex Alicia Andrea Annie Denis "
    "Diogo Hugo Jacky Lee Marco Michael Mike Storm adam anika antonio belinda benjamin boris david edward "
    "linda max michel miguel pablo quincy rob steph travis zac grandma grandpa john shelby whisper"
).split()
WORDS_PER_MINUTE = (120, 200)
PITCH = (20, 80)  # espeak-ng's scale, 0 to 99


@dataclass(frozen=True)
class Spoken:
    """One synthetic clip."""

    text: str
    speaker: str  # the voice variant
    waveform: np.ndarray  # (samples,) float32 at 16 kHz


def speak(text: str, voice: str, *, variant: str = "", words_per_minute: int = 160, pitch: int = 50) -> np.ndarray:
    """(samples,) float32 at 16 kHz. Raises UsageError without espeak-ng."""
    command = [espeak(), "-v", f"{voice}+{variant}" if variant else voice, "--stdout", "--stdin"]
    command += ["-s", str(words_per_minute), "-p", str(pitch)]
    wav = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    return from_array(rate, samples)


def speak_all(texts: Sequence[str], voice: str, variants: Sequence[str] = VARIANTS, seed: int = 0) -> Iterator[Spoken]:
    """Each text once, in a voice, rate and pitch drawn by (seed, text)."""

    def one(text: str) -> Spoken:
        rng = random.Random(f"{seed}/{voice}/{text}")
        variant = rng.choice(list(variants))
        rate, pitch = rng.randint(*WORDS_PER_MINUTE), rng.randint(*PITCH)
        return Spoken(text, variant, speak(text, voice, variant=variant, words_per_minute=rate, pitch=pitch))

    with ThreadPoolExecutor() as pool:
        yield from pool.map(one, texts)


def phrases(text: str, words: tuple[int, int]) -> list[str]:
    """The stretches between punctuation that have a number of words between the two, each once."""
    pieces = (" ".join(piece.split()) for piece in re.split(r"[\n.,;:!?()\"“”]+", text))
    return list(dict.fromkeys(piece for piece in pieces if words[0] <= len(piece.split()) <= words[1]))


def write_audiofolder(folder: Path, clips: Iterator[Spoken], language: str, license: str) -> int:
    """Ogg/Opus files and metadata.csv in the audiofolder layout; returns how many."""
    rows = []
    for number, clip in enumerate(clips):
        name = f"audio/{clip.speaker}-{number:04d}.ogg"
        with atomic_path(folder / name) as temporary:
            soundfile.write(temporary, clip.waveform, SAMPLE_RATE, format="OGG", subtype="OPUS")
        rows.append([name, clip.text, clip.speaker, language, f"{len(clip.waveform) / SAMPLE_RATE:.2f}", license])
    with atomic_path(folder / "metadata.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file_name", "transcription", "speaker_id", "language", "duration", "license"])
        writer.writerows(rows)
    return len(rows)
