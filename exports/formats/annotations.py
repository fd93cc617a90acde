"""Linguists' files: ELAN's .eaf (format 3.0) and Praat's TextGrid, each with a tier of segments and one of words.

Written by hand, because pympi declares an older format and a linguistic type that nobody asked for; both files are
small. It does not read them.
"""

import datetime
import mimetypes
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from exports.transcript import Segment, TimedWord, Transcript

SEGMENTS, WORDS = "lect", "lect words"  # tiers, and ELAN's linguistic types
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
INCLUDED_IN = "Time alignable annotations within the parent annotation's time interval, gaps are allowed"


def eaf(transcript: Transcript, media: Path) -> str:
    """ELAN's annotation document: words lie inside of their segments, with gaps."""
    root = ET.Element("ANNOTATION_DOCUMENT", {"AUTHOR": "Lect", "DATE": _now(), "FORMAT": "3.0", "VERSION": "3.0"})
    root.set("xmlns:xsi", XSI)
    root.set("xsi:noNamespaceSchemaLocation", SCHEMA)
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    ET.SubElement(header, "MEDIA_DESCRIPTOR", _media(media))
    slots = ET.SubElement(root, "TIME_ORDER")
    ids = (f"a{number}" for number in count(1))
    _tier(root, slots, ids, SEGMENTS, transcript.segments)
    _tier(root, slots, ids, WORDS, transcript.words, parent=SEGMENTS)
    alike = {"TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    ET.SubElement(root, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": SEGMENTS, **alike})
    ET.SubElement(root, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": WORDS, "CONSTRAINTS": "Included_In", **alike})
    ET.SubElement(root, "CONSTRAINT", STEREOTYPE="Included_In", DESCRIPTION=INCLUDED_IN)
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


def _tier(
    root: ET.Element,
    slots: ET.Element,
    ids: Iterator[str],
    name: str,
    items: Sequence[Segment | TimedWord],
    parent: str | None = None,
) -> None:
    facts = {"TIER_ID": name, "LINGUISTIC_TYPE_REF": name, "ANNOTATOR": "Lect"}
    tier = ET.SubElement(root, "TIER", facts if parent is None else {**facts, "PARENT_REF": parent})
    for each in items:
        edges = {}
        for edge, seconds in (("TIME_SLOT_REF1", each.start), ("TIME_SLOT_REF2", each.end)):
            edges[edge] = f"ts{len(slots) + 1}"
            ET.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=edges[edge], TIME_VALUE=str(round(seconds * 1000)))
        holder = ET.SubElement(tier, "ANNOTATION")
        annotation = ET.SubElement(holder, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": next(ids), **edges})
        ET.SubElement(annotation, "ANNOTATION_VALUE").text = each.text


def _media(media: Path) -> dict[str, str]:
    kind = mimetypes.guess_type(media.name)[0] or "audio/*"
    return {"MEDIA_URL": media.resolve().as_uri(), "MIME_TYPE": kind, "RELATIVE_MEDIA_URL": f"./{media.name}"}


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
