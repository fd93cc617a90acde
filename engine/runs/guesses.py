"""Recordings that nobody has written down: a run's guesses at them, those that are surest, and their place in the run
that learns from them.

Pseudo-labels as in Kahn et al. 2020 (Self-Training for End-to-End Speech Recognition): kept where two decodings agree,
by confidence. They are not clips: the project does not hold them, and no language model counts them. Nobody is named as
their speaker, so their sound goes when the training has ended.
"""

import hashlib
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..audio.reading import SAMPLE_RATE, Samples
from ..audio.writing import encoded
from ..contract.errors import UsageError
from ..contract.files import read_json, write_bytes, write_json
from ..contract.run_files import RunFiles, Taken
from ..decoding.recogniser import Recogniser
from ..scoring.edit_distance import character_error_rate
from ..text.vocabulary import UNK, Vocabulary
from ..training.features import Example

KEPT_SHARE = 0.5  # of what two decodings agree about, the surer half
MOST_DIFFERENT = 0.1  # characters between the two decodings, as a share


@dataclass(frozen=True)
class Guess:
    """A stretch of speech and what it seems to say."""

    samples: Samples  # (samples,) float32 at 16 kHz
    text: str
    confidence: float  # in [0, 1]: geometric mean over the tokens
    difference: float  # character error rate of the greedy decoding, without a language model, against `text`

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE


def guess(recogniser: Recogniser, pieces: Sequence[Samples]) -> list[Guess]:
    """What a run's recogniser writes of each piece."""
    greedy = recogniser.with_options(replace(recogniser.options, beam_size=1, language_model=None))
    found = list[Guess]()
    for samples, best, other in zip(pieces, recogniser.transcribe(pieces), greedy.texts(pieces), strict=True):
        text = recogniser.vocabulary.decode(best.tokens)
        found.append(Guess(samples, text, best.confidence, character_error_rate([other], [text]) if text else 1.0))
    return found


def surest(guesses: Sequence[Guess]) -> list[Guess]:
    """Those to learn from, surest first. Raises UsageError where there is none."""
    agreed = [each for each in guesses if each.text and each.difference <= MOST_DIFFERENT]
    agreed.sort(key=lambda each: -each.confidence)
    if not agreed:
        raise UsageError("Nothing in these recordings is sure enough to learn from: record or label some more first.")
    return agreed[: math.ceil(KEPT_SHARE * len(agreed))]


def keep_guesses(files: RunFiles, guesses: Sequence[Guess], sure: Sequence[Guess]) -> None:
    """Writes the sure ones into a run's folder, and how many they are of all."""
    seconds, learnt_seconds = (round(sum(each.seconds for each in some), 2) for some in (guesses, sure))
    write_json(files.untranscribed, asdict(Taken(len(guesses), seconds, len(sure), learnt_seconds)))
    rows = []
    for number, each in enumerate(sure, start=1):
        sound, name = encoded(each.samples, "FLAC"), f"{number:05}.flac"
        write_bytes(files.guessed / name, sound)
        sha256 = hashlib.sha256(sound).hexdigest()
        rows.append({"file": name, "sha256": sha256, "seconds": each.seconds, "text": each.text})
    write_json(files.guesses, rows)


def forget_guesses(files: RunFiles) -> bool:
    """Deletes the sound and its guesses; how much there was stays known. Whether there were any."""
    found = files.guessed.exists()
    shutil.rmtree(files.guessed, ignore_errors=True)
    return found


def guessed_examples(files: RunFiles, vocabulary: Vocabulary) -> list[Example]:
    """What a run learns from beside its clips; a guess with a symbol that its vocabulary lacks is left out."""
    rows = read_json(files.guesses) if files.guesses.exists() else []
    examples = [_example(row, files.guessed, vocabulary) for row in rows]
    return [each for each in examples if UNK not in each.tokens]


def _example(row: dict[str, str], folder: Path, vocabulary: Vocabulary) -> Example:
    tokens = tuple(vocabulary.encode(row["text"]))
    return Example(row["sha256"], folder / row["file"], float(row["seconds"]), tokens)
