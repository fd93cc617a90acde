"""Measures, prints a table, and writes one JSON file that machines read.

It imports nothing large itself: the peak memory that the system reports for a process is never below that of the one
which started it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lect.app.output import table
from tests import ROOT
from tests.benchmarks.commands import measure_help, measure_transcribe


def main() -> None:
    """Everything, in about five minutes; a minute with --small."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmarks.json", metavar="FILE")
    parser.add_argument("--small", action="store_true", help="leave out the large backbone, and repeat less")
    parser.add_argument("--backbone", default="starter", metavar="NAME", help="what transcribes, with its graphs")
    args = parser.parse_args()
    small = ["--small"] if args.small else []
    with tempfile.TemporaryDirectory(prefix="lect-benchmarks-") as folder:
        material = run("material", folder, args.backbone)
        repeats = 3 if args.small else 7
        results = {
            "machine": {"system": platform.platform(), "processors": os.cpu_count(), "load": os.getloadavg()},
            "help": measure_help(repeats),
            "transcribe": measure_transcribe(material, repeats),
            "training": run("training", folder, *small),
        }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(report(results))
    print(f"All figures: {args.out}")


def run(module: str, *arguments: str) -> dict[str, Any]:
    """What a measuring process of its own reports; OpenMP is set as `lect` sets it."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def report(results: dict[str, Any]) -> str:
    """The figures beside what was promised."""
    transcribe = results["transcribe"]
    rows = [
        ("lect --help", f"{results['help']['seconds']:.2f} s", "< 0.3 s"),
        (f"lect transcribe, 10 s, cold ({transcribe['backbone']})", f"{transcribe['seconds']:.2f} s", "< 1 s"),
        ("  its peak memory", f"{transcribe['peak_bytes'] / 1e6:.0f} MB", "< 300 MB"),
        ("  it imports torch", "yes" if transcribe["imports_torch"] else "no", "no"),
        ("  real-time factor, loaded", f"{transcribe['real_time_factor']:.3f}", ""),
    ]
    for name, shape in results["training"].items():
        rows.append((f"training {name}: {shape['batch']} x 10 s a step, {shape['precision']}", "CPU seconds", ""))
        rows += [(f"  {each}", f"{seconds:.2f}", "") for each, seconds in shape["cpu_seconds_per_step"].items()]
        rows.append(("  filling the cache, a batch once", f"{shape['cpu_seconds_filling_a_batch']:.2f}", ""))
        for ratio, value in shape["ratios"].items():
            rows.append((f"  {ratio}", f"{value:.1f} x", shape["promised"].get(ratio, "")))
    return table(("what", "measured", "promised"), rows, right=(1,))


if __name__ == "__main__":
    main()
