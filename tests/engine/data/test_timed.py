"""Texts with times in a .txt beside a recording: their stretches, or a refusal, and never one label with numbers."""

import time
from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.data.layouts import Item, read
from lect.engine.data.layouts.timed import is_timed
from tests.engine.data.test_annotations import textgrid
from tests.engine.data.test_store import speech

TWO = [(0.0, 1.8, "kwa maana"), (2.3, 7.0, "sisi wenyewe")]


def items(folder: Path, content: str | bytes, name: str = "talk.txt") -> list[Item]:
    """What is read of that file beside talk.wav, and of a plain pair that lies there too."""
    for sound in ("talk.wav", "plain.wav"):
        write_wav(folder / sound, speech(1, 12.0))
    (folder / "plain.txt").write_text("what is said at 10:30 and at 11:45")
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read(folder, tiers=["*"])
    assert [item.text for item in found if item.path.stem == "plain"] == ["what is said at 10:30 and at 11:45"]
    return [item for item in found if item.path.stem != "plain"]


def spoken(found: list[Item]) -> list[tuple[float, float, str | None]]:
    return [(round(item.start, 3), round(item.end, 3), item.text) for item in found if not item.problem]


ELAN = (
    "utt\t{p}\t00:00:00.000\t00:00:01.800\t00:00:01.800\tkwa maana\n"
    "utt\t{p}\t00:00:02.300\t00:00:07.000\t00:00:04.700\tsisi wenyewe\n"
)
ELAN_NAMED = (
    "Tier\tBegin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\tAnnotation\n"
    "utt\t0:0:0.0\t0:0:1.8\tkwa maana\nutt\t0:0:2.3\t0:0:7\tsisi wenyewe\n"
)
ELAN_MS = "Begin Time - msec\tEnd Time - msec\tDuration - msec\tutt\n0\t1800\t1800\tkwa maana\n"
ELAN_MS += "2300\t7000\t4700\tsisi wenyewe\n"
ELAN_ALL = (
    "utt\tAna\t00:00:00.000\t0.0\t0\t00:00:01.800\t1.8\t1800\t00:00:01.800\t1.8\t1800\tkwa maana\n"
    "utt\tAna\t00:00:02.300\t2.3\t2300\t00:00:07.000\t7.0\t7000\t00:00:04.700\t4.7\t4700\tsisi wenyewe\n"
)


@pytest.mark.parametrize(
    "content",
    [
        "\n0.000000\t1.800000\tkwa maana\n2.300000\t7.000000\tsisi wenyewe\n",
        "\ufeff\n\n0,0\t1,8\tkwa maana\r\n\\\t100.0\t4000.0\r\n2,3\t7,0\tsisi wenyewe\r\n",
        "-0.200000\t1.800000\tkwa maana\n2.300000\t7.000000\tsisi wenyewe\n",
        "00:00:00.000\t00:00:01.800\tkwa maana\n00:00:02.300\t00:00:07.000\tsisi wenyewe\n",
        "00:00:00,000 00:00:01,800 kwa maana\n00:00:02,300 00:00:07,000 sisi wenyewe\n",
        "0.0 1.8 kwa maana\n2.3 7.0 sisi wenyewe\n",
        "0.0,1.8,kwa maana\n2.3,7.0,sisi wenyewe\n",
        "00:00:00,000;00:00:01,800;kwa maana\n00:00:02,300;00:00:07,000;sisi wenyewe\n",
        "Ana: [00:00.0 - 00:01.8] kwa maana\nAna: [00:02.3 - 00:07] sisi wenyewe\n",
        "[00:00.000 --> 00:01.800]  kwa maana\n[00:02.300 --> 00:07.000]  sisi wenyewe\n",
        "[00:00:00.000 - 00:00:01.800] kwa maana\n\n[00:00:02.300 - 00:00:07.000] sisi wenyewe\n",
        "[0.00s -> 1.80s] kwa maana\n[2.30s -> 7.00s] sisi wenyewe\n",
        "00:00.000 --> 00:01.800 kwa maana\n00:02.300 --> 00:07.000 sisi wenyewe\n",
        "1\n00:00:00,000 --> 00:00:01,800\nkwa maana\n\n2\n00:00:02,300 --> 00:00:07,000\nsisi wenyewe\n",
        "WEBVTT\n\n00:00.000 --> 00:01.800\nkwa maana\n\n00:02.300 --> 00:07.000\nsisi wenyewe\n",
        ELAN.format(p=""),
        ELAN.format(p="Ana"),
        ELAN_ALL,
        "utt\tAna\t0\t1800\tkwa maana\nutt\tAna\t2300\t7000\tsisi wenyewe\n",
        ELAN_NAMED,
        ELAN_MS,
        "start\tend\ttext\n0\t1.8\tkwa maana\n2.3\t7\tsisi wenyewe\n",
        "kwa maana\t0.0\t1.8\nsisi wenyewe\t2.3\t7.0\n",
        textgrid({"utt": [(0, 1.8, "kwa maana"), (2.3, 7, "sisi wenyewe")]}),
        "0.0\t1.8\tkwa maana\n2.3\t7.0\tsisi wenyewe\n".encode("utf-16"),
    ],
)  # fmt: skip
def test_lines_with_times_are_stretches(tmp_path: Path, content: str | bytes) -> None:
    assert spoken(items(tmp_path, content)) == TWO


