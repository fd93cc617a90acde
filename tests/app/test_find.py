"""`lect find`: words are looked for in recordings, and what was heard once is not heard again."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lect.app.commands.demo import WITHOUT_TORCH
from lect.engine.audio.writing import write_wav
from lect.exports.posterior_index import PosteriorIndex
from lect.exports.runtime import Runtime
from tests.app.conftest import WORDS, Lect, speech


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with one recording a text of WORDS, and a long one of several."""
    for number, text in enumerate(WORDS):
        write_wav(tmp_path / "sound" / f"{number:02d}.wav", speech(text, 50 + number))
    joined = np.concatenate([speech(text, number) for number, text in enumerate(WORDS[:4])])
    write_wav(tmp_path / "sound" / "long.wav", joined)
    return tmp_path / "sound"


def test_words_are_found_and_written(lect: Lect, pack: Path, recordings: Path, tmp_path: Path) -> None:
    call = ("find", "go", "su la", recordings, "--pack", pack, "--vad", "off", "--threshold", "0.1", "--top", "500")
    found = lect(*call, "--json", "--output-dir", tmp_path / "out", "--format", "csv,eaf,TextGrid")
    assert found.code == 0 and found.json["recordings"] == len(WORDS) + 1
    hits = [hit for hit in found.json["hits"] if hit["word"] == "go"]
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    said = [Path(hit["recording"]).name in ("01.wav", "03.wav", "07.wav", "11.wav", "long.wav") for hit in hits]
    assert sum(said[:4]) >= 3  # a tiny network that was trained for a minute
    assert all(0 <= hit["start"] < hit["end"] for hit in hits)
    for name in ("csv", "eaf", "TextGrid"):
        assert (tmp_path / "out" / f"07.{name}").is_file()
    best = found.json["hits"][0]
    with (tmp_path / "out" / f"{Path(best['recording']).stem}.csv").open(encoding="utf-8") as file:
        assert any(best["word"] in row for row in csv.reader(file))
    shown = lect("find", "go", recordings, "--pack", pack, "--vad", "off", "--threshold", "0.1", "--top", "2")
    assert "score" in shown.out and "the best 2 of which are shown" in shown.out


def test_what_was_heard_is_kept(lect: Lect, pack: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ("find", "ba", recordings, "--pack", pack, "--vad", "off", "--threshold", "0.1", "--json")
    first = lect(*call)

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a network was loaded again")

    monkeypatch.setattr(Runtime, "open_all", refuse)
    assert lect(*call).json == first.json
    (recordings / "copy.wav").write_bytes((recordings / "00.wav").read_bytes())  # the same sound has the same hash
    assert lect(*call).json["recordings"] == first.json["recordings"] + 1
    monkeypatch.undo()
    write_wav(recordings / "00.wav", speech("go go", 9))  # another sound in the same place
    hits = [hit for hit in lect(*call).json["hits"] if hit["recording"].endswith("/00.wav")]
    assert hits != [hit for hit in first.json["hits"] if hit["recording"].endswith("/00.wav")]


def test_a_damaged_index_is_made_again(pack: Path, recordings: Path, tmp_path: Path) -> None:
    runtime = Runtime.open(pack)
    index = PosteriorIndex("a model", tmp_path / "index")
    entry = index.entry(recordings / "long.wav", runtime.heard)
    index.save()
    (kept,) = (tmp_path / "index").rglob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-7])
    (tmp_path / "index" / "known.json").write_text("[1")
    again = PosteriorIndex("a model", tmp_path / "index").entry(recordings / "long.wav", runtime.heard)
    assert again.starts == entry.starts and again.hop == entry.hop
    assert all(np.array_equal(a, b) for a, b in zip(again.pieces, entry.pieces, strict=True))


def test_an_example_is_looked_for(lect: Lect, pack: Path, recordings: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "mine.wav", speech("go go", 77))
    call = ("find", recordings, "--example", tmp_path / "mine.wav", "--pack", pack, "--vad", "off", "--json")
    found = lect(*call, "--threshold", "0.05", "--inside")
    assert found.code == 0 and {hit["word"] for hit in found.json["hits"]} <= {"mine"} and found.json["hits"]


def test_phones_are_found_without_a_pack(lect: Lect, recordings: Path) -> None:
    call = ("find", "a", recordings / "00.wav", "--phones", "--vad", "off", "--threshold", "0")
    assert lect(*call).err.count("check every symbol") == 1
    found = lect(*call, "--json")
    assert found.code == 0 and found.json["hits"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("go",), "where to look"),
        (("{folder}",), "what to look for"),
        (("go", "lost.wav", "{folder}"), "lost.wav is not there"),
        (("gö", "{folder}"), "never wrote (ö)"),
        (("...", "{folder}"), "no letter"),
        (("go", "{folder}", "--format", "csv"), "--output-dir"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(
    arguments: tuple[str, ...], said: str, lect: Lect, pack: Path, recordings: Path
) -> None:
    given = [argument.format(folder=recordings) for argument in arguments]
    assert lect("find", *given, "--pack", pack, "--vad", "off", "--quiet").failed_with(said, code=2)


def test_models_without_a_ctc_head_are_refused(lect: Lect, recordings: Path) -> None:
    assert lect("find", "go", recordings).failed_with("with a pack", code=2)


def test_a_recording_that_cannot_be_read_is_named(lect: Lect, pack: Path, recordings: Path) -> None:
    (recordings / "bad.wav").write_bytes(b"no sound")
    found = lect("find", "go", recordings, "--pack", pack, "--vad", "off", "--json", "--threshold", "0.1")
    assert found.code == 1 and "bad.wav" in found.err and found.json["recordings"] == len(WORDS) + 1


def test_it_needs_no_torch(pack: Path, recordings: Path) -> None:
    arguments = ["find", "go", str(recordings), "--pack", str(pack), "--vad", "off", "--quiet"]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
