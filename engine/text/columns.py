"""How many columns of a terminal a text takes. Knows no tables."""

import unicodedata


def column_width(text: str) -> int:
    """Marks and joiners take no column, wide East Asian letters two."""
    visible = [letter for letter in text if unicodedata.category(letter) not in ("Mn", "Me", "Cf")]
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in visible)
