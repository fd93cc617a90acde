"""A recording of hours whose text is known: time, memory, errors beside the same clips alone, and errors of times.

    python -m tests.benchmarks.long SET [--minutes 120] [--backbone starter]

The clips of a labelled set (audiofolder) stand one after another with pauses of 0.3 to 2 s. What is written are the
backbone's phones, and the truth is what espeak-ng says of the labels, so no pack is needed. Prints one JSON object.
"""

import argparse
import csv
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import mean, median

import numpy as np
import soundfile

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.contract.files import ASSETS
from lect.engine.scoring.scores import score
from lect.engine.text.phones import available_voices, phones, voice_for
from lect.exports.runtime import Runtime
from lect.exports.transcript import TimedWord, Transcript

PAUSES_S = (0.3, 2.0)
ALONE = 400  # clips that are also heard alone


@dataclass(frozen=True)
class Placed:
    """A clip in the recording."""

    path: Path
    truth: str
    start: float
    end: float


def main() -> None:
    """Writes the recording, hears it in this process, then clips of it alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--backbone", default=str(ASSETS / "starter"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "long.flac"
        placed = list(write(recording, args.set, 60 * args.minutes))
        runtime = Runtime.open(args.backbone, device="cpu")
        runtime.transcribe(placed[0].path)
        before, began = _peak(), time.perf_counter()
        whole = runtime.transcribe(recording)
        seconds = time.perf_counter() - began
        figures = {
            "load": os.getloadavg(), "recorded_s": whole.seconds, "seconds": seconds, "rate": seconds / whole.seconds,
            "peak_mb": _peak(), "grown_mb": _peak() - before, "segments": len(whole.segments),
        }  # fmt: skip
        print(json.dumps(figures | errors(runtime, whole, placed)))


def write(recording: Path, source: Path, seconds: float) -> Iterator[Placed]:
    """The recording, clip after clip; again from the first where the set is shorter."""
    rng, known, at = np.random.default_rng(0), available_voices(), 0
    with (source / "metadata.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    with soundfile.SoundFile(recording, "w", SAMPLE_RATE, 1) as file:
        for row in cycle(rows):
            if at >= seconds * SAMPLE_RATE:
                return
            samples = load_audio(source / row["file_name"])
            truth = phones(row["transcription"], voice_for(row["language"], known) or "en") or ""
            file.write(samples)
            yield Placed(source / row["file_name"], truth, at / SAMPLE_RATE, (at + len(samples)) / SAMPLE_RATE)
            pause = 0.0005 * rng.standard_normal(int(rng.uniform(*PAUSES_S) * SAMPLE_RATE))
            file.write(pause)
            at += len(samples) + len(pause)


def errors(runtime: Runtime, whole: Transcript, placed: Sequence[Placed]) -> dict[str, object]:
    """Symbol errors in the recording and of clips alone, and by how much the times of the words differ."""
    words = [word for segment in whole.segments for word in segment.words]
    inside = [[word for word in words if each.start <= (word.start + word.end) / 2 < each.end] for each in placed]
    alone = [
        [word for segment in runtime.transcribe(each.path).segments for word in segment.words]
        for each in placed[:ALONE]
    ]
    differ = [
        abs(ours.start - (each.start + theirs.start))
        for each, found, single in zip(placed, inside, alone, strict=False)
        if _text(found) == _text(single)
        for ours, theirs in zip(found, single, strict=True)
    ]
    truths = [each.truth for each in placed]
    return {
        "words": len(words),
        "words_outside_clips": len(words) - sum(map(len, inside)),
        "clips": len(placed),
        "cer": _cer(truths, inside),
        "cer_of_these_alone": _cer(truths[:ALONE], alone),
        "cer_of_them_inside": _cer(truths[:ALONE], inside[:ALONE]),
        "clips_with_the_same_text": mean(_text(a) == _text(b) for a, b in zip(inside, alone, strict=False)),
        "word_start_differs_s": {"median": median(differ), "most": max(differ)},
    }


def _cer(truths: Sequence[str], found: Sequence[Sequence[TimedWord]]) -> float:
    return score(truths, [*map(_text, found)], [*map(str, range(len(truths)))], normalisation="none").cer


def _text(words: Sequence[TimedWord]) -> str:
    return " ".join(word.text for word in words)


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
