"""Names of languages by their tags, from the IANA registry (assets/page/languages.tsv)."""

from collections.abc import Iterable
from functools import cache

from lect.engine.contract.files import ASSETS

TABLE = ASSETS / "page" / "languages.tsv"
# Tags of one language that models call by another: of older registries, and of a macrolanguage's usual member.
_ALSO = {
    "arb": "ar", "azj": "az", "als": "sq", "cmn": "zh", "ekk": "et", "fil": "tl", "in": "id", "iw": "he", "ji": "yi",
    "jv": "jw", "khk": "mn", "lvs": "lv", "mo": "ro", "nb": "no", "npi": "ne", "pes": "fa", "plt": "mg", "swh": "sw",
    "uzn": "uz", "ydd": "yi", "zsm": "ms",
}  # fmt: skip


@cache
def names() -> dict[str, str]:
    """BCP-47 language subtag -> English name."""
    rows = (line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines())
    return {tag: name for tag, name in rows}


def shown(language: str) -> str:
    """A tag with its name where it has one: "Swahili (sw)"."""
    name = named(language)
    return f"{name} ({language})" if name else language


def named(language: str) -> str:
    """The English name of a tag; "" where it has none."""
    code = language.partition("-")[0].lower()
    return _plain(names().get("jv" if code == "jw" else code, "").partition(" / ")[0])


def among(language: str, known: Iterable[str]) -> str:
    """Which of the tags `known` a language is, given by its tag in any case or by its English name; "" if none is."""
    words = language.strip().lower()
    codes = [code for code in (words.partition("-")[0], _tags().get(words)) if code]
    by_code = {tag.partition("-")[0]: tag for tag in known}
    return next((by_code[each] for code in codes for each in (code, _ALSO.get(code)) if each in by_code), "")


def _plain(name: str) -> str:
    return name.partition(" (")[0].removeprefix("Modern ")


@cache
def _tags() -> dict[str, str]:
    """English name -> subtag; of two with one name the shorter, which is the language that more people speak."""
    pairs = [(_plain(part).lower(), tag) for tag, name in names().items() for part in name.split(" / ")]
    return dict(sorted(pairs, key=lambda pair: -len(pair[1])))
