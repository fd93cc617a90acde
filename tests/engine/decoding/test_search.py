"""The search against brute force on models small enough to enumerate; guards, batches, words, alignment."""

import itertools
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from lect.engine.contract.errors import BackboneError, TextError, UsageError
from lect.engine.decoding.alignment import ctc_align
from lect.engine.decoding.ctc import CtcPrefixes, best_paths
from lect.engine.decoding.search import DecodeOptions, Hypothesis, decode, search
from lect.engine.decoding.words import Word, words
from lect.engine.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

SYMBOLS = (4, 5, 6)
VOCAB = 7


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@dataclass(frozen=True)
class TinyDecoder:
    """A random recurrent network: every next symbol depends on the utterance and on all symbols before."""

    hidden: np.ndarray  # (utterances, 8), where each utterance starts
    sharpness: float = 3.0
    bias: tuple[float, ...] = (0.0,) * VOCAB

    def start(self) -> np.ndarray:
        return self.hidden

    def step(self, tokens: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert tokens.shape == (len(state),)
        weights = np.random.default_rng(0)
        embedding, recurrent = weights.normal(size=(VOCAB, 8)), weights.normal(size=(8, 8)) / 2
        state = np.tanh(state @ recurrent + embedding[tokens])
        logits = self.sharpness * state @ weights.normal(size=(8, VOCAB)) + self.bias
        return log_softmax(logits).astype(np.float32), state

    def reorder(self, state: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return state[rows]

    def log_prob(self, tokens: Sequence[int], start: Sequence[int] = (EOS,)) -> float:
        """Of the first utterance saying these tokens and ending."""
        state, total = self.hidden[:1], 0.0
        for token in start[:-1]:
            _, state = self.step(np.array([token]), state)
        for before, token in itertools.pairwise((start[-1], *tokens, EOS)):
            log_probs, state = self.step(np.array([before]), state)
            total += float(log_probs[0, token])
        return total


class Constant:
    """Says the same whatever was said before: a decoder that loops."""

    def __init__(self, log_probs: Sequence[np.ndarray], batch: int = 1) -> None:
        self.cycle, self.batch, self.rows_seen = log_probs, batch, []

    def start(self) -> np.ndarray:
        return np.zeros(self.batch, np.int64)

    def step(self, tokens: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.rows_seen.append(len(tokens))
        return np.stack([self.cycle[i % len(self.cycle)] for i in state]), state + 1

    def reorder(self, state: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return state[rows]


def random_ctc(seed: int, batch: int = 1, frames: int = 5, vocab: int = VOCAB) -> np.ndarray:
    return log_softmax(2 * np.random.default_rng(seed).normal(size=(batch, frames, vocab)))


def random_decoder(seed: int, batch: int = 1) -> TinyDecoder:
    return TinyDecoder(np.random.default_rng(seed).normal(size=(batch, 8)))


def collapse(path: Sequence[int]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != PAD)


def ctc_sums(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every label sequence, by enumeration of all paths of one utterance (frames, vocab)."""
    sums: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(VOCAB), repeat=len(log_probs)):
        probability = float(np.exp(sum(float(log_probs[t, s]) for t, s in enumerate(path))))
        sums[collapse(path)] = sums.get(collapse(path), 0.0) + probability
    return sums


def one_hot(tokens: Sequence[int], vocab: int = VOCAB, sure: float = 0.99) -> np.ndarray:
    probabilities = np.full((len(tokens), vocab), (1 - sure) / (vocab - 1))
    probabilities[np.arange(len(tokens)), tokens] = sure
    return np.log(probabilities).astype(np.float32)


def lengths(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize("seed", range(3))
def test_prefix_scores_sum_over_all_paths(seed: int) -> None:
    log_probs = random_ctc(seed, frames=5)
    sums = ctc_sums(log_probs[0])
    for prefix in [(), (4,), (4, 4), (4, 5, 4), (6, 6, 5), (5, 6, 4, 5)]:
        prefixes = CtcPrefixes(log_probs, lengths(5))
        for token in prefix:
            prefixes.extend(lengths(0), np.zeros((1, 1), np.int64), np.array([[token]]))
        scores = np.exp(prefixes.extensions()[0, 0])
        assert scores[EOS] == pytest.approx(sums.get(prefix, 0.0), rel=1e-9)
        assert scores[PAD] == 0
        for symbol in SYMBOLS:
            longer = (*prefix, symbol)
            expected = sum(p for said, p in sums.items() if said[: len(longer)] == longer)
            assert scores[symbol] == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_prefix_scores_of_a_long_utterance_stay_exact() -> None:
    log_probs = log_softmax(10 * np.random.default_rng(0).normal(size=(1, 1500, VOCAB)))
    log_probs[0, 700:, 5] = -np.inf
    said = best_paths(log_probs, lengths(1500))[0][:100]
    prefixes = CtcPrefixes(log_probs, lengths(1500))
    labelled, blanked = np.full(1500, -np.inf), np.cumsum(log_probs[0, :, PAD].astype(float))
    last = -1
    for token in said:
        prefixes.extend(lengths(0), np.zeros((1, 1), np.int64), np.array([[token]]))
        start = 0.0 if last < 0 else -np.inf
        phi = np.r_[start, (blanked if token == last else np.logaddexp(labelled, blanked))[:-1]]
        labelled, blanked, last = *recursion(log_probs[0].astype(float), token, phi), token
    assert prefixes.extensions()[0, 0, EOS] == pytest.approx(np.logaddexp(labelled[-1], blanked[-1]), rel=1e-9)


def recursion(log_probs: np.ndarray, token: int, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Watanabe et al. 2017, algorithm 2, frame by frame."""
    labelled, blanked = np.full(len(phi), -np.inf), np.full(len(phi), -np.inf)
    for t in range(len(phi)):
        before = (labelled[t - 1], blanked[t - 1]) if t else (-np.inf, -np.inf)
        labelled[t] = np.logaddexp(before[0], phi[t]) + log_probs[t, token]
        blanked[t] = np.logaddexp(*before) + log_probs[t, PAD]
    return labelled, blanked


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_wide_beam_finds_the_best_joint_score(weight: float, seed: int) -> None:
    decoder, log_probs = random_decoder(seed), random_ctc(seed, frames=4)
    sums = ctc_sums(log_probs[0])
    best, best_tokens = -np.inf, ()
    for tokens in itertools.chain(*(itertools.product(SYMBOLS, repeat=n) for n in range(5))):
        with np.errstate(divide="ignore"):
            ctc = float(np.log(sums.get(tokens, 0.0))) if weight else 0.0
        score = (1 - weight) * decoder.log_prob(tokens) + (weight * ctc if weight else 0.0)
        best, best_tokens = max((best, best_tokens), (score, tokens))
    options = DecodeOptions(beam_size=200, ctc_weight=weight, length_penalty=0.0)
    [found] = search(decoder, log_probs, lengths(4), options)
    assert found.tokens == best_tokens
    assert found.score == pytest.approx(best, rel=1e-6)


def test_ctc_alone_with_a_beam_finds_the_most_probable_string() -> None:
    for seed in range(5):
        log_probs = random_ctc(seed, frames=5)
        sums = ctc_sums(log_probs[0])
        [found] = search(None, log_probs, lengths(5), DecodeOptions(beam_size=50))
        sums = {said: p for said, p in sums.items() if set(said) <= set(SYMBOLS)}
        assert found.tokens == max(sums, key=sums.__getitem__)
        assert np.exp(found.score) == pytest.approx(max(sums.values()), rel=1e-6)


def test_ctc_greedy_is_the_collapsed_best_path_with_its_exact_score() -> None:
    path = [PAD, 4, 4, PAD, 4, 5, 5, PAD, PAD, 6]
    log_probs = one_hot(path)[None]
    for decoder, weight in ((None, 0.3), (random_decoder(0), 1.0)):
        options = DecodeOptions(beam_size=1, ctc_weight=weight)
        [found] = search(decoder, log_probs, lengths(len(path)), options)
        assert found.tokens == collapse(path)
        assert len(found.token_confidences) == 4 and min(found.token_confidences) > 0.9
    small = random_ctc(3)
    [found] = search(None, small, lengths(5), DecodeOptions(beam_size=1))
    assert np.exp(found.score) == pytest.approx(ctc_sums(small[0])[found.tokens], rel=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_beam_of_one_is_greedy(weight: float) -> None:
    decoder, log_probs = random_decoder(1), random_ctc(1, frames=8)
    [found] = search(decoder, log_probs, lengths(8), DecodeOptions(beam_size=1, ctc_weight=weight))
    state, token, tokens, confidences = decoder.start(), EOS, [], []
    prefixes = CtcPrefixes(log_probs, lengths(8))
    while len(tokens) < 8:
        attention, state = decoder.step(np.array([token]), state)
        joint = (1 - weight) * attention[0].astype(float)
        joint = joint + weight * prefixes.extensions()[0, 0] if weight else joint
        posterior = np.exp(joint - np.logaddexp.reduce(joint))
        joint[[BOS, PAD, UNK]] = -np.inf
        token = int(joint.argmax())
        if token == EOS:
            break
        tokens.append(token)
        confidences.append(posterior[token])
        prefixes.extend(lengths(0), np.zeros((1, 1), np.int64), np.array([[token]]))
    assert found.tokens == tuple(tokens)
    assert found.token_confidences == pytest.approx(tuple(confidences))


@pytest.mark.parametrize("options", [DecodeOptions(b, w) for b in (1, 3) for w in (0.0, 0.3, 1.0)], ids=str)
def test_a_batch_equals_its_utterances_alone(options: DecodeOptions) -> None:
    decoder, log_probs = random_decoder(5, batch=6), random_ctc(5, batch=6, frames=9)
    frames = lengths(9, 0, 4, 7, 1, 9)
    log_probs[2, 4:] = np.nan  # what a model makes of padding does not matter
    together = search(decoder, log_probs, frames, options)
    for index, found in enumerate(together):
        single = replace(decoder, hidden=decoder.hidden[index : index + 1])
        [alone] = search(single, log_probs[index : index + 1, : frames[index]], frames[index : index + 1], options)
        assert alone.tokens == found.tokens
        assert alone.score == pytest.approx(found.score)
        assert alone.token_confidences == pytest.approx(found.token_confidences)
    assert together[1] == Hypothesis((), 0.0, ())


def test_several_start_tokens_are_fed_before_the_search() -> None:
    decoder = random_decoder(2)
    options = DecodeOptions(beam_size=100, ctc_weight=0, length_penalty=0)
    [found] = search(decoder, None, lengths(3), options, start_tokens=(BOS, 5, EOS))
    tried = itertools.chain(*(itertools.product(SYMBOLS, repeat=n) for n in range(4)))
    assert found.score == pytest.approx(max(decoder.log_prob(t, (BOS, 5, EOS)) for t in tried), rel=1e-6)


def test_what_a_vocabulary_starts_with_suppresses_and_has_room_for() -> None:
    vocabulary = Vocabulary("grapheme", ("a", "b", "c"), start=(BOS, 5), suppressed=(4,))
    babbler = Constant([np.log(np.array([0.01, 0.01, 0.01, 0.01, 0.6, 0.3, 0.06], np.float32))])  # rather 4, and no end
    options = DecodeOptions(beam_size=1, max_repeats=0, max_tokens=9)
    [found] = decode(lambda: babbler, None, lengths(50), vocabulary, options, positions=6)
    assert found.tokens == (5,) * (6 - 2)
    assert len(babbler.rows_seen) == 6  # each token read, and none beyond
    [found] = decode(lambda: Constant(babbler.cycle), None, lengths(50), vocabulary, options)
    assert len(found.tokens) == 9


def test_rows_shrink_as_utterances_finish() -> None:
    quiet, loud = one_hot([EOS])[0], one_hot([4])[0]
    decoder = Constant([quiet, loud], batch=2)
    decoder.start = lambda: np.array([0, 1])  # type: ignore[method-assign]
    found = search(decoder, None, lengths(6, 6), DecodeOptions(beam_size=1, ctc_weight=0))
    assert [h.tokens for h in found] == [(), (4,)]
    assert decoder.rows_seen == [2, 1]


def test_silence_is_an_empty_hypothesis() -> None:
    log_probs = one_hot([PAD] * 20)[None]
    decoder = Constant([one_hot([EOS])[0]])
    for options in (DecodeOptions(1), DecodeOptions(4), DecodeOptions(4, 1.0), DecodeOptions(4, 0.0)):
        [found] = search(decoder, log_probs, lengths(20), options)
        assert found.tokens == () and found.token_confidences == ()


def test_ctc_keeps_a_decoder_that_never_ends_within_the_frames() -> None:
    never = np.log(np.array([1e-9, 1e-9, 1e-9, 1e-9, 0.5, 0.3, 0.2], np.float32))
    for frames in (1, 4, 7):
        log_probs = random_ctc(0, frames=frames)
        [found] = search(Constant([never]), log_probs, lengths(frames), DecodeOptions(4, 0.2, max_tokens_per_frame=9))
        again = sum(a == b for a, b in itertools.pairwise(found.tokens))
        assert len(found.tokens) + again <= frames


def test_length_cap_without_ctc() -> None:
    decoder = random_decoder(0)
    decoder = replace(decoder, bias=(0, 0, -50, 0, 0, 0, 0))  # never wants to end
    options = DecodeOptions(2, 0.0, max_tokens_per_frame=0.5)
    assert [len(h.tokens) for h in search(decoder, None, lengths(13), options)] == [7]
    options = replace(options, max_tokens=3)
    assert [len(h.tokens) for h in search(decoder, None, lengths(13), options)] == [3]


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("piece", [(4,), (4, 5), (4, 5, 6, 6, 4)])
def test_a_loop_ends_the_hypothesis_and_leaves_one_copy(piece: tuple[int, ...], beam: int) -> None:
    steps = one_hot(piece)
    steps[:, EOS] = -25  # it would never end by itself
    decoder = Constant(list(steps))
    options = DecodeOptions(beam, 0.0, max_repeats=3)
    [found] = search(decoder, None, lengths(1000), options)
    assert found.tokens == piece and len(found.token_confidences) == len(piece)
    assert len(decoder.rows_seen) == 4 * len(piece) + 1
    [unguarded] = search(decoder, None, lengths(40), replace(options, max_repeats=0))
    assert len(unguarded.tokens) == 40


@pytest.mark.parametrize("options", [DecodeOptions(1, 0.0), DecodeOptions(3, 0.0, length_penalty=1.0)], ids=str)
def test_loops_are_counted_for_each_hypothesis_apart(options: DecodeOptions) -> None:
    said = [[4, 5, 4, 5, 4, 5, EOS], [6, 6, 5, 4, 6, 4, 6, 4, 6, EOS], [6, 4, 6, 4, 6, 4, 6, 4]]
    steps = [one_hot([tokens[t % len(tokens)]], sure=1 - 1e-6)[0] for tokens in said for t in range(40)]
    decoder = Constant(steps, batch=3)
    decoder.start = lambda: np.array([0, 40, 80])  # type: ignore[method-assign]
    found = search(decoder, None, lengths(30, 30, 30), replace(options, max_repeats=3))
    assert [list(h.tokens) for h in found] == [said[0][:-1], said[1][:-1], [6, 4]]


def test_poor_ends_on_the_way_do_not_stop_the_search() -> None:
    steps = one_hot([4, 5, 6, 4, 5, 6, EOS], sure=1 - 1e-6)
    steps[:-1, EOS] = np.log(1e-6)  # the second best symbol everywhere
    [found] = search(Constant(list(steps)), None, lengths(20), DecodeOptions(2, 0.0))
    assert found.tokens == (4, 5, 6, 4, 5, 6)


def test_greedy_ends_at_the_first_end_whatever_the_length_penalty() -> None:
    decoder = Constant([np.log(np.array([0.01, 0.01, 0.50, 0.01, 0.45, 0.01, 0.01], np.float32))])
    [found] = search(decoder, None, lengths(20), DecodeOptions(1, 0.0, length_penalty=5.0))
    assert found.tokens == () and decoder.rows_seen == [1]


def test_as_many_repeats_as_allowed_are_kept() -> None:
    said = [4, 5] * 3 + [EOS]
    [found] = search(Constant(list(one_hot(said))), None, lengths(100), DecodeOptions(1, 0.0, max_repeats=3))
    assert found.tokens == (4, 5) * 3


def test_forbidden_tokens_are_never_said_but_count_in_confidence() -> None:
    step = np.log(np.array([0.1, 0.1, 0.05, 0.4, 0.2, 0.1, 0.05], np.float32))
    [found] = search(Constant([step, one_hot([EOS])[0]]), None, lengths(5), DecodeOptions(2, 0.0))
    assert found.tokens == (4,)
    assert found.token_confidences == pytest.approx((0.2,), rel=1e-5)
    sure_of_unknown = one_hot([UNK, BOS, EOS])[None]
    assert search(None, sure_of_unknown, lengths(3), DecodeOptions(1))[0].tokens != (UNK,)
    assert not {BOS, UNK, PAD, EOS} & set(search(None, sure_of_unknown, lengths(3), DecodeOptions(4))[0].tokens)


def test_length_penalty_favours_longer_hypotheses() -> None:
    step = np.log(np.array([0.01, 0.01, 0.50, 0.01, 0.45, 0.01, 0.01], np.float32))
    [short] = search(Constant([step]), None, lengths(4), DecodeOptions(30, 0.0, length_penalty=0.0))
    [long] = search(Constant([step]), None, lengths(4), DecodeOptions(30, 0.0, length_penalty=4.0))
    assert short.tokens == () and len(long.tokens) > 0


def test_attention_alone_is_not_short_by_default() -> None:
    steps = one_hot([4, 5, 6] * 5 + [EOS], sure=0.8)  # the end is never far, and fifteen doubts add up
    [short] = search(Constant(list(steps)), None, lengths(40), DecodeOptions(4, 0.0, length_penalty=0.0))
    assert short.tokens == ()
    for options in (DecodeOptions(4, 0.0), DecodeOptions(1, 0.0), DecodeOptions(4, 0.3)):
        [found] = search(Constant(list(steps)), one_hot([4, 5, 6] * 5)[None], lengths(15), options)
        assert found.tokens == (4, 5, 6) * 5


def test_scores_that_are_no_numbers_are_refused() -> None:
    bad = np.full((1, 3, VOCAB), np.nan, np.float32)
    with pytest.raises(BackboneError, match="not numbers"):
        search(None, bad, lengths(3), DecodeOptions())
    with pytest.raises(BackboneError, match="not numbers"):
        search(Constant([bad[0, 0]]), None, lengths(3), DecodeOptions())


@pytest.mark.parametrize(
    "wrong",
    [
        {"beam_size": 0},
        {"ctc_weight": 1.1},
        {"max_tokens_per_frame": 0},
        {"max_tokens": 0},
        {"max_repeats": -1},
        {"length_penalty": -1},
    ],
)
def test_senseless_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        DecodeOptions(**wrong)  # type: ignore[arg-type]


def test_words_carry_the_product_of_their_tokens() -> None:
    graphemes = Vocabulary("grapheme", (" ", "a", "b̃"))
    hypothesis = Hypothesis((5, 6, 4, 4, 6, 4), -1.0, (0.9, 0.5, 0.1, 0.1, 0.7, 0.2))
    assert words(graphemes, hypothesis) == [Word("ab̃", pytest.approx(0.45), 0, 2), Word("b̃", 0.7, 4, 5)]
    pieces = Vocabulary("unigram", ("▁ka", "na", "▁"), (-1.0, -1.0, -1.0))
    found = words(pieces, Hypothesis((4, 5, 4, 6, 5), -1.0, (0.5, 0.5, 0.8, 0.9, 1.0)))
    assert found == [Word("kana", 0.25, 0, 2), Word("ka", 0.8, 2, 3), Word("na", 1.0, 4, 5)]
    marks = Vocabulary("grapheme", (" ", "e", "\u0301"))
    spelled = words(marks, Hypothesis((5, 6, 4, 5), -1.0, (1.0,) * 4))
    assert [word.text for word in spelled] == marks.decode((5, 6, 4, 5)).split() == ["é", "e"]
    shared = Vocabulary("bytes", ("a", "Ġ", "Ġa", "æ", "Ĺ", "¥", "<|en|>"))  # the bytes of 日
    found = words(shared, Hypothesis((6, 7, 8, 9, 5, 4), -1.0, (0.5, 0.5, 0.5, 0.8, 1.0, 0.9)))
    assert found == [Word("a日", pytest.approx(0.1), 0, 4), Word("a", 0.9, 5, 6)]
    assert words(shared, Hypothesis((7, 8, 9), -1.0, (0.5, 0.5, 1.0))) == [Word("日", 0.25, 0, 3)]
    assert words(graphemes, Hypothesis((), 0.0, ())) == []
    assert words(graphemes, Hypothesis((4,), 0.0, (0.5,))) == []


def test_alignment_follows_the_frames() -> None:
    log_probs = one_hot([PAD, 4, 4, PAD, 5, 5, 5, PAD, 5, PAD])
    assert ctc_align(log_probs, (4, 5, 5)).tolist() == [[1, 3], [4, 7], [8, 9]]
    assert ctc_align(log_probs, ()).shape == (0, 2)
    assert ctc_align(log_probs[:0], ()).shape == (0, 2)
    assert ctc_align(one_hot([4]), (4,)).tolist() == [[0, 1]]


@pytest.mark.parametrize("seed", range(5))
def test_alignment_is_the_best_of_all_paths(seed: int) -> None:
    log_probs = random_ctc(seed, frames=6)[0]
    for tokens in [(4,), (4, 4), (5, 4, 6), (6, 6, 5), (4, 5, 6, 5, 4, 6)]:
        paths = [p for p in itertools.product((PAD, *SYMBOLS), repeat=6) if collapse(p) == tokens]
        best = max(paths, key=lambda path: sum(float(log_probs[t, s]) for t, s in enumerate(path)))
        runs = [(token, len(list(run))) for token, run in itertools.groupby(best)]
        ends = np.cumsum([n for _, n in runs])
        expected = [[end - n, end] for (token, n), end in zip(runs, ends, strict=True) if token != PAD]
        assert ctc_align(log_probs, tokens).tolist() == expected


def test_a_label_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TextError, match="needs at least 3 frames but its recording has 2"):
        ctc_align(one_hot([4, 4]), (4, 4))


def test_importing_the_search_needs_no_torch() -> None:
    heavy = "{'torch', 'jiwer', 'tokenizers', 'sqlite_utils'}"
    code = f"import lect.engine.decoding.search, sys; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class Replay:
    """Costs nothing: the search's own time is what is left."""

    def __init__(self, said: np.ndarray, vocab: int) -> None:
        steps = log_softmax(np.random.default_rng(0).normal(size=(said.shape[1] + 1, said.shape[0], vocab)))
        for position, tokens in enumerate([*said.T, np.full(len(said), EOS)]):
            steps[position, np.arange(len(said)), tokens] += 6
        self.steps = log_softmax(steps)

    def start(self) -> tuple[int, np.ndarray]:
        return 0, np.arange(self.steps.shape[1])

    def step(self, tokens: np.ndarray, state: tuple[int, np.ndarray]) -> tuple[np.ndarray, tuple[int, np.ndarray]]:
        position, utterances = state
        return self.steps[min(position, len(self.steps) - 1), utterances], (position + 1, utterances)

    def reorder(self, state: tuple[int, np.ndarray], rows: np.ndarray) -> tuple[int, np.ndarray]:
        return state[0], state[1][rows]


@pytest.mark.bench
def test_overhead_of_the_search() -> None:
    random = np.random.default_rng(0)
    said = random.integers(4, 60, (8, 80))
    path = np.full((8, 250), PAD)
    path[:, 3 : 3 + 3 * 80 : 3] = said
    logits = random.normal(size=(8, 250, 60))
    np.put_along_axis(logits, path[..., None], 7.0, axis=2)
    started = time.process_time()
    found = search(Replay(said, 60), log_softmax(logits), np.full(8, 250), DecodeOptions(4, 0.3))
    seconds = time.process_time() - started
    assert [h.tokens for h in found] == [tuple(row.tolist()) for row in said]
    print(f"search overhead, batch 8, beam 4, 60 symbols, 250 frames, 80 tokens: {seconds:.3f} CPU s")
    assert seconds < 1.0
