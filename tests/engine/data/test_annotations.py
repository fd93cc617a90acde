"""Annotation files as ELAN, Praat, players and Audacity really write them, and the stretches that are cut by them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import TextError, UsageError
from lect.engine.data.importers import import_into
from lect.engine.data.layouts import listed, read
from lect.engine.data.layouts.elan import parse as parse_elan
from lect.engine.data.layouts.praat import parse as parse_praat
from lect.engine.data.layouts.spans import Annotation
from lect.engine.data.layouts.subtitles import parse_srt, parse_vtt
from lect.engine.data.layouts.timed import parse_timed
from lect.engine.data.store import Project
from tests.engine.data.test_store import intact, speech

Spoken = Sequence[tuple[float, float, str]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project", "p", "xx")


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A folder with talk.wav, 12 s long."""
    (tmp_path / "set").mkdir()
    write_wav(tmp_path / "set" / "talk.wav", speech(1, 12.0))
    return tmp_path / "set"


def eaf(slots: Sequence[int | None], tiers: str, header: str = "") -> bytes:
    """A document with the time slots ts1, ts2, …, in milliseconds."""
    times = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{number}"' + ("/>" if time is None else f' TIME_VALUE="{time}"/>')
        for number, time in enumerate(slots, 1)
    )
    head = f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{header}</HEADER><TIME_ORDER>{times}</TIME_ORDER>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT FORMAT="2.7" VERSION="2.7" AUTHOR="" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv2.7.xsd">{head}{tiers}</ANNOTATION_DOCUMENT>'
    ).encode()


def tier(name: str, annotations: str, kind: str = "utterance", speaker: str = "", parent: str = "") -> str:
    facts = f'TIER_ID="{name}" LINGUISTIC_TYPE_REF="{kind}"'
    facts += f' PARTICIPANT="{speaker}"' * bool(speaker) + f' PARENT_REF="{parent}"' * bool(parent)
    return f"<TIER {facts}>{annotations}</TIER>"


def aligned(key: str, first: int, last: int, text: str) -> str:
    edges = f'TIME_SLOT_REF1="ts{first}" TIME_SLOT_REF2="ts{last}"'
    return _annotation("ALIGNABLE_ANNOTATION", f'ANNOTATION_ID="{key}" {edges}', text)


def referring(key: str, to: str, text: str, previous: str = "") -> str:
    link = f' PREVIOUS_ANNOTATION="{previous}"' * bool(previous)
    return _annotation("REF_ANNOTATION", f'ANNOTATION_ID="{key}" ANNOTATION_REF="{to}"{link}', text)


def _annotation(tag: str, facts: str, text: str) -> str:
    return f"<ANNOTATION><{tag} {facts}><ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></{tag}></ANNOTATION>"


