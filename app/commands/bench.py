"""How fast a pack is on this machine: cold start, real-time factor and peak memory, each run in a fresh process.

The sound is clips of the sample set, or --input. Cold start: from the start of the process to the text of its first
seconds. Real-time factor: seconds of work a second of sound after that, file by file. Whatever else runs at the same
time slows it.
"""

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS

from ..measuring import measured
from ..options import positive
from ..output import counted, duration, print_result, progress, size, table
from ..runtimes import add_packs, add_runtime

SAMPLE_CLIPS = 40
MEASURED = ("open_s", "cold_start_s", "real_time_factor", "peak_memory_bytes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pack, sound, and how often."""
    add_packs(parser)
    parser.add_argument("--input", type=Path, metavar="FILE", help="a recording (clips of the sample set)")
    parser.add_argument("--runs", type=positive, default=3, metavar="N", help="processes; their median counts (3)")
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    """Measures, and shows the median of each figure with the least and the most."""
    if args.input and not args.input.is_file():
        raise UsageError(f"There is no recording {args.input}: check the path of --input.")
    files = [args.input] if args.input else sorted((ASSETS / "sample" / "audio").iterdir())[:SAMPLE_CLIPS]
    runs = list[dict[str, Any]]()
    with progress(args, args.runs, "measuring", "run") as bar:
        for _ in range(args.runs):
            runs.append(_in_a_process(args, files))
            bar.update()
    shared = {name: value for name, value in runs[0].items() if name not in MEASURED}
    figures = {name: sorted(run[name] for run in runs) for name in MEASURED if runs[0][name] is not None}
    facts = {**shared, "threads": args.threads, "cores": os.cpu_count(), "runs": args.runs}
    value = {**facts, **{name: median(values) for name, values in figures.items()}, "all": figures}
    print_result(args, value, f"{_conditions(facts)}\n{_table(figures)}")
    return 0


def _in_a_process(args: argparse.Namespace, files: list[Path]) -> dict[str, Any]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(measured, args, files, time.time()).result()


def _conditions(facts: dict[str, Any]) -> str:
    threads = counted(facts["threads"], "thread") if facts["threads"] else "as many threads as cores"
    return (
        f"{duration(facts['seconds_of_sound'])} of sound, {facts['compute_type']} on {facts['device']}, "
        f"{facts['cores']} cores, {threads}, {facts['runs']} runs:"
    )


def _table(figures: dict[str, list[float]]) -> str:
    names = {
        "open_s": ("opened after", lambda value: f"{value:.2f} s"),
        "cold_start_s": ("cold start", lambda value: f"{value:.2f} s"),
        "real_time_factor": ("real-time factor", lambda value: f"{value:.4f}"),
        "peak_memory_bytes": ("peak memory", size),
    }
    rows = []
    for name, values in figures.items():
        shown, form = names[name]
        rows.append((shown, *map(form, (median(values), values[0], values[-1]))))
    return table(("", "median", "least", "most"), rows, right=(1, 2, 3))
