"""Labelled sets come in whole: what is wrong with one recording is said, and the others go on."""

import csv
import io
import json
import os
import shutil
import signal
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import StoreError, TextError, UsageError
from lect.engine.data.clips import Speaker
from lect.engine.data.importers import BATCH_CLIPS, ImportReport, Progress, import_into
from lect.engine.data.layouts import Item, read
from lect.engine.data.store import Project
from tests.disks import mounted
from tests.engine.data.test_store import intact, python, speech

NOBODY = 65534


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project", "p", "xx")


def table(path: Path, rows: Sequence[Sequence[str]], encoding: str = "utf-8", delimiter: str = ",") -> None:
    """Writes a table as a spreadsheet does."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode(encoding))


def sounds(folder: Path, *names: str) -> Path:
    """Writes recordings, each another sound."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(folder / name, speech(zlib.crc32(name.encode())))
    return folder


def reasons(report: ImportReport) -> Mapping[str, str]:
    """File name -> why it was skipped; each why is one sentence that ends as one."""
    assert all(why.endswith(".") and "\n" not in why for _, why in report.skipped)
    return {path.name: why for path, why in report.skipped}


def texts(project: Project) -> list[str]:
    return [clip.text for clip in project.clips()]


def test_audiofolder_with_every_column(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "data/train/a.wav", "data/validation/b.wav", "data/test/sub/c.wav")
    header = ["file_name", "transcription", "speaker_id", "language", "duration", "license", "consent", "mood"]
    table(source / "data/train/metadata.csv", [header, ["a.wav", "á, b", "anna", "yy", "1.0", "CC0", "yes", "gay"]])
    table(source / "data/validation/metadata.csv", [["file_name", "text"], ["b.wav", "b"]])
    table(source / "data/test/metadata.csv", [["file_name", "Sentence", "client_id"], ["sub\\c.wav", "c", "bela"]])
    *_, first, _ = items = list(read(source))  # test, train, validation
    assert first == Item(
        path=source / "data/train/a.wav",
        text="á, b",
        speaker="anna",
        language="yy",
        split="train",
        extra={"duration": "1.0", "license": "CC0", "consent": "yes", "mood": "gay"},
    )
    assert [item.problem for item in items] == [None] * 3
    report = import_into(project, source)
    assert len(report.taken) == 3 and not (report.skipped or report.duplicates or report.warnings)
    found = {clip.text: (clip.speaker, clip.language, clip.split) for clip in project.clips()}
    assert found == {"á, b": ("anna", "yy", "train"), "b": ("", "xx", "dev"), "c": ("bela", "xx", "test")}
    assert project.speakers() == [Speaker("anna", "yes", "CC0"), Speaker("bela")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_as_spreadsheets_write_them(tmp_path: Path, encoding: str, delimiter: str) -> None:
    source = sounds(tmp_path, "a.wav")
    table(
        source / "metadata.csv", [["file_name", "transcription"], ["a.wav", "ɛ̃, ‘x’; y"], ["", ""]], encoding, delimiter
    )
    assert [(item.text, item.problem) for item in read(source)] == [("ɛ̃, ‘x’; y", None)]


def test_metadata_in_json_lines(tmp_path: Path) -> None:
    source = sounds(tmp_path, "a.wav", "b.wav")
    rows = [{"file_name": "a.wav", "text": "line\u2028end", "speaker": None, "slots": {"x": 1}}, {"file_name": "b.wav"}]
    lines = [*(json.dumps(row, ensure_ascii=False) for row in rows), "{broken", '"text"', '{"text": "\\ud800"}']
    (source / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    first, second, *broken = read(source)
    assert (first.text, first.speaker, first.extra) == ("line\u2028end", "", {"slots": '{"x": 1}'})
    assert second.problem == "b.wav has no label: fill it in in metadata.jsonl."
    assert [item.problem for item in broken] == [
        f"Line {number} of metadata.jsonl is no JSON object: correct it." for number in (3, 4, 5)
    ]


def test_common_voice(tmp_path: Path, project: Project) -> None:
    source = tmp_path / "cv"
    for name in ("a.mp3", "b.mp3", "c.mp3"):
        (source / "clips").mkdir(parents=True, exist_ok=True)
        soundfile.write(source / "clips" / name, speech(zlib.crc32(name.encode())), SAMPLE_RATE, format="MP3")
    header = "client_id\tpath\tsentence\tup_votes\tlocale\n"
    (source / "train.tsv").write_text(f'{header}s1\ta.mp3\t"""Nein"", sagt er."\t2\tabq\n', encoding="utf-8")
    (source / "test.tsv").write_text(f'{header}s2\tb.mp3\t"open quote\t2\tabq\n', encoding="utf-8")
    validated = f"{header}s1\ta.mp3\tother\t2\tabq\ns2\tb.mp3\tx\t2\tabq\ns3\tc.mp3\tc\t2\tabq\ns3\td.mp3\td\t2\tabq\n"
    (source / "validated.tsv").write_text(validated, encoding="utf-8")
    (source / "invalidated.tsv").write_text(f"{header}s4\te.mp3\te\t0\tabq\n", encoding="utf-8")
    report = import_into(project, source)
    assert [(c.text, c.speaker, c.split, c.language) for c in project.clips()] == [
        ('"Nein", sagt er.', "s1", "train", "abq"),
        ('"open quote', "s2", "test", "abq"),
        ("c", "s3", "", "abq"),
    ]
    assert reasons(report) == {
        "d.mp3": "validated.tsv names d.mp3, which is not there: put it there, or take out its row."
    }


def test_spontaneous_common_voice(tmp_path: Path) -> None:
    source = sounds(tmp_path, "audios/a.wav", "audios/b.wav")
    rows = "client_id\taudio_file\ttranscription\tsplit\ns1\ta.wav\tone\tdev\ns1\tb.wav\t\ttrain\n"
    (source / "ss-corpus-abq.tsv").write_text(rows, encoding="utf-8")
    (source / "ss-reported-audios-abq.tsv").write_text("client_id\treason\ns1\tnoise\n", encoding="utf-8")
    assert [(i.path.name, i.text, i.split, i.problem) for i in read(source)] == [
        ("a.wav", "one", "dev", None),
        ("b.wav", None, "train", "b.wav has no label: fill it in in ss-corpus-abq.tsv."),
    ]


def test_pairs_of_files(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "a.wav", "deep/b.WAV", "c.wav", "d.wav", "e.wav", ".hidden.wav")
    (source / "a.txt").write_bytes("one\r\ntwo\n".encode("utf-8-sig"))
    (source / "deep" / "b.WAV.txt").write_text("three")
    (source / "d.txt").write_text(" \n")
    (source / "e.txt").write_bytes(b"caf\xe9")
    report = import_into(project, source)
    assert texts(project) == ["one two", "three"]
    assert reasons(report) == {
        "c.wav": "c.wav has no label: write it in c.txt beside it.",
        "d.wav": "d.txt is empty: write what is said in d.wav.",
        "e.wav": "e.txt is not UTF-8 text (byte 3): save it as UTF-8.",
    }


def test_every_kind_of_bad_file_among_good_ones(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "good.wav", "last.wav", "unlabelled.wav", "unlisted.wav")
    sounds(source, "cells.wav", "quote.wav", "swallowed.wav")
    (source / "empty.wav").touch()
    (source / "text.wav").write_text("this is text\n" * 20)
    (source / "cut.flac").write_bytes(b"")
    soundfile.write(source / "cut.flac", speech(5, 3.0), SAMPLE_RATE)
    (source / "cut.flac").write_bytes((source / "cut.flac").read_bytes()[:8000])
    soundfile.write(source / "nan.wav", np.full(SAMPLE_RATE, np.nan), SAMPLE_RATE, subtype="FLOAT")
    write_wav(source / "short.wav", speech(6, 0.05))
    soundfile.write(source / "wide.wav", np.repeat(speech(7), 12)[:, None].repeat(8, axis=1), 192_000)
    soundfile.write(source / "hours.flac", np.zeros(2 * 3600 * 4000, np.int16), 4000)
    write_wav(tmp_path / "private.wav", speech(8))
    names = "good empty text nan short wide gone last cut hours".split()
    files = {"cut": "cut.flac", "hours": "hours.flac"}
    rows = [["file_name", "transcription"], *([files.get(name, f"{name}.wav"), name] for name in names)]
    rows += [["unlabelled.wav", " "], ["../private.wav", "p"], ["/etc/hosts", "h"], ["", "no file"], ["\0.wav", "z"]]
    table(source / "metadata.csv", rows)
    with (source / "metadata.csv").open("a") as file:
        file.write('cells.wav,well, then\nquote.wav,"never closed\nswallowed.wav,s\n')
    report = import_into(project, source)
    assert texts(project) == ["good", "short", "wide", "last"]
    assert reasons(report) == {
        "empty.wav": "empty.wav is empty: record or export it again.",
        "text.wav": "text.wav holds text, not sound: name the recording itself.",
        "cut.flac": "cut.flac is damaged or cut short: copy or export it again.",
        "nan.wav": "nan.wav holds samples that are not numbers (NaN or infinity): export it again.",
        "gone.wav": "metadata.csv names gone.wav, which is not there: put it there, or take out its row.",
        "hours.flac": "hours.flac lasts 120 minutes: cut it into sentences, and import those.",
        "unlabelled.wav": "unlabelled.wav has no label: fill it in in metadata.csv.",
        "unlisted.wav": "unlisted.wav has no label: add its row to metadata.csv.",
        "private.wav": "metadata.csv names ../private.wav, outside its folder: put the recording inside.",
        "hosts": "metadata.csv names /etc/hosts, outside its folder: put the recording inside.",
        "metadata.csv": "A row of metadata.csv names no file: fill in its file_name.",
        "\0.wav": "metadata.csv names \0.wav, which is not there: put it there, or take out its row.",
        "cells.wav": "Its row has more cells than there are columns: put quotes around a text with a separator in it.",
        "swallowed.wav": "swallowed.wav has no label: add its row to metadata.csv.",
        "quote.wav": "Its row runs over several lines: check the quotes.",
    }
    assert report.warnings == [(source / "short.wav", "The recording is too short, so no training uses it.")]
    assert all(map(intact, project.clips()))


def test_one_recording_one_label(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "a.wav", "b.wav")
    (source / "copy of a.wav").write_bytes((source / "a.wav").read_bytes())
    soundfile.write(source / "a.flac", soundfile.read(source / "a.wav", dtype="int16")[0], SAMPLE_RATE)
    first = unicodedata.normalize("NFC", "ré")
    rows = [["file_name", "text"], ["a.wav", first], ["a.wav", unicodedata.normalize("NFD", first)], ["a.wav", "other"]]
    rows += [["copy of a.wav", first], ["a.flac", first], ["b.wav", "b"]]
    table(source / "metadata.csv", rows)
    report = import_into(project, source)
    assert texts(project) == [first, "b"] and len(report.taken) == 2
    assert [path.name for path in report.duplicates] == ["a.wav", "copy of a.wav", "a.flac"]
    two_labels = "Two labels for one recording: clip 1 keeps “ré”, “other” is left out."
    assert reasons(report) == {"a.wav": two_labels}
    again = import_into(project, source)
    assert not again.taken and len(again.duplicates) == 5 and reasons(again) == {"a.wav": two_labels}


def test_deleted_and_relabelled_clips_stay_so(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "a.wav", "b.wav")
    table(source / "metadata.csv", [["file_name", "text"], ["a.wav", "a"], ["b.wav", "b"]])
    import_into(project, source)
    project.delete([1])
    project.relabel(2, "better")
    report = import_into(project, source)
    assert texts(project) == ["better"] and not report.taken
    assert "deleted from this project as clip 1: restore it" in reasons(report)["a.wav"]
    assert "clip 2 keeps “better”" in reasons(report)["b.wav"]


def test_what_a_user_wrote_about_a_speaker_stays(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "a.wav")
    table(source / "metadata.csv", [["file_name", "text", "speaker", "licence"], ["a.wav", "a", "anna", "CC0"]])
    project.save_speakers([Speaker("anna", "signed", "all rights reserved", "shy")])
    import_into(project, source)
    assert project.speakers() == [Speaker("anna", "signed", "all rights reserved", "shy")]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_found_however_they_are_composed(tmp_path: Path, form: str) -> None:
    on_disk = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "ñé.wav")
    source = sounds(tmp_path, on_disk)
    table(source / "metadata.csv", [["file_name", "text"], [unicodedata.normalize(form, "ñé.wav"), "a"]])
    assert [(item.path.name, item.problem) for item in read(source)] == [(on_disk, None)]


def test_a_selection_is_taken(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "a.wav", "b.wav")
    rows = [["file_name", "text", "language"], ["a.wav", "a", "aa"], ["b.wav", "b", "bb"]]
    table(source / "metadata.csv", rows)
    report = import_into(project, source, select=lambda item: item.language == "bb")
    assert texts(project) == ["b"] and not report.skipped


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "metadata.csv has no column for the file: name one file_name."),
        (b"file_name,words\na.wav,a\n", "metadata.csv has no column for the label: name one transcription."),
        (b"file_name,text\na.wav,caf\xe9\n", "metadata.csv is not UTF-8 text (byte 24): save it as UTF-8."),
        (b"file_name,text\na.wav," + b"x" * 200_000, "metadata.csv cannot be read as a table (field larger than"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, project: Project, content: bytes, sentence: str) -> None:
    source = sounds(tmp_path / "set", "a.wav")
    (source / "metadata.csv").write_bytes(content)
    with pytest.raises(TextError) as error:
        import_into(project, source)
    assert str(error.value).startswith(sentence) and project.clips() == []


