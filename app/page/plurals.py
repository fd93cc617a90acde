"""Which form of a noun goes with a number: the rules of the Unicode CLDR for whole numbers below a million."""

FORMS = {
    "ar": ("zero", "one", "two", "few", "many", "other"),
    **{language: ("one", "other") for language in ("de", "en", "es", "fr", "pt", "sw")},
}
NONE_IS_ONE = frozenset({"fr", "pt"})  # and have a further form for whole millions, which nothing here counts


def form(language: str, count: int) -> str:
    """One of the language's FORMS."""
    if language == "ar":
        return _arabic(count)
    singular = count in (0, 1) if language in NONE_IS_ONE else count == 1
    return "one" if singular else "other"


def _arabic(count: int) -> str:
    if count < 3:
        return FORMS["ar"][count]
    rest = count % 100
    return "few" if 3 <= rest <= 10 else "many" if rest >= 11 else "other"
