"""`lect transcribe` on what people have: folders, many formats, work done before, and recordings of nothing."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lect.app.recordings import formats
from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.contract.files import ASSETS
from lect.engine.scoring.edit_distance import character_error_rate
from lect.engine.text.phones import phones
from lect.engine.text.rules import nfc
from lect.exports.formats import EXTENSIONS, WRITERS
from tests import ROOT
from tests.app.conftest import Lect

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech, silence and text, in a folder of folders."""
    folder = tmp_path_factory.mktemp("sounds")
    (folder / "day 1").mkdir()
    shutil.copy(SPEECH, folder / "day 1" / "talk.ogg")
    write_wav(folder / "silence.wav", np.zeros(3 * SAMPLE_RATE, np.float32))
    (folder / "letter.mp3").write_text("Dear reader")
    (folder / "notes.txt").write_text("no sound")
    return folder


def test_a_folder_in_every_format(lect: Lect, graphs: Path, sounds: Path, tmp_path: Path) -> None:
    command = ("transcribe", sounds, "--pack", graphs, "--output-dir", tmp_path, "--format", "all")
    done = lect(*command)
    assert done.code == 1 and "letter.mp3" in done.err and "3 recordings" in done.err and "1 failed" in done.err
    assert "silence.wav: no speech found." in done.err
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"{stem}{end}" for stem in ("day 1/talk", "silence") for end in EXTENSIONS.values()}
    again = lect(*command, "--skip_existing", "--json")
    assert [Path(each["file"]).name for each in again.json["files"]] == ["letter.mp3"]
    assert len(again.json["skipped_existing"]) == 2 and again.code == 1


def test_what_was_skipped_is_told(lect: Lect, graphs: Path, sounds: Path) -> None:
    told = lect("transcribe", sounds / "silence.wav", "--pack", graphs, "--verbose")
    assert told.code == 0 and told.out == "\n" and "(no speech)" in told.err
    (file,) = lect("transcribe", sounds / "silence.wav", "--pack", graphs, "--json").json["files"]
    assert file["skipped"] == [{"start": 0.0, "end": 3.0, "reason": "no speech"}] and file["vad"] == "silero"
    (file,) = lect("transcribe", SPEECH, "--pack", graphs, "--json", "--vad_max_speech_duration_s", "1").json["files"]
    assert len(file["segments"]) + len(file["skipped"]) > 1


def test_phones_need_no_pack(lect: Lect, graphs: Path) -> None:
    phones = lect("transcribe", SPEECH, "--phones", "--backbone", graphs)
    assert phones.code == 0 and "Rough phones" in phones.err
    assert phones.out == lect("transcribe", SPEECH, "--pack", graphs).out


