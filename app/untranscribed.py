"""Recordings that nobody has written down, cut at their breaths: what a run guesses in them.

It does not know what is learnt of it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lect.engine.contract.errors import AudioError, UsageError

from .output import counted, duration, progress, remark
from .recordings import recordings

if TYPE_CHECKING:
    from lect.engine.audio.reading import Samples
    from lect.engine.data.store import Project
    from lect.engine.runs.guesses import Guess


def sure_guesses(args: argparse.Namespace, project: "Project", run_id: str) -> list["Guess"]:
    """What is sure enough to learn from, of all recordings of --untranscribed; what was taken is told.

    Raises UsageError where there is none, or the run has no result.
    """
    from lect.engine.model.device import choose_device
    from lect.engine.runs.guesses import guess, surest
    from lect.engine.runs.results import decoding, load_run

    options = decoding(project.run(run_id).folder)
    recogniser = load_run(project, run_id).recogniser(options, choose_device(args.device, args.precision))
    guesses, unread, found = list["Guess"](), list[str](), recordings(args.untranscribed)
    with progress(args, len(found), f"run {run_id} writes", "recording") as bar:
        for recording in found:
            try:
                guesses += guess(recogniser, speech_of(recording.path))
            except AudioError as error:
                unread.append(str(error))
            bar.update()
    for sentence in unread:
        remark(args, sentence)
    sure = surest(guesses)
    if not sure:
        raise UsageError("Nothing in these recordings is sure enough to learn from: record or label some more first.")
    remark(
        args,
        f"Learnt too: {len(sure)} of {counted(len(guesses), 'piece')} ({duration(_seconds(sure))} of "
        f"{duration(_seconds(guesses))}), the surest of those that two decodings agree about.",
    )
    return sure


def speech_of(path: Path) -> list["Samples"]:
    """The stretches of speech in a recording. Raises AudioError."""
    from lect.engine.audio.reading import stream
    from lect.exports.segments import AT_BREATHS, Piece, cut
    from lect.exports.vad import detector

    found = cut(detector().windows(stream(path)), AT_BREATHS)
    return [each.samples for each in found if isinstance(each, Piece)]


def _seconds(guesses: list["Guess"]) -> float:
    return sum(each.seconds for each in guesses)
