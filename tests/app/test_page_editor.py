"""Drafts of transcripts: what a person does to segments, the way back, the files that are written, and who may ask."""

import io
import json
import random
import re
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lect.app.page import recent
from lect.app.page.access import Guard
from lect.app.page.editor import routes, teaching
from lect.app.page.editor.actions import action_of
from lect.app.page.editor.cutting import cut_only
from lect.app.page.editor.draft import Draft, draft_of, from_line, to_line, transcript_of
from lect.app.page.editor.place import NO_PROJECT, OutdatedError, Place, place_of
from lect.app.page.editor.words import LEAST_S, cut_at, retimed
from lect.app.page.texts import words_in
from lect.app.rounds import rounds
from lect.engine.audio.reading import load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import LectError, StoreError, UsageError
from lect.engine.contract.files import write_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.store import Project
from lect.engine.scoring.scores import score
from lect.exports.formats import WRITERS
from lect.exports.transcript import Segment, Skipped, TimedWord, Transcript
from tests.app.conftest import FAST, Lect, speech
from tests.app.test_train import wait_for

TEXTS = ("ba da go", "mi su", "la")


def transcript(*texts: str) -> Transcript:
    """Segments of two seconds each, with a second between."""
    segments, at = list[Segment](), 0.0
    for text in texts:
        count = len(text.split())
        step = 2.0 / max(1, count)
        words = tuple(
            TimedWord(word, at + n * step, at + (n + 1) * step - 0.1, 0.5) for n, word in enumerate(text.split())
        )
        segments.append(Segment(at, at + 2.0, text, words, 0.5))
        at += 3.0
    skipped = tuple(Skipped(each.end, each.end + 1.0, "no speech") for each in segments)
    words = tuple(word for each in segments for word in each.words)
    return Transcript(" ".join(texts), tuple(segments), skipped, words, 0.5, at, 0.1, "cpu", "silero", "ctc")


@pytest.fixture
def draft() -> Draft:
    return draft_of("a.wav", transcript(*TEXTS))


def texts(draft: Draft) -> list[str]:
    return [part.text for part in draft.parts]


def edges(draft: Draft) -> list[tuple[float, float]]:
    return [(part.start, part.end) for part in draft.parts]


def test_words_that_stay_keep_their_times_and_new_ones_get_some() -> None:
    words = transcript("ba da go").words
    found = retimed(words, "ba dad go mi", 0.0, 2.0)
    assert [word.text for word in found] == ["ba", "dad", "go", "mi"]
    assert found[0] == words[0] and found[2] == words[2] and found[1].confidence == 1.0
    assert found[0].end <= found[1].start < found[1].end <= found[2].start
    assert retimed(words, "", 0.0, 2.0) == () and retimed((), "ba da", 1.0, 2.0)[1].end == 2.0


def test_no_word_is_without_length_however_it_is_corrected() -> None:
    rng = random.Random(0)
    for _ in range(300):
        words = retimed((), " ".join(rng.choices("ab", k=rng.randint(0, 6))), 1.0, 3.0)
        text = " ".join(rng.choices("abc", k=rng.randint(1, 9)))
        start, end = sorted((round(rng.uniform(0, 2), 3), round(rng.uniform(2.4, 4), 3)))
        found = retimed(words, text, start, end)
        assert [word.text for word in found] == text.split()
        assert all(word.end - word.start > LEAST_S - 0.002 for word in found), (words, text, found)
        assert all(one.end <= other.start + 0.001 for one, other in pairwise(found))
        assert start <= found[0].start + 0.001 and found[-1].end <= end + 0.001


def test_a_split_is_where_the_cursor_is(draft: Draft) -> None:
    between = draft.split(1, len("ba "))
    assert texts(between) == ["ba", "da go", "mi su", "la"] and [p.id for p in between.parts] == [1, 4, 2, 3]
    cut = (draft.parts[0].words[0].end + draft.parts[0].words[1].start) / 2
    assert edges(between)[:2] == [(0.0, cut), (cut, 2.0)]
    assert between.parts[1].words == draft.parts[0].words[1:]
    inside = draft.split(1, len("ba d"))
    assert texts(inside)[:2] == ["ba d", "a go"]
    word = draft.parts[0].words[1]
    assert inside.parts[0].end == pytest.approx((word.start + word.end) / 2)
    by_time = draft.split_at(1, 1.0)
    assert texts(by_time)[:2] == ["ba da", "go"] or texts(by_time)[:2] == ["ba", "da go"]
    assert cut_at((), "abcd", 1, 0.0, 4.0) == 1.0
    with pytest.raises(UsageError, match="too short"):
        draft.move(3, 6.0, 6.01).split(3, 1)


