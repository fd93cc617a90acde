"""Which form of a noun goes with a number: the rules of the Unicode CLDR for whole numbers below a million."""

FORMS = {
    "ar": ("zero", "one", "two", "few", "many", "other"),
    "en": ("one", "other"),
    "fr": ("one", "other"),
}


def form(language: str, count: int) -> str:
    """One of the language's FORMS."""
    if language == "ar":
        return _arabic(count)
    singular = count in (0, 1) if language == "fr" else count == 1
    return "one" if singular else "other"


def _arabic(count: int) -> str:
    if count < 3:
        return FORMS["ar"][count]
    rest = count % 100
    return "few" if 3 <= rest <= 10 else "many" if rest >= 11 else "other"