def textgrid(spoken: dict[str, Spoken], seconds: float = 12.0) -> bytes:
    """A TextGrid in Praat's short form."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", str(seconds), "<exists>"]
    lines.append(str(len(spoken)))
    for name, intervals in spoken.items():
        lines += ['"IntervalTier"', f'"{name}"', "0", str(seconds), str(len(intervals))]
        lines += [each for start, end, text in intervals for each in (str(start), str(end), f'"{text}"')]
    return "\n".join(lines).encode()


def found(annotations: list[Annotation]) -> list[tuple[float, float, str]]:
    return [(each.start, each.end, each.text) for each in annotations]


def test_elan_references_and_edges_without_time() -> None:
    # Words share the edges of their sentence, and those between have no time; one was never tied to a time at all.
    sentences = aligned("a1", 1, 2, "la casa blanca") + aligned("a2", 6, 7, " ")
    words = aligned("a3", 1, 3, "la") + aligned("a5", 4, 2, "blanca") + aligned("a4", 3, 4, "casa")
    gloss = referring("g2", "a4", "house") + referring("g1", "a3", "the") + referring("g0", "nobody", "lost")
    morphs = referring("m2", "a1", "blanc-", "m1") + referring("m3", "a1", "-a", "m2") + referring("m1", "a1", "casa")
    document = parse_elan(
        eaf(
            [1000, 2500, None, None, 9000, 3000, 3500],
            tier("s", sentences, speaker="Ana")
            + tier("w", words, "word", parent="s")
            + tier("g", gloss, "gloss", parent="w")
            + tier("m", morphs, "morph", parent="s")
            + tier("loose", aligned("z", 3, 4, "nowhere"), "word"),
        ),
        "x.eaf",
    )
    tiers = {tier.name: (tier, found(annotations)) for tier, annotations in document.tiers}
    assert tiers["s"][1] == [(1.0, 2.5, "la casa blanca")]
    assert tiers["w"][1] == [(1.0, 2.5, "la casa blanca")]
    assert (1.0, 2.5, "the house") in tiers["g"][1]  # each in the place of its word
    assert [text for start, _, text in tiers["g"][1] if np.isnan(start)] == ["lost"]
    assert tiers["m"][1] == [(1.0, 2.5, "casa blanc- -a")]  # the chain's order, not the document's
    assert np.isnan(tiers["loose"][1][0][0])
    assert {each.participant for each, _ in document.tiers} == {"Ana", ""}
    assert tiers["g"][0].participant == "Ana"  # by way of w, from s


def test_elan_documents_that_attack_or_are_damaged() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    outside = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hosts">]><ANNOTATION_DOCUMENT>&f;</ANNOTATION_DOCUMENT>'
    for data in (bomb, outside, bomb.decode().encode("utf-16")):
        with pytest.raises(TextError, match="document type"):
            parse_elan(data, "x.eaf")
    frames = eaf([], "").replace(b"milliseconds", b"PAL-frames")
    for data in (b"", b"<x/>", eaf([], "")[:-9], b"\xff\xfe\x00", frames):
        with pytest.raises(TextError, match=r"^x\.eaf .*: .*\.$"):
            parse_elan(data, "x.eaf")
    circle = tier("a", referring("1", "2", "x", "3") + referring("3", "1", "z", "1"), parent="b")
    circle += tier("b", referring("2", "1", "y", "2"), parent="a")
    assert all(
        np.isnan(each.start) for _, annotations in parse_elan(eaf([], circle), "x").tiers for each in annotations
    )
    chained = tier("s", aligned("a1", 1, 2, "x") + aligned("a2", 2, 1, "y"))
    assert all(
        np.isnan(each.start) for _, each_tier in parse_elan(eaf([None, None], chained), "x").tiers for each in each_tier
    )


def test_a_thousand_words_in_one_chain_take_no_time() -> None:
    words = "".join(referring(f"w{n}", "s", f"t{n}", f"w{n - 1}" if n else "") for n in reversed(range(20_000)))
    document = parse_elan(eaf([0, 1000], tier("s", aligned("s", 1, 2, "all")) + tier("w", words, parent="s")), "x")
    assert document.tiers[1][1][0].text.split() == [f"t{n}" for n in range(20_000)]


ELANS_TEXTGRID = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0.0
xmax = 2.5
tiers? <exists> ! a comment with "quotes" and 3 numbers
size = 3
item []:
    item[1]:
        class = "IntervalTier"
        name = """word"""
        xmin = 0.0
        xmax = 2.5
        intervals: size = 3
        intervals [1]
            xmin = -0
            xmax = 0.5
            text = ""
        intervals [2]
            xmin = 0.5
            xmax = 1.25e0
            text = """12 <apples>"" !
second line"
        intervals [3]
            xmin = 1.25
            xmax = 2.5
            text = "  "
    item[2]:
        class = "TextTier"
        name = "points"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]
            number = 1.5
            mark = "133
p1"
    item[3]:
        class = "IntervalTier"
        name = "empty"
        xmin = 0
        xmax = 2.5
        intervals: size = 0