def test_merging_joins_text_words_and_edges(draft: Draft) -> None:
    merged = draft.merge(1)
    assert texts(merged) == ["ba da go mi su", "la"] and edges(merged)[0] == (0.0, 5.0)
    assert [word.text for word in merged.parts[0].words] == merged.parts[0].text.split()
    with pytest.raises(UsageError, match="last segment"):
        draft.merge(3)


def test_edges_stop_at_their_neighbours(draft: Draft) -> None:
    moved = draft.move(2, -5.0, 99.0)
    assert edges(moved)[1] == (2.0, 6.0)
    small = draft.move(2, 4.9, 4.0)
    assert edges(small)[1] == (4.9, 4.95) and texts(small) == list(TEXTS)
    with pytest.raises(UsageError, match="no room"):
        draft.move(2, float("nan"), 4.0)


def test_segments_are_added_where_there_is_room_and_removed(draft: Draft) -> None:
    added = draft.add(2.2, 9.0)
    assert edges(added)[1] == (2.2, 3.0) and added.parts[1].id == 4
    with pytest.raises(UsageError, match="no room"):
        draft.add(0.5, 1.0)
    assert texts(added.remove(1)) == ["", "mi su", "la"]
    with pytest.raises(UsageError, match="no longer there"):
        added.remove(1).check(1, True)


def test_only_a_text_is_checked(draft: Draft) -> None:
    assert draft.check(1, True).parts[0].checked and draft.check(1, False) is draft
    with pytest.raises(UsageError, match="no text yet"):
        draft.write(1, " ").check(1, True)


def test_what_is_typed_without_a_pause_is_undone_at_once(draft: Draft) -> None:
    typed = draft.write(1, "b").write(1, "bo", typing=True).write(1, "bo\n\tda", typing=True)
    assert typed.parts[0].text == "bo da" and typed.version == 3 and len(typed.done) == 1
    assert typed.undo().parts == draft.parts
    apart = typed.write(1, "bo go").undo()
    assert texts(apart)[0] == "bo da" and len(typed.check(1, True).write(1, "x", typing=True).done) == 3


def test_undo_and_redo_walk_all_the_way(draft: Draft) -> None:
    rng, walk = random.Random(1), [draft]
    for _ in range(60):
        last = walk[-1]
        part = rng.choice(last.parts).id if last.parts else 0
        asked = rng.choice(
            [
                {"do": "write", "part": part, "text": rng.choice(["ba", "go mi", ""])},
                {"do": "split", "part": part, "offset": rng.randint(0, 5)},
                {"do": "merge", "part": part},
                {"do": "move", "part": part, "start": rng.uniform(0, 9), "end": rng.uniform(0, 9)},
                {"do": "add", "start": rng.uniform(0, 9), "end": rng.uniform(0, 9)},
                {"do": "remove", "part": part},
                {"do": "check", "part": part, "checked": rng.random() < 0.5},
                {"do": "speaker", "part": part or 1, "speaker": "ana"},
            ]
        )
        try:
            found = action_of(asked)(last)
        except UsageError:
            continue
        if found is not last:
            walk.append(from_line(to_line(found)))
            assert walk[-1] == found
            for one, other in pairwise(found.parts):
                assert one.start < one.end <= other.start < other.end
    back = walk[-1]
    for before in reversed(walk[:-1]):
        back = back.undo()
        assert back.parts == before.parts
    for after in walk[1:]:
        back = back.redo()
        assert back.parts == after.parts
    assert back.redo() is back and draft.undo() is draft


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_has_every_word(draft: Draft, kind: str) -> None:
    corrected = draft.write(1, "ba\ngó\tda ñu go").split(1, len("ba gó ")).write(2, "mi").check(2, True)
    shown = WRITERS[kind](transcript_of(corrected), Path("a.wav"))
    if kind == "json":
        shown = json.loads(shown)["text"]
    shown = re.sub("<[^>]*>", " ", shown) if shown.startswith("<?xml") else shown  # whose names hold words too
    places = [shown.find(word) for word in ("ba", "gó", "da", "ñu", "go", "mi", "la")]
    assert -1 not in places and (kind in ("eaf", "saymore", "flextext", "TextGrid") or places == sorted(places))
    if kind == "srt":
        assert shown.count(" --> ") == 4


def test_a_transcript_covers_its_recording(draft: Draft) -> None:
    found = transcript_of(draft.write(2, "").write(1, "ba").check(1, True))
    stretches = sorted([(each.start, each.end) for each in (*found.segments, *found.skipped)])
    assert stretches[0][0] == 0.0 and stretches[-1][1] == found.seconds
    assert all(one[1] == other[0] for one, other in pairwise(stretches))
    assert found.word_times == "estimated" and found.segments[0].confidence == 1.0
    assert transcript_of(draft).word_times == "ctc"