def test_a_pack_is_found_by_its_name_in_the_project(
    lect: Lect, graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(graphs, tmp_path / "packs" / "village")
    (tmp_path / "packs" / "notes.lect").write_text("no pack")
    (tmp_path / "audio").mkdir()
    for folder in (tmp_path, tmp_path / "audio"):
        monkeypatch.chdir(folder)
        assert lect("transcribe", SPEECH, "--pack", "village").out == lect("transcribe", SPEECH, "--pack", graphs).out
        assert lect("transcribe", SPEECH, "--pack", "notes").failed_with("notes.lect")
    assert lect("transcribe", SPEECH, "--pack", "town").failed_with("town", code=2)
    assert lect("transcribe", SPEECH, "--pack", "./village").failed_with("village", code=2)
    shutil.copytree(graphs, tmp_path / "audio" / "notes")
    assert lect("transcribe", SPEECH, "--pack", "notes").code == 0, "a path comes first"


def test_requests_that_make_no_sense(lect: Lect, graphs: Path, sounds: Path, tmp_path: Path) -> None:
    call = ("transcribe", sounds / "silence.wav", "--pack", graphs)
    assert lect(*call, "--format", "srt").failed_with("--output-dir", code=2)
    assert lect(*call, "--format", "srt,doc", "--output-dir", tmp_path).failed_with("'doc'", "TextGrid", code=2)
    assert lect(*call, "--vad-max-speech-duration-s", "31").failed_with("30 s", code=2)
    (tmp_path / "empty").mkdir()
    assert lect("transcribe", tmp_path / "empty", "--pack", graphs).failed_with("no recording", code=2)


def test_formats_are_named_in_any_case() -> None:
    assert formats("SRT,textgrid,srt") == ["srt", "TextGrid"] and formats("all") == list(WRITERS)


def test_the_whole_result_is_json(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    lect("transcribe", SPEECH, "--pack", graphs, "--output-dir", tmp_path, "--format", "json")
    told = json.loads((tmp_path / "Andrea-0008.json").read_text("utf-8"))
    assert {"text", "segments", "skipped", "seconds", "vad", "word_times"} <= set(told)


def test_several_at_once_are_the_same(lect: Lect, graphs: Path, sounds: Path) -> None:
    one, two = (lect("transcribe", sounds, "--pack", graphs, "--jobs", jobs, "--json") for jobs in (1, 2))
    assert one.code == two.code == 1 and one.json["device"] == two.json["device"] == "cpu"
    for first, second in zip(one.json["files"], two.json["files"], strict=True):
        assert {**first, "real_time_factor": 0} == {**second, "real_time_factor": 0}
    assert lect("transcribe", sounds, "--pack", sounds / "notes.txt", "--jobs", "2").failed_with("notes.txt")


def test_several_packs_share_a_recording(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(graphs, other)
    both = ("transcribe", SPEECH, "--pack", graphs, "--pack", other, "--output-dir", tmp_path / "out")
    (chosen,) = lect(*both, "--json").json["files"]
    assert {segment["pack"] for segment in chosen["segments"]} == {"tiny"} and (
        tmp_path / "out/Andrea-0008.txt"
    ).exists()
    all_of_them = lect(*both, "--all-packs")
    assert [line.split("\t")[0] for line in all_of_them.out.splitlines()] == ["tiny", "other"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "Andrea-0008.txt", "Andrea-0008.tiny.txt", "Andrea-0008.other.txt",
    }  # fmt: skip
    assert lect("transcribe", SPEECH, "--pack", graphs, "--pack", graphs).failed_with("one name", code=2)


def test_hotwords_are_preferred(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    plain = lect("transcribe", SPEECH, "--pack", graphs).out.split()
    (tmp_path / "words.txt").write_text("\ufeffba da\nŋŋ7\n\n", encoding="utf-8")
    call = ("transcribe", SPEECH, "--pack", graphs, "--hotwords", tmp_path / "words.txt", "--hotword-boost", "30")
    told = lect(*call)
    assert "ba da" in told.out and "ba" not in plain and "ŋŋ7" in told.err
    assert lect(*call, "--hotword-boost", "-1").failed_with("boost", code=2)
    assert lect(*call, "--hotwords", SPEECH).failed_with("UTF-8", code=2)


def test_a_document_beside_the_recording_is_never_overwritten(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    shutil.copy(SPEECH, tmp_path / "talk.ogg")
    call = ("transcribe", tmp_path / "talk.ogg", "--pack", graphs, "--output-dir", tmp_path, "--format", "eaf")
    assert lect(*call).code == 0
    first = (tmp_path / "talk.eaf").read_bytes()
    assert lect(*call).code == 0 and (tmp_path / "talk.eaf").read_bytes() == first
    assert (tmp_path / "talk.lect.eaf").read_text("utf-8").count("<TIER ") == 4


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="these disks take no such names")
def test_names_that_are_no_text_or_very_long(graphs: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    odd = os.fsdecode(b"caf\xe9")
    for stem in (odd, "ŋ" * 119, "last"):
        write_wav(folder / f"{stem}.wav", np.zeros(SAMPLE_RATE, np.float32))
    command = ("transcribe", folder, "--pack", graphs, "--output-dir", out, "--format", "all", "--json")
    done = subprocess.run([sys.executable, "-m", "lect", *map(str, command)], cwd=ROOT, capture_output=True)
    assert done.returncode == 0 and len(json.loads(done.stdout)["files"]) == 3
    assert {path.name for path in out.iterdir()} == {
        f"{stem}{end}" for stem in (odd, "ŋ" * 119, "last") for end in EXTENSIONS.values()
    }
    assert json.loads((out / f"{odd}.json").read_text())["file"] == "caf\\xe9.wav"
    assert b'RELATIVE_MEDIA_URL="./caf%E9.wav"' in (out / f"{odd}.eaf").read_bytes()


def test_a_name_that_no_disk_takes_is_said_and_the_rest_goes_on(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for stem in ("a" * 250, "last"):
        write_wav(tmp_path / "in" / f"{stem}.wav", np.zeros(SAMPLE_RATE, np.float32))
    done = lect(
        "transcribe", tmp_path / "in", "--pack", graphs, "--output-dir", tmp_path / "out", "--format", "audacity"
    )
    assert done.code == 1 and "File name too long" in done.err and ".part" not in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["last.labels.txt"]


def test_what_had_to_be_put_right_is_told(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    sound, rate = soundfile.read(SPEECH)
    soundfile.write(tmp_path / "a.wav", np.stack([sound, -sound], axis=1), rate)
    (tmp_path / "b.dss").write_bytes(b"x")
    told = lect("transcribe", tmp_path, "--pack", graphs)
    assert "a.wav: Its channels cancel each other out: only channel 1 was read." in told.err
    assert "Left alone, 1 file of no kind that is read here: b.dss" in told.err
    assert "no speech" not in told.err


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng, whose phones are compared with")
def test_the_phones_that_ship(lect: Lect) -> None:
    sample = ASSETS / "sample"
    with (sample / "metadata.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))[::20]
    said = [nfc(phones(row["transcription"], "sw") or "") for row in rows]
    files = lect("transcribe", *(sample / row["file_name"] for row in rows), "--phones", "--json").json["files"]
    assert character_error_rate([nfc(each["text"]) for each in files], said) < 0.5, "0.44, of voices that are no people"
