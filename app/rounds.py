"""The rounds of a project: how a lect's error rate falls from one training to the next, on the same test clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lect.engine.contract.run_files import RunFiles
from lect.engine.scoring.scores import Row

from .scores import has_scores, stored

if TYPE_CHECKING:
    from lect.engine.data.store import Project

SHARED = 0.5  # of the latest run's test clips, that a run must have been scored on to be compared with it


@dataclass(frozen=True)
class Round:
    """One training, or none."""

    run: str  # "": before any training
    learnt: int  # clips that it learnt from
    cer: float


@dataclass(frozen=True)
class Rounds:
    """Rounds that can be compared."""

    clips: int  # of test that all of them were scored on
    rounds: tuple[Round, ...]  # before any training, then the runs, oldest first


def rounds(project: "Project") -> Rounds | None:
    """The runs up to the latest that was scored on test, as far back as their test clips are its; None without one."""
    scored = [run for run in project.runs() if has_scores(run.folder, "test")]
    if not scored:
        return None
    found = {run.id: stored(run.folder, run.id, "test") for run in scored}
    latest = ids = {row.id for row in found[scored[-1].id][1].rows}
    compared = list[str]()
    for run in reversed(scored):
        shared = ids & {row.id for row in found[run.id][1].rows}
        if len(shared) < SHARED * len(latest):
            break
        ids = shared
        compared.insert(0, run.id)
    base = Round("", 0, _rate(found[compared[0]][0].rows, ids))
    learnt = {run.id: len(RunFiles(run.folder).clip_hashes()["train"]) for run in scored}
    return Rounds(len(ids), (base, *(Round(run, learnt[run], _rate(found[run][1].rows, ids)) for run in compared)))


def _rate(rows: Sequence[Row], ids: set[str]) -> float:
    counted = [row.characters for row in rows if row.id in ids]
    return sum(each.errors for each in counted) / max(1, sum(each.length for each in counted))