@pytest.mark.parametrize(
    "asked",
    [{}, {"do": "explode"}, {"do": "merge"}, {"do": "merge", "part": "1"}, {"do": "write", "part": 1, "text": 3}],
)
def test_what_is_no_action_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="reload the page"):
        action_of(asked)


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Project, Place, str]:
    """A project with a draft of nine seconds, and its number."""
    project = Project.create(tmp_path / "project", "p", "x-test")
    recent.remember(project)
    wave = np.concatenate([speech("ba da go su mi la", seed) for seed in range(6)])[: 9 * 16_000]
    write_wav(tmp_path / "a b.wav", wave)
    place = place_of(str(project.folder))
    return project, place, place.add("a b.wav", tmp_path / "a b.wav", transcript(*TEXTS))


def test_a_draft_is_whole_on_the_disk(kept: tuple[Project, Place, str], tmp_path: Path) -> None:
    project, place, number = kept
    assert np.array_equal(load_audio(place.sound(number)), load_audio(tmp_path / "a b.wav"))
    peaks = np.frombuffer(place.peaks(number).read_bytes(), np.uint8)
    assert abs(len(peaks) / 100 - place.read(number).seconds) < 0.02 and peaks.max() > 50
    place.act(number, 0, lambda draft: draft.check(1, True))
    with pytest.raises(OutdatedError):
        place.act(number, 0, lambda draft: draft.check(2, True))
    (entry,) = place.entries()
    assert (entry.file, entry.parts, entry.checked) == ("a b.wav", 3, 1)
    with pytest.raises(LectError):
        place.add("none.wav", tmp_path / "none.wav", transcript())
    assert [path.name for path in place.folder.iterdir()] == [number]
    place.discard(number)
    assert place.entries() == [] and list((project.folder / "trash").glob(f"transcript-{number}-*/sound.flac"))
    for bad in (number, "../001", "1", "", "001/../../x"):
        with pytest.raises(StoreError, match="is gone"):
            place.read(bad)


def test_a_recording_is_cut_at_its_pauses(tmp_path: Path, home: Path) -> None:
    sample = home.parent / "x.wav"
    wave = load_audio(Path(__file__).parents[2] / "assets" / "sample" / "audio" / "Andrea-0008.ogg")
    write_wav(sample, np.concatenate([wave, np.zeros(16_000, np.float32), wave]))
    found = cut_only(sample)
    assert len(found.segments) >= 2 and not any(each.text for each in found.segments)
    assert found.seconds == pytest.approx(2 * len(wave) / 16_000 + 1)
    draft = draft_of("x.wav", found)
    assert transcript_of(draft).segments == () and transcript_of(draft.write(1, "ba da")).text == "ba da"


def client(tmp_path: Path, **headers: str) -> TestClient:
    """The editor's addresses behind the page's guard."""
    app = FastAPI()
    routes.add_routes(app)
    app.get("/")(lambda: "page")
    app.add_middleware(Guard, password=None, uploads=tmp_path)
    return TestClient(app, base_url="http://testserver", headers=headers, raise_server_exceptions=False)


def test_a_window_edits_and_others_do_not(kept: tuple[Project, Place, str], tmp_path: Path) -> None:
    project, place, number = kept
    at = f"/project/{recent.key(project.folder)}/transcript/{number}"
    asked = {"version": 0, "do": "check", "part": 1, "checked": True}
    window = client(tmp_path)
    assert window.post(at, json=asked).status_code == 403, "without the page's cookie"
    window.get("/")
    foreign = ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"})
    for headers in foreign:
        assert window.post(at, json=asked, headers=headers).status_code == 403
        assert window.get(at, headers=headers).status_code == 403
        assert window.get(at + "/sound", headers=headers).status_code == 403
        assert window.post(at + "/use", json={}, headers=headers).status_code == 403
    assert window.post(at, content=b"x" * 300_000).status_code == 413
    assert place.read(number).version == 0
    changed = window.post(at, json=asked)
    assert changed.status_code == 200 and (changed.json()["at"], changed.json()["removed"]) == (0, 1)
    assert window.post(at, json=asked).status_code == 409
    assert window.post(at, json={"version": 1, "do": "merge", "part": 99}).status_code == 422
    assert window.get(at + "/sound", headers={"Range": "bytes=0-99"}).status_code == 206


