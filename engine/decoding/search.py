"""One search for torch and ONNX alike: joint CTC/attention decoding, in numpy.

It knows neither audio, nor models, nor text: a `StepDecoder` answers with log-probabilities, a CTC head (where there
is one) with a matrix of them. Rows are always utterances x hypotheses, all of one length.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ..contract.errors import UsageError
from ..text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from .ctc import CtcPrefixes, Floats, Ints, LogProbs, best_paths, check_numbers
from .hotwords import Hotwords
from .language_model import LanguageModel

State = TypeVar("State")

# The longest loop that the repetition guard can see.
MAX_LOOP_TOKENS = 32


class StepDecoder(Protocol[State]):
    """What the search asks of a decoder: a torch module, an ONNX session, or a test's fake."""

    def start(self) -> State:
        """The state before the first token, one row per utterance."""

    def step(self, tokens: Ints, state: State) -> tuple[LogProbs, State]:
        """Feeds one token per row: (rows,) -> log-probabilities of the next one (rows, vocab), and the new state."""

    def reorder(self, state: State, rows: Ints) -> State:
        """The state whose row i is row `rows[i]` of `state`; rows may be repeated and dropped.

        Rows of one utterance lie side by side, and each utterance that is left has as many.
        """


def attended(clips: Ints) -> Ints:
    """(rows,) the utterance of each row -> those whose frames are needed, each once and in this order."""
    return clips[np.flatnonzero(np.diff(clips, prepend=-1))]


class Scorer(Protocol):
    """What adds to a hypothesis's score token by token, beside the model: hotwords, a language model."""

    @property
    def most(self) -> float:
        """The most that it can still add to a hypothesis."""

    def start(self, utterances: int) -> Ints:
        """(utterances, 1): where each hypothesis stands before its first token."""

    def gains(self, places: Ints) -> Floats:
        """(...) -> (..., vocab): what each next token adds, the end among them."""

    def after(self, places: Ints, tokens: Ints) -> Ints:
        """(...) and (...) -> (...): where each stands behind its next token."""


