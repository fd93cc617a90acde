"""Experiments: a table is made of cells, each of which is one training of one system on one set, scored.

A cell is a run of the project that holds the set, and is named by the hash of all that decides its result: what an
interrupted table has is found again, and tables share cells. It does not know how a training works, nor how a
table looks (`report`).
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import Any

from safetensors import safe_open

from ..contract.adaptation_spec import AdaptationSpec
from ..contract.errors import TrainError
from ..contract.events import Started
from ..contract.files import read_json, sha256_file
from ..contract.run_files import RunFiles
from ..contract.run_request import RunRequest
from ..contract.tensor_names import VOCABULARY
from ..data.clips import SPLITS, Run
from ..data.store import Project
from ..model.adaptations import NewVocabulary, make_adaptation
from ..model.backbone import Backbone, open_backbone
from ..model.network import EncoderDecoder
from ..runs.preparation import checked, create_run
from ..scoring.comparison import Comparison, compare
from ..scoring.scores import Scores, joined, pooled

NAME_DIGITS = 12
CELL = "cell"  # the fact of a run that holds its cell's name
# What the number of a method's trainable parameters grows with.
SIZES = {"prompt": "num_virtual_tokens", "adapter": "rank", "lora": "rank"}


@dataclass(frozen=True)
class Data:
    """A labelled set, split, in a project of its own."""

    name: str
    project: Project
    sha256: str  # of its sounds, labels, splits and text rules
    resplit: int | None = None  # the seed by which it is split anew; None: the set's own split

    @classmethod
    def of(cls, name: str, project: Project, resplit: int | None = None) -> "Data":
        """The set that a project holds; what has no split yet gets one. Raises TrainError when a split is empty."""
        if resplit is not None:
            project.assign_splits(resplit, reassign=True)
        clips = project.clips(usable_only=True)
        if {clip.split for clip in clips} != {*SPLITS}:
            project.assign_splits()
            clips = project.clips(usable_only=True)
        if missing := [split for split in SPLITS if not any(clip.split == split for clip in clips)]:
            raise TrainError(f"The set {name} has no {missing[0]} clips: give it some, or no splits at all.")
        facts = [[clip.sha256, clip.text, clip.speaker, clip.split] for clip in clips if clip.split]
        return cls(name, project, _sha256([project.rules.to_json(), sorted(facts)]), resplit)


@dataclass(frozen=True)
class Cell:
    """One training of a table."""

    data: Data
    system: str  # as a person wrote it
    request: RunRequest

    @property
    def name(self) -> str:
        """The hash of the set, the backbone's weights, further texts and every setting."""
        backbone, texts = open_backbone(self.request.backbone).sha256, self.request.texts
        given = [sha256_file(Path(texts))] if texts else []
        return _sha256([self.data.sha256, backbone, checked(self.request).to_json(), *given])[:NAME_DIGITS]

    def find(self) -> Run | None:
        """Its run, if it was ever started."""
        name, runs = self.name, self.data.project.runs()
        return next((run for run in reversed(runs) if run.facts.get(CELL) == name), None)

    def run(self) -> Run:
        """Its run, made if there is none. Raises what `create_run` raises."""
        if (found := self.find()) is None:
            if self.data.resplit is not None:  # another cell may have split it otherwise since
                self.data.project.assign_splits(self.data.resplit, reassign=True)
            run_id = create_run(self.data.project, self.request)
            self.data.project.update_run(run_id, **{CELL: self.name})
            found = self.data.project.run(run_id)
        return found


def finished(run: Run | None) -> bool:
    """Whether a run has come to its own end, and nobody ended it."""
    return run is not None and run.status == "done" and not RunFiles(run.folder).stop.exists()


@dataclass(frozen=True)
class Row:
    """One system on one set, over all its seeds."""

    data: str
    system: str
    asked_minutes: float  # 0: all
    minutes: float  # of speech it learnt from, mean over seeds, and how many clips
    clips: int
    trained: int  # trainable parameters
    vocabulary: int  # of them, those of a new vocabulary
    seeds: tuple[int, ...]
    cells: tuple[str, ...]
    base: Scores  # the bare backbone, on test
    dev: Scores  # of the step that was kept
    test: Scores
    test_cers: tuple[float, ...]  # of each seed
    against: Comparison | None  # the set's first system before, this one after, once both have the same seeds
    seconds: float  # of training, mean over seeds


