"""A training and the page: it survives a reload and a second window, is ended early, and leaves the page quick."""

import os
import shlex
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lect.app.train_options import arguments
from lect.engine.contract.files import ASSETS, read_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.store import Project
from lect.engine.runs.preparation import RunData
from lect.engine.scoring.recommendation import rival
from lect.exports.runtime import Runtime
from tests.app.conftest import speech
from tests.browser.conftest import Window, choose, choose_tiny, fill, go, unfold, until

pytestmark = pytest.mark.browser
SAMPLE = ASSETS / "sample"
LONG = 3000  # steps: more than a test waits for
CLICK_S = 10.0  # a page that waited for the training would take longer; how quick it is, is measured by hand


def step_of(page: Any) -> int:
    """The step that the page shows."""
    words = page.locator("#live .meter p").inner_text().split()
    return int(words[1]) if words[0] == "Step" else 0


def test_reload_second_window_and_stopping_with_the_best_kept(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, LONG)
    page.locator("#start").click()
    page.locator("#live", has_text="Step ").wait_for()

    page.reload()
    page.locator("#header", has_text="Watch the training").wait_for()
    page.locator("#header .act").click()
    page.locator("#live", has_text="Step ").wait_for()
    before = step_of(page)
    page.wait_for_function(f"parseInt(document.querySelector('#live .meter p').innerText.split(' ')[1]) > {before}")

    second = window()
    go(second, "Train")
    second.locator("#live", has_text="Step ").wait_for()
    second.locator("#start", has_text="Add to the queue").wait_for()

    go(page, "Clips")
    page.locator("#clips .clip").first.wait_for()
    began = time.monotonic()
    page.locator("#clips .clip").nth(2).click()
    page.locator("#clip audio").wait_for()
    assert time.monotonic() - began < CLICK_S

    second.locator("#stop").click()
    second.locator("#live", has_text="Done: best at step").wait_for()
    run = project.runs()[-1]
    assert run.status == "done" and run.facts["stopped"] and (run.folder / "best.safetensors").exists()
    assert len(project.runs()) == 1


def test_a_run_that_is_cut_off_again_is_resumed_again(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, LONG)
    page.locator("#start").click()
    for _ in range(2):
        page.locator("#live", has_text="Step ").wait_for()
        os.kill(project.runs()[-1].facts["pid"], signal.SIGKILL)
        page.locator("#resume").click()
        page.locator("#resume").wait_for(state="hidden")


def test_runs_wait_for_each_other_and_are_compared(window: Window, project: Project, tmp_path: Path) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, LONG)
    page.locator("#start").click()
    page.locator("#start", has_text="Add to the queue").wait_for()
    fill(page, "expert-max-steps", "10")
    for number in ("002", "003"):
        page.locator("#start").click()
        page.locator("#live", has_text=f"Run {number}").wait_for()
        page.locator("#live", has_text="It waits for the run that trains").wait_for()
    page.locator("#leave").click()
    page.locator("#runs tr", has_text="003").filter(has_text="new").wait_for()

    page.locator("#runs [data-pick='001']").click()
    page.locator("#live", has_text="Step ").wait_for()
    page.locator("#stop").click()
    page.locator("#runs tr", has_text="002").filter(has_text="done").wait_for()
    assert [run.status for run in project.runs()] == ["done", "done", "created"]

    go(page, "Results")
    choose(page, "result-against", "Run 001")
    page.locator("#summary .rate.before", has_text="Run 001").first.wait_for()
    page.locator("#result-rows .confusions li").first.wait_for()
    page.locator("#result-rows [data-play]").first.click()
    page.locator("#result-rows [data-play]", has_text="■").wait_for()

    two_packs_side_by_side(page, project)
    a_bundle_with_its_rates(page, tmp_path)


def two_packs_side_by_side(page: Any, project: Project) -> None:
    """Exports both runs as packs and transcribes a clip with both."""
    go(page, "Export")
    for number in ("002", "001"):
        choose(page, "export-run", number)
        page.locator("#export-make").click()
        page.locator("#export-made", has_text=f"-{number}.lect").wait_for()
    go(page, "Transcribe")
    unfold(page, "transcribe-more")
    names = [pack.path.stem for pack in project.packs()]
    choose(page, "pack", f"{names[0]}.lect")
    choose(page, "beside", f"{names[1]}.lect")
    sound = project.clips()[0].path
    page.locator("#transcribe-files input[type=file]").set_input_files(sound)
    page.locator("#transcribe-files", has_text=sound.suffix).wait_for()
    page.locator("#transcribe-go").click()
    page.locator("#transcribed", has_text="1 of 1 recording").wait_for()
    assert page.locator("#transcribed .texts span").all_inner_texts()[0] == names[0]
    assert names[1] in page.locator("#transcribed .texts").inner_text()


