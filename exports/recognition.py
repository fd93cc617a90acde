"""Waveforms to words with their times: the encoder, the search, and the alignment of what was found with the CTC
head, or with what the decoder attended to.

It does not know files, packs, or where in a recording a waveform lies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import TextError
from lect.engine.decoding.alignment import ctc_align
from lect.engine.decoding.ctc import Ints, LogProbs, best_paths
from lect.engine.decoding.search import DecodeOptions, Hypothesis, decode
from lect.engine.decoding.words import words
from lect.engine.text.vocabulary import Vocabulary

from .attended import Attended
from .attention_times import ATTENTION_REACH_S, token_spans, without_silence
from .onnx_decoder import OnnxDecoder
from .onnx_network import BATCH_SECONDS, Adapted, Encoded, Network
from .onnx_sessions import Array
from .transcript import Doubt, Language, TimedWord, WordTimes
from .whisper_decoding import Decoded, WhisperDecoding

HOP_UNIT_SAMPLES = 80  # 5 ms: every frontend's frames are whole multiples apart
# CTC writes a token in the frame where it is surest, so a word reaches a little beyond its first and last. On words of
# espeak-ng at known times the starter's edges lie 0.03 s inside of the true ones on average.
REACH_S = 0.03


@dataclass(frozen=True)
class Recognised:
    """What was recognised in one waveform."""

    tokens: tuple[int, ...]
    text: str
    words: tuple[TimedWord, ...]  # seconds from the waveform's beginning
    confidence: float  # in [0, 1]: geometric mean over the tokens; 0 without tokens
    is_blank: bool  # the CTC head finds nothing at all: whatever the text, it is invented
    language: Language | None = None  # which a Whisper in its own vocabulary was given, or detected
    doubt: Doubt = ""


@dataclass(frozen=True)
class OnnxRecogniser:
    """A network with an adaptation and its vocabulary: what the torch `Recogniser` is, and words with their times."""

    network: Network
    adapted: Adapted
    vocabulary: Vocabulary
    options: DecodeOptions
    whisper: WhisperDecoding | None = None  # of a Whisper in its own vocabulary alone

    @property
    def word_times(self) -> WordTimes:
        """How words get their times."""
        if self.adapted.uses_ctc:
            return "ctc"
        return "attention" if self.adapted.has_alignment else "estimated"

    def recognise(self, waveforms: Sequence[Samples], batch_seconds: float = BATCH_SECONDS) -> list[Recognised]:
        """(samples,) float32 at 16 kHz each, in any order of lengths; those of like length share a batch."""
        found: dict[int, Recognised] = {}
        for batch in self.network.batches(waveforms, batch_seconds, self.adapted.window_samples):
            found |= dict(zip(batch, self._batch([waveforms[index] for index in batch]), strict=True))
        return [found[index] for index in range(len(waveforms))]

    def heard(self, waveforms: Sequence[Samples], batch_seconds: float = BATCH_SECONDS) -> list[tuple[LogProbs, float]]:
        """What the CTC head makes of each, (frames, vocab), and how many seconds its frames are apart."""
        found = dict[int, tuple[LogProbs, float]]()
        for batch in self.network.batches(waveforms, batch_seconds, self.adapted.window_samples):
            encoded = self.network.encode([waveforms[index] for index in batch], self.adapted)
            longest = max(len(waveforms[index]) for index in batch)
            hop = _hop_seconds(max(longest, self.adapted.window_samples), encoded.ctc_lengths)
            assert encoded.ctc_log_probs is not None
            for row, index in enumerate(batch):
                found[index] = encoded.ctc_log_probs[row, : encoded.ctc_lengths[row]], hop
        return [found[index] for index in range(len(waveforms))]

    def _batch(self, waveforms: Sequence[Samples]) -> Iterator[Recognised]:
        encoded, lengths = self.network.encode(waveforms, self.adapted), np.array([len(each) for each in waveforms])
        samples = max(lengths.max(), self.adapted.window_samples)
        hop, attended_hop = (_hop_seconds(samples, frames) for frames in (encoded.ctc_lengths, encoded.lengths))
        attended = Attended(np.ceil(lengths / SAMPLE_RATE / attended_hop).astype(np.int64))
        for row, (waveform, one) in enumerate(zip(waveforms, self._search(encoded, attended), strict=True)):
            ctc = None if encoded.ctc_log_probs is None else encoded.ctc_log_probs[row, : encoded.ctc_lengths[row]]
            heads = attended.of(row, one.start, one.hypothesis.tokens) if ctc is None else None
            own_hop = hop if heads is None else attended_hop
            timed = with_times(self.vocabulary, one.hypothesis, ctc, own_hop, len(waveform) / SAMPLE_RATE, heads)
            if heads is not None:
                timed = replace(timed, words=without_silence(timed.words, waveform))
            yield replace(timed, language=one.language, doubt=one.doubt)

    def _search(self, encoded: Encoded, attended: Attended) -> list[Decoded]:
        def make_decoder(clips: Ints) -> OnnxDecoder:
            def listener(rows: Ints, read: Ints, weights: Array) -> None:
                attended.note(clips[rows], read, weights)

            return OnnxDecoder(self.network, encoded.of(clips), self.adapted, listener)

        positions = self.network.positions
        if self.whisper is not None:
            return self.whisper.decode(make_decoder, encoded.lengths, self.vocabulary, self.options, positions)
        ctc, all_clips = encoded.ctc_log_probs, partial(make_decoder, np.arange(len(encoded.mask)))
        weight = self.adapted.ctc_weight
        options = self.options if weight is None else replace(self.options, ctc_weight=weight)
        lengths = encoded.ctc_lengths if ctc is not None and options.ctc_weight else encoded.lengths
        found = decode(all_clips, ctc, lengths, self.vocabulary, options, positions)
        return [Decoded(hypothesis, start=self.vocabulary.start) for hypothesis in found]


def with_times(
    vocabulary: Vocabulary,
    hypothesis: Hypothesis,
    ctc: LogProbs | None,
    hop: float,
    seconds: float,
    attended: Array | None = None,
) -> Recognised:
    """A hypothesis about a waveform of so many seconds.

    ctc: (frames, vocab), if there is any; attended: in its place, as `token_spans` takes it; the frames of either are
    `hop` seconds apart.
    """
    spans = None if ctc is None else _spans(ctc, hypothesis, hop)
    reach = REACH_S if attended is None else ATTENTION_REACH_S
    if attended is not None:
        spans = token_spans(attended, vocabulary.pieces(hypothesis.tokens), hop)
    if spans is None:
        spans = _spread(vocabulary, hypothesis, seconds)
    return Recognised(
        tokens=hypothesis.tokens,
        text=vocabulary.decode(hypothesis.tokens),
        words=_timed(vocabulary, hypothesis, np.minimum(spans, seconds), seconds, reach),
        confidence=hypothesis.confidence,
        is_blank=ctc is not None and not len(best_paths(ctc[None], np.array([len(ctc)]))[0]),
    )


def _hop_seconds(samples: int, frames: Ints) -> float:
    """How far apart frames are, from how many the batch's longest clip has."""
    hop = samples / max(1, int(frames.max()))
    return max(1, round(hop / HOP_UNIT_SAMPLES)) * HOP_UNIT_SAMPLES / SAMPLE_RATE