def test_folders_that_hold_no_set_are_refused(tmp_path: Path) -> None:
    sounds(tmp_path, "a.wav")
    cases = [(tmp_path, "auto"), (tmp_path / "gone", "auto"), (tmp_path / "a.wav", "auto"), (tmp_path, "kaldi")]
    for source, layout in [*cases, (tmp_path, "audiofolder"), (tmp_path, "common-voice")]:
        with pytest.raises(UsageError) as error:
            list(read(source, layout))
        assert ": " in str(error.value) and str(error.value).endswith(".")


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[None]:
    """Root may read everything, so tests of permissions run as nobody."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def test_folders_and_files_that_may_not_be_read(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source = sounds(tmp_path / "set", "a.wav", "closed/b.wav", "shut.wav")
    for name in ("a", "closed/b", "shut"):
        (source / f"{name}.txt").write_text(name)
    project = Project.create(tmp_path / "project", "p", "xx")
    for path in (project.folder, *project.folder.rglob("*")):
        path.chmod(0o777)
    table(source / "data" / "train" / "metadata.csv", [["file_name", "text"], ["../../closed/b.wav", "b"]])
    (source / "closed").chmod(0)
    (source / "shut.wav").chmod(0)
    request.getfixturevalue("ordinary_user")
    with pytest.raises(UsageError) as error:
        import_into(project, source / "closed")
    assert "(Permission denied): check the path and its permissions." in str(error.value)
    report = import_into(project, source, "pairs")
    assert texts(project) == ["a"]
    assert reasons(report) == {
        "shut.wav": "shut.wav cannot be read (Permission denied): check its permissions.",
        "closed": "The folder cannot be read (Permission denied): check its permissions.",
    }
    (item, *_) = read(source, "audiofolder")
    assert item.problem == "b.wav cannot be read (Permission denied): check its name and permissions."


def numbered(folder: Path, count: int) -> Path:
    """A set of recordings whose labels are their numbers."""
    table(folder / "metadata.csv", [["file_name", "text"], *([f"{n}.wav", str(n)] for n in range(count))])
    return sounds(folder, *(f"{n}.wav" for n in range(count)))


def test_progress_counts_only_what_is_saved(tmp_path: Path, project: Project) -> None:
    total = 2 * BATCH_CLIPS + 4
    source = numbered(tmp_path / "set", total)
    (source / "4.wav").write_text("text, not sound")
    reported: list[Progress] = []

    def listen(progress: Progress) -> None:
        reported.append(progress)
        assert len(project.clips()) == progress.taken

    import_into(project, source, progress=listen)
    assert reported[-1] == Progress(done=total, total=total, taken=total - 1)
    assert [progress.done for progress in reported] == sorted(progress.done for progress in reported)


def test_a_full_disk_stops_the_import_and_the_next_one_completes_it(tmp_path: Path) -> None:
    source = numbered(tmp_path / "set", 2 * BATCH_CLIPS)
    with mounted(tmp_path / "disk", "4m") as disk:
        project, filler = Project.create(disk / "p", "p", "xx"), disk / "filler"

        def fill(progress: Progress) -> None:
            if progress.done == BATCH_CLIPS and not filler.exists():
                filler.write_bytes(bytes(shutil.disk_usage(disk).free - 200_000))

        with pytest.raises(StoreError, match="is full"):
            import_into(project, source, progress=fill)
        assert texts(project) == [str(n) for n in range(BATCH_CLIPS)]
        filler.unlink()
        report = import_into(project, source)
        assert texts(project) == [str(n) for n in range(2 * BATCH_CLIPS)] and len(report.duplicates) == BATCH_CLIPS


def test_kill_9_in_the_middle_of_an_import(tmp_path: Path, project: Project) -> None:
    total = 120
    source = numbered(tmp_path / "set", total)
    code = """
