"""Two texts against each other, letter by letter, in colours that also differ in shape."""

from rapidfuzz.distance import Levenshtein

from lect.engine.text.rules import graphemes

from .markup import text


def marked(reference: str, hypothesis: str) -> str:
    """`hypothesis` as HTML: what is wrong underlined, what is missing struck through."""
    wanted, got = graphemes(reference), graphemes(hypothesis)
    parts = []
    for step in Levenshtein.opcodes(wanted, got):
        missing = text("".join(wanted[step.src_start : step.src_end]))
        there = text("".join(got[step.dest_start : step.dest_end]))
        if step.tag == "equal":
            parts.append(there)
        else:
            parts.append((f"<del>{missing}</del>" if missing else "") + (f"<ins>{there}</ins>" if there else ""))
    return f'<bdi class="speech diff">{"".join(parts) or "∅"}</bdi>'


def confusions(pairs: list[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """(in the label, in the hypothesis, how often) of single letters, the most frequent first; "" is nothing."""
    counts: dict[tuple[str, str], int] = {}
    for reference, hypothesis in pairs:
        wanted, got = graphemes(reference), graphemes(hypothesis)
        for op in Levenshtein.editops(wanted, got):
            label = "" if op.tag == "insert" else wanted[op.src_pos]
            letter = "" if op.tag == "delete" else got[op.dest_pos]
            counts[label, letter] = counts.get((label, letter), 0) + 1
    return sorted(((a, b, n) for (a, b), n in counts.items()), key=lambda each: (-each[2], each[0], each[1]))
