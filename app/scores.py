"""A run's stored scores as tables and verdicts, and what spoils them. It does not know how they were measured."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import read_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.scoring.comparison import Comparison, compare
from lect.engine.scoring.scores import Scores

from .output import percent, remark, table

if TYPE_CHECKING:
    from lect.engine.data.store import Project

SPLITS = ("dev", "test")
ADVICE = {
    "worse": "Try fewer --max-steps or a lower --learning-rate, and look at the labels with `lect check`.",
    "mixed": "Read the predictions beside the labels before you choose.",
    "unclear": "More recordings, or more --max-steps, may make it clear.",
    "better": "",
}


def stored(folder: Path, run_id: str, split: str) -> tuple[Scores, Scores]:
    """Base and adapted scores of the run in `folder`. Raises UsageError when it was never scored on `split`."""
    files, found = RunFiles(folder), []
    for path in (files.base_scores(split), files.scores(split)):
        if not path.exists():
            raise UsageError(f"Run {run_id} has no scores on {split}: use `lect eval {run_id} --split {split}`.")
        found.append(Scores.from_json(read_json(path)))
    return found[0], found[1]


def has_scores(folder: Path, split: str) -> bool:
    """Whether a run was scored on a split."""
    return RunFiles(folder).scores(split).exists()


def before_after(pairs: dict[str, tuple[Scores, Scores]]) -> str:
    """A table: split -> (base, adapted)."""
    rows = []
    for split, (base, adapted) in pairs.items():
        on = adapted.conditions
        rates = (base.cer, adapted.cer, base.wer, adapted.wer)
        rows.append((split, on.clips, f"{on.seconds:.0f}", on.speakers or "?", *map(percent, rates)))
    headings = ("split", "clips", "seconds", "speakers", "CER before", "CER after", "WER before", "WER after")
    return table(headings, rows, right=range(1, 8))


def figures(base: Scores, adapted: Scores, comparison: Comparison) -> dict[str, Any]:
    """Both systems' rates for machines, with their conditions."""
    return {
        "cer_before": base.cer,
        "cer_after": adapted.cer,
        "wer_before": base.wer,
        "wer_after": adapted.wer,
        "cer_interval": adapted.cer_interval,
        "wer_interval": adapted.wer_interval,
        "clips": adapted.conditions.clips,
        "seconds": round(adapted.conditions.seconds, 2),
        "speakers": adapted.conditions.speakers,
        "normalisation": adapted.normalisation,
        "outcome": comparison.outcome,
        "verdict": comparison.verdict,
        **({"slots": asdict(adapted.slots)} if adapted.slots else {}),
    }


def judged(base: Scores, adapted: Scores) -> tuple[Comparison, str]:
    """Whether adapting helped, and that in a sentence with what to do next."""
    comparison = compare(base, adapted)
    return comparison, f"{comparison.verdict} {ADVICE[comparison.outcome]}".strip()


def warn_of_unknown_symbols(args: argparse.Namespace, project: "Project", run_id: str, split: str) -> None:
    """Says which labels cannot be written, because no training clip has their characters."""
    from lect.engine.runs.preparation import RunData

    data = RunData.open(project, run_id)
    lacking = {symbol for text in data.texts(split) for symbol in data.vocabulary.unknown(text)}
    if lacking:
        symbols = ", ".join(sorted(lacking))
        remark(args, f"Mind: no training clip has {symbols}, so the {split} labels with it cannot come out right.")
