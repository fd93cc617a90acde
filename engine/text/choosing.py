"""Which sentences to record next: those whose letters, beside the letters they stand by, were recorded least.

The greedy choice of J. van Santen and A. Buchsbaum, *Methods for Optimal Text Selection* (Eurospeech 1997), with
letters in place of phones: what has been recorded often counts for little, and a long sentence costs more to record.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from .rules import graphemes

EDGE = "_"  # of a word, as a neighbour
FIXED_LETTERS = 20  # what finding a sentence and keeping its take costs, as if it had so many letters more


@dataclass(frozen=True)
class Choice:
    """A sentence, and what it brings: letters and pairs of neighbours, with how often each was recorded before."""

    index: int  # among the candidates
    text: str
    brings: tuple[tuple[str, int], ...]  # the rarest first

    @property
    def new(self) -> tuple[str, ...]:
        """What was never recorded."""
        return tuple(unit for unit, times in self.brings if not times)


def units(text: str) -> Counter[str]:
    """Letters, and pairs of them as they follow each other in a word, its edges included."""
    found = Counter[str]()
    for word in text.split():
        letters = graphemes(word)
        found.update(letters)
        found.update(map("".join, zip([EDGE, *letters], [*letters, EDGE], strict=True)))
    return found


def choose(candidates: Sequence[str], recorded: Iterable[str], count: int) -> list[Choice]:
    """Up to so many of the candidates, the most helpful first; both are texts under a project's rules.

    Each choice counts as recorded for the next one. Texts that are recorded already, and empty ones, are left out.
    """
    known = set(recorded_texts := list(recorded))
    times = sum(map(units, recorded_texts), Counter[str]())
    left = {text: index for index, text in reversed(list(enumerate(candidates))) if text and text not in known}
    # What a sentence brings only shrinks while others are chosen: of most, what it was before says enough.
    waiting = [(-_worth(text, units(text), times), index, text) for text, index in left.items()]
    heapify(waiting)
    chosen = list[Choice]()
    while waiting and len(chosen) < count:
        _, index, text = heappop(waiting)
        within = units(text)
        now = (-_worth(text, within, times), index, text)
        if waiting and now > waiting[0]:
            heappush(waiting, now)
            continue
        brings = sorted(((unit, times[unit]) for unit in within), key=lambda each: (each[1], each[0]))
        chosen.append(Choice(index, text, tuple(brings)))
        times.update(within)
    return chosen


def _worth(text: str, within: Counter[str], times: Counter[str]) -> float:
    return sum(1 / (1 + times[unit]) ** 2 for unit in within) / (len(text) + FIXED_LETTERS)