import sys
from pathlib import Path
from lect.engine.data.importers import import_into
from lect.engine.data.store import Project
report = lambda progress: print(progress.taken, flush=True)
import_into(Project.open(Path(sys.argv[1])), Path(sys.argv[2]), progress=report)
"""
    reported = 0
    for kill_at in (20, 60):
        before = len(project.clips())
        with python(code, project.folder, source) as process:
            assert process.stdout
            while reported < kill_at:
                reported = before + int(process.stdout.readline())
            process.kill()
            reported = max([reported, *(before + int(line) for line in process.stdout)])
        assert process.returncode == -signal.SIGKILL
        saved = Project.open(project.folder).clips()
        assert reported <= len(saved) < total
        assert [clip.text for clip in saved] == [str(n) for n in range(len(saved))]
        assert all(map(intact, saved))
    report = import_into(project, source)
    assert sorted(map(int, texts(project))) == list(range(total))
    assert len(report.taken) + len(report.duplicates) == total and not report.skipped
    assert all(map(intact, project.clips()))


@pytest.mark.parametrize("levels", ["", "sw/", "cv-corpus-17.0/sw/"])
def test_common_voice_some_levels_down(tmp_path: Path, levels: str) -> None:
    for language in ("sw", "en") if levels else ("sw",):
        home = levels.replace("sw/", f"{language}/")
        sounds(tmp_path / "cv", f"{home}clips/{language}.wav")
        row = [f"{language}.wav", f"in {language}", language]
        table(tmp_path / "cv" / home / "validated.tsv", [["path", "sentence", "locale"], row], delimiter="\t")
    found = [(item.text, item.language, item.problem) for item in read(tmp_path / "cv")]
    assert found == [("in en", "en", None)] * bool(levels) + [("in sw", "sw", None)]


@pytest.mark.parametrize("suffix", "wave bwf rf64 aifc mpga mp2 WAV 3gp 3ga m4b m4v aac mka mov mpg MTS".split())
def test_a_folder_has_what_is_read_where_it_is_named(tmp_path: Path, suffix: str) -> None:
    sounds(tmp_path, "a.wav")
    (tmp_path / f"b.{suffix}").write_bytes((tmp_path / "a.wav").read_bytes())
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)
    assert [item.path.name for item in read(tmp_path) if not item.problem] == ["a.wav", f"b.{suffix}"]


def test_what_a_folder_holds_beside_is_named(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "set", "a.wav", "b.wav")
    for name in ("a.txt", "b.txt", "memo.txt", "memo.dss", "notes.docx", "a.eaf.bak"):
        (source / name).write_text(name)
    shutil.copy(source / "a.wav", source / "b.mov")  # a film of b.wav
    report = import_into(project, source)
    assert len(report.taken) == 2 and not report.skipped
    others = ["a.eaf.bak", "b.mov", "memo.dss", "memo.txt", "notes.docx"]
    assert [path.name for path in report.left] == others
    again = import_into(project, Path(os.path.relpath(source)))
    assert [path.name for path in again.left] == others


def test_a_folder_without_recordings_says_so(tmp_path: Path) -> None:
    (tmp_path / "memo.dss").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"there is no recording among its files \(\.dss\), so convert"):
        read(tmp_path)
    (tmp_path / "list.xlsx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"list\.xlsx is a spreadsheet, save it as metadata\.csv\.$"):
        read(tmp_path)
