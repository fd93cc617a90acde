"""Words of a corrected text, with the times that are known of them. It does not know segments."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from lect.exports.transcript import TimedWord

LEAST_S = 0.03  # that a word takes at least: programs drop what has no length


def retimed(words: Sequence[TimedWord], text: str, start: float, end: float) -> tuple[TimedWord, ...]:
    """The words of `text`, which a person says is spoken from `start` to `end`.

    Words that were there keep their times and confidences. Others share what lies between their neighbours, by their
    letters; where that is too little, with these.
    """
    new = text.split()
    known = dict[int, TimedWord]()
    matcher = SequenceMatcher(None, [word.text for word in words], new, autojunk=False)
    for kind, a, b, c, _ in matcher.get_opcodes():
        known |= {c + n: words[a + n] for n in range(b - a)} if kind == "equal" else {}
    fixed = {n: (max(w.start, start), min(w.end, end)) for n, w in known.items()}
    fixed = {n: edges for n, edges in fixed.items() if edges[1] - edges[0] >= LEAST_S}
    found, at = list[TimedWord](), 0
    while at < len(new):
        until = at + 1
        if at not in fixed:
            at, until = _stretch(at, fixed, len(new), start, end)
            del found[at:]
            low, high = _room(at, until, fixed, len(new), start, end)
            found += spread(new[at:until], low, high)
            fixed = {n: edges for n, edges in fixed.items() if not at <= n < until}
        else:
            found.append(TimedWord(new[at], *fixed[at], 1.0))
        at = until
    sure = {n: word.confidence for n, word in known.items()}
    return tuple(TimedWord(w.text, w.start, w.end, sure.get(n, 1.0)) for n, w in enumerate(found))


def spread(words: Sequence[str], start: float, end: float) -> list[TimedWord]:
    """Words that share a stretch, each as long as it has letters."""
    letters, found, done = sum(map(len, words)), list[TimedWord](), 0
    for word in words:
        edges = [round(start + (end - start) * each / letters, 3) for each in (done, done + len(word))]
        found.append(TimedWord(word, edges[0], edges[1], 1.0))
        done += len(word)
    return found


def cut_at(words: Sequence[TimedWord], text: str, offset: int, start: float, end: float) -> float:
    """When the character at `offset` of `text` is spoken: between two words halfway, inside of one by its letters."""
    before = text[:offset].split()
    inside = 0 < offset < len(text) and not text[offset - 1].isspace() and not text[offset].isspace()
    count = len(before) - inside
    if [word.text for word in words] != text.split():
        return start + (end - start) * offset / max(1, len(text))
    if inside:
        word = words[count]
        return word.start + (word.end - word.start) * len(before[-1]) / len(word.text)
    if 0 < count < len(words):
        return (words[count - 1].end + words[count].start) / 2
    return start if count == 0 else end


Fixed = dict[int, tuple[float, float]]


def _stretch(at: int, fixed: Fixed, count: int, start: float, end: float) -> tuple[int, int]:
    """The words without a time from `at` on, as (first, one past the last); with neighbours until they have room."""
    until = at + 1
    while until < count and until not in fixed:
        until += 1
    while True:
        low, high = _room(at, until, fixed, count, start, end)
        if high - low >= LEAST_S * (until - at) or (at == 0 and until == count):
            return at, until
        at, until = max(0, at - 1), min(count, until + 1)
        while at > 0 and at - 1 not in fixed:
            at -= 1
        while until < count and until not in fixed:
            until += 1


def _room(at: int, until: int, fixed: Fixed, count: int, start: float, end: float) -> tuple[float, float]:
    low = fixed[at - 1][1] if at - 1 in fixed else start
    return low, max(low, fixed[until][0] if until < count else end)