'''


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_textgrids_in_every_form(encoding: str, newline: str) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    data = (mark + ELANS_TEXTGRID.replace("\n", newline)).encode(encoding)
    (words, annotations), (points, marks), (empty, nothing) = parse_praat(data, "x.TextGrid").tiers
    assert (points.name, points.kind, found(marks)) == ("points", "points", [(1.5, 1.5, "133 p1")])
    assert (words.name, empty.name, nothing) == ('"word"', "empty", [])
    assert found(annotations) == [(0.5, 1.25, '"12 <apples>" ! second line')]


def test_textgrids_that_are_none() -> None:
    whole = textgrid({"a": [(0, 1, "x"), (1, 2, "y")]})
    assert len(parse_praat(whole, "x").tiers[0][1]) == 2
    many = whole.replace(b"\n2\n0\n1\n", b"\n999999999\n0\n1\n")
    assert many != whole
    for data in (b"ooBinaryFile\x08TextGrid", b"", whole[:-5], whole[:60], many, b'"' * 99_999):
        with pytest.raises(TextError, match=r"^x .*: save it .*\.$"):
            parse_praat(data, "x")


def test_subrip_from_the_wild() -> None:
    text = (
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,500  X1:40 X2:600\r\n<i>¿Qué <b>tal</b>?</i>\r\n{\\an8}"
        "<font color=red>Bien</font> <unk>\r\n\r\n2\r\n0:00:03.5 --> 00:00:04\r\n\r\n"
        "3\r\n00:01:00,10 --> 00:01:02,000\r\nno blank line after me\r\n4\r\n01:00:00,000 --> 01:00:01,000\r\n42"
    )
    ((_, cues),) = parse_srt(text.encode(), "x.srt").tiers
    assert found(cues) == [
        (1.0, 2.5, "¿Qué tal? Bien <unk>"),
        (60.1, 62.0, "no blank line after me"),
        (3600.0, 3601.0, "42"),
    ]
    mistyped = b"1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:03,000 --> 00:00:4x\ntwo\n"
    ((_, cues),) = parse_srt(mistyped, "x.srt").tiers
    assert [(each.text, np.isnan(each.start)) for each in cues] == [("one", False), ("two", True)]
    for data in (b"", b"1\n\nno times\n", b"caf\xe9"):
        with pytest.raises(TextError):
            parse_srt(data, "x.srt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_subtitles_of_other_codings(encoding: str) -> None:
    data = "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\nžluť\r\n".encode(encoding)
    assert found(parse_srt(data, "x.srt").tiers[0][1]) == [(1.0, 2.0, "žluť")]


def test_webvtt_from_the_wild() -> None:
    text = (
        "WEBVTT - title\nKind: captions\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\nSTYLE\n::cue { color: red }\n\n"
        "NOTE a --&gt; b\n\n0:0:0.0 --> 0:0:0.570\n<v Yuri O&apos;Hara>There &lt;you&gt; go.</v>\n\n"
        "name of a cue\n00:01.000 --> 00:02.000  position:50.00%,middle  line:84.67% \n- <c.loud>Déjala.</c>\n- No.\n\n"
        "00:03.000 --> 00:04.000\n<v.first Ana>sí <v Bea>no\n"
    )
    ((_, cues),) = parse_vtt(text.encode(), "x.vtt").tiers
    assert [(each.start, each.end, each.text, each.speaker) for each in cues] == [
        (0.0, 0.57, "There <you> go.", "Yuri O'Hara"),
        (1.0, 2.0, "- Déjala. - No.", ""),
        (3.0, 4.0, "sí no", ""),  # two voices in one cue
    ]


def test_rolling_captions_say_each_line_once() -> None:
    text = (
        "WEBVTT\n\n00:00.000 --> 00:01.000 align:start position:0%\n \nthis<00:00.200><c> will</c>\n\n"
        "00:01.000 --> 00:01.010\nthis will\n \n\n00:01.010 --> 00:02.000\nthis will\nhappen<00:01.400><c> now</c>\n\n"
    )
    ((_, cues),) = parse_vtt(text.encode(), "x.vtt").tiers
    assert found(cues) == [(0.0, 1.0, "this will"), (1.01, 2.0, "happen now")]


def test_audacity_labels_from_the_wild() -> None:
    text = "0.500000\t1.250000\tuno  dos\r\n\\\t100.0\t4000.0\r\n2.0\t2.0\ta point\r\n3,5\t4,25\ttres\r\n5.0\t6.0\r\n"
    ((_, labels),) = parse_timed(text.encode(), "x.txt").tiers
    assert found(labels) == [(0.5, 1.25, "uno dos"), (2.0, 2.0, "a point"), (3.5, 4.25, "tres")]
    with pytest.raises(TextError):
        parse_timed(b"0.5\t1.0\ta\nnot a label\n", "x.txt")


def test_stretches_become_clips_of_exactly_that_sound(talk: Path, project: Project) -> None:
    data = eaf(
        [500, 2000, 1500, 3000, 9000, 13_000, 11_000, 12_300],
        tier("A", aligned("a1", 1, 2, "uno") + aligned("a2", 5, 6, "past the end"), speaker="Ana")
        + tier("B", aligned("b1", 3, 4, "dos") + aligned("b2", 7, 8, "a little past"), speaker="Bea")
        + tier("A-en", referring("t1", "a1", "one"), "translation", parent="A"),
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/x/talk.wav" MIME_TYPE="audio/x-wav"/>',
    )
    (talk / "notes of Tuesday.eaf").write_bytes(data)
    (talk / "unused.wav").write_bytes((talk / "talk.wav").read_bytes()[:-9])
    report = import_into(project, talk)
    whole = load_audio(talk / "talk.wav")
    assert [(clip.text, clip.speaker) for clip in project.clips()] == [
        ("uno", "Ana"),
        ("dos", "Bea"),
        ("a little past", "Bea"),
    ]
    for clip, (start, end) in zip(project.clips(), ((0.5, 2.0), (1.5, 3.0), (11.0, 12.0)), strict=True):
        assert intact(clip) and clip.path.suffix == ".flac" and clip.seconds == pytest.approx(end - start)
        assert np.array_equal(load_audio(clip.path), whole[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)])
    assert {path.name: why for path, why in report.skipped} == {
        "talk.wav#t=9,13": "talk.wav#t=9,13 ends after its recording: does it belong to another one?",
        "unused.wav": "unused.wav has no .eaf: put one beside it, of the same name.",
    }
    again = import_into(project, talk)
    assert not again.taken and again.repeated == [1, 2, 3] and len(project.clips()) == 3
    assert [path.name for path in again.duplicates] == ["talk.wav#t=0.5,2", "talk.wav#t=1.5,3", "talk.wav#t=11,12.3"]


def test_a_stretch_that_is_the_whole_recording_keeps_the_original(talk: Path, project: Project) -> None:
    (talk / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:12,000\nall of it\n")
    import_into(project, talk)
    assert [clip.path.read_bytes() == (talk / "talk.wav").read_bytes() for clip in project.clips()] == [True]


def test_stretches_of_compressed_and_loud_recordings(tmp_path: Path, project: Project) -> None:
    source = tmp_path / "set"
    source.mkdir()
    sound = speech(3, 12.0)
    soundfile.write(source / "a.ogg", sound, SAMPLE_RATE)
    soundfile.write(source / "b.wav", np.repeat(sound, 3) * 20, 48_000, subtype="FLOAT")
    for name in ("a", "b"):
        (source / f"{name}.srt").write_text(
            "1\n00:00:02,000 --> 00:00:04,000\ndos\n\n2\n00:00:08,000 --> 00:00:09,000\nx\n"
        )
    report = import_into(project, source, tiers=["srt"])
    assert len(report.taken) == 4 and not report.skipped
    for clip in project.clips():
        assert clip.seconds == pytest.approx(2.0 if clip.text == "dos" else 1.0)
        assert np.abs(load_audio(clip.path)).max() <= 1


@pytest.mark.parametrize("origin", [0, 2000])
def test_media_that_begins_later_than_the_document(talk: Path, origin: int) -> None:
    media = f'<MEDIA_DESCRIPTOR MEDIA_URL="" RELATIVE_MEDIA_URL="../talk.wav" TIME_ORIGIN="{origin}" MIME_TYPE="x"/>'
    (talk / "x.eaf").write_bytes(eaf([0, 1000], tier("A", aligned("a1", 1, 2, "uno")), media))
    assert [(item.start, item.end) for item in read(talk)] == [(origin / 1000, origin / 1000 + 1)]


def test_which_tiers_count(talk: Path) -> None:
    spoken: dict[str, Spoken] = {"Ana": [(0, 1, "uno"), (1, 2, "")], "bea": [(2, 3, "dos")], "notes": [(0, 9, "n")]}
    (talk / "talk.TextGrid").write_bytes(textgrid(spoken))
    with pytest.raises(UsageError) as error:
        read(talk)
    assert str(error.value) == (
        "There are several tiers: name those with the text by --tier. "
        "There are “Ana” with 1, “bea” with 1, “notes” with 1."
    )
    assert [(item.text, item.speaker) for item in read(talk, tiers=["ANA"])] == [("uno", "")]
    assert [(item.text, item.speaker) for item in read(talk, tiers=["ana", "b*"])] == [("uno", "Ana"), ("dos", "bea")]
    with pytest.raises(UsageError, match="No tier is called c or d"):
        read(talk, tiers=["c", "d"])
    assert len(list(listed(talk))) == 3


def test_elan_tiers_by_type_and_participant(talk: Path) -> None:
    tiers = tier("A", aligned("a", 1, 2, "uno"), "utt", "Ana") + tier("B", aligned("b", 1, 2, "dos"), "utt", "Bea")
    (talk / "talk.eaf").write_bytes(eaf([0, 1000], tiers + tier("At", referring("t", "a", "one"), "tr", parent="A")))
    assert [item.text for item in read(talk)] == ["uno", "dos"]  # who speaks is stated, and nothing else stands alone
    assert [item.text for item in read(talk, tiers=["tr"])] == ["one"]
    assert [item.text for item in read(talk, tiers=["bea"])] == ["dos"]
    assert [item.speaker for item in read(talk, tiers=["tr"])] == ["Ana"]
    (talk / "talk.eaf").write_bytes(eaf([0, 1000], tiers + tier("C", aligned("c", 1, 2, "x"), "utt", "Ana")))
    with pytest.raises(UsageError, match=r"“A” \(type utt, by Ana\) with 1"):
        read(talk)


def test_subtitles_find_their_recording_and_name_their_language(talk: Path) -> None:
    write_wav(talk / "film.mp4.wav", speech(2))
    for name in ("talk.en.srt", "talk.wav.de.srt", "film.mp4.vtt"):
        (talk / name).write_text("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nx\n")
    items = list(listed(talk))
    assert sorted((item.path.name, item.tier.name) for item in items if item.tier) == [
        ("film.mp4.wav", "vtt"),
        ("talk.wav", "de.srt"),
        ("talk.wav", "en.srt"),
    ]
    assert [item.path.name for item in read(talk, tiers=["en.*"])] == ["talk.wav"]
    assert [item.speaker for item in read(talk, tiers=["*"])] == ["", "", ""]  # a language is nobody's name


def test_labels_are_told_from_texts(talk: Path) -> None:
    (talk / "talk.txt").write_text("what is said\n")
    assert [(item.text, item.is_stretch) for item in read(talk)] == [("what is said", False)]
    (talk / "talk.labels.txt").write_text("0.5\t1.0\tuno\n")
    (talk / "talk.txt").unlink()
    assert [(item.text, item.start, item.end) for item in read(talk)] == [("uno", 0.5, 1.0)]
    assert [item.text for item in read(talk / "talk.labels.txt")] == ["uno"]  # that file alone


def test_files_without_a_word(talk: Path) -> None:
    (talk / "talk.eaf").write_bytes(eaf([0, 1000], tier("A", aligned("a", 1, 2, ""))))
    (talk / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\n\n")
    for layout, name in (("elan", "talk.eaf"), ("subtitles", "talk.srt")):
        assert [item.problem for item in read(talk, layout)] == [
            f"{name} has no text with times in it: write what is said there."
        ]


SAMPLES = {
    "x.eaf": (
        parse_elan,
        eaf([0, 1000, None], tier("A", aligned("a", 1, 2, "x")) + tier("B", referring("b", "a", "y"))),
    ),
    "x.TextGrid": (parse_praat, textgrid({"a": [(0, 1, "x"), (1, 2, "")], "b": [(0, 2, "y")]})),
    "x.srt": (parse_srt, b"1\n00:00:00,000 --> 00:00:01,000\n<i>x</i>\n\n2\n00:00:01,000 --> 00:00:02,000\ny\n"),
    "x.vtt": (parse_vtt, b"WEBVTT\n\n00:00.000 --> 00:01.000 line:1\n<v A>x <00:00.500><c>y</c>\n\nNOTE z\n"),
    "x.txt": (parse_timed, b"0.0\t1.0\tx\n\\\t1.0\t2.0\n1.0\t2.0\ty\n"),
}


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=100, deadline=None)
@example(cuts=[(31, 0, b"-")])  # an encoding that nobody knows
@given(
    cuts=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 30), st.binary(max_size=6)), min_size=1, max_size=4)
)
def test_whatever_is_in_a_file_it_is_read_or_refused(name: str, cuts: list[tuple[int, int, bytes]]) -> None:
    parse, data = SAMPLES[name]
    for at, length, new in cuts:
        at %= len(data) + 1
        data = data[:at] + new + data[at + length :]
    try:
        annotated = parse(data, name)
    except TextError as error:
        assert str(error).startswith(name) and str(error).endswith(".")
    else:
        assert all(each.text.strip() for _, annotations in annotated.tiers for each in annotations)


def test_a_file_whose_recording_is_not_there_or_not_in_the_folder(talk: Path) -> None:
    (talk / "other.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nx\n")
    media = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///etc/hosts" RELATIVE_MEDIA_URL="../../etc/hosts" MIME_TYPE="x"/>'
    (talk / "spy.eaf").write_bytes(eaf([0, 1000], tier("A", aligned("a", 1, 2, "x")), media))
    assert next(item.problem for item in read(talk, "subtitles")) == (
        "other.srt is about other.wav, which is not in its folder: put it there."
    )
    assert next(item.problem for item in read(talk, "elan")) == (
        "spy.eaf is about hosts, which is not in its folder: put it there."
    )


def media(*urls: str, relative: bool = False) -> str:
    name = "RELATIVE_MEDIA_URL" if relative else "MEDIA_URL"
    return "".join(f'<MEDIA_DESCRIPTOR {name}="{url}" MIME_TYPE="x"/>' for url in urls)


def film(path: Path, *kinds: str) -> None:
    """A film of a second with pictures, sound, or both, in it."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        streams = {"video": lambda: container.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")}
        streams["audio"] = lambda: container.add_stream("aac", rate=16_000, layout="mono")
        for stream in [streams[kind]() for kind in kinds]:
            if stream.type == "video":
                pictures = [av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24") for _ in range(5)]
                packets = [packet for picture in (*pictures, None) for packet in stream.encode(picture)]
            else:
                frame = av.AudioFrame.from_ndarray(speech(4, 1.0)[None].astype(np.float32), "fltp", "mono")
                frame.sample_rate = 16_000
                packets = [packet for each in (frame, None) for packet in stream.encode(each)]
            container.mux(packets)


@pytest.mark.parametrize("linked", [("talk.mp4", "talk.wav"), ("talk.wav", "talk.mp4"), ("talk.mp4",), ("mic.wav",)])
@pytest.mark.parametrize("kinds", [("video",), ("video", "audio"), ("audio",)])
def test_a_recording_comes_before_its_film(talk: Path, linked: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    film(talk / "talk.mp4", *kinds)
    head = media(*(f"file:///C:/x/{name}" for name in linked))
    (talk / "talk.eaf").write_bytes(eaf([0, 1000], tier("A", aligned("a", 1, 2, "uno")), head))
    assert [item.path.name for item in read(talk) if not item.problem] == ["talk.wav"]


def test_a_film_with_sound_comes_before_a_recording_without(talk: Path) -> None:
    film(talk / "talk.mp4", "video", "audio")
    soundfile.write(talk / "talk.wav", np.zeros(0, np.float32), SAMPLE_RATE)
    head = media("talk.wav", "talk.mp4")
    (talk / "talk.eaf").write_bytes(eaf([0, 1000], tier("A", aligned("a", 1, 2, "uno")), head))
    assert [item.path.name for item in read(talk)] == ["talk.mp4"]


def test_a_relative_address_is_followed(talk: Path) -> None:
    for folder in ("mon", "tue", "eaf"):
        (talk / folder).mkdir()
    for folder in ("mon", "tue"):
        write_wav(talk / folder / "talk.wav", speech(2, 2.0))
    (talk / "talk.wav").unlink()
    for name, address in (("a", "../tue/talk.wav"), ("b", "..\\mon\\talk%2Ewav"), ("c", "../talk.wav")):
        data = eaf([0, 1000], tier("A", aligned("a", 1, 2, name)), media(address, relative=True))
        (talk / "eaf" / f"{name}.eaf").write_bytes(data)
    found = {item.text: item.path.parent.name for item in read(talk) if not item.problem}
    assert found == {"a": "tue", "b": "mon"}
    assert [item.problem for item in read(talk) if item.problem] == [
        "c.eaf is about talk.wav, which is not in its folder: put it there."
    ]


def test_times_of_elan_that_are_no_whole_numbers(talk: Path) -> None:
    data = eaf([0, 1000], tier("A", aligned("a", 1, 2, "uno"))).replace(b'"1000"', b'"1000.5"')
    assert [each.end for each in parse_elan(data, "x").tiers[0][1]] == [1.0005]
    for odd in (b'"inf"', b'"1e999"', b'"x"'):
        (each,) = parse_elan(data.replace(b'"1000.5"', odd), "x").tiers[0][1]
        assert np.isnan(each.end)


def test_media_of_a_kind_that_is_not_read(talk: Path) -> None:
    (talk / "film.dvf").write_bytes(b"x")
    (talk / "x.eaf").write_bytes(eaf([0, 1000], tier("A", aligned("a", 1, 2, "uno")), media("film.dvf")))
    assert [item.problem for item in read(talk) if item.path.suffix == ".eaf"] == [
        "x.eaf is about film.dvf, which is of a kind that is not read: convert it to WAV, beside it."
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\ngoma \swa \ep\:f t\^hu e\'1", "ŋoma əa εː tʰu eˈ"),
        ("\\dh\\ef\\rt \\o/ \\ae \\c, \\u\" \\e' \\n~ \\o: \\l/", "ðɛɹ ø æ ç ü é ñ ő ł"),
        (r"a\'^ a\~^ n\|v t\lis \|1 \|2 \!d \?g", "a\u0301 a\u0303 n\u0329 t\u0361s ǀ ǁ ¡ ʔ"),
        (r"back\bsslash \zz C:\~ \n", "back\\slash \\zz C:\\~ \\n"),
    ],
)
def test_symbols_of_praat(written: str, meant: str) -> None:
    data = textgrid({"a": [(0, 1, written.replace('"', '""'))]})
    assert [each.text for each in parse_praat(data, "x").tiers[0][1]] == [meant]


def test_entities_of_subrip() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\n<i>kwa</i> &amp; maana &lt;3&nbsp;&#243;\n"
    ((_, cues),) = parse_srt(text.encode(), "x.srt").tiers
    assert [each.text for each in cues] == ["kwa & maana <3 ó"]


def test_points_of_praat_are_counted_and_only_taken_by_name(talk: Path) -> None:
    grid = textgrid({"words": [(0, 1, "uno"), (1, 2, "dos")]}).decode().replace("<exists>\n1\n", "<exists>\n2\n")
    (talk / "talk.TextGrid").write_text(grid + '\n"TextTier"\n"tones"\n0\n12\n1\n0.5\n"H*"')
    assert [item.text for item in read(talk)] == ["uno", "dos"]
    assert [(item.tier.name, item.tier.kind) for item in listed(talk) if item.tier][-1] == ("tones", "points")
    (only,) = read(talk, tiers=["tones"])
    assert only.problem == "“H*” in talk.TextGrid has no length or no time: set its edges there."