def rows(cells: Iterable[Cell]) -> list[Row]:
    """The finished cells as rows, in the order of the cells."""
    found, first = list[Row](), dict[tuple[str, float], Row]()
    for _, group in groupby(cells, key=lambda cell: (cell.data.name, cell.request.minutes, cell.system)):
        done = [(cell, run) for cell in group if (run := cell.find()) and finished(run)]
        if done:
            row = _row(*zip(*done, strict=True))
            reference = first.setdefault((row.data, row.asked_minutes), row)
            comparable = row is not reference and row.seeds == reference.seeds
            found.append(replace(row, against=compare(reference.test, row.test)) if comparable else row)
    return found


def _row(cells: Sequence[Cell], runs: Sequence[Run]) -> Row:
    files = [RunFiles(run.folder) for run in runs]
    starts = [next(event for event, _ in each.read_events() if isinstance(event, Started)) for each in files]
    together = pooled if len({cell.data.sha256 for cell in cells}) == 1 else joined

    def read(paths: Sequence[Path]) -> list[Scores]:
        return [Scores.from_json(read_json(path)) for path in paths]

    tests = read([each.scores("test") for each in files])
    return Row(
        data=cells[0].data.name,
        system=cells[0].system,
        asked_minutes=cells[0].request.minutes,
        minutes=mean(start.train_seconds for start in starts) / 60,
        clips=round(mean(start.train_clips for start in starts)),
        trained=starts[0].trained_parameters,
        vocabulary=_vocabulary_parameters(files[0].best),
        seeds=tuple(cell.request.settings.seed for cell in cells),
        cells=tuple(cell.name for cell in cells),
        base=together(read([each.base_scores("test") for each in files])),
        dev=together(read([each.scores("dev") for each in files])),
        test=together(tests),
        test_cers=tuple(scores.cer for scores in tests),
        against=None,
        seconds=mean(run.facts["seconds"] for run in runs),
    )


def sized_alike(requests: Sequence[RunRequest]) -> list[RunRequest]:
    """Prompts, adapters and updates in the size that has about as many trainable parameters as the first request.

    A new vocabulary, which all of them learn, does not count. Other methods have no size, and stay as they are.
    """
    model = EncoderDecoder((backbone := open_backbone(requests[0].backbone)).config)
    aim = trainable_parameters(requests[0].settings.spec, model, backbone)
    return [requests[0], *(_sized(request, aim, model, backbone) for request in requests[1:])]


def _sized(request: RunRequest, aim: int, model: EncoderDecoder, backbone: Backbone) -> RunRequest:
    spec = request.settings.spec
    if spec.method not in SIZES or spec.full_rank:  # whole matrices learn, of whichever rank they are kept
        return request
    one, two = (trainable_parameters(_of_size(spec, size), model, backbone) for size in (1, 2))
    size = max(1, math.floor((aim - one) / (two - one) + 1.5))  # the nearest
    return replace(request, settings=replace(request.settings, spec=_of_size(spec, size)))


def _of_size(spec: AdaptationSpec, size: int) -> AdaptationSpec:
    change: dict[str, Any] = {SIZES[spec.method]: size}
    return replace(spec, **change)


def trainable_parameters(spec: AdaptationSpec, model: EncoderDecoder, backbone: Backbone) -> int:
    """The trainable parameters, besides a new vocabulary."""
    adaptation = make_adaptation(spec, model.requires_grad_(False), backbone.vocabulary, backbone.vocabulary, {})
    vocabulary = [part for part in adaptation.parts if isinstance(part, NewVocabulary)]
    beside = sum(parameter.numel() for part in vocabulary for parameter in part.parameters())
    return adaptation.trained_parameters() - beside


def _vocabulary_parameters(path: Path) -> int:
    with safe_open(path, framework="numpy") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    return sum(math.prod(shape) for name, shape in shapes.items() if name in VOCABULARY)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
