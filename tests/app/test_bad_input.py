"""What goes wrong with real files and folders: one clear sentence, nothing lost, and the others go on."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.files import sha256_file
from lect.engine.data.store import Project
from tests import ROOT
from tests.app.conftest import WORDS, Lect, Outcome, speech, write_set

TWO_HOURS_S = 7_200
NOBODY = 65_534


def soundless(path: Path) -> None:
    path.write_bytes(b"")


def a_text(path: Path) -> None:
    path.write_text("This is a letter, not a recording.\n" * 50)


def truncated_flac(path: Path) -> None:
    soundfile.write(path, speech("su la go mi"), SAMPLE_RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:-3000])


def not_numbers(path: Path) -> None:
    samples = speech("su la")
    samples[500:600] = np.nan
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")


def two_hours(path: Path) -> None:
    soundfile.write(path, np.zeros(TWO_HOURS_S * 4_000, np.int16), 4_000, format="FLAC")


def eight_channels(path: Path) -> None:
    soundfile.write(path, np.stack([speech("go mi", n) for n in range(8)], axis=1), SAMPLE_RATE)


def fast_rate(path: Path) -> None:
    soundfile.write(path, np.repeat(speech("go su"), 12), 12 * SAMPLE_RATE)


def too_short(path: Path) -> None:
    soundfile.write(path, speech("a")[: SAMPLE_RATE // 20], SAMPLE_RATE)


def imported(lect: Lect, tmp_path: Path, rows: str = "") -> Outcome:
    """An import of the set in tmp_path/set, with more rows in its table."""
    table = tmp_path / "set" / "metadata.csv"
    table.write_text(table.read_text(encoding="utf-8") + rows, encoding="utf-8")
    if not (tmp_path / "p").exists():
        lect("init", tmp_path / "p")
    return lect("import", tmp_path / "set", "--project", tmp_path / "p", "--json")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three good clips, to which a test adds what is bad."""
    return write_set(tmp_path / "set", WORDS[:3])


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (soundless, "bad.wav", "empty"),
        (a_text, "bad.wav", "text, not sound"),
        (truncated_flac, "bad.flac", "cut short"),
        (not_numbers, "bad.wav", "not numbers"),
        (two_hours, "bad.flac", "120 min"),
    ],
)
def test_a_bad_recording_is_named_and_the_others_are_taken(
    lect: Lect, tmp_path: Path, source: Path, make, name: str, words: str
) -> None:
    make(source / name)
    done = imported(lect, tmp_path, f"{name},ba ba,voice 0,\n")
    assert done.code == 1 and done.json["taken"] == 3
    (skipped,) = done.json["skipped"]
    assert skipped["file"].endswith(name) and words in skipped["why"] and skipped["why"].endswith(".")
    assert "Traceback" not in done.err
    assert len(Project.open(tmp_path / "p").clips()) == 3


@pytest.mark.parametrize("make", [eight_channels, fast_rate])
def test_many_channels_and_high_rates_are_taken(lect: Lect, tmp_path: Path, source: Path, make) -> None:
    make(source / "odd.wav")
    done = imported(lect, tmp_path, "odd.wav,go mi,voice 0,\n")
    assert done.code == 0 and done.json["taken"] == 4


def test_a_click_is_kept_but_reported_as_useless(lect: Lect, tmp_path: Path, source: Path) -> None:
    too_short(source / "click.wav")
    done = imported(lect, tmp_path, "click.wav,a,voice 0,\n")
    assert done.code == 1 and done.json["taken"] == 4 and done.json["unusable"] == 1
    assert "too short" in done.json["warnings"][-1]["what"]


def test_a_missing_label_is_reported(lect: Lect, tmp_path: Path, source: Path) -> None:
    done = imported(lect, tmp_path, "02.wav,,voice 0,\n")
    assert done.code == 1 and "no label" in done.json["skipped"][0]["why"]
    assert done.json["taken"] == 3


def test_the_first_of_two_labels_stays(lect: Lect, tmp_path: Path, source: Path) -> None:
    shutil.copy(source / "00.wav", source / "same.wav")
    done = imported(lect, tmp_path, "same.wav,something else,voice 0,\n")
    assert done.code == 1 and "Two labels" in done.json["skipped"][0]["why"]
    assert [clip.text for clip in Project.open(tmp_path / "p").clips()] == list(WORDS[:3])


def test_a_clip_that_is_there_already_is_reported_and_is_no_failure(lect: Lect, tmp_path: Path, source: Path) -> None:
    shutil.copy(source / "00.wav", source / "same.wav")
    done = imported(lect, tmp_path, f"same.wav,{WORDS[0]},voice 0,\n")
    assert done.code == 0 and done.json["taken"] == 3 and len(done.json["duplicates"]) == 1