def a_bundle_with_its_rates(page: Any, folder: Path) -> None:
    """Exports a bundle, which tells the error rates of both builds, and transcribes with it elsewhere."""
    go(page, "Export")
    page.locator("#export-form label", has_text="Bundle").click()
    page.locator("#export-make").click()
    page.locator("#export-made", has_text="-bundle.zip").wait_for()
    rates = page.locator("#export-made tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rates] == ["float32", "int8"] and all("%" in row for row in rates)
    with page.expect_download() as download:
        page.locator("#download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(folder)
    (bundle,) = folder.glob("*-bundle")
    assert Runtime.open(bundle).transcribe(speech("ba da")).seconds > 0


def test_the_time_is_estimated_on_this_machine(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, 40)
    page.keyboard.press("Tab")
    page.locator("#estimate", has_text="at most: 40 steps on").wait_for()
    assert not project.runs()


def test_what_the_command_refuses_the_page_refuses_too(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, 20)
    page.locator("#expert-placement :is(input, textarea)").fill("e:last99")
    page.locator("#start").click()
    page.locator("#train-message", has_text="The layers 'e:last99' are not understood").wait_for()
    fill(page, "expert-rank", "many")
    page.locator("#train-message", has_text="Rank: write a whole number above 0.").wait_for()
    assert not project.runs()


def test_whole_words_are_chosen_in_the_expert_drawer(window: Window, project: Project) -> None:
    page = window()
    go(page, "Train")
    choose_tiny(page, 10)
    choose(page, "vocabulary", "words")
    page.locator("#start").click()
    page.locator("#live", has_text="Done: best at step").wait_for()
    asked = RunFiles(project.runs()[-1].folder).request()
    command = shlex.split(page.locator("#train-message code").inner_text())
    # The run knows more than was asked for: the method that Lect has chosen.
    assert command[:2] == ["lect", "train"] and set(command[2:]) <= set(arguments(asked))
    assert command[command.index("--vocabulary") + 1] == asked.vocabulary == "words"
    spoken = {word for clip in project.clips("train") for word in clip.text.split()}
    assert {
        symbol.strip("\u2581") for symbol in RunData.open(project, project.runs()[-1].id).vocabulary.symbols
    } >= spoken


def test_further_texts_are_chosen_beside_the_recordings(window: Window, project: Project, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("ba da\nsu la go mi\n", encoding="utf-8")
    page = window()
    go(page, "Train")
    choose_tiny(page, 10)
    fill(page, "expert-language-model-weight", "0.3")
    unfold(page, "further")
    page.locator("#further-texts input[type=file]").set_input_files(tmp_path / "book.txt")
    page.locator("#further-texts", has_text="book").wait_for()
    page.locator("#start").click()
    page.locator("#live", has_text="Done: best at step").wait_for()
    run = project.runs()[-1].folder
    assert (run / "texts.txt").read_text(encoding="utf-8").splitlines() == ["ba da", "su la go mi"]
    assert read_json(run / "scores-test.json")["decoding"]["language_model"] == 0.3


def test_recordings_that_nobody_has_written_down(window: Window, project: Project, tmp_path: Path) -> None:
    page = window()
    go(page, "Train")
    unfold(page, "untranscribed")
    page.locator("#untranscribed-known", has_text="Train with your clips first").wait_for()
    assert not page.locator("#untranscribed-files").is_visible()
    choose_tiny(page, 100)
    fill(page, "expert-vocabulary-learning-rate", "0.03")
    fill(page, "expert-language-model-weight", "0")
    page.locator("#start").click()
    page.locator("#live", has_text="Done: best at step").wait_for()

    page.locator("#untranscribed-known", has_text="Run 001 writes them").wait_for()
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    chosen = [tmp_path / "broken.wav", *sorted((SAMPLE / "audio").glob("*.ogg"))[:12]]
    page.locator("#untranscribed-files input[type=file]").set_input_files(chosen)
    page.locator("#untranscribed-files", has_text="broken").wait_for()
    page.locator("#start").click()
    page.locator("#train-message", has_text="Run 001 writes the recordings").wait_for()
    go(page, "Clips")  # the page answers meanwhile
    page.locator("#clips .clip").first.wait_for()
    go(page, "Train")
    page.locator("#live", has_text="Run 002").wait_for()
    page.locator("#live", has_text="Learnt too:").wait_for()
    page.locator("#train-message", has_text="broken.wav").wait_for()
    assert "--untranscribed FOLDER" in page.locator("#train-message code").inner_text()
    page.locator("#live", has_text="Done: best at step").wait_for()
    files = RunFiles(project.run("002").folder)
    dev, taken = read_json(files.scores("dev")), files.taken()
    assert taken and f"{taken.learnt} of {taken.pieces} pieces" in page.locator("#live").inner_text()
    assert dev["guesser"]["run"] == files.request().guessed_by == "001"
    if rival({"dev": dev}) != "backbone":
        page.locator("#live", has_text="What was guessed brought").wait_for()
    until(page, lambda: not files.guessed.exists())
    page.locator("#untranscribed-files", has_text="broken").wait_for(state="hidden")
