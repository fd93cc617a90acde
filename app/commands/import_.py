"""Takes labelled recordings into a project: a copy of each original, its label, speaker, split and quality.

SOURCE is a folder with metadata.csv (columns file_name, transcription and, if known, speaker_id, language), recordings
with a .txt of the same name beside each, long recordings with an ELAN, Praat, subtitle or Audacity file beside each, a
published corpus (Common Voice, LibriSpeech, MLS, LJSpeech, Audio SNIPS), a NeMo manifest, a Kaldi data folder, or a zip
of any of these. What is wrong with one recording is said, and the others go on; the same command again takes only what
is new.
"""

import argparse
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.app.options import add_project, open_project
from lect.app.output import counted, duration, lines, print_result, progress

if TYPE_CHECKING:
    from lect.engine.audio.quality import Quality
    from lect.engine.contract.errors import LectError
    from lect.engine.data.importers import Candidate, ImportReport
    from lect.engine.data.layouts import Item, Tier
    from lect.engine.data.store import Project

LAYOUTS = "audiofolder common-voice pairs librispeech mls ljspeech snips nemo kaldi elan textgrid subtitles audacity"
SHOWN = 20  # of what was not taken
SHOWN_NAMES = 4  # of clips with the same verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Source, layout, and what of it."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a folder, a zip, a manifest or an annotation file")
    parser.add_argument("--layout", default="auto", help=f"{LAYOUTS} (auto)")
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
    from lect.engine.data.archives import unpacked

    project = open_project(args)
    with unpacked(args.source, project.folder / "cache") as args.source:
        outcome = (_rehearse if args.dry_run else _import)(args, project)
    print_result(args, outcome.to_json(args.dry_run), outcome.describe(args))
    return int(outcome.failed)


@dataclass(frozen=True)
class FoundTier:
    """A tier of the annotation files of a set."""

    title: str  # name, type and participant, for people
    name: str
    kind: str  # ELAN's linguistic type
    participant: str
    annotations: int
    seconds: float
    chosen: bool

    def describe(self) -> str:
        """For people."""
        length = f"{counted(self.annotations, 'annotation')}, {duration(self.seconds)}"
        return f"tier {self.title}: {length}{'' if self.chosen else '; left out'}"


@dataclass
class Outcome:
    """What became, or would become, of a set."""

    clips: int = 0  # taken
    seconds: float = 0.0  # of them
    duplicates: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    warnings: list[tuple[Path, str]] = field(default_factory=list)
    unusable: int = 0  # taken, but of no use to a training
    tiers: list[FoundTier] = field(default_factory=list)  # of annotation files; only in a dry run

    @property
    def failed(self) -> bool:
        """Whether a file was no good."""
        return bool(self.skipped or self.unusable)

    def to_json(self, dry_run: bool) -> dict[str, Any]:
        """For machines."""
        return {
            "dry_run": dry_run,
            "taken": self.clips,
            "seconds": round(self.seconds, 2),
            "unusable": self.unusable,
            "duplicates": self.duplicates,
            "skipped": [{"file": path, "why": why} for path, why in self.skipped],
            "warnings": [{"file": path, "what": what} for path, what in self.warnings],
            "tiers": [asdict(tier) for tier in self.tiers],
        }

    def describe(self, args: argparse.Namespace) -> str:
        """For people."""
        text = [tier.describe() for tier in self.tiers]
        text += list(lines([f"not taken: {_told(path, why)}" for path, why in self.skipped], SHOWN, "not taken"))
        for what in dict.fromkeys(what for _, what in self.warnings):
            names = [path.name for path, each in self.warnings if each == what]
            text.append(f"mind, {counted(len(names), 'clip')}: {what} {', '.join(lines(names, SHOWN_NAMES))}")
        would = "would be taken" if args.dry_run else "taken"
        text.append(f"{counted(self.clips, 'clip')} {would}, {duration(self.seconds)}.")
        if self.duplicates:
            what = (
                f"The project has {counted(len(self.duplicates), 'recording')} of these already, with the same label:"
            )
            text.append(f"{what} {self.duplicates[0].name}{', …' if len(self.duplicates) > 1 else ''}")
        if not args.dry_run:
            text.append(f"Next: lect check --project {args.project}")
        return "\n".join(text)