def test_a_label_with_characters_that_no_training_clip_has(lect: Lect, tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", WORDS[:8])
    lines = (source / "metadata.csv").read_text(encoding="utf-8").splitlines()
    lines = [lines[0]] + [f"{line}{'train' if number < 6 else 'test'}" for number, line in enumerate(lines[1:])]
    (source / "metadata.csv").write_text("\n".join(lines).replace("06.wav,mi da ba", "06.wav,mi ŋa ba") + "\n")
    assert imported(lect, tmp_path).code == 0
    checked = lect("check", "--project", tmp_path / "p", "--json")
    assert checked.code == 1 and "ŋ" in checked.json["problems"][0]["why"]


def test_a_label_of_which_the_rules_leave_nothing(lect: Lect, tmp_path: Path, source: Path) -> None:
    imported(lect, tmp_path)
    Project.open(tmp_path / "p").relabel(1, "?!")
    checked = lect("check", "--project", tmp_path / "p", "--json")
    assert checked.code == 1 and "text rules" in checked.json["problems"][0]["why"]


@contextmanager
def as_nobody() -> Iterator[None]:
    """The rights of an ordinary user, where the tests run as root, whom no permission stops."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may write."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.mark.skipif(os.name == "nt", reason="permissions are otherwise there")
def test_an_unreadable_folder(lect: Lect, public: Path) -> None:
    closed = public / "closed"
    closed.mkdir()
    with as_nobody():
        assert lect("init", public / "p").code == 0
    closed.chmod(0)
    with as_nobody():
        assert lect("import", closed, "--project", public / "p").failed_with("closed", "cannot be read", code=2)
        assert lect("init", closed / "p").failed_with("closed")
    closed.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="permissions are otherwise there")
def test_an_unreadable_folder_inside_a_set(lect: Lect, public: Path) -> None:
    write_set(public / "set", WORDS[:2])
    (public / "set" / "more").mkdir()
    (public / "set" / "more").chmod(0)
    with as_nobody():
        lect("init", public / "p")
        done = lect("import", public / "set", "--project", public / "p", "--json")
    assert done.code == 1 and done.json["taken"] == 2 and "permissions" in done.json["skipped"][0]["why"]


def test_a_source_that_is_not_there_or_holds_nothing(lect: Lect, tmp_path: Path) -> None:
    lect("init", tmp_path / "p")
    assert lect("import", tmp_path / "gone", "--project", tmp_path / "p").failed_with("gone", code=2)
    (tmp_path / "bare").mkdir()
    assert lect("import", tmp_path / "bare", "--project", tmp_path / "p").failed_with("no labelled", code=2)
    assert lect("import", tmp_path / "bare", "--layout", "x", "--project", tmp_path / "p").failed_with("x", code=2)


HOLD = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('BEGIN EXCLUSIVE'); print('held'); input()"


def test_a_database_locked_by_another_program(lect: Lect, project: Path) -> None:
    command = [sys.executable, "-u", "-c", HOLD, str(project / "lect.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline().strip() == b"held"
        assert lect("split", "--project", project).failed_with("in use by another program")
        other.communicate(b"\n")
    assert lect("split", "--project", project).code == 0


def test_a_project_of_a_newer_version(lect: Lect, project: Path) -> None:
    with sqlite3.connect(project / "lect.db") as db:
        db.execute("PRAGMA user_version = 99")
    assert lect("check", "--project", project).failed_with("newer version")


def test_a_folder_that_is_no_project(lect: Lect, tmp_path: Path) -> None:
    for command in (("check",), ("split",), ("cache", "info"), ("train", "--backbone", "tiny"), ("eval", "1")):
        assert lect(*command, "--project", tmp_path).failed_with("no Lect project")


def small_disk(script: str, *arguments: object) -> list[dict[str, Any]]:
    """Runs a script where DISK is a folder on a disk of a few megabytes; the JSON lines that it prints."""
    # A mount of its own, which ends with the process; ordinary users may make one where the system allows it.
    mount = 'mkdir -p $0 && mount -t tmpfs -o size=4m tmpfs $0 && exec "$@"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount]
    with tempfile.TemporaryDirectory() as folder:
        disk = [f"{folder}/disk"]
        if shutil.which("unshare") is None or subprocess.run([*command, *disk, "true"], capture_output=True).returncode:
            pytest.skip("needs a system where a process may mount a small disk of its own (Linux, unshare)")
        python = [sys.executable, "-c", script, *disk, *map(str, arguments)]
        done = subprocess.run([*command, *disk, *python], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


FILL_UP = """
import json, shutil, sys
from pathlib import Path
from lect.app.cli import main

disk, source = map(Path, sys.argv[1:])
project, filler = disk / "p", disk / "filler"

def lect(*arguments):
    print(json.dumps({"code": main([*map(str, arguments), "--project", str(project), "--json"])}))

def fill(free_bytes):
    with filler.open("ab") as file:
        file.write(bytes(max(0, shutil.disk_usage(disk).free - free_bytes)))

print(json.dumps({"code": main(["init", str(project), "--json"])}))
fill(free_bytes=1_300_000)
lect("import", source)
lect("check")
fill(free_bytes=0)
lect("train", "--backbone", "tiny")
filler.unlink()
lect("import", source)
lect("split")
"""


def test_a_full_disk_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    texts = [f"{WORDS[number % 12]} {WORDS[number // 12]}" for number in range(40)]
    lines = small_disk(FILL_UP, write_set(tmp_path / "set", texts))
    results, codes = lines[::2], [line["code"] for line in lines[1::2]]
    assert codes == [0, 1, 0, 1, 0, 0], results
    _, full, checked, untrained, again, split = results
    assert full["error"].startswith("The disk of ") and "is full: free some space" in full["error"]
    assert "not full" in untrained["error"]  # SQLite cannot even open its log
    assert 0 < checked["clips"] < len(texts) and not checked["problems"]
    assert again["taken"] == len(texts) - checked["clips"]
    assert len(split["assignment"]) == len(texts)


def test_a_killed_import_loses_nothing_and_goes_on(lect: Lect, tmp_path: Path) -> None:
    texts = [f"{WORDS[number % 12]} {WORDS[number // 12]}" for number in range(144)]
    source, folder = write_set(tmp_path / "set", texts), tmp_path / "p"
    lect("init", folder)
    command = [sys.executable, "-m", "lect", "import", str(source), "--project", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    project = Project.open(folder)
    while process.poll() is None and not project.clips():
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = project.clips()
    assert kept and all(sha256_file(clip.path) == clip.sha256 for clip in kept)
    again = lect("import", source, "--project", folder, "--json")
    assert again.code == 0 and again.json["taken"] + len(kept) == len(texts) == len(project.clips())
