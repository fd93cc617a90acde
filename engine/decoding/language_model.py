"""A language model of a lect's texts: how likely each token is after the last few, for shallow fusion in the search.

n-grams over the tokens of one vocabulary with interpolated Witten-Bell smoothing (Witten and Bell 1991, as in Chen and
Goodman 1998), added to the search's score with a weight (shallow fusion, Gulcehre et al. 2015). It needs texts alone,
and a few hundred sentences are enough to be of use. It knows neither audio nor models.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from ..contract.errors import TextError
from ..contract.tensor_files import check_header
from ..text.vocabulary import EOS, UNK

ORDER = 6  # tokens a row, the last of them the one that is foretold
MOST_NGRAMS = 200_000  # rows kept, the frequent ones: 3 MB
REMEMBERED = 4_096  # contexts whose answer is kept, since a search comes back to few
REMEMBERED_BYTES = 128 << 20  # or fewer, where the vocabulary is large
MOST_HEADER_BYTES = 4_096  # of its file, which has three tensors

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Context = tuple[int, ...]


class _Seen(NamedTuple):
    """What is known behind a context."""

    probabilities: Floats  # (vocab,)
    start: int  # the rows that continue it
    stop: int


class LanguageModel:
    """n-grams and their counts, as a scorer of the search (`search.Scorer`).

    ngrams: (rows, order) with the context's last token first and the foretold token last, in lexicographic order, so
    that what continues any context is one stretch of rows; all lower orders are sums over such stretches.
    """

    most = 0.0  # no token ever adds to a score

    def __init__(self, ngrams: npt.NDArray[np.integer], counts: npt.NDArray[np.integer], size: int, weight: float):
        """size: of the vocabulary; weight: what its log-probabilities count for, beside the joint score's 1."""
        self.ngrams, self.counts, self.size, self.weight = ngrams, counts, size, weight
        self._columns = np.asfortranarray(ngrams)
        self._contexts: list[Context] = []
        self._places: dict[Context, int] = {}
        self._seen = lru_cache(min(REMEMBERED, REMEMBERED_BYTES // (8 * size)))(self._look_up)

    @classmethod
    def of(cls, texts: Iterable[Sequence[int]], size: int, weight: float) -> "LanguageModel":
        """The model of texts in tokens; what stands beside an unknown symbol is left out."""
        padded = [np.array([*[EOS] * (ORDER - 1), *text, EOS], np.int32) for text in texts]
        windows = [np.lib.stride_tricks.sliding_window_view(text, ORDER) for text in padded]
        rows = np.concatenate([np.zeros((0, ORDER), np.int32), *windows])
        rows = rows[(rows != UNK).all(axis=1)]
        ngrams, counts = np.unique(np.hstack([rows[:, -2::-1], rows[:, -1:]]), axis=0, return_counts=True)
        kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_NGRAMS])
        return cls(ngrams[kept], counts[kept], size, weight)

    @classmethod
    def from_bytes(cls, data: bytes, size: int) -> "LanguageModel":
        """From `to_bytes`, for a vocabulary of `size` tokens. Raises TextError when it is none, or not of that size."""
        try:
            check_header(data, MOST_HEADER_BYTES)
            tensors = safetensors.numpy.load(data)
            ngrams, counts, weight = tensors["ngrams"], tensors["counts"], float(tensors["weight"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise TextError(f"Its language model cannot be read ({error!s:.200}): get it again.") from error
        whole = all(np.issubdtype(tensor.dtype, np.integer) for tensor in (ngrams, counts))
        if not whole or ngrams.ndim != 2 or not 1 <= ngrams.shape[1] <= 2 * ORDER or counts.shape != ngrams.shape[:1]:
            raise TextError("Its language model holds other tensors than such a model has: get it again.")
        if len(ngrams) > MOST_NGRAMS:
            raise TextError(f"Its language model has more than {MOST_NGRAMS} n-grams: get it again.")
        ngrams, counts = ngrams.astype(np.int64), counts.astype(np.int64)
        fits = not len(ngrams) or (0 <= ngrams.min() and ngrams.max() < size and counts.min() > 0)
        ordered = np.array_equal(np.lexsort(ngrams.T[::-1]), np.arange(len(ngrams)))
        if not fits or not ordered or not 0 <= weight <= 1:
            raise TextError("Its language model was made for another vocabulary, or was damaged: get it again.")
        return cls(ngrams, counts, size, weight)

    def to_bytes(self) -> bytes:
        """As a safetensors file; equal models give equal bytes."""
        kind = np.uint16 if self.size <= 1 << 16 else np.uint32
        tensors = {
            "counts": self.counts.astype(np.uint32),
            "ngrams": np.ascontiguousarray(self.ngrams, dtype=kind),
            "weight": np.array(self.weight),
        }
        return safetensors.numpy.save(tensors)

    def weighted(self, weight: float) -> "LanguageModel":
        """The same with another weight."""
        return LanguageModel(self.ngrams, self.counts, self.size, weight)

    def start(self, utterances: int) -> Ints:
        """(utterances, 1): where each hypothesis stands before its first token."""
        return np.full((utterances, 1), self._place((EOS,) * (self.ngrams.shape[1] - 1)))

    def gains(self, places: Ints) -> Floats:
        """(...) -> (..., vocab): what each next token, the end among them, adds: never more than 0."""
        found = [self._seen(self._contexts[place]).probabilities for place in places.reshape(-1)]
        gains: Floats = self.weight * np.log(np.stack(found))
        return gains.reshape(*places.shape, -1)

    def after(self, places: Ints, tokens: Ints) -> Ints:
        """(...) and (...) -> (...): where each stands behind its next token."""
        pairs = zip(places.reshape(-1).tolist(), tokens.reshape(-1).tolist(), strict=True)
        return np.array([self._place((*self._contexts[place], token)) for place, token in pairs]).reshape(places.shape)

    def _place(self, context: Context) -> int:
        """The number of the longest part of a context that was ever seen: what differs before it cannot matter."""
        context = context[len(context) - min(len(context), self.ngrams.shape[1] - 1) :]
        while context and (seen := self._seen(context)).start == seen.stop:
            context = context[1:]
        if context not in self._places:
            self._places[context] = len(self._contexts)
            self._contexts.append(context)
        return self._places[context]

    def _look_up(self, context: Context) -> _Seen:
        """Each order's counts, with as many more for the next lower order as there are kinds of continuations."""
        lower, start, stop = np.full(self.size, 1 / self.size), 0, len(self.counts)
        if context:
            lower, start, stop = self._seen(context[1:])
            column = self._columns[start:stop, len(context) - 1]
            first, behind = np.searchsorted(column, [context[0], context[0] + 1])
            start, stop = start + int(first), start + int(behind)
        if start == stop:
            return _Seen(lower, start, stop)
        counts = np.bincount(self._columns[start:stop, -1], self.counts[start:stop], minlength=self.size)
        kinds = np.count_nonzero(counts)
        return _Seen((counts + kinds * lower) / (counts.sum() + kinds), start, stop)
