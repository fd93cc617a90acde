"""Transcription beside others: the same Whisper shapes, audio and threads, in one run.

`python -m tests.benchmarks.peers` measures each program in processes of its own, which take turns, prints a table and
writes JSON. Weights are random and every text has TOKENS tokens, so rates say nothing; where the time goes does. What
is not installed is named. `python -m tests.benchmarks.peers one PROGRAM FOLDER` is one such process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from lect.app.output import table
from tests import ROOT

CLIPS, BATCH, REPEATS, ROUNDS, THREADS = 8, 8, 3, 2, 2
NEEDS = {"transformers": "transformers", "faster-whisper": "faster_whisper", "onnx-asr": "onnx_asr"}
PROGRAMS = ("lect float32", "lect int8", "transformers float32", "faster-whisper int8", "onnx-asr float32")
OURS = "lect"
Transcribe = Callable[[Sequence[np.ndarray]], Sequence[str]]


def main() -> None:
    """All programs on the shapes that are named, and the starter in Lect."""
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for models; what is there is used again")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "peers.json", metavar="FILE")
    parser.add_argument("--shapes", nargs="+", default=["whisper-tiny", "whisper-base"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    results = {shape: measure(prepared(args.folder, shape), PROGRAMS, args.rounds) for shape in args.shapes}
    results["starter"] = measure(prepared(args.folder, "starter"), ("lect float32", "lect int8"), args.rounds)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"load": os.getloadavg(), "threads": THREADS, "shapes": results}, indent=2) + "\n")
    print("\n\n".join(report(name, result) for name, result in results.items()))


def prepared(folder: Path, shape: str) -> Path:
    """Models of a shape in every program's form, and the clips; made in a process of its own."""
    place = folder / shape
    if not (place / "ready").exists():
        code = f"from tests.benchmarks.peer_models import prepare; prepare({str(place)!r}, {shape!r})"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=sys.stderr)
    return place


def measure(place: Path, programs: Sequence[str], rounds: int) -> dict[str, Any]:
    """The medians of each program over the rounds; programs take turns."""
    there = [name for name in programs if find_spec(NEEDS.get(name.split()[0], "engine"))]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in there}
    for number in range(rounds):
        for name in there:
            runs[name].append(_process(name, place))
            print(f"{place.name}: round {number + 1}, {name}: {runs[name][-1]}", file=sys.stderr)
    measured = {name: {key: median(run[key] for run in each) for key in each[0]} for name, each in runs.items()}
    return {"programs": measured, "not_installed": [name for name in programs if name not in there]}


def _process(name: str, place: Path) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "tests.benchmarks.peers", "one", name, str(place)]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()  # once the first text is there
        cold = time.perf_counter() - began
        rest = process.stdout.readline()
    if process.returncode or not rest:
        raise RuntimeError(f"{name} failed on {place.name}")
    return {"cold_s": cold, **json.loads(first), **json.loads(rest)}


