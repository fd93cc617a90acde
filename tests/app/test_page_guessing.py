"""Recordings that nobody has written down, on the page: offered where a run can write them, and learnt from."""

from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from lect.app.page import guessing, run_view, train, watch
from lect.app.page.texts import words_in
from lect.app.page.train_form import FIELDS
from lect.app.untranscribed import guesser_of
from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AUTO
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import read_json, write_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.data.store import Project
from lect.engine.runs.guesses import Guess, keep_guesses
from tests.app.conftest import Lect, speech

REQUEST = gr.Request(headers={"accept-language": "en"})
SAY = words_in("en")


def chosen(**written: str) -> list[object]:
    """The page's choices, with these fields of the expert drawer."""
    return [AUTO, "usual", "tiny", "cpu", "auto", None, *(written.get(name, "") for name in FIELDS)]


def ended(project: Project, **guesser: object) -> str:
    """A run that has ended, and what its scores on dev say of the run that guessed."""
    run_id = project.add_run(RunRequest("tiny").to_json())
    scores = {"cer": 0.3, "rows": [], "baseline": None, "guesser": guesser or None}
    write_json(RunFiles(project.run(run_id).folder).scores("dev"), scores)
    project.update_run(run_id, status="done")
    return run_id


def test_they_are_offered_where_a_run_has_ended(project: Path) -> None:
    opened = Project.open(project)
    opened.add_run(RunRequest("tiny").to_json())
    assert "Train with your clips first" in guessing.offer(str(project), REQUEST)[0]
    assert guesser_of(opened) == ""
    ended(opened)
    assert "Run 002 writes them" in guessing.offer(str(project), REQUEST)[0]
    ended(opened, run="002", before=0.3, after=0.3)
    assert guesser_of(opened) == "002", "what learnt from guesses in vain does not guess"
    ended(opened, run="002", before=0.3, after=0.2)
    assert guesser_of(opened) == "004"
    with guessing._alone(opened.folder), pytest.raises(UsageError, match="being written already"):
        assert "Recordings are being written" in guessing.offer(str(project), REQUEST)[0]
        with guessing._alone(opened.folder):
            raise AssertionError
    assert "Run 004 writes them" in guessing.offer(str(project), REQUEST)[0]


def test_without_recordings_nothing_is_written(project: Path) -> None:
    assert [begun for _, begun in guessing.write(REQUEST, str(project), None, *chosen())] == [None]


def test_what_teaches_nothing_is_said_in_place(lect: Lect, project: Path, tmp_path: Path) -> None:
    few = ("--max-steps", "2", "--copies", "1", "--device", "cpu")
    assert lect("train", "--project", project, "--backbone", "tiny", *few, "--quiet").code == 0
    wind, broken = tmp_path / "wind.wav", tmp_path / "broken.wav"
    write_wav(wind, np.zeros(32_000, np.float32))
    broken.write_bytes(b"RIFF")
    for fields, sentence in (({}, "sure enough to learn from"), ({"rank": "many"}, "write a whole number above 0")):
        *_, (said, begun) = guessing.write(REQUEST, str(project), [str(broken), str(wind)], *chosen(**fields))
        assert sentence in said and begun is not None and begun.run == ""
        assert len(train.begin(REQUEST, str(project), begun, *chosen())) == 13
    assert wind.exists() and len(Project.open(project).runs()) == 1


def test_what_was_taken_and_what_it_brought_are_shown(project: Path) -> None:
    opened = Project.open(project)
    ended(opened)
    files = RunFiles(opened.run(ended(opened, run="001", before=0.4, after=0.3)).folder)
    guesses = [Guess(speech("ba"), "ba", 0.9, 0.0)] * 4
    keep_guesses(files, guesses, guesses[:2])

    def shown(phase: str) -> str:
        run = opened.run("002")
        view = replace(watch.look(run), run=replace(run, settings=run.settings | {"guessed_by": "001"}), phase=phase)
        return run_view.live(view, SAY)

    assert "Learnt too: 2 of 4 pieces (" in shown("starting") and "that run 001 was surest of" in shown("starting")
    assert "brought something: on the dev clips 30.0 % of the characters are wrong, and 40.0 %" in shown("done")
    worse = {"guesser": {"run": "001", "before": 0.2, "after": 0.3}}
    write_json(files.scores("dev"), read_json(files.scores("dev")) | worse)
    assert "brought nothing" in shown("done") and "Use run 001." in shown("done")
    assert run_view.advice({"cer": 0.3, "baseline": {"cer": 0.3}}, SAY).count("use it alone") == 1