def test_no_address_leads_out_of_a_projects_drafts(kept: tuple[Project, Place, str], tmp_path: Path) -> None:
    project, _, number = kept
    key, window = recent.key(project.folder), client(tmp_path)
    other = Project.create(tmp_path / "other", "o", "x-test")  # never opened here
    for path in (
        f"/project/{recent.key(other.folder)}/transcript/{number}",
        f"/project/{key}/transcript/999",
        f"/project/{key}/transcript/..%2f001",
        f"/project/{key}/transcript/%2e%2e/sound",
        f"/project/{key}/transcript/{number}/file/pickle",
        f"/project/{key}/transcript/{number}/file/..%2fdraft.json",
        f"/project/{key}/transcripts/{number}-..%2f..%2flect/txt",
        f"/project/nowhere/transcript/{number}",
        f"/project/{NO_PROJECT}/transcript/999",
    ):
        assert window.get(path).status_code == 404, path


def test_files_of_one_and_of_several(kept: tuple[Project, Place, str], tmp_path: Path) -> None:
    project, place, number = kept
    second = place.add("a b.wav", tmp_path / "a b.wav", transcript("no no"))
    at, window = f"/project/{recent.key(project.folder)}", client(tmp_path)
    one = window.get(f"{at}/transcript/{number}/file/txt")
    assert one.text == "ba da go\nmi su\nla\n" and "a%20b.txt" in one.headers["content-disposition"]
    both = window.get(f"{at}/transcripts/{number}-{second}/srt")
    with zipfile.ZipFile(io.BytesIO(both.content)) as archive:
        names = archive.namelist()
        assert len(set(names)) == 2 and all(name.endswith(".srt") for name in names)
        assert any("no no" in archive.read(name).decode() for name in names)


def test_checked_segments_teach(kept: tuple[Project, Place, str]) -> None:
    project, place, number = kept
    with pytest.raises(UsageError, match="No segment is checked"):
        teaching.use(project, place, number, "")
    for version, asked in enumerate(
        [
            {"do": "check", "part": 1, "checked": True},
            {"do": "check", "part": 2, "checked": True},
            {"do": "speaker", "part": 0, "speaker": "ana"},
            {"do": "speaker", "part": 2, "speaker": "eva"},
        ]
    ):
        place.act(number, version, action_of(asked))
    taken = teaching.use(project, place, number, "yes, for training")
    assert (taken.new, taken.split, taken.left) == (2, "", [])
    assert [(clip.text, clip.speaker, round(clip.seconds, 1)) for clip in project.clips()] == [
        ("ba da go", "ana", 2.0),
        ("mi su", "eva", 2.0),
    ]
    assert {each.name: each.consent for each in project.speakers()} == dict.fromkeys(
        ("ana", "eva"), "yes, for training"
    )
    assert "2 clips of this recording" in teaching.told(taken, words_in("en"))
    place.act(number, 4, lambda draft: draft.write(1, "ba da").check(2, False))
    again = teaching.use(project, place, number, "")
    assert (again.new, again.relabelled, again.removed) == (0, 1, 1)
    assert [clip.text for clip in project.clips()] == ["ba da"]
    with pytest.raises(UsageError, match="No training has ended"):
        teaching.train_again(project)


def scored(project: Project, labels: dict[str, str], found: dict[str, str]) -> str:
    """A run with scores on test; labels and what was recognised, by clip."""
    run = project.add_run({"method": "prompt"})
    files = RunFiles(project.run(run).folder)
    for path, texts in ((files.base_scores("test"), dict.fromkeys(labels, "x")), (files.scores("test"), found)):
        heard = [texts[key] for key in labels]
        write_json(path, score([*labels.values()], heard, [*labels], normalisation="none", split="test").to_json())
    write_json(files.clips, {"train": ["a"] * 5, "dev": [], "test": list(labels)})
    return run


def test_rounds_are_compared_on_the_clips_that_all_were_tested_on(kept: tuple[Project, Place, str]) -> None:
    project, *_ = kept
    assert rounds(project) is None and teaching.curve(project, words_in("en")) == ""
    scored(project, {"z": "abcd"}, {"z": "abcd"})  # before the set was split anew
    scored(project, {"a": "abcd", "b": "abcd"}, {"a": "abxx", "b": "abxx"})
    scored(project, {"a": "abcd", "b": "abcd", "c": "abcd"}, {"a": "abcx", "b": "abcd", "c": "xxxx"})
    found = rounds(project)
    assert found is not None and found.clips == 2
    assert [(each.run, each.learnt, each.cer) for each in found.rounds] == [
        ("", 0, 1.0),
        ("002", 5, 0.5),
        ("003", 5, 0.125),
    ]
    shown = teaching.curve(project, words_in("en"))
    assert "same 2 clips" in shown and "<svg" in shown and "12.5 %" in shown


def test_train_again_goes_on_from_the_last_run(lect: Lect, project: Path) -> None:
    opened = Project.open(project)
    assert lect("train", "--backbone", "tiny", *FAST, "--project", project).code == 0
    assert teaching.train_again(opened) == "002"
    assert RunFiles(opened.run("002").folder).request().start == "001"
    wait_for(lambda: opened.run("002").status == "done")
