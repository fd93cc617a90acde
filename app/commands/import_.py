"""Takes labelled recordings into a project: a copy of each original, its label, speaker, split and quality.

SOURCE is a folder with metadata.csv (columns file_name, transcription and, if known, speaker_id, language), recordings
with a .txt of the same name beside each, long recordings with an ELAN, FLEx, Praat, subtitle or Audacity file beside
each, a published corpus (Common Voice, LibriSpeech, MLS, LJSpeech, Audio SNIPS), a NeMo manifest, a Kaldi data folder,
or a zip of any of these. What is wrong with one recording is reported, and the others go on; the same command again
takes only what is new.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.data.layouts import LAYOUTS

from ..options import add_project, open_project
from ..output import counted, duration, lines, print_result, progress

if TYPE_CHECKING:
    from lect.engine.data.import_plan import FoundTier, ImportOutcome, ImportRequest
    from lect.engine.data.importers import Progress

SHOWN = 20  # of what was not taken
SHOWN_NAMES = 4  # of clips with the same verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Source, layout, and what of it."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a folder, a zip, a manifest or an annotation file")
    parser.add_argument("--layout", default="auto", help=f"{' '.join(LAYOUTS)} (auto)")
    parser.add_argument(
        "--tier",
        dest="tiers",
        action="append",
        default=[],
        metavar="NAME",
        help="of annotation files, only tiers of this name, type or participant, with * and ?; may be repeated",
    )
    parser.add_argument(
        "--language", default="", metavar="TAG", help="only recordings in this language, or in none stated"
    )
    parser.add_argument("--speaker", default="", help="only this speaker's; recordings that name none become theirs")
    parser.add_argument("--split", choices=("train", "dev", "test"), help="only this split; recordings in none join it")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be taken, what not, and why")
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Imports, or says what an import would do."""
    from lect.engine.data.import_plan import import_set, preview

    project, request = open_project(args), _request(args)
    with progress(args, None, "reading" if args.dry_run else "importing", "clip") as bar:

        def show(at: "Progress") -> None:
            bar.total = at.total
            bar.update(at.done - bar.n)

        outcome = (preview if args.dry_run else import_set)(project, request, show)
    print_result(args, _values(outcome, args.dry_run), _described(outcome, args))
    return int(outcome.failed)


def _request(args: argparse.Namespace) -> "ImportRequest":
    from lect.engine.data.import_plan import ImportRequest

    return ImportRequest(args.source, args.layout, tuple(args.tiers), args.language, args.speaker, args.split or "")


def _values(outcome: "ImportOutcome", dry_run: bool) -> dict[str, Any]:
    """For machines."""
    from lect.engine.data.import_plan import shown_labels

    return {
        "dry_run": dry_run,
        "taken": outcome.clips,
        "seconds": round(outcome.seconds, 2),
        "unusable": outcome.unusable,
        "duplicates": outcome.duplicates,
        "skipped": [{"file": path, "why": why} for path, why in outcome.skipped],
        "warnings": [{"file": path, "what": what} for path, what in outcome.warnings],
        "left": outcome.left,
        "tiers": [asdict(tier) for tier in outcome.tiers],
        "labels": [{"file": path, "label": label} for path, label in shown_labels(outcome)],
    }


def _described(outcome: "ImportOutcome", args: argparse.Namespace) -> str:
    """For people."""
    from lect.engine.data.import_plan import shown_labels

    text = [_tier(tier) for tier in outcome.tiers]
    text += list(lines([f"not taken: {_of(path, why)}" for path, why in outcome.skipped], SHOWN, "not taken"))
    for what in dict.fromkeys(what for _, what in outcome.warnings):
        names = [path.name for path, each in outcome.warnings if each == what]
        text.append(f"mind, {counted(len(names), 'clip')}: {what} {', '.join(lines(names, SHOWN_NAMES))}")
    text += [f"label of {path.name}: “{label}”" for path, label in shown_labels(outcome)]
    would = "would be taken" if args.dry_run else "taken"
    text.append(f"{counted(outcome.clips, 'clip')} {would}, {duration(outcome.seconds)}.")
    if outcome.duplicates:
        number = counted(len(outcome.duplicates), "recording")
        first = f"{outcome.duplicates[0].name}{', …' if len(outcome.duplicates) > 1 else ''}"
        text.append(f"The project has {number} of these already, with the same label: {first}")
    if outcome.left:
        others = ", ".join(lines([path.name for path in outcome.left], SHOWN_NAMES))
        text.append(f"{counted(len(outcome.left), 'other file')} left alone: {others}")
    if not args.dry_run:
        text.append(f"Next: lect check --project {args.project}")
    return "\n".join(text)


def _tier(tier: "FoundTier") -> str:
    length = f"{counted(tier.annotations, 'annotation')}, {duration(tier.seconds)}"
    return f"tier {tier.title}: {length}{'' if tier.chosen else '; left out'}"


def _of(path: Path, sentence: str) -> str:
    return sentence if path.name in sentence else f"{path.name}: {sentence}"
