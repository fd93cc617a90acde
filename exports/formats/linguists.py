"""FLEx's interlinear text (.flextext), and ELAN's document as SayMore names its tiers.

Written as FLEx's InterlinearExporter and SayMore's AnnotationFileHelper write them.
"""

import uuid
import xml.etree.ElementTree as ET
from pathlib import Path

from ..transcript import Transcript
from .annotations import document_of, finished
from .media_names import readable, relative_url

NO_LANGUAGE = "und"
# Tier, its type, and what depends on it.
SAYMORE_TEXT, SAYMORE_TRANSLATION = ("Transcription", "Transcription"), ("Phrase Free Translation", "Translation")


def flextext(transcript: Transcript, media: Path) -> str:
    """A paragraph with one phrase a segment; the guids of equal transcripts are equal."""
    language = transcript.language.code if transcript.language else NO_LANGUAGE
    root = ET.Element("document", version="2")
    text = ET.SubElement(root, "interlinear-text", guid=_guid(media, "text"))
    ET.SubElement(text, "item", type="title", lang=language).text = readable(media.stem)
    paragraphs = ET.SubElement(text, "paragraphs")
    for number, segment in enumerate(transcript.segments, start=1):
        paragraph = ET.SubElement(paragraphs, "paragraph", guid=_guid(media, f"paragraph {number}"))
        edges = {"begin-time-offset": _ms(segment.start), "end-time-offset": _ms(segment.end)}
        facts = {"guid": _guid(media, f"phrase {number}"), **edges, "media-file": _guid(media, "media")}
        phrase = ET.SubElement(ET.SubElement(paragraph, "phrases"), "phrase", facts)
        ET.SubElement(phrase, "item", type="txt", lang=language).text = segment.text
        ET.SubElement(phrase, "item", type="segnum", lang="en").text = str(number)
        words = ET.SubElement(phrase, "words")
        for word in segment.words:
            ET.SubElement(ET.SubElement(words, "word"), "item", type="txt", lang=language).text = word.text
    ET.SubElement(ET.SubElement(text, "languages"), "language", lang=language, vernacular="true")
    files = ET.SubElement(text, "media-files", {"offset-type": "milliseconds"})
    ET.SubElement(files, "media", guid=_guid(media, "media"), location=relative_url(media).removeprefix("./"))
    return finished(root)


def saymore(transcript: Transcript, media: Path) -> str:
    """A tier of transcriptions and an empty one for their translation: SayMore opens no document with other tiers."""
    return document_of(transcript.segments, media, SAYMORE_TEXT, SAYMORE_TRANSLATION)


def _guid(media: Path, part: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{relative_url(media)} {part}"))


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
