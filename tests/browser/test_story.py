"""The whole story in a real browser: from an empty project to a transcription with the exported pack."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lect.engine.contract.files import ASSETS
from lect.engine.data.store import Project
from lect.exports.pack import verify_pack
from lect.exports.runtime import Runtime
from tests.app.conftest import WORDS, write_set
from tests.browser.conftest import Window, choose_tiny, fill, go, lead, unfold

pytestmark = pytest.mark.browser

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"


def zipped(folder: Path, target: Path) -> Path:
    """A folder as a zip, under its own name."""
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{folder.name}/{file.name}")
    return target


def record(page: Any, seconds: float = 1.8) -> None:
    """Records a take with the fake microphone and waits for its verdict."""
    page.locator("lect-recorder .record >> visible=true").click()
    page.locator("lect-recorder .record.going >> visible=true").wait_for()
    page.wait_for_timeout(1000 * seconds)
    page.locator("lect-recorder .record >> visible=true").click()
    page.locator("#verdict .notice").wait_for()


def beside_other_projects(page: Any) -> Any:
    """The page where a project can be made, whatever projects other tests have left."""
    another = page.locator("#recent [data-pick=new] >> visible=true")
    another.or_(page.locator("#sample >> visible=true")).first.wait_for()
    if another.count():
        another.click()
    return page


def test_from_an_empty_project_to_a_transcription(window: Window, home: Path, tmp_path: Path) -> None:
    page = beside_other_projects(window())
    fill(page, "first-language", "kabyle")
    page.locator("#languages option[value=kab]").wait_for(state="attached")
    fill(page, "first-language", "x-bada")
    page.locator("#already", has_text="x-bada").wait_for()
    page.locator("#already [data-pick=teach]").click()
    page.locator("#header", has_text="x-bada · 0 clips").wait_for()
    project = Project.open(home / "projects" / "x-bada")
    assert (project.name, project.language) == ("x-bada", "x-bada")
    page.locator("#typed textarea").wait_for()

    go(page, "Import")
    page.locator("#import-files input[type=file]").set_input_files(
        zipped(write_set(tmp_path / "set"), tmp_path / "set.zip")
    )
    page.locator("#import-outcome", has_text="Ready to import 12 clips").wait_for()
    assert not project.clips(), "a preview wrote something"
    page.locator("#import-take").click()
    page.locator("#import-outcome", has_text="Imported").wait_for()
    assert {clip.text for clip in project.clips()} == set(WORDS)

    go(page, "Record")
    fill(page, "typed", "ba da go\nsu mi")
    page.locator("#add-sentences").click()
    page.locator("#prompt", has_text="Sentence 1 of 2").wait_for()
    fill(page, "speaker", "Ana")
    page.locator("#record-progress", has_text="0 of 2").wait_for()
    record(page)
    assert not project.clips()[12:], "a take was kept unasked"
    page.locator("#keep").click()
    page.locator("#prompt", has_text="Sentence 2 of 2").wait_for()
    kept = project.clips()[-1]
    assert (kept.text, kept.speaker) == ("ba da go", "Ana") and kept.seconds > 1

    go(page, "Train")
    choose_tiny(page, steps=20)
    page.locator("#start").click()
    page.locator("#live", has_text="Done: best at step").wait_for()
    assert project.runs()[-1].status == "done"
    lead(page, "#live [data-step=results]")
    page.locator("#summary .rate.after").first.wait_for()
    assert page.locator("#result-rows tbody tr").count() == len(project.clips("test"))

    go(page, "Export")
    page.locator("#export-make").click()
    with page.expect_download() as download:
        page.locator("#download").click()
    pack = tmp_path / "copy.lect"
    download.value.save_as(pack)
    assert verify_pack(pack).manifest.language == "x-bada"

    lead(page, "#export-made [data-step=transcribe]")
    page.locator("#transcribe-files input[type=file]").set_input_files(SPEECH)
    page.locator("#transcribe-files", has_text=SPEECH.suffix).wait_for()
    page.locator("#transcribe-go").click()
    page.locator("#transcribed", has_text="1 of 1 recording").wait_for()
    assert page.locator("#transcribed .bad").count() == 0
    page.locator("lect-editor .parts").wait_for()
    words, found = page.locator("lect-editor .words"), Runtime.open(pack).transcribe(SPEECH)
    assert words.all_text_contents() == [segment.text for segment in found.segments]
    page.locator("#transcribe-cut").click()  # a model of 20 steps may write nothing
    page.locator("lect-editor .words:empty").wait_for()
    words.first.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("ba gó")
    with page.expect_download() as download:
        page.locator("#save-json").click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert (saved["file"], saved["segments"][0]["text"]) == (SPEECH.name, "ba gó")
    assert download.value.suggested_filename == f"{SPEECH.stem}.json"


def test_the_sample_opens_with_one_click(window: Window, home: Path) -> None:
    page = beside_other_projects(window())
    page.locator("#sample").dblclick()
    page.locator("#header", has_text="Sample").wait_for()
    page.locator("#live", has_text="Ready to train").wait_for()  # what comes next
    assert [path.name for path in (home / "projects").glob("sample*")] == ["sample"]
    sample = Project.open(home / "projects" / "sample")
    assert len(sample.clips()) == 170 and sample.language == "sw"
    assert all(sample.clips(split) for split in ("train", "dev", "test"))
    go(page, "Clips")
    page.locator("#pages", has_text="1–30 / 170").wait_for()
    page.locator("#pages button").click()
    page.locator("#pages", has_text="31–60 / 170").wait_for()
    assert page.locator("#clips .clip").count() == 30


def test_a_clip_is_found_corrected_deleted_and_brought_back(window: Window, project: Project) -> None:
    page = window()
    go(page, "Clips")
    fill(page, "search", "su la go")
    page.locator("#clips", has_text="1 of 12 clips").wait_for()
    page.locator("#clips .clip").click()
    page.locator("#clip audio").wait_for()
    fill(page, "label", "su la gó")
    page.locator("#save-clip").click()
    page.get_by_text("Saved.").first.wait_for()
    assert "su la gó" in {clip.text for clip in project.clips()}
    page.locator("#delete-clip").click()
    page.locator("#header", has_text="11 clips").wait_for()
    page.locator("#undo").click()
    page.locator("#header", has_text="12 clips").wait_for()
    assert "su la gó" in {clip.text for clip in project.clips()}
    unfold(page, "report")
    page.locator("#set-report .symbol").first.wait_for()


def test_many_clips_are_changed_at_once_and_every_change_is_undone(window: Window, project: Project) -> None:
    page, before = window(), project.clips()
    message, boxes, undo = page.locator("#clips-message"), page.locator("#clips .rows input"), page.locator("#undo")
    go(page, "Clips")
    boxes.nth(0).check()
    boxes.nth(2).check()
    fill(page, "bulk-speaker", "Ana")
    page.locator("#bulk-set-speaker").click()
    message.get_by_text("Set speaker: 2 clips").wait_for()
    assert {clip.id for clip in project.clips() if clip.speaker == "Ana"} == {12, 10}
    page.locator("#bulk-delete").click()
    message.get_by_text("Delete: 2 clips").wait_for()
    assert page.locator("#clips :checked").count() == 0, "a box was left to another clip"
    page.locator("#bulk").wait_for(state="hidden")
    page.locator("#clips .list-head input").check()
    page.locator("#bulk-leave_out").click()
    message.get_by_text("Leave out: 10 clips").wait_for()
    assert len(project.clips()) == 10 and not project.clips(usable_only=True)
    assert page.locator("#clips li.out").count() == 10

    page.locator("#clips .clip").first.click()
    page.locator("#clip audio").wait_for()
    page.locator("#clip-used input").check()
    fill(page, "label", "ba ba")
    page.locator("#save-clip").click()
    message.get_by_text("Saved.").wait_for()
    assert [clip.text for clip in project.clips(usable_only=True)] == ["ba ba"]
    for what in (
        "label, left out or used (1 clip)",
        "left out or used (10 clips)",
        "delete (2 clips)",
        "speaker (2 clips)",
    ):
        undo.get_by_text(f"Undo: {what}").click()
        message.get_by_text(f"Undone: {what}").wait_for()
    assert project.clips() == before
    assert page.locator("#label textarea").input_value() != "ba ba"


def test_everything_about_recording_works_by_keys(window: Window, project: Project) -> None:
    page = window()
    page.keyboard.press("Tab")
    for _ in range(30):
        if page.evaluate("document.activeElement.textContent") == "Record":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#typed textarea").wait_for()
    while page.evaluate("document.activeElement.closest('#typed') === null"):
        page.keyboard.press("Tab")
    page.keyboard.type("ba da go\nmi su\nla la")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#prompt", has_text="Sentence 1 of 3").wait_for()
    page.keyboard.press("r")
    page.locator("lect-recorder .record.going >> visible=true").wait_for()
    page.wait_for_timeout(1500)
    page.keyboard.press("r")
    page.locator("#verdict .notice").wait_for()
    page.keyboard.press("p")
    page.keyboard.press("ArrowLeft")  # leaves no take behind
    page.locator("#verdict .notice").wait_for()
    page.reload()
    page.locator("#header .header").wait_for()
    go(page, "Record")
    page.locator("#verdict .notice").wait_for()
    page.locator("#prompt").click()
    page.keyboard.press("k")
    page.locator("#prompt", has_text="Sentence 2 of 3").wait_for()
    assert project.clips()[-1].text == "ba da go" and not page.locator("#verdict [data-play]").count()
    page.keyboard.press("ArrowLeft")
    page.locator("#prompt .takes [data-pick^=delete]").press("Enter")
    page.locator("#prompt .takes [data-pick^=restore]").wait_for()
    assert len(project.clips()) == 12
    page.locator("#prompt .takes [data-pick^=restore]").press("Enter")
    page.locator("#prompt .takes [data-play]").wait_for()
    assert len(project.clips()) == 13
    page.keyboard.press("g")
    page.locator("#prompt", has_text="Sentence 2 of 3").wait_for()
    page.keyboard.press("s")
    page.locator("#prompt", has_text="Sentence 3 of 3").wait_for()
    page.keyboard.press("ArrowLeft")
    page.locator("#prompt", has_text="skipped").wait_for()
    page.keyboard.press("g")
    page.locator("#prompt", has_text="Sentence 3 of 3").wait_for()


def test_a_label_is_mended_beside_its_result(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, steps=20)
    page.locator("#start").click()
    page.locator("#live", has_text="Done: best at step").wait_for()
    go(page, "Results")
    row = page.locator("#result-rows tr", has=page.locator(".edit")).first
    row.locator("summary").click()
    row.locator("input").fill("ba ba ba")
    row.locator("input").press("Enter")
    page.locator("#result-rows .good", has_text="corrected").wait_for()
    assert "ba ba ba" in {clip.text for clip in project.clips("test")}
