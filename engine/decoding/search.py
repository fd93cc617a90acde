"""One search for torch and ONNX alike: joint CTC/attention decoding, and CTC forced alignment, in numpy.

It knows neither audio, nor models, nor text: a `StepDecoder` answers with log-probabilities, a CTC head (where there
is one) with a matrix of them. Rows are always utterances x hypotheses, all of one length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from lect.engine.contract.errors import BackboneError, TextError, UsageError
from lect.engine.decoding.hotwords import Hotwords
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.text.rules import nfc
from lect.engine.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LogProbs = npt.NDArray[np.float32]
State = TypeVar("State")

# Stands for "impossible" inside running sums, where infinities would turn into NaN; exp(-1000) is exactly 0.
LOG_FLOOR = -1000.0
# The longest loop that the repetition guard can see.
MAX_LOOP_TOKENS = 32


class StepDecoder(Protocol[State]):
    """What the search asks of a decoder: a torch module, an ONNX session, or a test's fake."""

    def start(self) -> State:
        """The state before the first token, one row per utterance."""

    def step(self, tokens: Ints, state: State) -> tuple[LogProbs, State]:
        """Feeds one token per row: (rows,) -> log-probabilities of the next one (rows, vocab), and the new state."""

    def reorder(self, state: State, rows: Ints) -> State:
        """The state whose row i is row `rows[i]` of `state`; rows may be repeated and dropped."""


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
    max_repeats: int = 8  # a piece said more often than this in a row ends the hypothesis; 0: no guard
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


@dataclass(frozen=True)
class Word:
    """One word of a hypothesis, and the tokens it is made of."""

    text: str
    confidence: float  # in [0, 1]: the product of its tokens' confidences
    first_token: int  # index into Hypothesis.tokens
    end_token: int  # one past the last


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
    frames. One that says the same up to `MAX_LOOP_TOKENS` tokens more than `max_repeats` times in a row ends there:
    it keeps one copy, and the score that it had (no end was heard, so none counts). `forbidden` tokens are never said.

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
            return _judged(prefixes, best_paths(ctc_log_probs, frame_lengths, blank, (*forbidden, eos)), eos)
    beams = _Beams(prefixes, frame_lengths, options, weight, eos, (*forbidden, blank))
    if decoder is not None and weight < 1:
        _follow(beams, decoder, start_tokens)
    while beams.alive:
        beams.extend(None)
    return beams.best


def write(
    decoder: StepDecoder[Any] | None,
    ctc_log_probs: LogProbs | None,
    frame_lengths: Ints,
    vocabulary: Vocabulary,
    options: DecodeOptions,
    positions: int = 0,
) -> list[Hypothesis]:
    """`search` for what a vocabulary writes: from its own start on, and never what it suppresses.

    positions: the most tokens that the decoder reads, its start included; 0: no limit.
    """
    if positions:
        room = positions - len(vocabulary.start)
        options = replace(options, max_tokens=min(options.max_tokens or room, room))
    return search(
        decoder,
        ctc_log_probs,
        frame_lengths,
        options,
        start_tokens=vocabulary.start,
        forbidden=(BOS, PAD, UNK, *vocabulary.suppressed),
    )


def words(vocabulary: Vocabulary, hypothesis: Hypothesis) -> list[Word]:
    """The words of a hypothesis, spelled as `vocabulary.decode` does.

    A word's confidence is the product of its tokens'; what follows it (a space, the end) does not count.
    """
    found = list[Word]()
    word = Word("", 1.0, 0, 0)
    for index, piece in enumerate(vocabulary.pieces(hypothesis.tokens)):
        for part, letters in enumerate(piece.split(" ")):
            if part or word.first_token == word.end_token:
                found.append(word)
                word = Word("", 1.0, index, index)
            if letters or not piece:  # a token may be a part of a letter's bytes
                confidence = word.confidence * hypothesis.token_confidences[index]
                word = Word(word.text + letters, confidence, word.first_token, index + 1)
    composed = str if vocabulary.kind == "phone" else nfc
    return [replace(word, text=composed(word.text)) for word in (*found, word) if word.text]


def ctc_align(ctc_log_probs: LogProbs, tokens: Sequence[int], blank: int = PAD) -> Ints:
    """The frames where each token is said: (frames, vocab) and n tokens -> (n, 2), from (inclusive) to (exclusive).

    Viterbi over the CTC lattice of blank, token, blank, ..., token, blank (Graves et al. 2006).
    Errors: TextError when the tokens do not fit into the frames.
    """
    labels = np.asarray(tokens, np.int64)
    frames, needed = len(ctc_log_probs), len(labels) + int((labels[1:] == labels[:-1]).sum())
    if needed > frames:
        raise TextError(f"A label needs at least {needed} frames but its recording has {frames}: check the label.")
    if not len(labels):
        return np.zeros((0, 2), np.int64)
    lattice = np.full(2 * len(labels) + 1, blank)
    lattice[1::2] = labels
    emissions = np.maximum(ctc_log_probs[:, lattice], LOG_FLOOR).astype(np.float64)
    may_skip = (lattice[2:] != blank) & (lattice[2:] != lattice[:-2])
    said = _viterbi(emissions, may_skip) == (2 * np.arange(len(labels)) + 1)[:, None]
    return np.stack([said.argmax(1), frames - said[:, ::-1].argmax(1)], axis=1)


