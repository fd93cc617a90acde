"""Every format is read back by the tools that people use, whatever the text, and also where there are no words."""

import csv
import io
import json
import re
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lect.engine.contract.errors import UsageError
from lect.engine.data.layouts.flex import parse as parse_flex
from lect.exports.formats import EXTENSIONS, WRITERS
from lect.exports.formats.annotations import ORDER
from lect.exports.transcript import Segment, Skipped, TimedWord, Transcript

MEDIA = Path("talk & song.wav")
WORDS = st.text(
    st.one_of(
        st.characters(categories=("L", "M", "N", "P", "S"), exclude_characters="\u2028"),
        st.sampled_from("\"<>&'{}(),;|\\"),
    ),
    min_size=1,
    max_size=8,
)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Words of 10 ms or more in segments with gaps, on a grid of milliseconds."""
    segments, skipped, now = [], [], 0
    for texts in draw(st.lists(st.lists(WORDS, min_size=1, max_size=4), max_size=4)):
        start = now + draw(st.sampled_from((0, 7, 4_000_000)))
        if start > now:
            skipped.append(Skipped(now / 1000, start / 1000, "no speech"))
        now, words = start, []
        for text in texts:
            end = now + draw(st.integers(10, 900))
            words.append(TimedWord(text, now / 1000, end / 1000, 0.5))
            now = end
        segments.append(Segment(start / 1000, now / 1000, " ".join(texts), tuple(words), 0.5))
    text = " ".join(each.text for each in segments)
    spoken = tuple(word for each in segments for word in each.words)
    seconds = max(now, 1) / 1000
    return Transcript(text, tuple(segments), tuple(skipped), spoken, 0.5, seconds, 0.1, "cpu", "silero", "ctc")


def lines(transcript: Transcript) -> list[tuple[int, int, str]]:
    """What must come back: milliseconds and text."""
    return [(round(each.start * 1000), round(each.end * 1000), each.text) for each in transcript.segments]


def written(name: str, transcript: Transcript) -> str:
    return WRITERS[name](transcript, MEDIA)


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(transcripts())
def test_tables_come_back(transcript: Transcript) -> None:
    expected = lines(transcript)
    assert written("txt", transcript).split("\n")[:-1] == [text for _, _, text in expected]
    rows = [line.split("\t") for line in written("tsv", transcript).split("\n")[1:-1]]
    assert [(int(start), int(end), text) for start, end, text in rows] == expected
    rows = [line.split("\t") for line in written("audacity", transcript).split("\n")[:-1]]
    assert [(round(float(start) * 1000), round(float(end) * 1000), text) for start, end, text in rows] == expected
    table = list(csv.DictReader(io.StringIO(written("csv", transcript))))
    found = [(round(float(r["start"]) * 1000), round(float(r["end"]) * 1000), r["text"]) for r in table]
    assert found == expected and {row["file"] for row in table} <= {MEDIA.name}
    words = [line.split(" ") for line in written("ctm", transcript).split("\n")[:-1]]
    assert [(row[0], float(row[2]), row[4]) for row in words] == [
        ("talk_&_song", word.start, word.text) for word in transcript.words
    ]
    (line,) = written("trn", transcript).splitlines()
    text, _, utterance = line.rpartition(" ")
    assert unquote(text) == " ".join(transcript.text.split()) and utterance == "(unknown-talk%20&%20song.wav)"
    assert not set(text) & set("(){}\\;@")
    document = json.loads(written("json", transcript))
    assert [(round(s["start"] * 1000), round(s["end"] * 1000), s["text"]) for s in document["segments"]] == expected
    assert len(document["skipped"]) == len(transcript.skipped) and document["text"] == transcript.text
    assert [w["word"] for s in document["segments"] for w in s["words"]] == [word.text for word in transcript.words]


@QUICK
@given(transcripts())
def test_subtitles_come_back(transcript: Transcript) -> None:
    clock = r"(?:(\d\d):)?(\d\d):(\d\d)[.,](\d\d\d)"
    for name, undo, change in (("srt", _same, _without_arrow), ("vtt", _unescaped, _same)):
        found = []
        for cue in re.findall(rf"{clock} --> {clock}\n(.*)\n", written(name, transcript)):
            start, end = (_ms(*cue[:4]), _ms(*cue[4:8]))
            found.append((start, end, undo(cue[8])))
        assert found == [(start, end, change(text)) for start, end, text in lines(transcript)]


def _same(text: str) -> str:
    return text


def _without_arrow(text: str) -> str:
    return text.replace("-->", "->")


def _unescaped(text: str) -> str:
    assert not set(text) & set("<>")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _ms(hours: str, minutes: str, seconds: str, rest: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(rest)


def test_subtitles_are_read_by_pysubs2() -> None:
    pysubs2 = pytest.importorskip("pysubs2")
    for name in ("srt", "vtt"):
        read = pysubs2.SSAFile.from_string(written(name, TALK), format_=name)
        assert [(line.start, line.end) for line in read] == [(s, e) for s, e, _ in lines(TALK)]
        assert [line.plaintext for line in read] == ["ba da", "go mi"]


@QUICK
@given(transcripts())
def test_elan_files_come_back(transcript: Transcript) -> None:
    elan = pytest.importorskip("pympi.Elan")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.eaf")
        path.write_text(written("eaf", transcript), encoding="utf-8")
        read = elan.Eaf(str(path))
        assert sorted(read.get_annotation_data_for_tier("lect")) == sorted(lines(transcript))
        expected = [(round(w.start * 1000), round(w.end * 1000), w.text) for w in transcript.words]
        assert sorted(read.get_annotation_data_for_tier("lect words")) == sorted(expected)


def test_an_elan_file_has_the_order_and_the_references_of_its_schema() -> None:
    root = ET.fromstring(written("eaf", TALK))
    order = [child.tag for child in root]
    kinds = ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE", "LINGUISTIC_TYPE", "CONSTRAINT"]
    assert order == kinds and root.get("VERSION") == root.get("FORMAT") == "3.0"
    slots = {slot.get("TIME_SLOT_ID") for slot in root.iter("TIME_SLOT")}
    annotations = list(root.iter("ALIGNABLE_ANNOTATION"))
    assert all({each.get("TIME_SLOT_REF1"), each.get("TIME_SLOT_REF2")} <= slots for each in annotations)
    assert len({each.get("ANNOTATION_ID") for each in annotations}) == len(annotations) == 6
    types = {each.get("LINGUISTIC_TYPE_ID") for each in root.iter("LINGUISTIC_TYPE")}
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} == types


@pytest.mark.parametrize("declared", ["", ' encoding="U-TF-8"', ' encoding="utf-7"'])
def test_what_is_no_elan_document_beside_the_recording_is_reported(tmp_path: Path, declared: str) -> None:
    (tmp_path / "talk.eaf").write_text(f'<?xml version="1.0"{declared}?><a/>', encoding="ascii")
    with pytest.raises(UsageError, match=r"talk\.eaf beside the recording is no ELAN document: mend it"):
        WRITERS["eaf"](TALK, tmp_path / "talk.wav")


def test_an_elan_document_beside_the_recording_keeps_its_tiers(tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan")
    theirs = elan.Eaf(author="Ama")
    theirs.add_linked_file(str(tmp_path / "talk.wav"), mimetype="audio/x-wav")
    theirs.add_linguistic_type("utterance")
    theirs.add_tier("Kofi", "utterance", part="Kofi")
    theirs.add_annotation("Kofi", 100, 900, "was & ist")
    theirs.add_tier("lect", "utterance")
    theirs.add_annotation("lect", 5, 10, "theirs")
    theirs.properties.append(("lastUsedAnnotationId", "40"))
    theirs.to_file(str(tmp_path / "talk.eaf"))
    before = (tmp_path / "talk.eaf").read_bytes()
    (tmp_path / "new.eaf").write_text(WRITERS["eaf"](TALK, tmp_path / "talk.wav"), encoding="utf-8")
    read = elan.Eaf(str(tmp_path / "new.eaf"))
    assert set(read.get_tier_names()) == {"default", "Kofi", "lect", "lect 2", "lect words 2"}
    assert read.get_annotation_data_for_tier("Kofi") == [(100, 900, "was & ist")]
    assert read.get_annotation_data_for_tier("lect") == [(5, 10, "theirs")]
    assert sorted(read.get_annotation_data_for_tier("lect 2")) == sorted(lines(TALK))
    assert read.get_parameters_for_tier("Kofi")["PARTICIPANT"] == "Kofi"
    root = ET.parse(tmp_path / "new.eaf").getroot()
    ids = [each.get("ANNOTATION_ID") for each in root.iter() if "ANNOTATION_ID" in each.attrib]
    slots = [each.get("TIME_SLOT_ID") for each in root.iter("TIME_SLOT")]
    assert len(set(ids)) == len(ids) == 8 and len(set(slots)) == len(slots) == 16
    noted = [each.text for each in root.iter("PROPERTY") if each.get("NAME") == "lastUsedAnnotationId"]
    assert noted == ["46"] and "a46" in ids and root.get("AUTHOR") == "Ama"
    order = [child.tag for child in root]
    assert order == sorted(order, key=ORDER.index) and (tmp_path / "talk.eaf").read_bytes() == before
    (tmp_path / "talk.eaf").write_text("<TIER/>")
    with pytest.raises(UsageError, match=r"talk\.eaf beside the recording"):
        WRITERS["eaf"](TALK, tmp_path / "talk.wav")


@QUICK
@given(transcripts())
def test_textgrids_come_back(transcript: Transcript) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.TextGrid")
        path.write_text(written("TextGrid", transcript), encoding="utf-8")
        read = textgrid.openTextgrid(str(path), includeEmptyIntervals=False, duplicateNamesMode="error")
    found = [(round(e.start * 1000), round(e.end * 1000), e.label) for e in read.getTier("lect").entries]
    assert found == lines(transcript)
    assert [e.label for e in read.getTier("lect words").entries] == [word.text for word in transcript.words]
    assert read.maxTimestamp == pytest.approx(transcript.seconds, abs=1e-5)


@pytest.mark.parametrize("name", WRITERS)
def test_a_recording_without_speech_is_a_file_too(name: str) -> None:
    empty = Transcript("", (), (Skipped(0.0, 9.0, "no speech"),), (), 0.0, 9.0, 0.1, "cpu", "silero", "ctc")
    assert isinstance(written(name, empty), str) and name in EXTENSIONS


TALK = Transcript(
    "ba da go mi",
    (
        Segment(0.5, 1.5, "ba da", (TimedWord("ba", 0.5, 0.9, 0.9), TimedWord("da", 1.0, 1.5, 0.8)), 0.85),
        Segment(3700.0, 3701.0, "go mi", (TimedWord("go", 3700, 3700.4, 0.9), TimedWord("mi", 3700.5, 3701, 0.8)), 0.8),
    ),
    (),
    (
        TimedWord("ba", 0.5, 0.9, 0.9),
        TimedWord("da", 1.0, 1.5, 0.8),
        TimedWord("go", 3700, 3700.4, 0.9),
        TimedWord("mi", 3700.5, 3701, 0.8),
    ),
    0.85,
    3702.0,
    0.1,
    "cpu",
    "silero",
    "ctc",
)


def test_slots_are_objects_in_json_and_stay_inline_in_texts() -> None:
    inline, words = "a [size: large] latte", tuple(TimedWord(text, 0, 1, 0.5) for text in ("a", "large", "latte"))
    transcript = Transcript(inline, (Segment(0, 1, inline, words, 0.5),), (), words, 0.5, 1, 0.1, "cpu", "off", "ctc")
    (line,) = written("trn", transcript).splitlines()
    text, _, utterance = line.rpartition(" ")
    assert unquote(text) == " ".join(transcript.text.split()) and utterance == "(unknown-talk%20&%20song.wav)"
    assert not set(text) & set("(){}\\;@")
    document = json.loads(written("json", transcript))
    for each in (document, document["segments"][0]):
        assert each["text"] == "a large latte" and each["slots"] == [{"name": "size", "value": "large"}]
    assert written("txt", transcript) == f"{inline}\n"


@pytest.mark.parametrize("name", WRITERS)
def test_a_name_with_control_characters_forges_nothing(name: str) -> None:
    text = WRITERS[name](TALK, Path("a\x1b[2J\nlect: all is well\x07.wav"))
    assert "\x1b" not in text and "\x07" not in text and "\nlect: all" not in text
    if name == "eaf":
        ET.fromstring(text)


@given(transcripts())
@settings(max_examples=40, deadline=None)
def test_flex_reads_its_own_form(transcript: Transcript) -> None:
    root = ET.fromstring(written("flextext", transcript))
    phrases = list(root.iter("phrase"))
    found = [
        (int(each.get("begin-time-offset", "")), int(each.get("end-time-offset", "")), each.findtext("item"))
        for each in phrases
    ]
    assert found == lines(transcript)
    assert [each.text for each in root.iterfind(".//word/item")] == [word.text for word in transcript.words]
    (media,) = root.iter("media")
    assert {each.get("media-file") for each in phrases} <= {media.get("guid")} and media.get("location") == MEDIA.name
    annotated = parse_flex(written("flextext", transcript).encode(), "it")
    again = [each for _, tier in annotated.tiers for each in tier]
    assert [(round(1000 * each.start), round(1000 * each.end), each.text) for each in again] == [
        (start, end, " ".join(text.split())) for start, end, text in lines(transcript)
    ]


def test_saymore_gets_the_two_tiers_that_it_knows(tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan")
    path = tmp_path / "talk.wav.annotations.eaf"
    path.write_text(written("saymore", TALK), encoding="utf-8")
    read = elan.Eaf(str(path))
    assert set(read.get_tier_names()) == {"Transcription", "Phrase Free Translation"}
    assert read.get_annotation_data_for_tier("Transcription") == [
        (500, 1500, "ba da"),
        (3_700_000, 3_701_000, "go mi"),
    ]
    assert read.get_parameters_for_tier("Phrase Free Translation")["PARENT_REF"] == "Transcription"
    assert read.linguistic_types["Translation"]["CONSTRAINTS"] == "Symbolic_Association"
