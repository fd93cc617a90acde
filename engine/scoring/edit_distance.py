"""The character error rate of many texts in one number, for choosing among steps and weights. No intervals."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein


def character_error_rate(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Corpus-level, over code points; a fraction."""
    pairs = zip(hypotheses, references, strict=True)
    wrong = sum(Levenshtein.distance(hypothesis, reference) for hypothesis, reference in pairs)
    return wrong / max(1, sum(map(len, references)))
