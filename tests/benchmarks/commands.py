"""Whole processes of `lect`, from nothing to their end: seconds on the clock, and the most memory they held."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests import ROOT

PEAK_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
LOADED = "import sys; from lect.app.cli import main; main(sys.argv[1:]); print('torch' in sys.modules, file=sys.stderr)"


@dataclass(frozen=True)
class Process:
    """One run of a command."""

    seconds: float  # wall
    peak_bytes: int  # resident
    out: str


def measured(*arguments: str) -> Process:
    """Runs `lect` with these arguments. Raises RuntimeError when it fails."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "lect", *arguments], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        out = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)  # this child's own figures, not the largest child's
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"lect {' '.join(arguments)} failed")
    return Process(seconds, usage.ru_maxrss * PEAK_UNIT_BYTES, out)


def measure_help(repeats: int) -> dict[str, Any]:
    """`lect --help`; the median, after one run that fills the system's file cache."""
    measured("--help")
    runs = [measured("--help") for _ in range(repeats)]
    return {"seconds": median(run.seconds for run in runs), "repeats": repeats}


def measure_transcribe(material: dict[str, Any], repeats: int) -> dict[str, Any]:
    """`lect transcribe` of one clip, with the pack and the backbone that `material` names."""
    arguments = ["transcribe", material["clip"], "--pack", material["pack"], "--backbone", material["folder"], "--json"]
    measured(*arguments)
    runs = [measured(*arguments) for _ in range(repeats)]
    (result,) = json.loads(runs[-1].out)["files"]
    loaded = subprocess.run([sys.executable, "-c", LOADED, *arguments], cwd=ROOT, capture_output=True, check=True)
    return {
        "seconds": median(run.seconds for run in runs),
        "slowest_seconds": max(run.seconds for run in runs),
        "peak_bytes": max(run.peak_bytes for run in runs),
        "imports_torch": loaded.stderr.decode().split()[-1] == "True",
        "real_time_factor": median(json.loads(run.out)["files"][0]["real_time_factor"] for run in runs),
        "clip_seconds": result["seconds"],
        "characters": len(result["text"]),
        "backbone": material["backbone"],
        "repeats": repeats,
    }