@dataclass(frozen=True)
class DecodeOptions:
    """How to search. Errors: UsageError when a value makes no sense."""

    beam_size: int = 4  # hypotheses kept per utterance; 1 is greedy
    ctc_weight: float = 0.6  # share of CTC in the joint score; a part that is absent gets no weight
    max_tokens_per_frame: float = 1.0  # length cap, in tokens per encoder frame
    max_tokens: int | None = None  # length cap of the decoder itself (its positions), where it has one
    max_repeats: int = 8  # a piece repeated more often than this in a row ends the hypothesis; 0: no guard
    # Exponent of Wu et al. 2016; the higher, the longer. None: 0 with CTC, and 1 for a beam of the attention alone,
    # which would rather end at once than add up the small doubts of a long sentence.
    length_penalty: float | None = None
    hotwords: Hotwords | None = None  # words to prefer; of the vocabulary that is searched
    language_model: LanguageModel | None = None  # of the same vocabulary

    @property
    def scorers(self) -> tuple[Scorer, ...]:
        """What adds to scores beside the model."""
        return tuple(scorer for scorer in (self.hotwords, self.language_model) if scorer is not None)

    def to_json(self) -> dict[str, Any]:
        """The conditions of a score, as a JSON object."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        weight = self.language_model.weight if self.language_model else 0.0
        return plain | {"hotwords": self.hotwords is not None, "language_model": weight}

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise UsageError(f"The beam size must be 1 or more, not {self.beam_size}.")
        if not 0 <= self.ctc_weight <= 1:
            raise UsageError(f"The CTC weight must lie between 0 and 1; {self.ctc_weight} does not.")
        if self.max_tokens_per_frame <= 0 or (self.max_tokens is not None and self.max_tokens < 1):
            raise UsageError("The length limits of decoding must be above 0.")
        if self.max_repeats < 0 or (self.length_penalty or 0) < 0:
            raise UsageError("The repetition limit and the length penalty cannot be negative.")


@dataclass(frozen=True)
class Hypothesis:
    """The best label sequence of one utterance; empty where there is no speech."""

    tokens: tuple[int, ...]  # ids without start and end tokens
    score: float  # joint log-probability, the end included, after the length penalty; 0 where there are no frames
    token_confidences: tuple[float, ...]  # in [0, 1], one per token; see `search`

    @property
    def mean_log_prob(self) -> float:
        """Of its tokens; 0 without any."""
        logs = [math.log(max(confidence, 1e-9)) for confidence in self.token_confidences]
        return sum(logs) / max(1, len(logs))

    @property
    def confidence(self) -> float:
        """In [0, 1]: the geometric mean over its tokens; 0 without any."""
        return math.exp(self.mean_log_prob) if self.token_confidences else 0.0


def search(
    decoder: StepDecoder[Any] | None,
    ctc_log_probs: LogProbs | None,
    frame_lengths: Ints,
    options: DecodeOptions,
    *,
    start_tokens: Sequence[int] = (EOS,),
    eos: int = EOS,
    blank: int = PAD,
    forbidden: Sequence[int] = (BOS, PAD, UNK),
) -> list[Hypothesis]:
    """The best hypothesis of each utterance, after Watanabe et al. 2017 (one-pass joint CTC/attention decoding).

    `ctc_log_probs` is (batch, frames, vocab), `frame_lengths` (batch,). A hypothesis scores
    `(1 - w) * attention + w * CTC prefix`, over the whole vocabulary rather than a few candidates of the attention.
    CTC alone (no decoder, or weight 1) takes the best path when greedy, and a prefix search with a beam.

    Hotwords and a language model add to a hypothesis's score while it is searched and in the end, and to no token's
    confidence.

    Guards: a hypothesis is never longer than its frames times `max_tokens_per_frame`, nor than CTC can fit into the
    frames. One that repeats the same up to `MAX_LOOP_TOKENS` tokens more than `max_repeats` times in a row ends there:
    it keeps one copy, and the score that it had (it came to no end, so none counts). `forbidden` tokens are never
    written.

    A token's confidence is its joint posterior given what precedes it: `p_attention^(1-w) * p_CTC^w`, renormalised
    over the vocabulary (the unknown symbol included). It is the number the search decided by, not fitted to data: an
    overconfident model stays overconfident.

    Errors: BackboneError when the model's scores are not numbers.
    """
    assert decoder is not None or ctc_log_probs is not None, "nothing to decode from"
    weight = 1.0 if decoder is None else 0.0 if ctc_log_probs is None else options.ctc_weight
    prefixes = None
    if ctc_log_probs is not None and weight > 0:
        prefixes = CtcPrefixes(ctc_log_probs, frame_lengths, eos=eos, blank=blank)
        if weight == 1 and options.beam_size == 1 and not options.scorers:
            return _scored(prefixes, best_paths(ctc_log_probs, frame_lengths, blank, (*forbidden, eos)), eos)
    beams = _Beams(prefixes, frame_lengths, options, weight, eos, (*forbidden, blank))
    if decoder is not None and weight < 1:
        _attend(beams, decoder, start_tokens)
    while beams.alive:
        beams.extend(None)
    return beams.best


def decode(
    make_decoder: Callable[[], StepDecoder[Any]],
    ctc_log_probs: LogProbs | None,
    frame_lengths: Ints,
    vocabulary: Vocabulary,
    options: DecodeOptions,
    positions: int = 0,
) -> list[Hypothesis]:
    """`search` in a vocabulary: from its own start on, and never what it suppresses.

    make_decoder: called unless CTC alone decides. positions: the most tokens that the decoder reads, its start
    included; 0: no limit.
    """
    if positions:
        room = positions - len(vocabulary.start)
        options = replace(options, max_tokens=min(options.max_tokens or room, room))
    ctc_alone = ctc_log_probs is not None and options.ctc_weight == 1
    return search(
        None if ctc_alone else make_decoder(),
        ctc_log_probs,
        frame_lengths,
        options,
        start_tokens=vocabulary.start,
        forbidden=(BOS, PAD, UNK, *vocabulary.suppressed),
    )


class _Beams:
    """The search's memory: arrays of (utterances, width, ...) of what grows, and each utterance's best finished one.

    A row that is only there to fill the width has a `past` of minus infinity.
    """

    def __init__(
        self,
        prefixes: CtcPrefixes | None,
        lengths: Ints,
        options: DecodeOptions,
        weight: float,
        eos: int,
        forbidden: Sequence[int],
    ) -> None:
        batch = len(lengths)
        self._prefixes, self._options, self._weight, self._eos = prefixes, options, weight, eos
        self._forbidden = [token for token in forbidden if token != eos]
        caps = np.ceil(lengths * options.max_tokens_per_frame).astype(np.int64)
        self._penalty = float(weight == 0) if options.length_penalty is None else options.length_penalty
        self._caps = caps if options.max_tokens is None else np.minimum(caps, options.max_tokens)
        # Where there are no frames there is no speech, whatever a model makes of it.
        self.best = [Hypothesis((), -np.inf if length else 0.0, ()) for length in lengths]
        self._utterances = np.arange(batch)  # those still searched, as indices into the batch
        self._tokens = np.zeros((batch, 1, 0), np.int64)
        self._confidences = np.zeros((batch, 1, 0))
        self._past = np.zeros((batch, 1))  # what the attention has added to the joint score
        self._reached = np.zeros((batch, 1))  # the joint score
        self._scorers = options.scorers
        self._boosts = np.zeros((batch, 1))  # what they have added to the joint score
        self._places = [scorer.start(batch) for scorer in self._scorers]
        # For how many tokens the last ones have equalled those n + 1 before; and how many of them to cut as a loop.
        self._runs = np.zeros((batch, 1, MAX_LOOP_TOKENS), np.int64)
        self._loops = np.zeros((batch, 1), np.int64)

    @property
    def alive(self) -> int:
        """How many utterances are still searched."""
        return len(self._utterances)

    def extend(self, log_probs: LogProbs | None) -> tuple[Ints, Ints]:
        """One token more: the decoder's (rows, vocab) -> the parent row and the token of each new row, (rows,) both."""
        attention, steps = self._scores(log_probs)
        joint = self._past[..., None] + steps
        boosts = self._boosted()
        joint = joint + boosts if self._scorers else joint
        ends = np.where(self._loops > 0, self._reached, joint[..., self._eos])
        joint[..., [*self._forbidden, self._eos]] = -np.inf
        joint[(self._loops > 0) | (self._caps[self._utterances] <= self._tokens.shape[2])[:, None]] = -np.inf
        scores, parents, tokens = _top(joint, self._options.beam_size)
        self._finish(ends, scores)
        keep = np.flatnonzero(self._winnable(scores))
        scores, parents, tokens = scores[keep], parents[keep], tokens[keep]
        rows = keep[:, None] * self._past.shape[1] + parents
        at = (keep[:, None], parents, tokens)
        # The attention's alone add up to 1 as they are, and a Whisper's 50,000 take long to add.
        confidences = np.exp(steps[at]) if self._prefixes is None else _posteriors(steps[at], steps[at[:2]])
        self._past = np.where(scores > -np.inf, self._past[at[:2]] + attention[at], -np.inf)
        self._reached = scores
        self._boosts = np.broadcast_to(boosts, joint.shape)[at]
        places = zip(self._scorers, self._places, strict=True)
        self._places = [scorer.after(place[at[:2]], tokens) for scorer, place in places]
        self._grow(keep, parents, tokens, confidences)
        if self._prefixes is not None:
            self._prefixes.extend(keep, parents, tokens)
        return rows.reshape(-1), tokens.reshape(-1)

    def _scores(self, log_probs: LogProbs | None) -> tuple[Floats, Floats]:
        # (utterances, width, vocab) both: the attention's weighted share, and with CTC's. The latter is for the whole
        # prefix, which adds the same to every symbol of a row: `steps` is a posterior but for its normalisation.
        ctc = 0.0 if self._prefixes is None else self._weight * self._prefixes.extensions()
        if log_probs is None:
            return np.zeros_like(ctc), np.asarray(ctc)
        attention = log_probs.astype(np.float64).reshape(*self._past.shape, -1)
        check_numbers(attention.min(axis=2)[self._caps[self._utterances] > 0])
        if self._prefixes is None:
            return attention, attention
        attention *= 1 - self._weight
        return attention, attention + ctc

    def _boosted(self) -> Floats:
        # (utterances, width, vocab), or 1 for vocab: the sum of what scorers add to each row with each next token.
        boosted: Floats = self._boosts[..., None]
        for scorer, places in zip(self._scorers, self._places, strict=True):
            boosted = boosted + scorer.gains(places)
        return boosted

    def _finish(self, ends: Floats, scores: Floats) -> None:
        # A hypothesis ends when its end is among the best `beam_size` continuations of its utterance.
        better = (scores[:, None] > ends[..., None]).sum(2) + (ends[:, None] > ends[..., None]).sum(2)
        divisor = ((5 + self._tokens.shape[2]) / 6) ** self._penalty
        for index, row in np.argwhere((better < self._options.beam_size) & (ends > -np.inf)):
            utterance, score = self._utterances[index], float(ends[index, row] / divisor)
            if score > self.best[utterance].score:
                kept = slice(self._tokens.shape[2] - int(self._loops[index, row]))
                tokens, confidences = self._tokens[index, row, kept], self._confidences[index, row, kept]
                self.best[utterance] = Hypothesis(tuple(tokens.tolist()), score, tuple(confidences.tolist()))

    def _winnable(self, scores: Floats) -> npt.NDArray[np.bool_]:
        # Joint scores only fall as a hypothesis grows, so a live one worse than a finished one cannot win; with a
        # length penalty this is judged at the present length, or sure babble after the end could win by being long.
        # Stopping at a number of finished ones instead would let a sure model end on the first, poor ends.
        divisor = ((6 + self._tokens.shape[2]) / 6) ** self._penalty
        best = np.array([self.best[utterance].score for utterance in self._utterances])
        # With hotwords they may rise again, by as much as the longest adds: more would be two words that overtake.
        hoped = scores[:, 0] + sum(scorer.most for scorer in self._scorers)
        winnable: npt.NDArray[np.bool_] = hoped / divisor > best
        return winnable if self._options.beam_size > 1 else winnable & (best == -np.inf)

    def _grow(self, keep: Ints, parents: Ints, tokens: Ints, confidences: Floats) -> None:
        at, limit = (keep[:, None], parents), self._options.max_repeats
        history = self._tokens[at]
        recent = history[..., : -MAX_LOOP_TOKENS - 1 : -1]
        same = np.zeros((*tokens.shape, MAX_LOOP_TOKENS), np.bool_)
        same[..., : recent.shape[2]] = recent == tokens[..., None]
        self._runs = (self._runs[at] + 1) * same
        looped = (self._runs >= np.arange(1, MAX_LOOP_TOKENS + 1) * limit) & (limit > 0)
        self._loops = np.where(looped.any(2), (looped.argmax(2) + 1) * limit, 0)
        self._tokens = np.concatenate([history, tokens[..., None]], axis=2)
        self._confidences = np.concatenate([self._confidences[at], confidences[..., None]], axis=2)
        self._utterances = self._utterances[keep]