def _told(path: Path, sentence: str) -> str:
    return sentence if path.name in sentence else f"{path.name}: {sentence}"


def _selects(args: argparse.Namespace, item: "Item") -> bool:
    wanted = ((args.language, item.language), (args.speaker, item.speaker), (args.split, item.split))
    return all(not choice or value in ("", choice) for choice, value in wanted)


def _import(args: argparse.Namespace, project: "Project") -> Outcome:
    from lect.engine.audio.quality import usable
    from lect.engine.data.importers import Progress, import_into

    with progress(args, None, "importing", "clip") as bar:

        def show(at: Progress) -> None:
            bar.total = at.total
            bar.update(at.done - bar.n)

        report = import_into(
            project, args.source, args.layout, tiers=args.tiers, select=lambda i: _selects(args, i), progress=show
        )
    _complete(args, project, report)
    new = set(report.taken)
    clips = [clip for clip in project.clips() if clip.id in new]
    seconds, unusable = sum(clip.seconds for clip in clips), sum(not usable(clip.quality) for clip in clips)
    return Outcome(len(clips), seconds, report.duplicates, report.skipped, report.warnings, unusable)


def _complete(args: argparse.Namespace, project: "Project", report: "ImportReport") -> None:
    """Gives the set's clips the speaker and split that it does not state."""
    if not (args.speaker or args.split):
        return
    # An import that was cut off before this finds its clips as duplicates when it is run again.
    ids = {*report.taken, *report.repeated}
    clips = [clip for clip in project.clips() if clip.id in ids]
    if args.speaker:
        project.set_speaker([clip.id for clip in clips if not clip.speaker], args.speaker)
    if args.split:
        project.set_split([clip.id for clip in clips if not clip.split], args.split)


def _rehearse(args: argparse.Namespace, project: "Project") -> Outcome:
    from lect.engine.audio.quality import usable
    from lect.engine.contract.errors import LectError
    from lect.engine.data.importers import candidates
    from lect.engine.data.layouts import choose, listed

    known = {clip.sha256: (clip.text, False) for clip in project.clips()}
    known |= {clip.sha256: (clip.text, True) for clip in project.trash()}
    everything = list(listed(args.source, args.layout))
    items = [item for item in choose(everything, args.tiers) if _selects(args, item)]
    outcome = Outcome(tiers=_found_tiers(everything, {item.tier for item in items}))
    with progress(args, len(items), "reading", "clip") as bar:
        for item, found in candidates(items):
            try:
                if (quality := _look(item, found, known)) is None:
                    outcome.duplicates.append(item.place)
                else:
                    outcome.clips += 1
                    outcome.seconds += quality.seconds
                    outcome.unusable += not usable(quality)
                    if quality.verdict != "good":
                        outcome.warnings.append((item.place, f"The recording is {quality.verdict}."))
            except LectError as error:
                outcome.skipped.append((item.place, str(error)))
            bar.update()
    return outcome


def _found_tiers(items: "list[Item]", chosen: "set[Tier | None]") -> list[FoundTier]:
    from lect.engine.data.layouts import described, tiers_of

    return [
        FoundTier(described(tier), tier.name, tier.kind, tier.participant, count, round(seconds, 2), tier in chosen)
        for tier, count, seconds in tiers_of(items)
    ]


def _look(item: "Item", found: "Candidate | LectError", known: dict[str, tuple[str, bool]]) -> "Quality | None":
    """The quality of what an import would take; None for a duplicate. Raises LectError for what it would skip.

    known: hash -> (label, whether in the trash) of what the project has by then; this item is added.
    """
    from lect.engine.contract.errors import AudioError, LectError
    from lect.engine.text.rules import nfc

    if isinstance(found, LectError):
        raise found
    label = nfc(item.text or "").strip()
    kept, in_trash = known.get(found.sha256, ("", False))
    if in_trash:
        raise AudioError("It was deleted from this project: restore it instead.")
    if found.sha256 in known and nfc(kept).strip() != label:
        raise AudioError(f"Two labels for one recording: “{kept}” stays, “{label}” is left out.")
    if found.sha256 in known:
        return None
    quality = found.take().quality
    known[found.sha256] = (label, False)
    return quality
