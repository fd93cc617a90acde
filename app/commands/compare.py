"""Which of several runs is best on the clips that all were scored on, by how much, and whether that may be chance.

The run with the lowest CER is compared with each of the others; a single run is compared with its bare backbone. Each
95 % interval is of one difference, by a bootstrap over the same utterances. Methods as such compare only where they
have about as many trainable parameters.
"""

import argparse
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lect.engine.contract.events import Started
from lect.engine.contract.run_files import RunFiles

from ..options import add_project, find_run, open_project
from ..output import percent, print_result, table

if TYPE_CHECKING:
    from lect.engine.data.clips import Run
    from lect.engine.scoring.bootstrap import Interval
    from lect.engine.scoring.comparison import Comparison
    from lect.engine.scoring.scores import Scores

ALIKE = 1.05  # the most trainable parameters over the fewest, of runs of one size


@dataclass(frozen=True)
class System:
    """What is compared."""

    name: str
    learnt: str  # the method, and where it is placed
    trained: int  # trainable parameters
    scores: "Scores"

    @property
    def label(self) -> str:
        """Its name with its method."""
        return f"{self.name} ({self.learnt.split()[0]})" if self.learnt else self.name

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        own = ("wer", "cer", "wer_interval", "cer_interval")
        rates = {name: getattr(self.scores, name) for name in own}
        slots = {"slots": asdict(self.scores.slots)} if self.scores.slots else {}
        return {"system": self.name, "learnt": self.learnt, "trained_parameters": self.trained, **rates, **slots}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Runs and split."""
    parser.add_argument("run_ids", nargs="+", metavar="RUN", help="numbers of runs, or latest")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test", help="which scores (test)")
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Reads stored scores; nothing is decoded anew."""
    from lect.engine.scoring.comparison import compare

    from ..scores import stored

    project = open_project(args)
    runs = [find_run(project, name) for name in args.run_ids]
    scores = {run.id: stored(run.folder, run.id, args.split) for run in runs}
    systems = [_system(run, scores[run.id][1]) for run in runs]
    if len(systems) == 1:
        systems.insert(0, System("its backbone", "", 0, scores[runs[0].id][0]))
        best = systems[1]
    else:
        best = min(systems, key=lambda system: system.scores.cer)
    others = [system for system in systems if system is not best]
    found = [(other, compare(other.scores, best.scores)) for other in others]
    winner = best.name if all(comparison.outcome == "better" for _, comparison in found) else None
    text = [_table(systems), *([_headline(best, found)] if runs[1:] else [])]
    text += [_against(best, other, comparison) for other, comparison in found]
    text += _fairness([system for system in systems if system.learnt])
    comparisons = [{"before": other.name, "after": best.name, **asdict(comparison)} for other, comparison in found]
    value = {"split": args.split, "systems": [system.to_json() for system in systems], "best": best.name}
    print_result(args, value | {"winner": winner, "comparisons": comparisons}, "\n".join(text))
    return 0


def _system(run: "Run", scores: "Scores") -> System:
    events = RunFiles(run.folder).read_events()
    start = next(event for event, _ in events if isinstance(event, Started))
    spec = start.settings["spec"]
    where = "" if spec["method"] in ("vocabulary", "finetune", "scratch") else f" {spec['placement']}"
    return System(f"run {run.id}", spec["method"] + where, start.trained_parameters, scores)


def _table(systems: list[System]) -> str:
    slots = any(system.scores.slots for system in systems)
    rows = [
        (
            system.name,
            system.learnt,
            f"{system.trained:,}" if system.trained else "",
            _with_interval(system.scores.cer, system.scores.cer_interval),
            _with_interval(system.scores.wer, system.scores.wer_interval),
            *([percent(system.scores.slots.edit_f1_full)] if system.scores.slots else []),
        )
        for system in systems
    ]
    headings = ["system", "method", "parameters", "CER [95%]", "WER [95%]", *(["slot edit F1"] if slots else [])]
    return table(headings, rows, right=range(2, len(headings)))


def _with_interval(rate: float, interval: "Interval | None") -> str:
    return percent(rate) + (f" [{percent(interval[0])}, {percent(interval[1])}]" if interval else "")


def _headline(best: System, found: "list[tuple[System, Comparison]]") -> str:
    rivals = [other.label for other, comparison in found if comparison.outcome != "better"]
    if rivals:
        return f"No clear winner: {best.label} has the lowest CER, but {', '.join(rivals)} may be as good."
    return f"The winner is {best.label}, by more than chance."


def _against(best: System, other: System, comparison: "Comparison") -> str:
    from lect.engine.scoring.comparison import OUTCOMES

    changes = (
        _change("CER", comparison.cer_difference, comparison.cer_interval),
        _change("WER", comparison.wer_difference, comparison.wer_interval),
    )
    return f"{best.label} against {other.label}: {', '.join(changes)}. {OUTCOMES[comparison.outcome]}."


def _change(name: str, difference: float, interval: "Interval | None") -> str:
    span = f" [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]" if interval else " (too little for an interval)"
    return f"{name} {100 * difference:+.1f} points{span}"


def _fairness(learning: list[System]) -> list[str]:
    """Whether the methods were given as much to learn with."""
    numbers = [system.trained for system in learning]
    if len(learning) < 2 or max(numbers) <= ALIKE * min(numbers):
        return []
    return [
        f"Mind: {min(numbers):,} to {max(numbers):,} trainable parameters, so this compares these runs and not their "
        "methods: choose --num-virtual-tokens or --rank so that they have equally many."
    ]
