"""ELAN's annotation documents (.eaf, formats 2 and 3): tiers with their times, whatever way ELAN states them.

- An annotation whose edge has no time of its own is joined with those that follow it up to the next edge that has one.
- An annotation that refers to another has the time of the one at the root; those below one root are joined, in order.
- Annotations without text are left out.
It does not know where the recording lies.
"""

import math
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Iterator
from itertools import chain, count, groupby

from ...contract.errors import TextError
from .items import Tier
from .spans import Annotated, Annotation, seconds_of
from .xml_files import parse_xml, recording_path

Span = tuple[int, float, float]  # its number in the document, start and end in seconds; NaN where ELAN has no time
TIMELESS: Span = (-1, math.nan, math.nan)
DEEPEST = 100  # of tiers below tiers; a document in which annotations refer to each other in a circle has no root


def parse(data: bytes, name: str) -> Annotated:
    """The tiers of a document, and the recordings that it is about. Raises TextError."""
    root = parse_xml(data, name, "ELAN")
    if root.tag != "ANNOTATION_DOCUMENT":
        raise TextError(f"{name} is no ELAN document: save it again in ELAN.")
    header = root.find("HEADER")
    if header is not None and header.get("TIME_UNITS", "milliseconds") != "milliseconds":
        raise TextError(f"{name} counts time in {header.get('TIME_UNITS')}: save it again in ELAN, in milliseconds.")
    slots = {each.get("TIME_SLOT_ID", ""): seconds_of(each.get("TIME_VALUE")) for each in root.iter("TIME_SLOT")}
    tiers = {each.get("TIER_ID", ""): each for each in root.findall("TIER")}
    numbers = count()
    spans = {key: span for tier in tiers.values() for key, span in _aligned(tier, slots, numbers).items()}
    parents = {each.get("ANNOTATION_ID", ""): each.get("ANNOTATION_REF", "") for each in root.iter("REF_ANNOTATION")}
    places = {key: place for tier in tiers.values() for key, place in _places(tier).items()}
    places |= {key: place for place, key in enumerate(spans)}
    found = []
    for key, tier in tiers.items():
        texts = [(*_rooted(_id(each), spans, parents, places), _text(each)) for each in _each(tier)]
        found.append((_tier(key, tiers), list(_joined(texts))))
    return Annotated(found, tuple(_media(header)))


def _tier(key: str, tiers: dict[str, ET.Element]) -> Tier:
    tier, speaker = tiers[key], ""
    parent, seen = tier, set[str]()
    while not (speaker := parent.get("PARTICIPANT", "").strip()):  # a tier is spoken by whom its parent is
        above = parent.get("PARENT_REF", "")
        if above in seen or above not in tiers:
            break
        seen.add(above)
        parent = tiers[above]
    return Tier(key, tier.get("LINGUISTIC_TYPE_REF", ""), speaker, tier.get("PARENT_REF", ""))


def _each(tier: ET.Element) -> Iterator[ET.Element]:
    return (inner for holder in tier.findall("ANNOTATION") for inner in holder)


def _id(annotation: ET.Element) -> str:
    return annotation.get("ANNOTATION_ID", "")


def _text(annotation: ET.Element) -> str:
    return " ".join((annotation.findtext("ANNOTATION_VALUE") or "").split())


def _aligned(tier: ET.Element, slots: dict[str, float], numbers: Iterator[int]) -> dict[str, Span]:
    """Annotation -> span, in order, for those that have times: those that share an edge without time share a span."""
    alignable = [each for each in _each(tier) if each.tag == "ALIGNABLE_ANNOTATION"]
    next_at = {each.get("TIME_SLOT_REF1", ""): each for each in alignable}
    spans: dict[str, Span] = {}
    for first in sorted(alignable, key=lambda each: math.isnan(_edge(each, 1, slots))):  # chains begin at a time
        if _id(first) in spans:
            continue
        group, last = [first], first
        while math.isnan(_edge(last, 2, slots)):
            follower = next_at.get(last.get("TIME_SLOT_REF2", ""))
            if follower is None or len(group) > len(alignable):  # or a circle
                break
            group.append(last := follower)
        span = (next(numbers), _edge(first, 1, slots), _edge(last, 2, slots))
        spans |= dict.fromkeys(map(_id, group), span)
    return spans


def _edge(annotation: ET.Element, side: int, slots: dict[str, float]) -> float:
    return slots.get(annotation.get(f"TIME_SLOT_REF{side}", ""), math.nan)


def _places(tier: ET.Element) -> dict[str, int]:
    """Annotation -> its place in the tier; ELAN keeps those that refer to one parent as a chain, in any order."""
    after: dict[tuple[str, str], list[str]] = {}
    for each in _each(tier):
        after.setdefault((each.get("ANNOTATION_REF", ""), each.get("PREVIOUS_ANNOTATION", "")), []).append(_id(each))
    places: dict[str, int] = {}
    for (parent, previous), heads in after.items():
        waiting = deque(() if previous else heads)
        while waiting:
            if (key := waiting.popleft()) not in places:
                places[key] = len(places)
                waiting.extendleft(reversed(after.get((parent, key), [])))
    for key in chain.from_iterable(after.values()):  # a broken chain: as they stand
        places.setdefault(key, len(places))
    return places


def _rooted(
    key: str, spans: dict[str, Span], parents: dict[str, str], places: dict[str, int]
) -> tuple[Span, tuple[int, ...]]:
    """The span of the aligned annotation at the root, and the places on the way down from it."""
    path = [places.get(key, 0)]
    while key not in spans:
        key = parents.get(key, "")
        if not key or len(path) > DEEPEST:
            return TIMELESS, ()
        path.append(places.get(key, 0))
    return spans[key], tuple(reversed(path))


def _joined(texts: list[tuple[Span, tuple[int, ...], str]]) -> Iterator[Annotation]:
    for (_, start, end), group in groupby(sorted(texts, key=lambda each: (each[0][0], each[1])), lambda each: each[0]):
        if text := " ".join(text for _, _, text in group if text):
            yield Annotation(start, end, text)


def _media(header: ET.Element | None) -> Iterator[tuple[str, float]]:
    """(address, the time in it at which the document's time begins, in seconds) of each recording: below the
    document's folder where it states that, and where it was on the machine that wrote it.
    """
    for each in [] if header is None else header.findall("MEDIA_DESCRIPTOR"):
        origin = seconds_of(each.get("TIME_ORIGIN"))
        for address in (each.get("RELATIVE_MEDIA_URL"), each.get("MEDIA_URL")):
            if path := recording_path(address):
                yield path, 0.0 if math.isnan(origin) else origin
