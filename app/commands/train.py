"""Teaches a frozen backbone the project's lect, in a process of its own that survives this window.

The base is scored first; the best result by dev score is kept; the test split is scored at the end. Ctrl-C ends the
training after its step and keeps the best; a second Ctrl-C leaves it running by itself. What was killed goes on with
--resume.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_files import RunFiles
from lect.engine.scoring.recommendation import rival

from ..options import LATEST, add_project, find_run, open_project
from ..output import counted, duration, percent, print_beside, print_result, progress, remark
from ..recordings import recordings
from ..train_options import add_train_options, request_of

if TYPE_CHECKING:
    from lect.engine.contract.run_request import RunRequest
    from lect.engine.data.clips import Run
    from lect.engine.data.store import Project

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything that can be set, and whether to go on with a run."""
    add_project(parser)
    add_train_options(parser)
    again = parser.add_argument_group("going on and letting go")
    again.add_argument(
        "--resume", nargs="?", const=LATEST, metavar="RUN", help="go on with a run that ended early, or watch it"
    )
    again.add_argument(
        "--from",
        dest="start",
        nargs="?",
        const=LATEST,
        metavar="RUN",
        help="start a new run where this one's best ended (latest), by its method and in its vocabulary, which grows",
    )
    again.add_argument(
        "--untranscribed",
        nargs="+",
        type=Path,
        metavar="RECORDING",
        help="recordings, or folders of them, that nobody has written down: the run of --from (else the last that has "
        "ended) writes them, and what it is surest of is learnt too",
    )
    again.add_argument("--detach", action="store_true", help="start it and return; --resume watches it again")


def run(args: argparse.Namespace) -> int:
    """Starts or resumes a run, and stays until it ends."""
    from ..scores import warn_of_unknown_symbols
    from ..training_watch import start, watch

    project = open_project(args)
    run_id = _run_id(args, project)
    for split in ("dev", "test"):
        warn_of_unknown_symbols(args, project, run_id, split)
    if args.detach:
        start(project, run_id)
        text = f"Run {run_id} is training. Watch it: lect train --resume {run_id} --project {args.project}"
        print_result(args, {"run": run_id, "folder": project.run(run_id).folder, "detached": True}, text)
        return 0
    interrupted = watch(args, project, run_id)
    value, text = _summary(args, project, project.run(run_id))
    print_result(args, value, text)
    return INTERRUPTED if interrupted else 0


def _run_id(args: argparse.Namespace, project: "Project") -> str:
    if args.resume is not None:
        if args.start or args.untranscribed:
            raise UsageError("A run is resumed as it was begun: leave --from and --untranscribed out.")
        run = _run_to_resume(project, args.resume)
        RunFiles(run.folder).check_can_go_on()
        return run.id
    from lect.engine.runs.preparation import RunData, create_run
    from lect.engine.runs.recipe import reason

    from ..untranscribed import guesser_of

    start = find_run(project, args.start).id if args.start else ""
    request = replace(request_of(args), start=start)
    if args.untranscribed:
        guesser = start or guesser_of(project) or find_run(project, LATEST).id
        run_id = _begun(args, project, replace(request, guessed_by=guesser))
    else:
        run_id = create_run(project, request)
    clips = RunData.open(project, run_id).clips["train"]
    minutes, voices = sum(clip.seconds for clip in clips) / 60, len({clip.speaker for clip in clips})
    files = RunFiles(project.run(run_id).folder)
    remark(args, reason(files.request(), minutes, voices, files.asked.exists()))
    return run_id


def _begun(args: argparse.Namespace, project: "Project", request: "RunRequest") -> str:
    """A new run that learns from --untranscribed too; what was taken is told."""
    from ..untranscribed import begin

    found = recordings(args.untranscribed)
    with progress(args, len(found), f"run {request.guessed_by} writes", "recording") as bar:

        def report(done: int, unread: str) -> None:
            bar.update()
            if unread:
                print_beside(bar, unread, error=True)

        run_id = begin(project, request, [each.path for each in found], report)
    if taken := RunFiles(project.run(run_id).folder).taken():
        remark(
            args,
            f"Learnt too: {taken.learnt} of {counted(taken.pieces, 'piece')} ({duration(taken.learnt_seconds)} of "
            f"{duration(taken.seconds)}), the surest of those that two decodings agree about.",
        )
    return run_id


def _run_to_resume(project: "Project", name: str) -> "Run":
    """The run to go on with; `latest` is the latest that has not ended. Raises UsageError when there is none."""
    if name != LATEST:
        return find_run(project, name)
    unfinished = [run for run in project.runs() if run.status != "done"]
    if not unfinished:
        raise UsageError("Every run of this project has ended: name the one to go on with, as in --resume 001.")
    return unfinished[-1]


def _summary(args: argparse.Namespace, project: "Project", run: "Run") -> tuple[dict[str, Any], str]:
    """What came of a run, for machines and for people."""
    from ..scores import SPLITS, before_after, figures, has_scores, judged, stored

    pairs = {split: stored(run.folder, run.id, split) for split in SPLITS if has_scores(run.folder, split)}
    verdicts = {split: judged(*pair) for split, pair in pairs.items()}
    # No name may need a shell's quotes, nor a project in another folder a second option.
    following = f"lect pack {run.id} --project {args.project}"
    value = {"run": run.id, "folder": run.folder, "status": run.status, **run.facts}
    value |= {split: figures(*pair, verdicts[split][0]) for split, pair in pairs.items()}
    text = [before_after(pairs)] if pairs else []
    text += [sentence for split, (_, sentence) in verdicts.items() if split == list(pairs)[-1]]
    dev = RunFiles(run.folder).dev_scores()
    other = rival({"dev": dev})
    value["recommended"] = not other
    if guesser := dev.get("guesser"):
        value["guesser"] = guesser
        text += [brought(guesser)] if other != "backbone" else []
    if other == "backbone":
        text.append(
            "This run is not recommended: on dev, the backbone alone makes no more errors. Transcribe with that."
        )
    return value | {"next": following}, "\n".join([*text, f"Next: {following}"])


def brought(guesser: Mapping[str, Any]) -> str:
    """What learning from a run's guesses brought on dev, and what to do where it brought nothing. guesser: as scores
    have it."""
    run, before, after = guesser["run"], percent(guesser["before"]), percent(guesser["after"])
    if guesser["after"] < guesser["before"]:
        return f"What was guessed brought dev from {before} (run {run}) to {after} CER."
    return (
        f"What was guessed brought nothing: dev has {after} CER, and {before} by run {run}. This run is not "
        "recommended: transcribe with that one."
    )
