"""Whether one run is better than another by more than chance, on the clips that both were scored on.

The first run is compared with each of the others; a single run is compared with its bare backbone.
"""

import argparse
from dataclasses import asdict

from app.options import add_project, find_run, open_project
from app.output import percent, print_result, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Runs and split."""
    parser.add_argument("run_ids", nargs="+", metavar="RUN", help="numbers of runs, or latest")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test", help="which scores (test)")
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Reads stored scores; nothing is decoded anew."""
    from app.scores import stored
    from engine.scores import compare

    project = open_project(args)
    runs = [find_run(project, name) for name in args.run_ids]
    scores = {run.id: stored(run.folder, run.id, args.split) for run in runs}
    base, first = scores[runs[0].id]
    others = [(f"run {run.id}", scores[run.id][1]) for run in runs[1:]] or [(f"run {runs[0].id}", first)]
    before = (f"run {runs[0].id}", first) if runs[1:] else ("its backbone", base)
    found = [(name, compare(before[1], after)) for name, after in others]
    rows = [(name, percent(system.cer), percent(system.wer)) for name, system in (before, *others)]
    text = [table(("system", "CER", "WER"), rows, right=(1, 2))]
    text += [f"{name} after {before[0]}: {comparison.verdict}" for name, comparison in found]
    comparisons = [{"before": before[0], "after": name, **asdict(comparison)} for name, comparison in found]
    print_result(args, {"split": args.split, "comparisons": comparisons}, "\n".join(text))
    return 0