def best_paths(
    ctc_log_probs: LogProbs, lengths: Ints, blank: int = PAD, forbidden: Sequence[int] = (BOS, UNK, EOS)
) -> list[Ints]:
    """The collapsed best CTC path of each utterance: (batch, frames, vocab) and (batch,) -> (tokens,) each."""
    scores = ctc_log_probs.copy()
    scores[..., [token for token in forbidden if token != blank]] = -np.inf
    path = scores.argmax(axis=2)
    path[np.arange(path.shape[1]) >= lengths[:, None]] = blank
    new = (path != blank) & (path != np.pad(path, ((0, 0), (1, 0)), constant_values=blank)[:, :-1])
    return [row[starts] for row, starts in zip(path, new, strict=True)]


class CtcPrefixes:
    """CTC prefix probabilities (Graves 2008) of growing prefixes, arrays of (utterances, width, ...).

    For a prefix g, `labelled[t]` and `blanked[t]` are the log-probabilities that the first t frames say exactly g and
    end in a label or in a blank. Both recurrences over t are linear, so they are running sums, and the probability
    of every one-symbol extension is one matrix product: no Python loop over frames or symbols.
    """

    def __init__(self, log_probs: LogProbs, lengths: Ints, *, eos: int = EOS, blank: int = PAD) -> None:
        batch, frames, vocab = log_probs.shape
        steps = np.maximum(log_probs, LOG_FLOOR).astype(np.float64)
        # Padding is blank for sure: it changes no probability, and every utterance ends in the last frame.
        steps[np.arange(frames) >= lengths[:, None]] = np.where(np.arange(vocab) == blank, 0.0, LOG_FLOOR)
        _check_numbers(steps)
        steps = steps.transpose(0, 2, 1)
        self._emissions = np.exp(steps)  # (utterances, vocab, frames)
        self._emissions[:, blank] = 0
        self._sums = np.zeros((batch, vocab, frames + 1))  # of the log-probabilities of the frames before
        np.cumsum(steps, axis=2, out=self._sums[:, :, 1:])
        self._eos, self._blank = eos, blank
        self._last = np.full((batch, 1), -1)
        self._labelled = np.full((batch, 1, frames + 1), -np.inf)
        self._blanked = self._sums[:, None, blank].copy()

    def extensions(self) -> Floats:
        """(utterances, width, vocab): log-probability that speech starts with the prefix and a symbol.

        At the end symbol: that speech is the prefix. What is 1e-300 times less likely than the prefix is impossible.
        """
        either = np.logaddexp(self._labelled, self._blanked)
        peak = np.maximum(either.max(axis=2, keepdims=True), np.finfo(np.float64).min)
        mass = np.exp(either[..., :-1] - peak) @ self._emissions.swapaxes(1, 2)
        # The same symbol again needs a blank between.
        utterances, rows = np.nonzero(self._last >= 0)
        last = self._last[utterances, rows]
        separated = np.exp(self._blanked[utterances, rows, :-1] - peak[utterances, rows])
        mass[utterances, rows, last] = (separated * self._emissions[utterances, last]).sum(axis=1)
        with np.errstate(divide="ignore"):
            scores: Floats = np.log(mass) + peak
        scores[..., self._eos] = either[..., -1]
        return scores

    def extend(self, utterances: Ints, parents: Ints, tokens: Ints) -> None:
        """Keeps the chosen utterances; row w of one becomes what row `parents[w]` was, grown by `tokens[w]`."""
        if len(utterances) < len(self._sums):
            self._emissions, self._sums = self._emissions[utterances], self._sums[utterances]
        at = (utterances[:, None], parents)
        labelled, blanked = self._labelled[at], self._blanked[at]
        again = tokens == self._last[at]
        before = np.where(again[..., None], blanked, np.logaddexp(labelled, blanked))
        self._labelled = _running(before, self._sums[np.arange(len(utterances))[:, None], tokens])
        self._blanked = _running(self._labelled, self._sums[:, None, self._blank])
        self._last = tokens


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
        unsayable: Sequence[int],
    ) -> None:
        batch = len(lengths)
        self._prefixes, self._options, self._weight, self._eos = prefixes, options, weight, eos
        self._unsayable = [token for token in unsayable if token != eos]
        caps = np.ceil(lengths * options.max_tokens_per_frame).astype(np.int64)
        self._penalty = float(weight == 0) if options.length_penalty is None else options.length_penalty
        self._caps = caps if options.max_tokens is None else np.minimum(caps, options.max_tokens)
        # Where there are no frames nothing was said, whatever a model makes of it.
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
        joint = joint + boosts
        ends = np.where(self._loops > 0, self._reached, joint[..., self._eos])
        joint[..., [*self._unsayable, self._eos]] = -np.inf
        joint[(self._loops > 0) | (self._caps[self._utterances] <= self._tokens.shape[2])[:, None]] = -np.inf
        scores, parents, tokens = _top(joint, self._options.beam_size)
        self._finish(ends, scores)
        keep = np.flatnonzero(self._winnable(scores))
        scores, parents, tokens = scores[keep], parents[keep], tokens[keep]
        rows = keep[:, None] * self._past.shape[1] + parents
        at = (keep[:, None], parents, tokens)
        confidences = _posteriors(steps[at], steps[at[:2]])
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
        attention = (1 - self._weight) * log_probs.astype(np.float64).reshape(*self._past.shape, -1)
        _check_numbers(attention[self._caps[self._utterances] > 0])
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
                said = slice(self._tokens.shape[2] - int(self._loops[index, row]))
                tokens, confidences = self._tokens[index, row, said], self._confidences[index, row, said]
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


