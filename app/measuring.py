"""What `lect bench` measures, in a process that has done nothing before."""

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any

from .runtimes import open_runtime

FIRST_S = 5  # of a recording, which the cold start writes


def measured(args: argparse.Namespace, files: list[Path], started: float) -> dict[str, Any]:
    """Figures of one process: seconds, rates and bytes; started: `time.time()` before it was. Raises LectError."""
    from lect.engine.audio.reading import SAMPLE_RATE, stream

    runtime = open_runtime(args)
    opened = time.time()
    runtime.transcribe_batch([next(iter(stream(files[0])))[: FIRST_S * SAMPLE_RATE]])
    first = time.time()
    seconds = sum(runtime.transcribe(file).seconds for file in files)
    return {
        "device": runtime.device,
        "compute_type": runtime.compute_type,
        "seconds_of_sound": seconds,
        "open_s": opened - started,
        "cold_start_s": first - started,
        "real_time_factor": (time.time() - first) / seconds,
        "peak_memory_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int | None:
    """The most memory that this process has held; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":  # where getrusage counts what the parent held when it started this one
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(peak.group(1)) * 1024 if peak else None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
