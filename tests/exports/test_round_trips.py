"""What Lect and others write about a recording, Lect reads: the same texts at the same times, whatever the text."""

import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from praatio.data_classes.interval_tier import IntervalTier
from praatio.data_classes.point_tier import PointTier
from praatio.data_classes.textgrid import Textgrid
from pympi.Elan import Eaf

from lect.engine.data.layouts.elan import parse as parse_elan
from lect.engine.data.layouts.praat import parse as parse_praat
from lect.engine.data.layouts.praat_symbols import in_unicode
from lect.engine.data.layouts.spans import Annotation
from lect.engine.data.layouts.subtitles import parse_srt, parse_vtt
from lect.engine.data.layouts.timed import parse_timed
from lect.exports.formats import WRITERS
from lect.exports.formats.annotations import SEGMENTS, WORDS
from lect.exports.transcript import Transcript
from tests.exports.test_formats import lines, transcripts

MEDIA = Path("talk & song.wav")
MARKUP = re.compile(r"</?[a-z]|\{\\|-->|&#?\w+;", re.IGNORECASE)  # which SubRip has no way to escape
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def milliseconds(annotations: list[Annotation]) -> list[tuple[int, int, str]]:
    return [(round(each.start * 1000), round(each.end * 1000), each.text) for each in annotations]


def data(name: str, transcript: Transcript, encoding: str = "utf-8") -> bytes:
    return WRITERS[name](transcript, MEDIA).encode(encoding)


@QUICK
@given(transcripts())
def test_elan(transcript: Transcript) -> None:
    annotated = parse_elan(data("eaf", transcript), "talk.eaf")
    (segments, found), (words, found_words) = annotated.tiers
    assert (segments.name, words.name, words.parent) == (SEGMENTS, WORDS, SEGMENTS)
    assert {(Path(address).name, start) for address, start in annotated.media} == {(MEDIA.name, 0.0)}
    assert milliseconds(found) == lines(transcript)
    assert [each.text for each in found_words] == [word.text for word in transcript.words]


@QUICK
@given(transcripts())
def test_textgrid(transcript: Transcript) -> None:
    assume(in_unicode(transcript.text) == transcript.text)  # Praat shows such a text as its symbols, too
    for encoding in ("utf-8", "utf-16"):
        (segments, found), (words, found_words) = parse_praat(data("TextGrid", transcript, encoding), "x").tiers
        assert (segments.name, words.name) == (SEGMENTS, WORDS)
        assert milliseconds(found) == lines(transcript)
        assert [each.text for each in found_words] == [word.text for word in transcript.words]


@QUICK
@given(transcripts())
def test_webvtt_and_audacity(transcript: Transcript) -> None:
    for name, parse in (("vtt", parse_vtt), ("audacity", parse_timed)):
        if transcript.segments:
            ((_, found),) = parse(data(name, transcript), "x").tiers
            assert milliseconds(found) == lines(transcript)


@QUICK
@given(transcripts())
def test_subrip(transcript: Transcript) -> None:
    assume(transcript.segments and not any(MARKUP.search(each.text) for each in transcript.segments))
    ((_, found),) = parse_srt(data("srt", transcript), "talk.srt").tiers
    assert milliseconds(found) == lines(transcript)


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_of_other_systems(newline: str) -> None:
    text = "1\n00:00:01,000 --> 00:00:02,500\nal contrario\n\n".replace("\n", newline)
    ((_, found),) = parse_srt(text.encode("utf-8-sig"), "talk.srt").tiers
    assert found == [Annotation(1.0, 2.5, "al contrario")]


def test_documents_that_pympi_writes(tmp_path: Path) -> None:
    document = Eaf(author="x")
    document.add_linked_file(str(tmp_path / "talk.wav"), mimetype="audio/x-wav", relpath="./talk.wav")
    document.add_linguistic_type("tr", "Symbolic_Association")
    document.add_tier("A", part="Ana")
    document.add_tier("A-en", ling="tr", parent="A")
    document.add_annotation("A", 500, 1500, "uno & dos")
    document.add_annotation("A", 2000, 2500, "tres")
    document.add_ref_annotation("A-en", "A", 2100, "three")
    document.to_file(str(tmp_path / "talk.eaf"))
    annotated = parse_elan((tmp_path / "talk.eaf").read_bytes(), "talk.eaf")
    found = {tier.name: (tier.participant, milliseconds(annotations)) for tier, annotations in annotated.tiers}
    assert found["A"] == ("Ana", [(500, 1500, "uno & dos"), (2000, 2500, "tres")])
    assert found["A-en"] == ("Ana", [(2000, 2500, "three")])
    assert {(Path(address).name, start) for address, start in annotated.media} == {("talk.wav", 0.0)}


@pytest.mark.parametrize("form", ["short_textgrid", "long_textgrid"])
def test_textgrids_that_praatio_writes(tmp_path: Path, form: Literal["short_textgrid", "long_textgrid"]) -> None:
    grid = Textgrid()
    grid.addTier(IntervalTier("words", [(0.5, 1.25, 'say "uno"'), (2.0, 2.5, "1.5 dos")], 0, 3))
    grid.addTier(PointTier("tones", [(0.7, "H*"), (2.2, "L")], 0, 3))
    grid.addTier(IntervalTier("phones", [(0.5, 0.7, "u")], 0, 3))
    grid.save(str(tmp_path / "x.TextGrid"), format=form, includeBlankSpaces=True)
    tiers = parse_praat((tmp_path / "x.TextGrid").read_bytes(), "x.TextGrid").tiers
    assert [(tier.name, milliseconds(annotations)) for tier, annotations in tiers] == [
        ("words", [(500, 1250, 'say "uno"'), (2000, 2500, "1.5 dos")]),
        ("tones", [(700, 700, "H*"), (2200, 2200, "L")]),
        ("phones", [(500, 700, "u")]),
    ]