def _attend(beams: _Beams, decoder: StepDecoder[State], start_tokens: Sequence[int]) -> None:
    state, tokens = decoder.start(), np.full(beams.alive, start_tokens[0])
    for token in start_tokens[1:]:
        _, state = decoder.step(tokens, state)
        tokens = np.full(beams.alive, token)
    while beams.alive:
        log_probs, state = decoder.step(tokens, state)
        rows, tokens = beams.extend(log_probs)
        # Copying the caches is dear: not when nothing moved, nor after the last step.
        if beams.alive and not np.array_equal(rows, np.arange(len(log_probs))):
            state = decoder.reorder(state, rows)


def _scored(prefixes: CtcPrefixes, sequences: list[Ints], eos: int) -> list[Hypothesis]:
    # Exact scores and posteriors of given sequences: the same meaning as in a beam search.
    batch, lengths = np.arange(len(sequences)), [len(sequence) for sequence in sequences]
    padded = np.full((len(sequences), max(lengths, default=0) + 1), eos)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    scores, posteriors = np.zeros(padded.shape), np.zeros(padded.shape)
    for position in range(padded.shape[1]):
        steps = prefixes.extensions()[:, 0]
        scores[:, position] = steps[batch, padded[:, position]]
        posteriors[:, position] = _posteriors(scores[:, position], steps)
        prefixes.extend(batch, np.zeros((len(batch), 1), np.int64), padded[:, position, None])
    found = zip(sequences, scores, posteriors, lengths, strict=True)
    return [Hypothesis(tuple(s.tolist()), float(score[n]), tuple(p[:n].tolist())) for s, score, p, n in found]


def _posteriors(chosen: Floats, steps: Floats) -> Floats:
    # (...) of (..., vocab). Rows that only fill the width, or have ended, may have no possible symbol at all.
    peak = np.maximum(steps.max(axis=-1), np.finfo(np.float64).min)
    with np.errstate(invalid="ignore"):
        shares: Floats = np.exp(chosen - peak) / np.exp(steps - peak[..., None]).sum(axis=-1)
    return shares


def _top(scores: Floats, count: int) -> tuple[Floats, Ints, Ints]:
    # (utterances, width, vocab), used up -> the best `count` of each utterance, falling: scores, rows, symbols.
    left, rows = scores.reshape(len(scores), -1), np.arange(len(scores))
    count = min(count, left.shape[1])
    best, chosen = np.empty((len(left), count)), np.empty((len(left), count), np.int64)
    # Sorting, even in part, takes ten times as long as looking for the best few of a Whisper's 50,000 symbols.
    for place in range(count):
        chosen[:, place] = left.argmax(axis=1)
        best[:, place] = left[rows, chosen[:, place]]
        left[rows, chosen[:, place]] = -np.inf
    return best, chosen // scores.shape[2], chosen % scores.shape[2]
