"""Linguists' files: ELAN's .eaf (format 3.0) and Praat's TextGrid, each with a tier of segments and one of words.

Written by hand, because pympi declares an older format and a linguistic type that nobody asked for; both files are
small. Of what it reads, a document of ELAN's that tiers are added to, everything stays.
"""

import datetime
import mimetypes
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path

from lect.engine.contract.errors import UsageError

from ..transcript import Segment, TimedWord, Transcript
from .media_names import relative_url

SEGMENTS, WORDS = "lect", "lect words"  # tiers, and ELAN's linguistic types
XSI = "http://www.w3.org/2001/XMLSchema-instance"
ET.register_namespace("xsi", XSI)
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
ASSOCIATED = ("Symbolic_Association", "1-1 association with a parent annotation")
INCLUDED_IN = "Time alignable annotations within the parent annotation's time interval, gaps are allowed"


# The order of EAF 3.0's schema; what follows TIER is where a kind that a document lacks goes.
ORDER = ("LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT")
LAST_ID = "lastUsedAnnotationId"  # the property of a header from which ELAN counts on


def eaf(transcript: Transcript, media: Path) -> str:
    """ELAN's annotation document: words lie inside of their segments, with gaps.

    Where the recording has a document beside it, that one, with tiers added. Raises UsageError when it cannot be read.
    """
    given = media.with_suffix(".eaf")
    root = _read(given) if given.is_file() else _empty(media)
    taken = {tier.get("TIER_ID") for tier in root.iter("TIER")}
    end = next(end for end in chain([""], (f" {number}" for number in count(2))) if SEGMENTS + end not in taken)
    ids = _Ids(root)
    _tier(root, ids, SEGMENTS, transcript.segments, end)
    _tier(root, ids, WORDS, transcript.words, end, parent=SEGMENTS + end)
    ids.note()
    alike = {"TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    for name, more in ((SEGMENTS, {}), (WORDS, {"CONSTRAINTS": "Included_In"})):
        if all(kind.get("LINGUISTIC_TYPE_ID") != name for kind in root.iter("LINGUISTIC_TYPE")):
            _insert(root, ET.Element("LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": name, **more, **alike}))
    if all(each.get("STEREOTYPE") != "Included_In" for each in root.iter("CONSTRAINT")):
        _insert(root, ET.Element("CONSTRAINT", STEREOTYPE="Included_In", DESCRIPTION=INCLUDED_IN))
    return finished(root)


def document_of(segments: Sequence[Segment], media: Path, text: tuple[str, str], translation: tuple[str, str]) -> str:
    """A new document with one tier of segments and an empty one that depends on it; each (tier, linguistic type)."""
    root = _empty(media)
    _tier(root, _Ids(root), text[1], segments)
    tier = {"TIER_ID": translation[0], "LINGUISTIC_TYPE_REF": translation[1], "PARENT_REF": text[0]}
    _insert(root, ET.Element("TIER", tier))
    for kind, aligned, more in ((text[1], "true", {}), (translation[1], "false", {"CONSTRAINTS": ASSOCIATED[0]})):
        facts = {"LINGUISTIC_TYPE_ID": kind, **more, "TIME_ALIGNABLE": aligned, "GRAPHIC_REFERENCES": "false"}
        _insert(root, ET.Element("LINGUISTIC_TYPE", facts))
    _insert(root, ET.Element("CONSTRAINT", STEREOTYPE=ASSOCIATED[0], DESCRIPTION=ASSOCIATED[1]))
    return finished(root)


def finished(root: ET.Element) -> str:
    """The file's text."""
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def textgrid(transcript: Transcript, media: Path) -> str:
    """Praat's, in its long form: each tier is filled from beginning to end, with empty intervals between."""
    tiers: dict[str, Sequence[Segment | TimedWord]] = {SEGMENTS: transcript.segments, WORDS: transcript.words}
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {transcript.seconds:.6f}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, items) in enumerate(tiers.items(), start=1):
        intervals = list(_filled(items, transcript.seconds))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {transcript.seconds:.6f}"]
        lines += [f"        intervals: size = {len(intervals)}"]
        for index, (start, end, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{index}]:",
                f"            xmin = {start:.6f}",
                f"            xmax = {end:.6f}",
            ]
            lines += [f'            text = "{text.replace(chr(34), chr(34) * 2)}"']
    return "\n".join(lines) + "\n"


