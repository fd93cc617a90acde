"""A project keeps what it was given: through other programs, full disks, kills and moves."""

import errno
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import AudioError, LectError, StoreError, TextError
from lect.engine.data import store
from lect.engine.data.clips import Clip, Speaker, make_take, project_row
from lect.engine.data.migrations import MIGRATIONS, connection, migrate, plain_errors, transaction
from lect.engine.data.store import Project
from lect.engine.text.rules import TextRules
from tests import ROOT
from tests.disks import mounted

AUDIO_BYTES = 20_000


def speech(seed: int, seconds: float = 1.0) -> np.ndarray:
    """Bursts of noise with pauses, which measure as good speech: (samples,) float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    level = np.where((time * 4 % 1 < 0.6) & (time > 0.1) & (time < seconds - 0.15), 0.1, 0.0005)
    return (level * rng.standard_normal(len(time))).astype(np.float32)


def keep(project: Project, seed: int, text: str = "", **more: str) -> Clip:
    """Keeps a recording that is known by its seed."""
    data = np.random.default_rng(seed).bytes(AUDIO_BYTES)
    return project.keep((data, ".WAV"), speech(seed), text or f"text {seed}", **more).clip


def intact(clip: Clip) -> bool:
    """Whether the original is where the clip says, byte for byte."""
    return hashlib.sha256(clip.path.read_bytes()).hexdigest() == clip.sha256


def sentence(error: pytest.ExceptionInfo[LectError]) -> str:
    """The message, which must be one sentence that says what to do."""
    message = str(error.value)
    assert ": " in message and message.endswith(".") and "\n" not in message
    return message


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A second process that runs `code`."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "a ?#% é", "My lect", "xx-mine")


def test_a_new_project_opens_with_its_settings(tmp_path: Path) -> None:
    rules = TextRules(case="keep", remove=("[laughs]",), replace=(("'", "ʼ"),))
    Project.create(tmp_path / "p", "Abaza", "abq", rules)
    project = Project.open(tmp_path / "p")
    assert (project.name, project.language, project.rules) == ("Abaza", "abq", rules)
    project.set_rules(TextRules())
    project.set_name("Other")
    project.set_language("abq-x-mine")
    again = Project.open(tmp_path / "p")
    assert (again.name, again.language, again.rules) == ("Other", "abq-x-mine", TextRules())
    assert {path.name for path in project.folder.iterdir()} == {"lect.db", *store.FOLDERS}


def test_a_project_is_not_made_over_another(project: Project) -> None:
    keep(project, 1)
    with pytest.raises(StoreError) as error:
        Project.create(project.folder, "Second", "yy")
    assert "already holds a project" in sentence(error)
    assert project.name == "My lect" and len(project.clips()) == 1


def test_what_is_no_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lect.db").touch()  # killed before the first commit
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "lect.db").write_text("not a database, but long enough to be looked at" * 30)
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "text"):
        with pytest.raises(StoreError) as error:
            Project.open(folder)
        sentence(error)
    assert not (tmp_path / "nowhere").exists()
    assert Project.create(tmp_path, "again", "xx").name == "again"


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "p").touch()
    with pytest.raises(StoreError) as error:
        Project.create(tmp_path / "p", "p", "xx")
    assert "cannot be used" in sentence(error)


def test_a_kept_recording_is_the_original_byte_for_byte(project: Project, tmp_path: Path) -> None:
    write_wav(tmp_path / "take.WAV", speech(1))
    kept = project.keep(tmp_path / "take.WAV", speech(1), " Á b ", "anna", language="yy", split="dev")
    clip = kept.clip
    assert not kept.duplicate and [clip] == project.clips()
    assert clip.path.read_bytes() == (tmp_path / "take.WAV").read_bytes()
    assert clip.path == project.folder / "audio" / clip.sha256[:2] / f"{clip.sha256}.wav"
    assert (clip.text, clip.speaker, clip.language, clip.split) == (" Á b ", "anna", "yy", "dev")
    assert clip.seconds == clip.quality.seconds == 1.0 and clip.quality.verdict == "good"
    assert keep(project, 2).language == "xx-mine"


def test_the_row_is_written_after_the_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(source: Path, target: Path) -> None:
        replace(source, target)
        seen.append((hashlib.sha256(target.read_bytes()).hexdigest(), project.clips()))

    replace = os.replace
    monkeypatch.setattr(os, "replace", spy)
    clip = keep(project, 1)
    assert seen == [(clip.sha256, [])]


def test_the_same_sound_is_recognised(project: Project, tmp_path: Path) -> None:
    first = keep(project, 1, "one")
    same_bytes = project.keep((np.random.default_rng(1).bytes(AUDIO_BYTES), "wav"), speech(9), "two")
    other_container = project.keep((b"other bytes", "flac"), speech(1), "one")
    assert same_bytes.duplicate and other_container.duplicate
    assert same_bytes.clip == other_container.clip == first == project.clips()[0]
    takes = [make_take((data, "wav"), speech(3), "three") for data in (b"x", b"x", b"y")]
    assert [kept.duplicate for kept in project.keep_all(takes)] == [False, True, True]
    assert len(list((project.folder / "audio").rglob("*.wav"))) == 2


def test_an_extension_cannot_leave_the_folder(project: Project) -> None:
    clip = project.keep((b"x", "/../../../evil"), speech(1), "a").clip
    assert clip.path.is_relative_to(project.folder / "audio") and clip.path.suffix == ".evil"
    assert project.keep((b"y", ""), speech(2), "b").clip.path.suffix == ".audio"


def test_one_bad_take_leaves_none_of_its_batch(project: Project, tmp_path: Path) -> None:
    good, gone = make_take((b"x", "wav"), speech(1), "a"), make_take(tmp_path / "gone.wav", speech(2), "b")
    with pytest.raises(AudioError) as error:
        project.keep_all([good, gone])
    assert "gone.wav" in sentence(error)
    assert project.clips() == []


def test_an_empty_label_is_refused(project: Project) -> None:
    with pytest.raises(TextError) as error:
        keep(project, 1, " \n")
    sentence(error)
    clip = keep(project, 1)
    with pytest.raises(TextError):
        project.relabel(clip.id, "")
    assert project.clips() == [clip]


def test_deleted_clips_come_back(project: Project) -> None:
    one, two = keep(project, 1, speaker="anna", split="test"), keep(project, 2)
    project.delete([one.id])
    assert project.clips() == [two] and not one.path.exists()
    assert project.clip(two.id) == two and project.clip(one.id) is None
    (trashed,) = project.trash()
    assert trashed.path.parent == project.folder / "trash" and intact(trashed)
    assert keep(project, 3).id == 3
    project.restore([one.id, two.id])
    assert project.clips()[:2] == [one, two] and intact(one) and project.trash() == []


def test_a_deleted_recording_does_not_come_back_unasked(project: Project) -> None:
    project.delete([keep(project, 1).id])
    kept = project.keep((np.random.default_rng(1).bytes(AUDIO_BYTES), "wav"), speech(1), "other")
    assert kept.duplicate and kept.in_trash and project.clips() == []


@pytest.mark.parametrize("step", ["replace", "fsync"])  # before the file is moved, and after
def test_a_kill_within_a_deletion_loses_nothing(project: Project, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    one, two, three = (keep(project, seed) for seed in (1, 2, 3))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, step, killed)
        project.delete([one.id])
    assert project.clips() == [two, three] and [clip.id for clip in project.trash()] == [one.id]
    project.restore([one.id])
    project.delete([two.id])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, step, killed)
        project.restore([two.id])
    assert project.clips() == [one, three] and [clip.id for clip in project.trash()] == [two.id]
    project.delete([three.id])  # also puts right what the kill left
    assert all(map(intact, project.trash())) and not two.path.exists()
    project.restore([two.id, three.id])
    assert project.clips() == [one, two, three] and all(map(intact, project.clips()))


def test_labels_speakers_and_splits_change(project: Project) -> None:
    one, two, three = (keep(project, seed) for seed in (1, 2, 3))
    project.relabel(one.id, "new")
    project.set_speaker([one.id, two.id], "bela ")
    project.set_split([two.id], "test")
    assert [(c.text, c.speaker, c.split) for c in project.clips()] == [
        ("new", "bela", ""),
        ("text 2", "bela", "test"),
        ("text 3", "", ""),
    ]
    assert [clip.id for clip in project.clips("test")] == [two.id]
    assert [clip.id for clip in project.clips("")] == [one.id, three.id]
    with pytest.raises(StoreError) as error:
        project.set_split([one.id, 99], "dev")
    assert "no clip 99" in sentence(error) and project.clips("dev") == []


def test_every_action_on_clips_can_be_undone(project: Project) -> None:
    for seed in range(8):
        keep(project, seed)
    first = project.clips()[0]
    actions = (
        lambda: project.relabel(1, "new"),
        lambda: project.edit([1, 2, 3], speaker="anna", split="dev"),
        lambda: project.edit([2, 4], excluded=True),
        project.assign_splits,
        lambda: project.delete([1, 2]),
        lambda: project.restore([2]),
        lambda: project.delete([3, 2]),
    )
    before = []
    for action in actions:
        before.append((project.clips(), [clip.id for clip in project.trash()]))
        action()
    edit = project.last_edit()
    assert edit and edit.before == {3: {"trashed": None}, 2: {"trashed": None}} and project.undo() == edit
    for clips, trash in reversed(before):
        assert (project.clips(), [clip.id for clip in project.trash()]) == (clips, trash)
        assert all(map(intact, [*project.clips(), *project.trash()]))
        project.undo()
    assert project.clips()[0] == first and project.undo() is None and project.last_edit() is None


def test_what_changes_nothing_cannot_be_undone(project: Project) -> None:
    clip = keep(project, 1, speaker="anna")
    project.edit([clip.id], text=clip.text, speaker=" anna", split="", excluded=False)
    project.restore([clip.id])
    assert project.last_edit() is None
    project.delete([clip.id])
    project.delete([clip.id])
    assert project.undo() and project.last_edit() is None and intact(clip)


def test_an_excluded_clip_is_kept_and_not_used(project: Project) -> None:
    clips = [keep(project, seed, split="train") for seed in range(9)]
    project.edit([clips[0].id], excluded=True)
    left_out = project.clips()[0]
    assert left_out.excluded and not left_out.usable and intact(left_out)
    assert project.clips(usable_only=True) == clips[1:]
    assert clips[0].id not in project.assign_splits(reassign=True).assignment
    assert project.clips()[0].split == "train"
    project.edit([clips[0].id], excluded=False)
    assert project.clips()[0] == clips[0]


def test_unusable_clips_can_be_left_out(project: Project) -> None:
    project.keep((b"silence", "wav"), np.zeros(SAMPLE_RATE, np.float32), "a")
    good = keep(project, 1)
    assert len(project.clips()) == 2 and project.clips(usable_only=True) == [good]


def test_speakers_carry_consent_and_licence(project: Project) -> None:
    keep(project, 1, speaker="anna")
    keep(project, 2)
    assert project.speakers() == [Speaker("anna")]
    anna = Speaker("anna", consent="signed 2026-01-02", licence="CC0-1.0", notes="from the valley")
    project.save_speakers([anna, Speaker("bela")])
    keep(project, 3, speaker="anna")
    assert project.speakers() == [anna, Speaker("bela")]


def test_splits_are_saved_with_their_rule(project: Project) -> None:
    for seed in range(8):
        keep(project, seed)
    report = project.assign_splits(seed=5)
    assert {clip.id: clip.split for clip in project.clips()} == report.assignment
    assert (project.split_rule, project.split_seed) == (report.rule, 5)
    assert project.assign_splits(seed=6).assignment == report.assignment
    assert (project.split_rule, project.split_seed) == (report.rule, 5)


def test_runs_scores_and_packs(project: Project, tmp_path: Path) -> None:
    first = project.add_run({"method": "prompt", "learning_rate": 0.01})
    second = project.add_run({"method": "adapter"})
    assert (first, second) == ("001", "002") and project.run(first).folder.is_dir()
    project.update_run(first, status="running", device="cpu")
    project.update_run(first, status="finished", best_step=120)
    run = project.run(first)
    assert (run.method, run.settings["learning_rate"], run.status) == ("prompt", 0.01, "finished")
    assert run.facts == {"device": "cpu", "best_step": 120}
    assert [run.id for run in project.runs()] == [first, second]
    project.add_score(first, "test", {"cer": 0.25, "clips": 10})
    assert [(s.run, s.split, s.figures) for s in project.scores(first)] == [(first, "test", {"cer": 0.25, "clips": 10})]
    assert project.scores(second) == []
    project.add_pack(first, project.folder / "packs" / "a.lect", "ab" * 32)
    project.add_pack(first, tmp_path / "b.lect", "cd" * 32)
    assert [p.path for p in project.packs()] == [project.folder / "packs" / "a.lect", tmp_path / "b.lect"]
    for unknown in ("099", "latest", ""):
        with pytest.raises(StoreError) as error:
            project.run(unknown)
        sentence(error)


def test_a_copied_project_opens_elsewhere(project: Project, tmp_path: Path) -> None:
    clip, run = keep(project, 1), project.add_run({})
    project.add_pack(run, project.folder / "packs" / "a.lect", "ab" * 32)
    project.delete([keep(project, 2).id])
    shutil.copytree(project.folder, tmp_path / "usb" / "copy")
    shutil.rmtree(project.folder)
    copy = Project.open(tmp_path / "usb" / "copy")
    (found,) = copy.clips()
    assert found.path.is_relative_to(copy.folder) and found.sha256 == clip.sha256 and intact(found)
    assert copy.packs()[0].path.is_relative_to(copy.folder) and copy.run(run).folder.is_dir()
    copy.restore([2])
    assert all(map(intact, copy.clips()))
    with pytest.raises(StoreError) as error:
        project.clips()
    sentence(error)
    assert not project.folder.exists()


def test_a_project_of_a_killed_program_is_whole_when_copied(project: Project, tmp_path: Path) -> None:
    code = """