def _follow(beams: _Beams, decoder: StepDecoder[State], start_tokens: Sequence[int]) -> None:
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


def _judged(prefixes: CtcPrefixes, sequences: list[Ints], eos: int) -> list[Hypothesis]:
    # Exact scores and posteriors of given sequences: the same meaning as in a beam search.
    batch, lengths = np.arange(len(sequences)), [len(sequence) for sequence in sequences]
    said = np.full((len(sequences), max(lengths, default=0) + 1), eos)
    for row, sequence in zip(said, sequences, strict=True):
        row[: len(sequence)] = sequence
    scores, posteriors = np.zeros(said.shape), np.zeros(said.shape)
    for position in range(said.shape[1]):
        steps = prefixes.extensions()[:, 0]
        scores[:, position] = steps[batch, said[:, position]]
        posteriors[:, position] = _posteriors(scores[:, position], steps)
        prefixes.extend(batch, np.zeros((len(batch), 1), np.int64), said[:, position, None])
    found = zip(sequences, scores, posteriors, lengths, strict=True)
    return [Hypothesis(tuple(s.tolist()), float(score[n]), tuple(p[:n].tolist())) for s, score, p, n in found]


def _posteriors(chosen: Floats, steps: Floats) -> Floats:
    # (...) of (..., vocab). Rows that only fill the width, or have ended, may have no possible symbol at all.
    peak = np.maximum(steps.max(axis=-1), np.finfo(np.float64).min)
    with np.errstate(invalid="ignore"):
        shares: Floats = np.exp(chosen - peak) / np.exp(steps - peak[..., None]).sum(axis=-1)
    return shares


def _running(before: Floats, sums: Floats) -> Floats:
    # r[t] = (r[t - 1] + before[t - 1]) * p[t], in logarithms, given the running sums of log p.
    result = np.full(before.shape, -np.inf)
    result[..., 1:] = sums[..., 1:] + np.logaddexp.accumulate(before[..., :-1] - sums[..., :-1], axis=2)
    return result


def _top(scores: Floats, count: int) -> tuple[Floats, Ints, Ints]:
    # (utterances, width, vocab) -> the best `count` of each utterance, falling: scores, rows, symbols.
    left, rows = scores.reshape(len(scores), -1).copy(), np.arange(len(scores))
    count = min(count, left.shape[1])
    best, chosen = np.empty((len(left), count)), np.empty((len(left), count), np.int64)
    # Sorting, even in part, takes ten times as long as looking for the best few of a Whisper's 50,000 symbols.
    for place in range(count):
        chosen[:, place] = left.argmax(axis=1)
        best[:, place] = left[rows, chosen[:, place]]
        left[rows, chosen[:, place]] = -np.inf
    return best, chosen // scores.shape[2], chosen % scores.shape[2]


def _check_numbers(scores: npt.NDArray[Any]) -> None:
    if np.isnan(scores).any():
        raise BackboneError(
            "The model's scores are not numbers, so its weights are damaged: fetch the backbone or train again."
        )


def _viterbi(emissions: Floats, may_skip: npt.NDArray[np.bool_]) -> Ints:
    # (frames, states), (states - 2,) -> the best state of each frame, from one of the first two to one of the last.
    frames, states = emissions.shape
    score = np.full(states + 2, -np.inf)  # two states of padding in front, so that shifts are slices
    score[2:4] = emissions[0, :2]
    skip = np.concatenate([np.full(2, -np.inf), np.where(may_skip, 0.0, -np.inf)])
    back = np.zeros((frames, states), np.int8)
    for frame in range(1, frames):
        moves = np.stack([score[2:], score[1:-1], score[:-2] + skip])
        back[frame] = moves.argmax(axis=0)
        score[2:] = moves.max(axis=0) + emissions[frame]
    path = np.empty(frames, np.int64)
    path[-1] = states - 1 if score[-1] >= score[-2] else states - 2
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = path[frame] - back[frame, path[frame]]
    return path