def _empty(media: Path) -> ET.Element:
    root = ET.Element("ANNOTATION_DOCUMENT", {"AUTHOR": "Lect", "DATE": _now(), "FORMAT": "3.0", "VERSION": "3.0"})
    root.set(f"{{{XSI}}}noNamespaceSchemaLocation", SCHEMA)
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    ET.SubElement(header, "MEDIA_DESCRIPTOR", _media(media))
    ET.SubElement(root, "TIME_ORDER")
    return root


def _read(path: Path) -> ET.Element:
    try:
        root = ET.parse(path).getroot()
    except (ET.ParseError, LookupError, ValueError) as error:  # the latter two: of an encoding that is not known
        raise UsageError(f"{path.name} beside the recording is no ELAN document: mend it or move it away.") from error
    if root.tag != "ANNOTATION_DOCUMENT" or root.find("HEADER") is None or root.find("TIME_ORDER") is None:
        raise UsageError(f"{path.name} beside the recording is no ELAN document: mend it or move it away.")
    return root


class _Ids:
    """Ids that a document has not used."""

    def __init__(self, root: ET.Element) -> None:
        self._header = root.find("HEADER")
        assert self._header is not None
        self._noted = next((each for each in self._header.iter("PROPERTY") if each.get("NAME") == LAST_ID), None)
        noted = (self._noted.text or "") if self._noted is not None else ""
        used = [each.get("ANNOTATION_ID", "") for each in root.iter() if "ANNOTATION_ID" in each.attrib]
        self._annotation = max(_number(used), int(noted) if noted.isdecimal() else 0)
        self._slot = _number([slot.get("TIME_SLOT_ID", "") for slot in root.iter("TIME_SLOT")])

    def annotation(self) -> str:
        """One more annotation's."""
        self._annotation += 1
        return f"a{self._annotation}"

    def slot(self) -> str:
        """One more time slot's."""
        self._slot += 1
        return f"ts{self._slot}"

    def note(self) -> None:
        """Tells ELAN where to go on, where it keeps account of it."""
        if self._noted is not None:
            self._noted.text = str(self._annotation)


def _number(ids: Sequence[str]) -> int:
    """The largest at the end of any."""
    return max((int(found[0]) for each in ids if (found := re.search(r"[0-9]+$", each))), default=0)


def _insert(root: ET.Element, element: ET.Element) -> None:
    """Behind the last of its kind, or of those that come before it."""
    before = ORDER[: ORDER.index(element.tag) + 1]
    places = [place for place, child in enumerate(root) if child.tag in before]
    root.insert(places[-1] + 1, element)


def _tier(
    root: ET.Element,
    ids: _Ids,
    kind: str,
    items: Sequence[Segment | TimedWord],
    end: str = "",
    parent: str | None = None,
) -> None:
    facts = {"TIER_ID": kind + end, "LINGUISTIC_TYPE_REF": kind, "ANNOTATOR": "Lect"}
    tier = ET.Element("TIER", facts if parent is None else {**facts, "PARENT_REF": parent})
    _insert(root, tier)
    slots = root.find("TIME_ORDER")
    assert slots is not None
    for each in items:
        edges = {"TIME_SLOT_REF1": ids.slot(), "TIME_SLOT_REF2": ids.slot()}
        for name, seconds in zip(edges.values(), (each.start, each.end), strict=True):
            ET.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(round(seconds * 1000)))
        holder = ET.SubElement(tier, "ANNOTATION")
        annotation = ET.SubElement(holder, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": ids.annotation(), **edges})
        ET.SubElement(annotation, "ANNOTATION_VALUE").text = each.text


def _media(media: Path) -> dict[str, str]:
    kind = mimetypes.guess_type(media.name)[0] or "audio/*"
    return {"MEDIA_URL": media.resolve().as_uri(), "MIME_TYPE": kind, "RELATIVE_MEDIA_URL": relative_url(media)}


def _filled(items: Sequence[Segment | TimedWord], seconds: float) -> Iterator[tuple[float, float, str]]:
    """(start, end, text) of all items and of what lies between them, without overlaps."""
    done = 0.0
    for each in items:
        start, end = max(done, round(each.start, 6)), min(round(each.end, 6), round(seconds, 6))
        if end <= start:
            continue
        if start > done:
            yield done, start, ""
        yield start, end, each.text
        done = end
    if done < round(seconds, 6) or not items:
        yield done, seconds, ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).astimezone().isoformat(timespec="seconds")
