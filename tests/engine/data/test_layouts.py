"""Corpora in the layouts of their publishers, and other tools' lists: recognised, read whole, and never beyond."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import UsageError
from lect.engine.data.importers import import_into
from lect.engine.data.layouts import LAYOUTS, Item, read
from lect.engine.data.store import Project
from tests.engine.data.test_importers import sounds
from tests.engine.data.test_store import speech

SNIPS_LINE = "{name} BOS add the rest EOS\tO O B-what I-what AddToPlaylist"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project", "p", "xx")


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def facts(items: Sequence[Item]) -> list[tuple[str, str | None, str, str]]:
    return [(item.path.name, item.text, item.speaker, item.split) for item in items]


def problems(items: Sequence[Item]) -> list[str]:
    found = [item.problem for item in items if item.problem]
    assert all(each.endswith(".") and ": " in each for each in found)
    return found


def librispeech(folder: Path) -> None:
    for subset, name in (
        ("train-clean-100", "19-198-0000"),
        ("dev-other", "116-288045-0000"),
        ("test-clean", "61-7-0"),
    ):
        speaker, chapter, _ = name.split("-")
        sounds(folder, f"{subset}/{speaker}/{chapter}/{name}.wav")
        write(folder / subset / speaker / chapter / f"{speaker}-{chapter}.trans.txt", f"{name} A TEXT OF {speaker}")
    write(folder / "SPEAKERS.TXT", "; comments", "19 | F | train-clean-100 | 25.19 | Kara Shallenberg")


def mls(folder: Path) -> None:
    root = folder / "mls_polish"
    for split in ("train", "dev", "test"):
        names = [f"1{split[0]}_2_00000{n}" for n in range(3 if split == "train" else 1)]
        names = [name.replace("t", "8").replace("d", "9") for name in names]
        sounds(root, *(f"{split}/audio/{name.split('_')[0]}/2/{name}.wav" for name in names))
        write(root / split / "transcripts.txt", *(f"{name}\tzdanie {name}" for name in names))
        write(root / split / "segments.txt", *(f"{name}\thttp://x.org/a.mp3\t1.5\t12.25" for name in names))
    write(root / "train/limited_supervision/9hr/handles.txt", "18_2_000000")
    write(root / "train/limited_supervision/1hr/0/handles.txt", "18_2_000002", "18_2_000009")
    write(root / "metainfo.txt", "SPEAKER | GENDER | PARTITION")


def ljspeech(folder: Path) -> None:
    sounds(folder, "wavs/LJ001-0001.wav", "wavs/LJ001-0002.wav", "wavs/LJ001-0003.wav")
    rows = ('LJ001-0001|in 1455, "so"|in fourteen fifty-five, "so"', "LJ001-0002|only one", "LJ009-0000|gone|gone")
    write(folder / "metadata.csv", *rows)


def snips(folder: Path) -> None:
    names = ("train/Ivy-snips-train-0", "train/Amy-snips-train-0", "valid/Amy-snips-valid-0", "test/Emma-snips-test-0")
    sounds(folder, *(f"{name}.wav" for name in names))
    write(folder / "all.iob.snips.txt", *(SNIPS_LINE.format(name=Path(name).name) for name in names))
    write(folder / "slots.txt", "O", "B-what")


def nemo(folder: Path) -> None:
    sounds(folder, "audio/a.wav", "audio/b.wav", "audio/deep/c.wav")
    rows = [
        {"audio_filepath": "audio/a.wav", "text": "a", "duration": 1.0, "speaker": "s1", "lang": "pl"},
        {"audio_filepath": "/home/someone/set/audio/deep/c.wav", "text": "c", "offset": 0.25, "duration": 0.5},
        {"audio_filepath": "audio/b.wav", "text": "b", "offset": 0, "duration": 1.0},
        {"audio_filepath": "/etc/hosts", "text": "private"},
        {"audio_filepath": "audio/b.wav", "text": "b", "offset": "x", "duration": 1},
    ]
    write(folder / "train_manifest.json", *map(json.dumps, rows))
    write(folder / "package.json", "{", '"audio": 1', "}")


def kaldi(folder: Path) -> None:
    sounds(folder, "corpus/wav/r1.wav", "corpus/wav/u3.wav")
    data = folder / "data" / "test"
    write(
        data / "wav.scp",
        "r1 corpus/wav/r1.wav",
        "u3 /nfs/old machine/corpus/wav/u3.wav",
        "r2 flac -c -d -s /corpus/r2.flac |",
        "r3 /exp/raw.ark:17",
    )
    write(data / "segments", "u1 r1 0.1 0.6", "u2 r1 0.6 -1", "u3 u3 0 0.5", "u4 r2 0 1", "u5 r9 0 1", "u6 r3 0 1")
    write(data / "segments", *(data / "segments").read_text().splitlines(), "u7 r1 5 4", "u8 r1 0 0.5")
    write(data / "text", "u1 eins", "u2 zwei drei", "u3 vier", "u4 x", "u5 x", "u6 x", "u7 x", "u9 lost")
    write(data / "utt2spk", "u1 anna", "u2 anna", "u3 bela")


@pytest.mark.parametrize("make", [librispeech, mls, ljspeech, snips, nemo, kaldi], ids=lambda make: make.__name__)
def test_every_layout_is_recognised(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "set")
    assert read(tmp_path / "set") == read(tmp_path / "set", make.__name__) != []
    assert make.__name__ in LAYOUTS


def test_librispeech(tmp_path: Path, project: Project) -> None:
    librispeech(tmp_path / "LibriSpeech")
    sounds(tmp_path / "LibriSpeech", "test-clean/61/7/61-7-1.wav")
    report = import_into(project, tmp_path / "LibriSpeech")
    assert [(clip.text, clip.speaker, clip.split) for clip in project.clips()] == [
        ("A TEXT OF 116", "116", "dev"),
        ("A TEXT OF 61", "61", "test"),
        ("A TEXT OF 19", "19", "train"),
    ]
    assert [why for _, why in report.skipped] == ["61-7-1.wav has no label in .trans.txt: add it."]
    assert facts(read(tmp_path / "LibriSpeech" / "dev-other")) == [
        ("116-288045-0000.wav", "A TEXT OF 116", "116", "dev")
    ]


def test_mls_and_its_ten_hours(tmp_path: Path) -> None:
    mls(tmp_path)
    items = read(tmp_path / "mls_polish")
    assert (
        sorted((item.split, item.speaker) for item in items) == [("dev", "19"), ("test", "18")] + [("train", "18")] * 3
    )
    assert {item.language for item in items} == {"pl"}
    assert items[0].extra == {"origin": "http://x.org/a.mp3", "origin_start": "1.5", "origin_end": "12.25"}
    *limited, missing = read(tmp_path / "mls_polish/train/limited_supervision")
    assert [(item.text, item.split, item.extra["part"]) for item in limited] == [
        ("zdanie 18_2_000000", "train", "9hr"),
        ("zdanie 18_2_000002", "train", "1hr/0"),
    ]
    assert problems([missing]) == ["transcripts.txt has no line for 18_2_000009: get that file again."]
    assert len(read(tmp_path / "mls_polish/train/limited_supervision/9hr")) == 1


def test_ljspeech(tmp_path: Path) -> None:
    ljspeech(tmp_path)
    items = read(tmp_path)
    assert [item.text for item in items if not item.problem] == ['in fourteen fifty-five, "so"', "only one"]
    assert problems(items) == [
        "metadata.csv names LJ009-0000, which is not there: put it there, or take out its line.",
        "LJ001-0003.wav has no label in metadata.csv: add it.",
    ]


def test_audio_snips_with_the_speakers_of_superb(tmp_path: Path) -> None:
    snips(tmp_path)
    text = "add [what: the rest]"
    assert facts(read(tmp_path)) == [
        ("Ivy-snips-train-0.wav", text, "Ivy", "train"),
        ("Amy-snips-train-0.wav", text, "Amy", ""),
        ("Amy-snips-valid-0.wav", text, "Amy", "dev"),
        ("Emma-snips-test-0.wav", text, "Emma", "test"),
    ]


def test_nemo(tmp_path: Path, project: Project) -> None:
    nemo(tmp_path / "set")
    items = read(tmp_path / "set")
    assert items == read(tmp_path / "set" / "train_manifest.json")
    assert [(item.text, item.start, item.end, item.split) for item in items[:3]] == [
        ("a", 0, math.inf, "train"),
        ("c", 0.25, 0.75, "train"),
        ("b", 0, 1, "train"),
    ]
    assert (items[0].speaker, items[0].language) == ("s1", "pl")
    assert problems(items) == [
        "train_manifest.json names /etc/hosts, which is not in what you import: choose a folder that holds both.",
        "b.wav has no stretch from x to nan s: correct its times.",
    ]
    import_into(project, tmp_path / "set")
    # b lasts 1 s: the stretch is all of it, so the original is kept.
    assert {clip.text: clip.path.suffix for clip in project.clips()} == {"a": ".wav", "c": ".flac", "b": ".wav"}


def test_kaldi(tmp_path: Path, project: Project) -> None:
    kaldi(tmp_path / "egs")
    items = read(tmp_path / "egs")
    assert [(item.path.name, item.text, item.speaker, item.start, item.end) for item in items if not item.problem] == [
        ("r1.wav", "eins", "anna", 0.1, 0.6),
        ("r1.wav", "zwei drei", "anna", 0.6, math.inf),
        ("u3.wav", "vier", "bela", 0, 0.5),
    ]
    assert {item.split for item in items if not item.problem} == {"test"}
    assert problems(items) == [
        "wav.scp gets r2 by a command, and none is run: write it to a file, and name that.",
        "wav.scp has no r9: add it, or take it out of segments.",
        "wav.scp takes r3 from an archive of Kaldi: write it to a file, and name that.",
        "r1.wav has no stretch from 5 to 4 s: correct its times.",
        "r1 has no text: add it to the file text.",
        "text has u9, which no other file there names: add it to segments or wav.scp.",
    ]
    report = import_into(project, tmp_path / "egs")
    lengths = {clip.text: clip.seconds for clip in project.clips()}
    assert lengths == pytest.approx({"eins": 0.5, "zwei drei": 0.4, "vier": 0.5}) and len(report.skipped) == 6


def test_kaldi_without_segments_and_with_a_hostile_pipe(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    sounds(tmp_path / "set", "a.wav")
    write(tmp_path / "set" / "wav.scp", "a a.wav", f"b touch {canary} |", f"c |touch {canary}", "d ../../etc/hosts")
    write(tmp_path / "set" / "text", "a eins", "b zwei", "c drei", "d vier")
    items = read(tmp_path / "set")
    assert [item.text for item in items if not item.problem] == ["eins"] and len(problems(items)) == 3
    assert not canary.exists()


def test_links_to_nowhere_stop_nothing(tmp_path: Path) -> None:
    sounds(tmp_path, "a.wav")
    write(tmp_path / "a.txt", "eins")
    for name in ("b.json", "b.txt", "c.srt", "d.wav"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    assert [item.text for item in read(tmp_path, "pairs") if not item.problem] == ["eins"]
    (tmp_path / "c.srt").unlink()
    assert read(tmp_path) == read(tmp_path, "pairs")


def test_a_named_layout_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for layout in LAYOUTS:
        if layout != "pairs":
            with pytest.raises(UsageError, match=r"^.*: .*\.$"):
                read(tmp_path / "empty", layout)
    (tmp_path / "note.md").write_text("x")
    for layout in ("auto", "kaldi", "elan"):
        with pytest.raises(UsageError, match=r"^.*: .*\.$"):
            read(tmp_path / "note.md", layout)


def test_a_duration_without_offset_is_a_stretch(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", speech(1, 4.0))
    rows = [{"audio_filepath": "a.wav", "text": str(seconds), "duration": seconds} for seconds in (1.5, 3.7, 4, 9, "x")]
    write(tmp_path / "m.json", *map(json.dumps, [*rows, {"audio_filepath": "a.wav", "text": "all"}]))
    assert [(item.text, item.start, item.end) for item in read(tmp_path) if not item.problem] == [
        ("1.5", 0, 1.5),
        ("3.7", 0, math.inf),  # rounded, most likely
        ("4", 0, math.inf),
        ("9", 0, math.inf),
        ("all", 0, math.inf),
    ]
    assert problems(read(tmp_path)) == ["a.wav has no stretch from 0 to nan s: correct its times."]


def test_segments_that_lack_columns(tmp_path: Path) -> None:
    sounds(tmp_path, "r.wav")
    write(tmp_path / "wav.scp", "r r.wav")
    write(tmp_path / "segments", "u1 r 0.0 0.5", "u2", "u3 r", "u4 r 0.5", "u5 r 0.5 x", "u6 r 0.5 -1")
    write(tmp_path / "text", "u1 eins", "u2 zwei", "u3 drei", "u4 vier", "u5 x", "u6 sechs")
    taken = [(item.text, item.end) for item in read(tmp_path) if not item.problem]
    assert taken == [("eins", 0.5), ("sechs", math.inf)]
    assert problems(read(tmp_path)) == [
        "segments does not say where u2 is: write its recording, start and end behind it.",
        "segments does not say where u3 is: write its recording, start and end behind it.",
        "segments does not say where u4 is: write its recording, start and end behind it.",
        "r.wav has no stretch from 0.5 to x s: correct its times.",
    ]


def test_an_id_that_no_disk_takes_stops_nothing(tmp_path: Path) -> None:
    librispeech(tmp_path)
    table = next(tmp_path.rglob("61-7.trans.txt"))
    table.write_text(table.read_text() + "6" * 300 + " TOO LONG\n" + "7\x00 ZERO\n")
    items = read(tmp_path)
    assert len([item for item in items if not item.problem]) == 3
    assert [each.partition(":")[0] for each in problems(items)] == [
        "6" * 77 + "… cannot be read (File name too long)",
        "61-7.trans.txt names 7\x00, which is not there",
    ]
