"""`lect transcribe` on what people have: folders, many formats, work done before, and recordings of nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lect.app.recordings import formats
from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.contract.files import ASSETS
from lect.exports.formats import EXTENSIONS, WRITERS
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
    assert lect("transcribe", SPEECH).failed_with("--pack", "--phones", code=2)


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