import os, sys, sqlite3
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("update project set name = 'written'")
os._exit(9)
"""
    with python(code, project.folder / "lect.db") as other:
        assert other.wait(timeout=20) == 9
    assert (project.folder / "lect.db-wal").stat().st_size
    shutil.copytree(project.folder, tmp_path / "copy")
    assert Project.open(tmp_path / "copy").name == Project.open(project.folder).name == "written"


def test_a_database_locked_by_another_process(project: Project) -> None:
    clip = keep(project, 1)
    code = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("begin immediate")
print("locked", flush=True)
sys.stdin.readline()
db.execute("rollback")
"""
    with python(code, project.folder / "lect.db") as other:
        assert other.stdout and other.stdout.readline() == "locked\n"
        with pytest.raises(StoreError) as error:
            keep(Project(project.folder, busy_timeout_s=0.2), 2)
        assert "in use by another program" in sentence(error)
        assert Project.open(project.folder).clips() == [clip]
        other.communicate("go on\n", timeout=20)
    assert keep(project, 2).id == 2


def test_a_project_of_a_newer_version_is_refused(project: Project) -> None:
    keep(project, 1)
    db = sqlite3.connect(project.folder / "lect.db")
    db.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    db.close()
    before = (project.folder / "lect.db").read_bytes()
    for action in (lambda: Project.open(project.folder), project.clips, lambda: keep(project, 2)):
        with pytest.raises(StoreError) as error:
            action()
        assert "newer version" in sentence(error)
    assert (project.folder / "lect.db").read_bytes() == before


