"""FLEx's interlinear texts (.flextext): phrases with the times that ELAN and SayMore gave them and FLEx keeps.

The text of a phrase is its own, or that of its words; a translation (gls) is a tier that depends on it. Times are
milliseconds; a phrase without them stays, without length.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from ...contract.errors import TextError
from .items import Tier
from .spans import Annotated, Annotation, seconds_of
from .xml_files import parse_xml, recording_path

TEXT, PUNCTUATION, TRANSLATION = "txt", "punct", "gls"
OPENING = set("([{«‹“‘„‚¿¡")  # stands before its word; other punctuation behind it


def parse(data: bytes, name: str) -> Annotated:
    """The tiers of a document, and the recording that it is about. Raises TextError."""
    root = parse_xml(data, name, "FLEx")
    if root.tag != "document" or root.find("interlinear-text") is None:
        raise TextError(f"{name} is no interlinear text of FLEx: export it again, as FLEXTEXT.")
    media = list(dict.fromkeys(recording_path(each.get("location")) for each in root.iter("media")))
    if len(media) > 1:
        raise TextError(f"{name} is about {len(media)} recordings: export each text by itself in FLEx.")
    found = dict[Tier, list[Annotation]]()
    for phrase in root.iter("phrase"):
        for tier, text in _texts(phrase):
            found.setdefault(tier, []).append(_annotation(phrase, text))
    return Annotated(list(found.items()), tuple((path, 0.0) for path in media if path))


def _texts(phrase: ET.Element) -> Iterator[tuple[Tier, str]]:
    """The phrase's own text, then its translations."""
    items = [each for each in phrase.findall("item") if _said(each)]
    own = next((each for each in items if each.get("type") == TEXT), None)
    words = list(phrase.iterfind("words/word/item"))
    first = own if own is not None else next((each for each in words if each.get("type") == TEXT), None)
    if first is None:
        return
    tier = Tier(f"{TEXT} {first.get('lang', '')}".strip(), TEXT)
    yield tier, _said(own) if own is not None else _joined(words, first.get("lang"))
    for each in items:
        if each.get("type") == TRANSLATION:
            yield Tier(f"{TRANSLATION} {each.get('lang', '')}".strip(), TRANSLATION, parent=tier.name), _said(each)


def _joined(words: list[ET.Element], language: str | None) -> str:
    text = ""
    for each in words:
        said = _said(each)
        if each.get("type") not in (TEXT, PUNCTUATION) or each.get("lang") != language or not said:
            continue
        closes = each.get("type") == PUNCTUATION and said[0] not in OPENING
        text += said if closes or not text or text[-1] in OPENING else f" {said}"
    return text


def _said(item: ET.Element) -> str:
    return " ".join((item.text or "").split())


def _annotation(phrase: ET.Element, text: str) -> Annotation:
    start, end = (seconds_of(phrase.get(f"{edge}-time-offset")) for edge in ("begin", "end"))
    return Annotation(start, end, text, (phrase.get("speaker") or "").strip())
