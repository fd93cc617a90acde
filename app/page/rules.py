"""Text rules as fields of the page, and back. It does not know what the rules do."""

from lect.engine.contract.errors import TextError
from lect.engine.text.rules import TextRules

ARROW = ">"


def from_fields(keep_case: bool, keep_punctuation: bool, removed: str, replaced: str) -> TextRules:
    """The rules of four fields; `removed` is one a line, `replaced` one `old > new` a line. Raises TextError."""
    pairs = [_pair(line) for line in replaced.splitlines() if line.strip()]
    gone = tuple(line.strip() for line in removed.splitlines() if line.strip())
    return TextRules("keep" if keep_case else "lower", "keep" if keep_punctuation else "remove", gone, tuple(pairs))


def to_fields(rules: TextRules) -> tuple[bool, bool, str, str]:
    """What `from_fields` reads."""
    replaced = "\n".join(f"{old} {ARROW} {new}" for old, new in rules.replace)
    return rules.case == "keep", rules.punctuation == "keep", "\n".join(rules.remove), replaced


def _pair(line: str) -> tuple[str, str]:
    old, arrow, new = line.partition(ARROW)
    if not arrow or not old.strip():
        raise TextError(f"The replacement “{line.strip()}” is not understood: write old {ARROW} new, one a line.")
    return old.strip(), new.strip()
