"""Trainings that a person starts, watches, interrupts, kills and resumes; and their scores."""

import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lect.app.commands.train import brought
from lect.app.options import LATEST
from lect.engine.audio.writing import write_wav
from lect.engine.contract.files import read_json, write_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.store import Project
from lect.engine.runs.guesses import Guess
from lect.engine.runs.preparation import MOST_TEXT, create_run
from lect.engine.runs.results import decoding
from lect.engine.runs.shallow_fusion import WEIGHTS
from lect.engine.scoring.scores import score
from lect.exports.pack import read_pack
from tests.app.conftest import FAST, TAUGHT, Lect, speech

LONG = ("--backbone", "tiny", "--copies", "2", "--num-virtual-tokens", "2", "--per-device-train-batch-size", "2")
PATIENCE_S = 60.0


def wait_for(what: Callable[[], bool]) -> None:
    """Returns once it is so."""
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def events(run: Path) -> str:
    """What the training has told so far."""
    path = run / "events.jsonl"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_a_training_tells_its_story(lect: Lect, project: Path) -> None:
    done = lect("train", "--project", project, "--backbone", "tiny", *FAST)
    assert done.code == 0
    assert "CER before" in done.out and "lect pack 001" in done.out
    for words in ("Before any training", "step 10: CER", "best at step", "Scoring test"):
        assert words in done.err
    # Watching a run that has ended scores it once more, and changes nothing else.
    assert lect("train", "--project", project, "--resume").failed_with("--resume 001", code=2)
    asked = ("train", "--project", project, "--resume", "001", "--from", "001")
    assert lect(*asked).failed_with("leave --from and --untranscribed out", code=2)