def test_a_project_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with connection(tmp_path, store.DATABASE, create=True) as db, transaction(db):
        migrate(db, MIGRATIONS[:1])
        db.table("project").insert(project_row("old", "xx", TextRules()))
        db.table("speakers").insert({"name": "anna", "consent": "signed", "licence": "CC0-1.0", "notes": ""})
    project = Project.open(tmp_path)
    assert project.speakers() == [Speaker("anna", "signed", "CC0-1.0")] and project.add_run({}) == "001"
    assert keep(project, 1) in project.clips()


def test_a_migration_that_fails_changes_nothing(project: Project) -> None:
    def broken(db: store.Database) -> None:
        db.execute("drop table packs")
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        connection(project.folder, store.DATABASE) as db,
        transaction(db),
    ):
        migrate(db, (*MIGRATIONS, broken))
    assert Project.open(project.folder).packs() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MB."""
    with mounted(tmp_path / "disk", "1m") as disk:
        yield disk


def test_a_full_disk_loses_nothing_that_was_kept(small_disk: Path) -> None:
    project = Project.create(small_disk / "p", "p", "xx")
    kept = []
    with pytest.raises(StoreError) as error:
        for seed in range(100):
            kept.append(keep(project, seed))
    assert "is full: free some space" in sentence(error)
    assert len(kept) > 10 and project.clips() == kept and all(map(intact, kept))
    assert not list(small_disk.rglob("*.part"))
    kept[0].path.rename(small_disk / "moved away")
    (small_disk / "moved away").unlink()
    assert intact(keep(project, len(kept)))


def test_a_disk_too_full_for_the_database(small_disk: Path) -> None:
    project = Project.create(small_disk / "p", "p", "xx")
    clip = keep(project, 1)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 12))
    for action in (lambda: keep(project, 2), lambda: project.relabel(clip.id, "x" * 10_000)):
        with pytest.raises(StoreError) as error:
            action()
        assert "full" in sentence(error)
    filler.unlink()
    assert project.clips() == [clip] and intact(clip) and keep(project, 2).id == 2


def test_a_disk_that_is_found_full_by_the_sync(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = keep(project, 1)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError) as error:
            keep(project, 2)
    assert "is full: free some space" in sentence(error)
    assert project.clips() == [clip] and not list(project.folder.rglob("*.part"))
    assert intact(keep(project, 2))


def test_two_processes_keep_at_once(project: Project) -> None:
    code = """
