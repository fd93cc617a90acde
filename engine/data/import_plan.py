"""What a person asks of an import, what would become of it, and what became of it.

`preview` decodes and measures as `import_set` does, and writes nothing. Does not know how a recording becomes a clip
(`importers`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..audio.quality import Quality, usable
from ..contract.errors import AudioError, LectError
from ..text.rules import TextRules, nfc
from .archives import naming, unpacked
from .importers import Candidate, ImportReport, Progress, candidates, import_into, warnings_of
from .layouts import Item, Tier, choose, described, left_over, listed, tiers_of
from .leftovers import remove_leftovers
from .store import Project

SHOWN_LABELS = 5  # in a preview
LABEL_LETTERS = 90  # shown of a label


@dataclass(frozen=True)
class ImportRequest:
    """A labelled set, and what of it."""

    source: Path  # a folder, a zip, a manifest or an annotation file
    layout: str = "auto"  # a name in `LAYOUTS`, or "auto"
    tiers: tuple[str, ...] = ()  # of annotation files: see `layouts.choose`
    language: str = ""  # only recordings in it or in none stated; "": in any
    speaker: str = ""  # of recordings that name none, without the other speakers'; "": any
    split: str = ""  # of recordings that state none, without those of other splits; "": any
    shown: str = ""  # what to call the source in errors, where it is a temporary folder
    others: bool = False  # take recordings of other speakers and splits too

    def selects(self, item: Item) -> bool:
        """Whether what a layout lists is asked for."""
        wanted = [(self.language, item.language)]
        wanted += [] if self.others else [(self.speaker, item.speaker), (self.split, item.split)]
        return all(not choice or value in ("", choice) for choice, value in wanted)


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


@dataclass
class ImportOutcome:
    """What became, or would become, of a set."""

    clips: int = 0  # taken
    seconds: float = 0.0  # of them
    duplicates: list[Path] = field(default_factory=list)  # the project has that sound, with that label
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # (file, why) of what was not taken
    warnings: list[tuple[Path, str]] = field(default_factory=list)  # (file, what) of clips taken all the same
    left: list[Path] = field(default_factory=list)  # other files of the folder, in which there is nothing to take
    unusable: int = 0  # taken, but of no use to a training
    tiers: list[FoundTier] = field(default_factory=list)  # of annotation files; only of a preview
    labels: list[tuple[Path, str]] = field(default_factory=list, compare=False)  # would be taken; only of a preview

    @property
    def failed(self) -> bool:
        """Whether a file was no good."""
        return bool(self.skipped or self.unusable)


def shown_labels(outcome: ImportOutcome, most: int = SHOWN_LABELS) -> list[tuple[Path, str]]:
    """A few of the labels that would be taken, from all over the set: a person sees at once what is none."""
    count = len(outcome.labels)
    chosen = range(count) if count <= most else (round(n * (count - 1) / (most - 1)) for n in range(most))
    return [(path, _cut(label)) for path, label in map(outcome.labels.__getitem__, chosen)]


def import_set(
    project: Project, request: ImportRequest, progress: Callable[[Progress], None] = lambda progress: None
) -> ImportOutcome:
    """Takes the set in, and gives its clips the speaker and split that it leaves open. Errors as `import_into`."""
    remove_leftovers(project)
    with _opened(project, request) as asked:
        report = import_into(
            project, asked.source, asked.layout, tiers=asked.tiers, select=asked.selects, progress=progress
        )
    _complete(project, request, report)
    new = set(report.taken)
    clips = [clip for clip in project.clips() if clip.id in new]
    seconds, unusable = sum(clip.seconds for clip in clips), sum(not usable(clip.quality) for clip in clips)
    same = report.duplicates, report.skipped, report.warnings, report.left
    return ImportOutcome(len(clips), seconds, *same, unusable)


def preview(
    project: Project, request: ImportRequest, progress: Callable[[Progress], None] = lambda progress: None
) -> ImportOutcome:
    """What `import_set` would do. Raises what `layouts.read` raises."""
    rules = project.rules
    known = {clip.sha256: (clip.text, False) for clip in project.clips()}
    known |= {clip.sha256: (clip.text, True) for clip in project.trash()}
    with _opened(project, request) as asked:
        everything = list(listed(asked.source, asked.layout))
        items = [item for item in choose(everything, asked.tiers) if asked.selects(item)]
        left = left_over(asked.source, everything)
        outcome = ImportOutcome(left=left, tiers=_found_tiers(everything, {item.tier for item in items}))
        for done, (item, found) in enumerate(candidates(items), start=1):
            try:
                _enter(outcome, item, _measured(item, found, known), rules)
            except LectError as error:
                outcome.skipped.append((item.place, str(error)))
            progress(Progress(done, len(items), outcome.clips))
    return outcome


def found_tiers(project: Project, request: ImportRequest) -> list[FoundTier]:
    """The tiers of a set's annotation files, none of them chosen yet. Raises what `layouts.read` raises."""
    with _opened(project, request) as asked:
        return _found_tiers(list(listed(asked.source, asked.layout)), set())


@contextmanager
def _opened(project: Project, request: ImportRequest) -> Iterator[ImportRequest]:
    hidden = [request.source] if request.shown else []
    with naming(request.shown, *hidden), unpacked(request.source, project.folder / "cache") as source:
        yield replace(request, source=source)


def _complete(project: Project, request: ImportRequest, report: ImportReport) -> None:
    if not (request.speaker or request.split):
        return
    # An import that was cut off before this finds its clips as duplicates when it is run again.
    ids = {*report.taken, *report.repeated}
    clips = [clip for clip in project.clips() if clip.id in ids]
    if request.speaker:
        project.set_speaker([clip.id for clip in clips if not clip.speaker], request.speaker)
    if request.split:
        project.set_split([clip.id for clip in clips if not clip.split], request.split)


def _found_tiers(items: Sequence[Item], chosen: set[Tier | None]) -> list[FoundTier]:
    return [
        FoundTier(described(tier), tier.name, tier.kind, tier.participant, count, round(seconds, 2), tier in chosen)
        for tier, count, seconds in tiers_of(items)
    ]


def _cut(label: str) -> str:
    return label if len(label) <= LABEL_LETTERS else f"{label[: LABEL_LETTERS - 1]}…"


def _enter(outcome: ImportOutcome, item: Item, quality: Quality | None, rules: TextRules) -> None:
    """Counts an item that would be taken; quality: None for a duplicate."""
    if quality is None:
        outcome.duplicates.append(item.place)
        return
    outcome.clips += 1
    outcome.labels.append((item.place, " ".join((item.text or "").split())))
    outcome.seconds += quality.seconds
    outcome.unusable += not usable(quality)
    outcome.warnings += [(item.place, each) for each in warnings_of(item, quality, rules)]


def _measured(item: Item, found: Candidate | LectError, known: dict[str, tuple[str, bool]]) -> Quality | None:
    """The quality of what an import would take; None for a duplicate. Raises LectError for what it would skip.

    known: hash -> (label, whether in the trash) of what the project has by then; this item is added.
    """
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
