"""Recordings that nobody has written down, cut at their breaths: what a run guesses in them, and who learns it.

`python -m lect.app.untranscribed PROJECT` does it for the page, in a process of its own: it reads a request and the
paths of the recordings on stdin. It does not know the training.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import AudioError, LectError, os_sentence
from lect.engine.contract.run_files import RunFiles
from lect.engine.scoring.recommendation import rival

if TYPE_CHECKING:
    from lect.engine.audio.reading import Samples
    from lect.engine.contract.run_request import RunRequest
    from lect.engine.data.store import Project


def begin(
    project: "Project", request: "RunRequest", recordings: Sequence[Path], report: Callable[[int, str], None]
) -> str:
    """Enters a run that learns from what request.guessed_by is surest of, too; its id.

    report: is told how many recordings are done, and why the last one could not be read, else "". Raises UsageError
    where nothing is sure, or that run has no result.
    """
    from lect.engine.model.device import choose_device
    from lect.engine.runs.guesses import Guess, guess
    from lect.engine.runs.preparation import create_run, gather
    from lect.engine.runs.results import decoding, load_run

    gather(project, request)  # what is refused is refused before minutes of work
    options = decoding(project.run(request.guessed_by).folder)
    recogniser = load_run(project, request.guessed_by).recogniser(
        options, choose_device(request.device, request.precision)
    )
    guesses = list[Guess]()
    for done, path in enumerate(recordings, start=1):
        unread = ""
        try:
            guesses += guess(recogniser, speech_of(path))
        except AudioError as error:
            unread = str(error)
        report(done, unread)
    return create_run(project, request, guesses)


def guesser_of(project: "Project") -> str:
    """The run that writes them where none is named: the latest that has ended, but none that learnt from guesses in
    vain; "": there is none."""
    ended = [run for run in reversed(project.runs()) if run.status == "done"]
    return next((run.id for run in ended if rival({"dev": RunFiles(run.folder).dev_scores()}) != "guesser"), "")


def speech_of(path: Path) -> list["Samples"]:
    """The stretches of speech in a recording. Raises AudioError."""
    from lect.engine.audio.reading import stream
    from lect.exports.segments import AT_BREATHS, Piece, cut
    from lect.exports.vad import detector

    found = cut(detector().windows(stream(path)), AT_BREATHS)
    return [each.samples for each in found if isinstance(each, Piece)]


def main(folder: str) -> int:
    """Writes lines of JSON: {"done", "unread"} after each recording, as `report` has it; then {"run"} or {"error"}."""
    from lect.engine.contract.run_request import RunRequest
    from lect.engine.data.store import Project
    from lect.engine.runs.process import give_way

    give_way()
    try:
        asked = json.load(sys.stdin)
        paths, request = [Path(path) for path in asked["recordings"]], RunRequest.from_json(asked["request"])
        project = Project.open(Path(folder))
        _say(run=begin(project, request, paths, lambda done, unread: _say(done=done, unread=unread)))
    except (LectError, OSError) as error:
        _say(error=os_sentence(error) if isinstance(error, OSError) else str(error))
        return 1
    return 0


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