import sys
from pathlib import Path
from tests.engine.data.test_store import Project, keep
project, first = Project.open(Path(sys.argv[1])), int(sys.argv[2])
for seed in [*range(first, first + 15), *range(1000, 1005)]:
    keep(project, seed)
"""
    with python(code, project.folder, 0) as one, python(code, project.folder, 500) as other:
        assert (one.wait(timeout=60), other.wait(timeout=60)) == (0, 0)
    clips = project.clips()
    assert {clip.text for clip in clips} == {f"text {s}" for s in [*range(15), *range(500, 515), *range(1000, 1005)]}
    assert len(clips) == 35 and all(map(intact, clips))


def test_threads_keep_and_read_at_once(project: Project) -> None:
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda seed: keep(project, seed % 10), range(20)))
        assert all(pool.map(lambda _: len(project.clips()) == 10, range(8)))
    assert len({clip.id for clip in kept}) == 10 and all(map(intact, kept))


@pytest.mark.parametrize(("table", "column"), [("clips", "quality"), ("runs", "facts")])
@pytest.mark.parametrize("value", ["{", "", "{}x", "\ufffd"])
def test_a_row_that_no_lect_wrote_is_a_sentence(project: Project, table: str, column: str, value: str) -> None:
    keep(project, 1)
    project.add_run({})
    with sqlite3.connect(project.folder / "lect.db") as db:
        db.execute(f"update {table} set {column} = ?", [value])
    with pytest.raises(StoreError, match=rf"database is damaged \(a row of {table}: .*\): open a copy"):
        project.clips(), project.runs()


@pytest.mark.parametrize(
    "change",
    [
        "update sqlite_master set sql = replace(sql, 'sha256', 'sha356') where name = 'clips'",
        "delete from sqlite_master where name = 'runs'",
        "PRAGMA user_version = 1",  # of a database that has all tables
    ],
)
def test_a_shape_that_no_lect_made_is_a_sentence(project: Project, change: str) -> None:
    with sqlite3.connect(project.folder / "lect.db") as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(change)
    with pytest.raises(StoreError, match="is damaged"):
        Project.open(project.folder)


def test_a_size_that_no_memory_holds_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is damaged \(it asks for more memory"), plain_errors(tmp_path):
        raise MemoryError


def test_text_that_is_no_utf8_is_a_sentence(project: Project) -> None:
    keep(project, 1)
    with sqlite3.connect(project.folder / "lect.db") as db:
        db.execute("update clips set sound_sha256 = cast(x'ff61' as text)")
    with pytest.raises(StoreError, match=r"database in .* is damaged \(.*UTF-8.*\): open a copy"):
        project.clips()
    with sqlite3.connect(project.folder / "lect.db") as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("update sqlite_master set sql = cast(x'ff' || sql as text) where name = 'runs'")
    with pytest.raises(StoreError, match="is damaged"):
        Project.open(project.folder).runs()


def test_a_database_with_a_damaged_head_is_a_sentence(project: Project) -> None:
    path = project.folder / "lect.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for place, byte in ((16, 9), (47, 99), (59, 7), (100, 0xAA)):  # size of a page, format, coding, kind of a page
        data = bytearray(path.read_bytes())
        data[place] = byte
        copy = project.folder.parent / f"copy{place}"
        copy.mkdir()
        (copy / "lect.db").write_bytes(data)
        with pytest.raises(StoreError):
            Project.open(copy).clips()
