"""Words to prefer while searching: a prefix tree over tokens that adds to the score of what spells one of them.

What was added for a word that goes on otherwise is taken back (contextual biasing with subtractive costs, Zhao et al.
2019). A word only counts from its beginning to its end, where the vocabulary knows word boundaries. It knows neither
audio nor models.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..contract.errors import UsageError
from ..text.vocabulary import EOS, UNK, Vocabulary

MOST_BOOST = 100.0
ROOT, OUTSIDE = 0, 1  # in front of a word; inside of one that is not listed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass
class _Node:
    children: dict[int, int] = field(default_factory=dict)  # token -> node
    pending: float = 0.0  # what was added and is taken back unless the word is completed
    whole: bool = False  # whether a word may end here


class Hotwords:
    """The words of a vocabulary to prefer, each token of which adds `boost` (natural logarithm).

    `unknown` are those that the vocabulary cannot spell; they are left out. A subword vocabulary prefers the one
    spelling in tokens that it would choose itself. Raises UsageError for a boost that makes no sense.
    """

    def __init__(self, vocabulary: Vocabulary, words: Iterable[str], boost: float) -> None:
        if not 0 <= boost <= MOST_BOOST:
            raise UsageError(f"The boost of hotwords must lie between 0 and {MOST_BOOST:.0f}; {boost} does not.")
        self.boost = boost
        self._nodes = [_Node(), _Node()]
        pieces = [vocabulary.pieces([token])[0] for token in range(len(vocabulary))]
        spaced = np.array([text.startswith(" ") for text in pieces])
        self._space = np.array([text == " " for text in pieces])
        # Where no token stands for a boundary, a word may begin and end anywhere.
        self._boundary = spaced if spaced.any() else np.ones(len(pieces), np.bool_)
        self._moves: dict[int, tuple[Floats, Ints]] = {}
        spelled = {word: vocabulary.encode(word) for word in words}
        self.unknown = [word for word, tokens in spelled.items() if UNK in tokens or not tokens]
        for word in sorted(spelled.keys() - set(self.unknown), key=lambda word: (len(spelled[word]), word)):
            self._add(spelled[word])  # the short ones first: a longer one may begin with one of them

    @property
    def most(self) -> float:
        """What the longest word adds."""
        return max(node.pending for node in self._nodes)

    def start(self, utterances: int) -> Ints:
        """(utterances, 1): where each hypothesis stands before its first token."""
        return np.full((utterances, 1), ROOT)

    def gains(self, places: Ints) -> Floats:
        """(...) -> (..., vocab): what each next token, the end among them, adds or takes back."""
        gains: Floats = np.stack([self._moved(int(place))[0] for place in places.reshape(-1)])
        return gains.reshape(*places.shape, -1)

    def after(self, places: Ints, tokens: Ints) -> Ints:
        """(...) and (...) -> (...): where each stands behind its next token."""
        pairs = zip(places.reshape(-1), tokens.reshape(-1), strict=True)
        return np.array([self._moved(int(place))[1][token] for place, token in pairs]).reshape(places.shape)

    def _add(self, tokens: Sequence[int]) -> None:
        at = ROOT
        for token in tokens:
            node = self._nodes[at]
            if token not in node.children:
                kept = node.whole and bool(self._boundary[token])
                self._nodes.append(_Node(pending=(0.0 if kept else node.pending) + self.boost))
                node.children[token] = len(self._nodes) - 1
            at = node.children[token]
        self._nodes[at].whole = True

    def _moved(self, place: int) -> tuple[Floats, Ints]:
        """(vocab,) gains and next places; remembered, for a search comes back to few places."""
        if place not in self._moves:
            self._moves[place] = self._move(place)
        return self._moves[place]

    def _move(self, place: int) -> tuple[Floats, Ints]:
        node, root = self._nodes[place], self._nodes[ROOT]
        gains = np.full(len(self._space), -node.pending)
        gains[EOS] = 0.0 if node.whole else -node.pending
        following = np.full(len(self._space), ROOT if self._boundary.all() else OUTSIDE)
        if node.whole:
            gains[self._boundary] = 0.0
        following[self._space] = ROOT
        for token, child in root.children.items():
            if self._boundary[token] or place == ROOT:
                gains[token] += self.boost
                following[token] = child
        for token, child in node.children.items():
            gains[token] = self.boost
            following[token] = child
        return gains, following