def test_the_tiers_and_speakers_of_an_export(tmp_path: Path) -> None:
    lines = "utt\tAna\t0.0\t1.8\tkwa\nutt-en\tAna\t0.0\t1.8\tfor\nutt2\tBea\t2.0\t3.0\tsisi\n"
    found = {item.text: (item.tier.name, item.speaker) for item in items(tmp_path, lines) if item.tier}
    assert found == {"kwa": ("utt", "Ana"), "for": ("utt-en", "Ana"), "sisi": ("utt2", "Bea")}
    named = "0.0\t1.8\tAna\tkwa maana\n2.0\t3.0\tBea\tsisi wenyewe\n3.0\t4.0\tAna\thakuna mtu\n"
    assert [(item.text, item.speaker) for item in items(tmp_path, named)] == [
        ("kwa maana", "Ana"),
        ("sisi wenyewe", "Bea"),
        ("hakuna mtu", "Ana"),
    ]


def test_points_are_named_and_not_dropped(tmp_path: Path) -> None:
    found = items(tmp_path, "0.0\t1.8\tkwa maana\n2.1\t2.1\ta point\n2.3\t7.0\t\n7.6\t11.0\thakuna mtu\n")
    assert spoken(found) == [(0.0, 1.8, "kwa maana"), (7.6, 11.0, "hakuna mtu")]
    assert [item.problem for item in found if item.problem] == [
        "“a point” in talk.txt has no length or no time: set its edges there."
    ]


@pytest.mark.parametrize(
    "content",
    [
        "[00:00] kwa maana\n[00:02] sisi wenyewe\n",
        "[00:00.00]kwa maana\n[00:02.30]sisi wenyewe\n",
        "0:00\nkwa maana\n0:02\nsisi wenyewe\n",
        "Ana  0:00\nkwa maana\n\nBea  0:02\nsisi wenyewe\n",
    ],
)
def test_starts_without_ends_are_refused(tmp_path: Path, content: str) -> None:
    assert [item.problem for item in items(tmp_path, content)] == [
        "talk.txt says when its lines begin, and not when they end: write both, as subtitles do."
    ]


def test_a_line_that_lost_its_times_is_said(tmp_path: Path) -> None:
    (found,) = items(tmp_path, "0.0\t1.8\tkwa maana\nand more\n2.3\t7.0\tsisi\n")
    assert found.problem == "talk.txt has a line without times, “and more”: give each a start, an end and a text."


@pytest.mark.parametrize(
    "text",
    ["5 6 7", "10:30", "at 10:30\nand at 11:15 we went\nhome", "0.5 1.5 are numbers", "12:00 13:00 lunch"],
)
def test_sentences_with_numbers_stay_labels(tmp_path: Path, text: str) -> None:
    assert [(item.text, item.is_stretch) for item in items(tmp_path, text)] == [(" ".join(text.split()), False)]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("talk.txt", rb"{\rtf1\ansi kwa maana}", "is a document of a word processor (RTF), whatever its name ends in"),
        ("talk.txt", b"PK\x03\x04 docx", "is a document of an office program, or a zip, whatever"),
        ("talk.lab", b"0 1200000 k\n1200000 2400000 a\n", "has phones or words with times: write what is said"),
    ],
)
def test_what_is_no_plain_text_is_named(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (found,) = items(tmp_path, content, name)
    assert found.problem and found.problem.startswith(f"{name} {why}")


@pytest.mark.parametrize("name", ["talk.lab", "talk.LAB", "TALK.TXT", "talk.wav.txt"])
def test_labels_under_other_names(tmp_path: Path, name: str) -> None:
    assert [item.text for item in items(tmp_path, "kwa maana", name)] == ["kwa maana"]


@pytest.mark.parametrize(
    "line", ["0.5" + " " * 200_000 + "x", " " * 200_000, "a" + "\t" * 200_000 + "[", "1" * 200_000]
)
def test_long_lines_take_no_time(line: str) -> None:
    started = time.perf_counter()
    is_timed(f"{line}\n{line}")
    assert time.perf_counter() - started < 2