def test_a_language_model_of_labels_and_further_texts(lect: Lect, project: Path, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("Ba da!\n\nGo mi, su la. \n", encoding="utf-8")
    given = ("--texts", tmp_path / "book.txt", "--language-model-weight", "0.3")
    done = lect("train", "--project", project, "--backbone", "tiny", *TAUGHT, *given)
    assert done.code == 0 and "n-gram language model of the texts, weight 0.3" in done.err
    run = project / "runs" / "001"
    assert (run / "texts.txt").read_text(encoding="utf-8").splitlines() == ["Ba da!", "Go mi, su la."]
    assert read_json(run / "scores-test.json")["decoding"]["language_model"] == 0.3
    assert lect("pack", "001", "--project", project, "--out", tmp_path / "read.lect").code == 0
    language_model = read_pack(tmp_path / "read.lect").language_model
    assert language_model is not None and language_model.weight == 0.3
    assert (
        "an n-gram language model of its maker's texts, weight 0.3" in lect("pack", "info", tmp_path / "read.lect").out
    )
    without = lect("eval", "001", "--project", project, "--split", "dev", "--language-model-weight", "0", "--json")
    assert without.code == 0 and without.json["language_model"] == 0


def test_the_weight_of_a_language_model_is_what_does_best_on_dev(lect: Lect, project: Path) -> None:
    asked = ("train", "--project", project, "--backbone", "tiny", *TAUGHT)
    assert lect(*asked, "--language-model-weight", "0.4").code == 0
    rates = {}
    for weight in WEIGHTS:
        options = ("--split", "dev", "--language-model-weight", str(weight), "--json")
        rates[weight] = lect("eval", "001", "--project", project, *options).json["cer_after"]
    assert lect(*asked).code == 0  # the same training, which chooses by itself
    chosen = decoding(project / "runs" / "002").to_json()["language_model"]
    assert chosen == min(rates, key=lambda weight: (rates[weight], weight))
    assert len({*rates.values()}) > 1, "a model that changes nothing would pass"


def test_without_a_language_model(lect: Lect, project: Path, tmp_path: Path) -> None:
    asked = ("train", "--project", project, "--backbone", "tiny", *FAST)
    assert lect(*asked, "--texts", tmp_path / "no.txt").failed_with("no.txt cannot be read")
    (tmp_path / "old.txt").write_bytes("é".encode("latin-1"))
    assert lect(*asked, "--texts", tmp_path / "old.txt").failed_with("old.txt is not UTF-8 text")
    (tmp_path / "library.txt").write_text("ba da\n" * (MOST_TEXT // 6 + 1))
    assert lect(*asked, "--texts", tmp_path / "library.txt").failed_with("library.txt has", "give a part", code=2)
    assert lect(*asked, "--language-model-weight", "0").code == 0
    assert not (project / "runs" / "001" / "language_model.safetensors").exists()
    refused = lect("eval", "001", "--project", project, "--language-model-weight", "0.2")
    assert "Run 001 has no language model" in refused.err and refused.code == 2


def test_a_killed_training_goes_on(lect: Lect, project: Path) -> None:
    started = lect("train", "--project", project, *LONG, "--max-steps", "60", "--detach", "--json")
    assert started.code == 0 and started.json["detached"]
    run = Path(started.json["folder"])
    wait_for(lambda: (run / "checkpoint.safetensors").exists())
    worker = Project.open(project).run("001").facts["pid"]
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert '"event": "done"' not in events(run)
    assert lect("check", "--project", project).code == 0  # the next command works
    resumed = lect("train", "--project", project, "--resume", "--json")
    assert resumed.code == 0 and resumed.json["run"] == "001" and resumed.json["status"] == "done"
    assert resumed.json["test"]["clips"] > 0
    steps = [line for line in events(run).splitlines() if '"step", "step": 1,' in line]
    assert len(steps) == 1  # it did not start anew


def press_ctrl_c(run: Path, times: int) -> threading.Thread:
    """Presses once the run has made a step, and again shortly after."""

    def press() -> None:
        wait_for(lambda: '"event": "step"' in events(run))
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

    finger = threading.Thread(target=press)
    finger.start()
    return finger


def test_ctrl_c_ends_a_training_with_the_best_kept(lect: Lect, project: Path) -> None:
    run, before = project / "runs" / "001", signal.getsignal(signal.SIGINT)
    finger = press_ctrl_c(run, times=1)
    done = lect("train", "--project", project, *LONG, "--max-steps", "5000", "--json")
    finger.join()
    assert done.code == 130 and done.json["status"] == "done" and done.json["stopped"]
    assert (run / "best.safetensors").exists() and done.json["dev"]["cer_after"] >= 0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_leaves_the_training_alone_and_it_can_be_watched_again(lect: Lect, project: Path) -> None:
    finger = press_ctrl_c(project / "runs" / "001", times=2)
    left = lect("train", "--project", project, *LONG, "--max-steps", "5000")
    finger.join()
    assert left.code == 130 and "--resume 001" in left.err and "Interrupted" in left.err
    watched = lect("train", "--project", project, "--resume", "001", "--json")
    assert watched.code == 0 and watched.json["status"] == "done"
    assert events(project / "runs" / "001").count('"event": "start"') == 1


def test_a_training_that_cannot_start_says_why(lect: Lect, project: Path) -> None:
    train = ("train", "--project", project, "--backbone", "tiny")
    assert lect(*train, "--placement", "e:last9").failed_with("e:last9", code=2)
    assert lect("train", "--project", project, "--backbone", "none").failed_with("lect backbone list", code=2)
    assert lect(*train, "--resume").failed_with("has ended", code=2)
    assert lect(*train, "--resume", "7").failed_with("no run 7")
    assert Project.open(project).runs() == []


def test_what_fails_in_the_training_process_is_one_sentence(lect: Lect, project: Path) -> None:
    failed = lect("train", "--project", project, "--backbone", "tiny", *FAST, "--learning-rate", "1e30", "--quiet")
    assert failed.failed_with("--learning-rate")
    assert Project.open(project).run("001").status == "failed"


def test_a_run_is_scored_anew(lect: Lect, trained: Path) -> None:
    done = lect(
        "eval", LATEST, "--project", trained, "--split", "dev", "--beam-size", "1", "--ctc-weight", "0.5", "--json"
    )
    assert done.code == 0 and done.json["split"] == "dev" and done.json["beam_size"] == 1
    assert Path(done.json["predictions"]).read_text(encoding="utf-8").startswith("id\treference")
    assert read_json(trained / "runs" / "001" / "scores-dev.json")["decoding"]["ctc_weight"] == 0.5
    assert "ref:" in lect("eval", "1", "--project", trained).out


def test_runs_are_compared(lect: Lect, trained: Path) -> None:
    alone = lect("compare", "001", "--project", trained, "--json").json["comparisons"]
    assert [(one["before"], one["after"]) for one in alone] == [("its backbone", "run 001")]
    twice = lect("compare", "001", "1", "--project", trained)
    assert "No clear difference" in twice.out
    assert lect("compare", "001", "--split", "train", "--project", trained).failed_with("lect eval 001", code=2)


def test_methods_are_compared_and_the_winner_is_named(lect: Lect, project: Path) -> None:
    train = ("train", "--project", project, "--backbone", "tiny", *FAST, "--quiet")
    assert lect(*train, "--placement", "e:last1").code == 0
    assert lect(*train, "--method", "lora", "--rank", "2", "--on", "value", "--placement", "e:all,d:all").code == 0
    both = ("compare", "1", "2", "--project", project)
    first, second = lect(*both, "--json").json["systems"]
    vocabulary = first["trained_parameters"] - 2 * 2 * 32  # prompts of length 2 in one layer
    assert second["trained_parameters"] == vocabulary + 4 * 2 * 2 * 32
    assert "lora e:all,d:all" in (told := lect(*both).out) and "not their methods" in told
    # What run 2 would have left if it had written every label.
    path = project / "runs" / "002" / "scores-test.json"
    labels = [row["reference"] for row in read_json(path)["rows"]]
    ids = [row["id"] for row in read_json(path)["rows"]]
    write_json(path, score(labels, labels, ids, normalisation=read_json(path)["normalisation"]).to_json())
    told = lect(*both, "--json").json
    assert told["winner"] == told["best"] == "run 002" and told["comparisons"][0]["before"] == "run 001"
    assert told["comparisons"][0]["cer_interval"][1] < 0
    shown = lect(*both).out
    assert "The winner is run 002 (lora)" in shown and "run 002 (lora) against run 001 (prompt): CER -" in shown


@pytest.mark.parametrize("name", ["7", "zero"])
def test_a_run_that_is_not_there(lect: Lect, trained: Path, name: str) -> None:
    assert lect("eval", name, "--project", trained).failed_with(name)


def test_a_training_starts_where_another_ended(lect: Lect, project: Path) -> None:
    assert lect("train", "--backbone", "tiny", *FAST, "--project", project).code == 0
    again = lect("train", "--from", "--max-steps", "10", "--device", "cpu", "--project", project, "--json")
    assert again.code == 0 and again.json["run"] == "002"
    settings = read_json(project / "runs" / "002" / "settings.json")
    assert (settings["start"], settings["backbone"], settings["settings"]["max_steps"]) == ("001", "tiny", 10)
    assert settings["settings"]["spec"]["num_virtual_tokens"] == 2
    other = lect("train", "--from", "001", "--method", "adapter", "--project", project)
    assert other.failed_with("leave --backbone, --method", code=2)


def test_recordings_without_a_word_teach_nothing(lect: Lect, project: Path, tmp_path: Path) -> None:
    asked = ("train", "--project", project, "--backbone", "tiny", *FAST, "--untranscribed", tmp_path / "field")
    write_wav(tmp_path / "field" / "wind.wav", np.zeros(32_000, np.float32))
    (tmp_path / "field" / "broken.wav").write_bytes(b"RIFF")
    assert lect(*asked).failed_with("no run yet", code=2)
    assert lect("train", "--project", project, "--backbone", "tiny", *FAST).code == 0
    done = lect(*asked)
    assert done.code == 2 and "broken.wav" in done.err and "sure enough to learn from" in done.err
    assert not (project / "runs" / "002").exists()


def test_what_guesses_brought_is_told(lect: Lect, project: Path) -> None:
    assert lect("train", "--project", project, "--backbone", "tiny", *TAUGHT).code == 0
    request = RunFiles(project / "runs" / "001").request()
    for more in (100, 1):  # steps
        fewer = replace(request, guessed_by="001", settings=replace(request.settings, max_steps=more))
        guesses = [Guess(speech("ba da", 30), "ba da", 0.9, 0.0)]
        run_id = create_run(Project.open(project), fewer, guesses)
        done = lect("train", "--project", project, "--resume", run_id, "--json")
        assert done.code == 0 and done.json["guesser"]["run"] == "001"
        assert done.json["guesser"]["after"] == pytest.approx(done.json["dev"]["cer_after"])
    assert not done.json["recommended"], "a single step is no better than what guessed"
    again = lect("train", "--project", project, "--resume", run_id)
    assert again.failed_with("cannot go on", "--untranscribed", code=2)
    assert Project.open(project).run(run_id).status == "done"
    pack = project / "learnt.lect"
    assert lect("pack", run_id, "--project", project, "-o", pack).code == 0
    with zipfile.ZipFile(pack) as files:
        card = files.read("README.md").decode()
    assert "- train, labels guessed by an earlier run: 1 clips" in card
    assert "**Not recommended**: it learnt from labels that its maker's run 001 guessed" in card
    told = lect("pack", "info", pack).out
    assert "not recommended: on dev, the run that guessed some of its labels makes no more errors" in told
    nothing = brought({"run": "001", "before": 0.2, "after": 0.2})
    assert "brought nothing" in nothing and "run 001" in nothing and "not recommended" in nothing
    assert "from 20.0 % (run 001) to 10.0 %" in brought({"run": "001", "before": 0.2, "after": 0.1})
