"""Names of languages by their tags, from the IANA registry (assets/page/languages.tsv)."""

from functools import cache

from lect.engine.contract.files import ASSETS

TABLE = ASSETS / "page" / "languages.tsv"


@cache
def names() -> dict[str, str]:
    """BCP-47 language subtag -> English name."""
    rows = (line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines())
    return {tag: name for tag, name in rows}


def shown(language: str) -> str:
    """A tag with its name where it has one: "Swahili (sw)"."""
    name = names().get(language.partition("-")[0].lower(), "").partition(" / ")[0].partition(" (")[0]
    return f"{name} ({language})" if name else language