def one(program: str, place: Path) -> None:
    """Loads, transcribes one clip, says so; then measures."""
    clips = [np.load(path) for path in sorted((place.parent / "clips").glob("*.npy"))][:CLIPS]
    name, build = program.split()
    transcribe = LOADERS[name](place, build)
    transcribe(clips[:1])
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cold_cpu_s": used.ru_utime + used.ru_stime}), flush=True)
    single, single_cpu = _timed(lambda: transcribe(clips[:1]))
    peak_single = _peak()
    batch, batch_cpu = _timed(lambda: transcribe(clips[:BATCH]))
    figures = {"single_s": single, "single_cpu_s": single_cpu, "batch_s": batch, "batch_cpu_s": batch_cpu}
    print(json.dumps({**figures, "peak_single_mb": peak_single, "peak_mb": _peak()}), flush=True)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Medians: on the clock, and of all threads."""
    wall, cpu = [], []
    for _ in range(REPEATS):
        began, before = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - before)
    return median(wall), median(cpu)


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _lect(place: Path, build: str) -> Transcribe:
    from lect.engine.decoding.search import DecodeOptions
    from lect.exports.runtime import Runtime

    # Greedy, as all others here; the starter's own way is a beam of 4 with CTC.
    options = DecodeOptions() if place.name == "starter" else DecodeOptions(beam_size=1, max_repeats=0)
    source = (place / "source").read_text() if (place / "source").exists() else str(place / "lect")
    runtime = Runtime.open(source, device="cpu", compute_type=build, threads=THREADS, options=options)
    return lambda clips: [each.text for each in runtime.transcribe_batch(clips)]


def _transformers(place: Path, build: str) -> Transcribe:
    import torch

    from lect.engine.model import torchaudio_bridge  # noqa: F401  (before transformers, which imports torchaudio)

    torch.set_num_threads(THREADS)
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    folder = place / "hf"
    model = WhisperForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa").eval()
    extractor = WhisperFeatureExtractor.from_pretrained(folder)

    def transcribe(clips: Sequence[np.ndarray]) -> list[str]:
        features = extractor(clips, sampling_rate=16_000, return_tensors="pt").input_features
        with torch.inference_mode():
            said = model.generate(features, language="en", task="transcribe", num_beams=1, do_sample=False)
        return [" ".join(map(str, row.tolist())) for row in said]

    return transcribe


def _faster_whisper(place: Path, build: str) -> Transcribe:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(str(place / "ct2"), device="cpu", compute_type=build, cpu_threads=THREADS)
    common: dict[str, Any] = {
        "language": "en", "task": "transcribe", "beam_size": 1, "without_timestamps": True, "temperature": 0.0,
        "compression_ratio_threshold": None, "log_prob_threshold": None, "no_speech_threshold": None,
        "suppress_tokens": [],
    }  # fmt: skip

    def transcribe(clips: Sequence[np.ndarray]) -> list[str]:
        if len(clips) == 1:
            segments, _ = model.transcribe(clips[0], condition_on_previous_text=False, vad_filter=False, **common)
            return [" ".join(segment.text for segment in segments)]
        length = len(clips[0]) / 16_000
        stretches = [{"start": number * length, "end": (number + 1) * length} for number in range(len(clips))]
        segments, _ = BatchedInferencePipeline(model).transcribe(
            np.concatenate(clips), batch_size=len(clips), vad_filter=False, clip_timestamps=stretches, **common
        )
        return [segment.text for segment in segments]

    return transcribe


def _onnx_asr(place: Path, build: str) -> Transcribe:
    import onnx_asr
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    model = onnx_asr.load_model("whisper", place / "onnx-asr", sess_options=options, providers=["CPUExecutionProvider"])
    return lambda clips: model.recognize(list(clips), language="en")


LOADERS = {
    "lect": _lect, "transformers": _transformers, "faster-whisper": _faster_whisper, "onnx-asr": _onnx_asr,
}  # fmt: skip
COLUMNS = (("cold_s", "cold"), ("single_s", "one clip"), ("batch_s", f"{BATCH} clips"), ("peak_mb", "peak MB"))


def report(shape: str, result: dict[str, Any]) -> str:
    """Seconds on the clock, and how many times Lect's best build each is."""
    programs: dict[str, dict[str, float]] = result["programs"]
    best = {key: min(run[key] for name, run in programs.items() if name.startswith(OURS)) for key, _ in COLUMNS}
    rows = [
        (name, *(f"{run[key]:.4g} ({run[key] / best[key]:.2f} x)" for key, _ in COLUMNS))
        for name, run in programs.items()
    ]
    rows += [(name, *("not installed" for _ in COLUMNS)) for name in result["not_installed"]]
    return table((shape, *(heading for _, heading in COLUMNS)), rows, right=(1, 2, 3, 4))


if __name__ == "__main__":
    main()
