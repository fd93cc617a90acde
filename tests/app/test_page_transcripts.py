"""What a person corrects on the page is what the saved files say, in all of their formats."""

import io
import json
import zipfile

import pysubs2
import pytest

from lect.app.page.transcripts import FORMATS, Transcribed, corrected, editable, written
from lect.engine.contract.errors import UsageError
from lect.exports.transcript import Segment, TimedWord, Transcript


def transcript(*texts: str) -> Transcript:
    """Segments of a second each."""
    segments = tuple(
        Segment(float(at), at + 0.9, text, (TimedWord(text, float(at), at + 0.9, 0.5),), 0.5)
        for at, text in enumerate(texts)
    )
    words = tuple(word for segment in segments for word in segment.words)
    seconds = float(len(texts) or 3)
    return Transcript(" ".join(texts), segments, (), words, 0.5, seconds, 0.1, "cpu", "silero", "ctc")


def test_a_corrected_line_keeps_its_times() -> None:
    found = Transcribed("a.wav", transcript("ba", "da"))
    assert editable([found]) == "ba\nda"
    name, content = written("srt", [found], "ba\nda gó\n")
    cues = pysubs2.SSAFile.from_string(content.decode())
    assert name == "a.srt" and [(cue.start, cue.end, cue.text) for cue in cues] == [
        (0, 900, "ba"),
        (1000, 1900, "da gó"),
    ]
    after = corrected(transcript("ba", "da"), ["ba", "gó"])
    assert after.segments[0] == transcript("ba").segments[0]
    assert (after.text, after.segments[1].confidence, [word.text for word in after.words]) == ("ba gó", 1.0, ["ba"])


def test_joined_lines_lie_over_the_whole_and_typed_ones_over_silence() -> None:
    (joined,) = corrected(transcript("ba", "da"), ["ba da"]).segments
    assert (joined.start, joined.end, joined.text) == (0.0, 1.9, "ba da")
    (typed,) = corrected(transcript(), ["ba"]).segments
    assert (typed.start, typed.end, typed.text) == (0.0, 3.0, "ba")
    assert corrected(transcript("ba"), []).segments == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_several_recordings_come_as_a_zip(kind: str) -> None:
    results = [
        Transcribed("a.wav", transcript("ba")),
        Transcribed("a.mp3", transcript("da")),
        Transcribed("c.wav", error="It is no sound."),
    ]
    assert editable(results) == "a.wav\tba\na.mp3\tda"
    name, content = written(kind, results, "a.wav\tba\na.mp3\tgó")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {each: archive.read(each).decode() for each in archive.namelist()}
    assert name == f"transcripts-{kind}.zip" and list(files) == [f"a.wav.{kind}", f"a.mp3.{kind}"]
    assert "ba" in files[f"a.wav.{kind}"] and "gó" in files[f"a.mp3.{kind}"]
    if kind == "json":
        assert json.loads(files["a.mp3.json"])["text"] == "gó"


def test_without_a_transcript_there_is_nothing_to_save() -> None:
    with pytest.raises(UsageError, match="no transcript to save"):
        written("txt", [Transcribed("c.wav", error="It is no sound.")], "")
