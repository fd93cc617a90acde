"""What a community and each speaker allow, and what follows from it.

lect consent                                          who allowed what
lect consent --community NAME --share ask --label TK-NC    of all recordings; ask: each speaker must have agreed
lect consent --speaker ANA --train yes --share no     of one voice
lect consent --forget ANA                             moves their recordings to the trash; names what learnt from them
lect consent --forget-untranscribed                   deletes what unended runs keep of recordings without a text

A training or an export (pack, export) that is not covered is refused. The community's part and the number of speakers
who agreed travel in packs and model cards, the speakers' names never do.
"""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_files import RunFiles

from ..options import add_project, open_project
from ..output import counted, print_result, table

if TYPE_CHECKING:
    from lect.engine.data.clips import Community, Speaker
    from lect.engine.data.store import Project

ANSWERS = ("yes", "no", "ask", "unasked")
USES = ("train", "share")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose, and what."""
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--community", metavar="NAME", help="whose language or tradition the recordings are of")
    whose.add_argument("--speaker", metavar="NAME", help="one voice, as the clips name it")
    whose.add_argument("--forget", metavar="NAME", help="delete this speaker's recordings; lists what learnt from them")
    whose.add_argument(
        "--forget-untranscribed",
        action="store_true",
        help="delete the sound that runs which have not ended keep of recordings that nobody has written down, where "
        "no speaker is named; such a run cannot go on",
    )
    parser.add_argument("--train", choices=ANSWERS, help="may be learnt from")
    parser.add_argument("--share", choices=ANSWERS, help="what was learnt may leave: packs, exports")
    parser.add_argument("--licence", help="of the recordings, such as CC-BY-4.0")
    parser.add_argument("--words", metavar="TEXT", help="what was agreed to, in their words")
    parser.add_argument(
        "--label", action="append", metavar="CODE", help="a Local Contexts label of the community, such as TK-NC; again"
    )
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Notes or lists."""
    project = open_project(args)
    if args.forget is not None:
        return _forget(args, project)
    if args.forget_untranscribed:
        return _forget_untranscribed(args, project)
    if args.community is not None:
        project.save_community(_community(args, project))
    elif args.speaker is not None:
        project.save_speakers([_speaker(args, project)])
    elif any((args.train, args.share, args.licence, args.words, args.label)):
        raise UsageError("Say whose consent it is: --community NAME or --speaker NAME.")
    _show(args, project)
    return 0


def _community(args: argparse.Namespace, project: "Project") -> "Community":
    from lect.engine.data.consent import label_code

    old = project.community()
    labels = old.labels if args.label is None else tuple(map(label_code, args.label))
    return replace(old, name=args.community, labels=labels, uses=_uses(args, old.uses), **_stated(args))


def _speaker(args: argparse.Namespace, project: "Project") -> "Speaker":
    from lect.engine.data.clips import Speaker

    if args.label or "ask" in (args.train, args.share):
        raise UsageError("Labels, and `ask`, are of a community: give --community NAME.")
    old = next((each for each in project.speakers() if each.name == args.speaker), None)
    if old is None:
        raise UsageError(f"No clip is by {args.speaker!r}: see the names in lect consent.")
    assert isinstance(old, Speaker)
    return replace(old, uses=_uses(args, old.uses), **_stated(args))


def _stated(args: argparse.Namespace) -> dict[str, str]:
    given = {"licence": args.licence, "consent": args.words}
    return {name: value for name, value in given.items() if value is not None}


def _uses(args: argparse.Namespace, old: Any) -> dict[str, str]:
    new = dict(old) | {use: getattr(args, use) for use in USES if getattr(args, use)}
    return {use: answer for use, answer in new.items() if answer != "unasked"}


def _show(args: argparse.Namespace, project: "Project") -> None:
    community, clips = project.community(), project.clips()
    rows: list[tuple[str | int, ...]] = [("(community) " + community.name, "", *_cells(community))]
    rows += [
        (each.name, sum(clip.speaker == each.name for clip in clips), *_cells(each)) for each in project.speakers()
    ]
    text = table(["who", "clips", *USES, "licence", "in their words"], rows, right=(1,))
    text += f"\nLabels: {', '.join(community.labels)}" if community.labels else ""
    value = {"community": vars(community), "speakers": [vars(each) for each in project.speakers()]}
    print_result(args, value, text)


def _cells(stated: Any) -> tuple[str, ...]:
    return (*(stated.uses.get(use, "–") for use in USES), stated.licence or "–", stated.consent or "–")


def _forget(args: argparse.Namespace, project: "Project") -> int:
    from lect.engine.data.consent import learnt_from
    from lect.engine.training.features import FeatureCache

    clips = [clip.id for clip in project.clips() if clip.speaker == args.forget]
    runs, packs = learnt_from(project, args.forget)
    if not clips and not runs:
        raise UsageError(f"No clip is by {args.forget!r}: see the names in lect consent.")
    _check_idle(project)
    FeatureCache(project.folder / "cache").clear()  # nobody is named in it
    project.delete(clips)
    text = f"{counted(len(clips), 'clip')} by “{args.forget}” moved to the project's trash, the feature cache emptied."
    if runs:
        text += f"\nThese learnt from them, and stay: {', '.join(f'run {run.id}' for run in runs)}"
        text += "".join(f"\n  pack of run {pack.run}: {pack.path}" for pack in packs)
        text += "\nTrain again without them, and ask those who have these packs to delete them."
    value = {"deleted": len(clips), "runs": [run.id for run in runs], "packs": [pack.path for pack in packs]}
    print_result(args, value, text)
    return 0


def _forget_untranscribed(args: argparse.Namespace, project: "Project") -> int:
    from lect.engine.runs.guesses import forget_guesses
    from lect.engine.training.features import FeatureCache

    _check_idle(project)
    runs = [run.id for run in project.runs() if forget_guesses(RunFiles(run.folder))]
    if runs:
        FeatureCache(project.folder / "cache").clear()  # frames of it are there, too
    named = ", ".join(f"run {each}" for each in runs)
    text = f"Deleted with the feature cache: the sound of {named}." if runs else "No run keeps such sound."
    print_result(args, {"runs": runs}, text)
    return 0


def _check_idle(project: "Project") -> None:
    """Raises UsageError while a run trains, which would compute again what is to go."""
    from lect.engine.runs.queue import is_training

    if busy := [run.id for run in project.runs() if is_training(run)]:
        raise UsageError(f"Run {busy[0]} is training: stop it first.")
