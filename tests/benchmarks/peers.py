"""Transcription beside other programs: the same weights, recordings, beam and threads, in one run.

    python -m tests.benchmarks.peers FOLDER SET --language nl [--beam 4] [--threads 2] [--rounds 2]

SET is a labelled set (audiofolder); its first clips are written one by one, and then joined to a long recording. Each
program runs in processes of its own, which take turns: character errors beside seconds, CPU seconds and memory. What is
not installed is named. `python -m tests.benchmarks.peers one PROGRAM FOLDER LANGUAGE BEAM THREADS` is one process.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

from lect.app.output import table
from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.scoring.scores import score
from lect.engine.text.rules import TextRules
from tests import ROOT
from tests.benchmarks.peer_programs import LOADERS, NEEDS, PROGRAMS, SHORT

FIRST_SECONDS = 10  # of the clip that is written first, as nearly as the set has it
PAUSE = np.zeros(SAMPLE_RATE // 2, np.float32)  # between the clips of the long recording
COLUMNS = (
    ("cold_s", "cold, s"), ("cold_cpu_s", "CPU s"), ("cold_mb", "MB"), ("warm_cpu_s", "warm, CPU s"),
    ("clips_s", "clips, s"), ("clips_cpu_s", "CPU s"), ("clips_cer", "CER %"), ("long_s", "long, s"),
    ("long_cpu_s", "CPU s"), ("long_cer", "CER %"), ("peak_mb", "MB"),
)  # fmt: skip


def main() -> None:
    """Every program on the same recordings."""
    if sys.argv[1:2] == ["one"]:
        program, folder, language, beam, threads = sys.argv[2:]
        one(program, Path(folder), language, int(beam), int(threads))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for weights and recordings; weights that are there are used again")
    parser.add_argument("set", type=Path, help="a folder with metadata.csv")
    parser.add_argument("--language", required=True, help="a code that Whisper knows")
    parser.add_argument("--speaker", help="only this one's clips")
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--long", type=int, default=600, metavar="SECONDS")
    parser.add_argument("--programs", nargs="+", default=PROGRAMS, choices=PROGRAMS)
    args = parser.parse_args()
    from tests.benchmarks.peer_weights import prepare  # with PyTorch, whose memory is not a program's

    prepare(args.folder)
    truth = write_recordings(args.folder, args.set, args.speaker, args.clips, args.long)
    there = [name for name in args.programs if find_spec(NEEDS[name.split()[0]])]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in there}
    for number in range(args.rounds):
        for name in there:
            run = _process(name, args.folder, args.language, args.beam, args.threads)
            rates = {f"{what}_cer": cer(run.pop(what), said) for what, said in truth.items() if what in run}
            runs[name].append(run | rates)
            print(f"round {number + 1}, {name}: {runs[name][-1]}", file=sys.stderr)
    measured = {name: {key: median(run[key] for run in each) for key in each[0]} for name, each in runs.items()}
    asked = {name: getattr(args, name) for name in ("language", "beam", "threads", "rounds", "clips", "long")}
    conditions = asked | {"load": os.getloadavg()}
    (args.folder / f"beam{args.beam}-threads{args.threads}.json").write_text(
        json.dumps(conditions | {"programs": measured}, indent=2) + "\n"
    )
    rows = [(name, *(f"{run[key]:.4g}" if key in run else "-" for key, _ in COLUMNS)) for name, run in measured.items()]
    rows += [(name, *("not installed" for _ in COLUMNS)) for name in args.programs if name not in there]
    print(table((str(conditions), *(heading for _, heading in COLUMNS)), rows, right=range(1, len(COLUMNS) + 1)))


def write_recordings(folder: Path, source: Path, speaker: str | None, clips: int, long: int) -> dict[str, list[str]]:
    """first.wav, clips/*.wav and long.wav in `folder`; the truth of the clips and of the long one."""
    with (source / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if speaker in (None, row["speaker"])]
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    for old in (folder / "clips").iterdir():
        old.unlink()
    sounds = [load_audio(source / row["file_name"]) for row in rows[: 10 * clips]]
    nearest = min(range(len(sounds)), key=lambda index: abs(len(sounds[index]) - FIRST_SECONDS * SAMPLE_RATE))
    soundfile.write(folder / "first.wav", sounds[nearest], SAMPLE_RATE)
    for number, samples in enumerate(sounds[:clips]):
        soundfile.write(folder / "clips" / f"{number:02}.wav", samples, SAMPLE_RATE)
    spoken, seconds = list[str](), 0.0
    with soundfile.SoundFile(folder / "long.wav", "w", SAMPLE_RATE, 1) as file:
        for row, samples in cycle(zip(rows, sounds, strict=False)):
            if seconds >= long:
                break
            file.write(np.concatenate([samples, PAUSE]))
            spoken.append(row["transcription"])
            seconds += (len(samples) + len(PAUSE)) / SAMPLE_RATE
    return {"clips": [row["transcription"] for row in rows[:clips]], "long": [" ".join(spoken)]}


def cer(texts: Sequence[str], truth: Sequence[str]) -> float:
    """Percent, of lower-case texts without punctuation."""
    names = list(map(str, range(len(truth))))
    rules = TextRules()
    return 100 * score(truth, texts, names, normalisation="rules", normalise=rules.apply).cer


def _process(name: str, *arguments: object) -> dict[str, Any]:
    threads = str(arguments[-1])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "tests.benchmarks.peers", "one", name, *map(str, arguments)]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [line for line in process.stdout if line.startswith('{"')]  # some programs print of their own accord
    if process.returncode or len(lines) != 2:
        raise RuntimeError(f"{name} failed")
    first, rest = map(json.loads, lines)
    return {"cold_s": first.pop("at") - began, **first, **rest}


def one(program: str, folder: Path, language: str, beam: int, threads: int) -> None:
    """Loads, writes one clip and says so; then the other tasks."""
    name, build = program.split()
    transcribe = LOADERS[name](folder, build, language, beam, threads)
    transcribe(folder / "first.wav")
    # The clock of `perf_counter` is the system's, the same in both processes.
    print(json.dumps({"at": time.perf_counter(), "cold_cpu_s": time.process_time(), "cold_mb": _peak_mb()}), flush=True)
    _, _, warm = _timed(lambda: [transcribe(folder / "first.wav")])
    clips, clips_s, clips_cpu = _timed(lambda: list(map(transcribe, sorted((folder / "clips").glob("*.wav")))))
    figures = {"warm_cpu_s": warm, "clips_s": clips_s, "clips_cpu_s": clips_cpu, "clips": clips}
    if name not in SHORT:
        long, long_s, long_cpu = _timed(lambda: [transcribe(folder / "long.wav")])
        figures |= {"long_s": long_s, "long_cpu_s": long_cpu, "long": long}
    print(json.dumps(figures | {"peak_mb": _peak_mb()}))


def _timed(work: Any) -> tuple[list[str], float, float]:
    began, before = time.perf_counter(), time.process_time()
    texts = work()
    return texts, time.perf_counter() - began, time.process_time() - before


def _peak_mb() -> float:
    """Of this process; Linux's getrusage would count what the parent held when it started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found.group(1)) * 1024 / 1e6


if __name__ == "__main__":
    main()
