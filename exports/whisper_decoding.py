"""How a Whisper in its own vocabulary decodes: in which language, behind which prompt, and under which guards.

The language is the likeliest of the vocabulary's after the start-of-transcript token, as in openai/whisper's
`detect_language`. It knows neither audio nor graphs: decoders come as `StepDecoder`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lect.engine.contract.errors import UsageError
from lect.engine.decoding.ctc import Ints, LogProbs
from lect.engine.decoding.search import DecodeOptions, Hypothesis, StepDecoder, decode
from lect.engine.text.vocabulary import BOS, PAD, Vocabulary

from .decoding_guards import doubt_about, is_silence, other_search
from .transcript import Doubt, Language

START_OF_PROMPT = "<|startofprev|>"
NO_SPEECH = PAD  # whose place <|nospeech|> has taken: see `lect.engine.model.foreign.whisper`

MakeDecoder = Callable[[Ints], StepDecoder[Any]]  # over these clips of a batch


@dataclass(frozen=True)
class Decoded:
    """What was found in one clip."""

    hypothesis: Hypothesis  # empty where a guard finds no speech
    language: Language | None = None
    doubt: Doubt = ""
    start: tuple[int, ...] = ()  # what the decoder read before it


@dataclass(frozen=True)
class WhisperDecoding:
    """What a person asks of it."""

    task: str = "transcribe"  # or translate, into English
    language: Language | None = None  # which the vocabulary starts with; None: detected clip by clip
    prompt: tuple[int, ...] = ()  # tokens that the decoder reads first, as if they had been written before

    def detects(self, vocabulary: Vocabulary) -> bool:
        """Whether it finds the language out; English-only Whispers do not."""
        return self.language is None and bool(vocabulary.languages())

    def decode(
        self, make_decoder: MakeDecoder, frames: Ints, vocabulary: Vocabulary, options: DecodeOptions, positions: int
    ) -> list[Decoded]:
        """The best text of each clip; frames: (clips,) of encoder output; positions: as `search.decode` takes them."""
        clips = np.arange(len(frames))
        decoder = make_decoder(clips)
        first, _ = decoder.step(np.full(len(frames), BOS), decoder.start())
        no_speech, detects = np.exp(first[:, NO_SPEECH]), self.detects(vocabulary)
        languages = detected(first, vocabulary) if detects else [self.language] * len(frames)
        codes = np.array([language.code if language else "" for language in languages])
        found = dict[int, Decoded]()
        for code in dict.fromkeys(codes.tolist()):
            rows, spoken = clips[codes == code], vocabulary.starting(code, self.task) if detects else vocabulary
            search = _Search(make_decoder, frames, spoken, self.prompt, positions)
            found |= zip(rows.tolist(), search.guarded(rows, no_speech[rows], options), strict=True)
        return [replace(found[row], language=language) for row, language in enumerate(languages)]


def detected(first: LogProbs, vocabulary: Vocabulary) -> list[Language]:
    """first: (clips, vocab) log-probabilities after the start token -> each clip's language, among those known."""
    codes = vocabulary.languages()
    scores = np.exp(first[:, vocabulary.controls(f"<|{code}|>" for code in codes)].astype(np.float64))
    shares = scores / scores.sum(axis=1, keepdims=True)
    return [Language(codes[row.argmax()], float(row.max())) for row in shares]


def prompt_tokens(text: str, vocabulary: Vocabulary, positions: int) -> tuple[int, ...]:
    """The start of a prompt and its last tokens, no more than half of the decoder's positions, as in openai/whisper.

    Raises UsageError where the vocabulary has no token for it.
    """
    if START_OF_PROMPT not in vocabulary.tokens:
        raise UsageError("This backbone takes no prompt: leave --prompt out.")
    tokens = vocabulary.encode(text)[-max(1, positions // 2 - 1) :]
    return (vocabulary.tokens.index(START_OF_PROMPT), *tokens) if tokens else ()


@dataclass(frozen=True)
class _Search:
    """One language's search over clips of a batch."""

    make_decoder: MakeDecoder
    frames: Ints
    vocabulary: Vocabulary
    prompt: tuple[int, ...]
    positions: int

    def guarded(self, rows: Ints, no_speech: LogProbs, options: DecodeOptions) -> list[Decoded]:
        """Of these clips; where the text repeats itself they are searched again, and what is better is kept."""
        found = [
            self._judged(hypothesis, float(silent))
            for hypothesis, silent in zip(self._decode(rows, options), no_speech, strict=True)
        ]
        looped = [index for index, one in enumerate(found) if one.doubt == "repeats"]
        again = self._decode(rows[looped], other_search(options)) if looped else []
        for index, hypothesis in zip(looped, again, strict=True):
            other = self._judged(hypothesis, float(no_speech[index]))
            found[index] = found[index] if other.doubt == "repeats" else other
        return found

    @property
    def _start(self) -> tuple[int, ...]:
        return self.prompt + self.vocabulary.start

    def _decode(self, rows: Ints, options: DecodeOptions) -> list[Hypothesis]:
        vocabulary = replace(self.vocabulary, start=self._start)
        decoder = partial(self.make_decoder, rows)
        return decode(decoder, None, self.frames[rows], vocabulary, options, self.positions)

    def _judged(self, hypothesis: Hypothesis, no_speech: float) -> Decoded:
        log_prob = hypothesis.mean_log_prob
        if is_silence(no_speech, log_prob):
            return Decoded(Hypothesis((), hypothesis.score, ()))
        doubt = doubt_about(self.vocabulary.decode(hypothesis.tokens), log_prob)
        return Decoded(hypothesis, doubt=doubt, start=self._start)