def _spans(ctc: LogProbs, hypothesis: Hypothesis, hop: float) -> np.ndarray | None:
    """(tokens, 2) seconds by the CTC head's (frames, vocab); None where it has too few frames for the tokens."""
    try:
        return ctc_align(ctc, hypothesis.tokens) * hop
    except TextError:
        return None


def _spread(vocabulary: Vocabulary, hypothesis: Hypothesis, seconds: float) -> np.ndarray:
    """(tokens, 2) seconds, each as long as it has letters."""
    letters = np.array([max(1, len(piece)) for piece in vocabulary.pieces(hypothesis.tokens)])
    ends = np.cumsum(letters) / max(1, letters.sum()) * seconds
    return np.stack([np.concatenate([[0.0], ends[:-1]])[: len(ends)], ends], axis=1)


def _timed(
    vocabulary: Vocabulary, hypothesis: Hypothesis, spans: np.ndarray, seconds: float, reach: float
) -> tuple[TimedWord, ...]:
    found = words(vocabulary, hypothesis)
    inner = [(float(spans[word.first_token, 0]), float(spans[word.end_token - 1, 1])) for word in found]
    limits = [0.0, *((end + start) / 2 for (_, end), (start, _) in pairwise(inner)), seconds]
    return tuple(
        TimedWord(
            word.text,
            round(max(limits[index], start - reach), 3),
            round(min(limits[index + 1], end + reach), 3),
            word.confidence,
        )
        for index, (word, (start, end)) in enumerate(zip(found, inner, strict=True))
    )
