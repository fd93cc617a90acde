"""The programs that `peers` measures: how each is loaded, and how a user of it writes one recording's text.

Every one is told the language, the beam and the threads, and is otherwise as it comes: guards, voice detection where it
is on by itself, and ways through a long recording are part of a program.
"""

from collections.abc import Callable
from pathlib import Path

Transcribe = Callable[[Path], str]

PROGRAMS = (
    "lect int8", "lect float32", "faster-whisper int8", "faster-whisper float32", "whisper.cpp q8_0",
    "whisper.cpp f16", "openai-whisper float32", "transformers float32", "onnx-asr float32",
)  # fmt: skip
SHORT = ("onnx-asr",)  # up to 30 s, but with a voice detector that has to be fetched from a hub
NEEDS = {
    "lect": "lect", "faster-whisper": "faster_whisper", "whisper.cpp": "pywhispercpp", "openai-whisper": "whisper",
    "transformers": "transformers", "onnx-asr": "onnx_asr",
}  # fmt: skip


def _lect(folder: Path, build: str, language: str, beam: int, threads: int) -> Transcribe:
    from lect.engine.decoding.search import DecodeOptions
    from lect.exports.runtime import Runtime

    runtime = Runtime.open(compute_type=build, device="cpu", threads=threads, options=DecodeOptions(beam_size=beam))
    runtime.set_language(language)
    return lambda path: runtime.transcribe(path).text


def _faster_whisper(folder: Path, build: str, language: str, beam: int, threads: int) -> Transcribe:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder / "ctranslate2"), device="cpu", compute_type=build, cpu_threads=threads)

    def transcribe(path: Path) -> str:
        segments, _ = model.transcribe(str(path), language=language, beam_size=beam)
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe


def _whisper_cpp(folder: Path, build: str, language: str, beam: int, threads: int) -> Transcribe:
    from pywhispercpp.model import Model

    search = {"beam_search": {"beam_size": beam, "patience": -1.0}, "params_sampling_strategy": 1} if beam > 1 else {}
    model = Model(
        str(folder / f"ggml-{build}" / "ggml-model.bin"), n_threads=threads, language=language, print_progress=False,
        print_realtime=False, **search,
    )  # fmt: skip
    return lambda path: " ".join(segment.text.strip() for segment in model.transcribe(str(path)))


def _openai_whisper(folder: Path, build: str, language: str, beam: int, threads: int) -> Transcribe:
    import torch

    torch.set_num_threads(threads)
    import whisper

    from lect.engine.audio.reading import load_audio

    model = whisper.load_model(str(folder / "openai" / "model.pt"), device="cpu")
    beam_size = beam if beam > 1 else None
    return lambda path: model.transcribe(load_audio(path), language=language, beam_size=beam_size, fp16=False)["text"]


def _transformers(folder: Path, build: str, language: str, beam: int, threads: int) -> Transcribe:
    import torch

    from lect.engine.model import torchaudio_bridge  # noqa: F401  (before transformers, which imports torchaudio)

    torch.set_num_threads(threads)
    from transformers import pipeline

    from lect.engine.audio.reading import load_audio

    said = {"language": language, "task": "transcribe", "num_beams": beam}
    whisper = pipeline("automatic-speech-recognition", str(folder / "huggingface"), device="cpu")
    return lambda path: whisper(load_audio(path), generate_kwargs=said, return_timestamps=True)["text"]


def _onnx_asr(folder: Path, build: str, language: str, beam: int, threads: int) -> Transcribe:
    import onnx_asr
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = onnx_asr.load_model(
        "whisper", folder / "onnx-asr", sess_options=options, providers=["CPUExecutionProvider"]
    )
    return lambda path: model.recognize(str(path), language=language)


LOADERS: dict[str, Callable[[Path, str, str, int, int], Transcribe]] = {
    "lect": _lect, "faster-whisper": _faster_whisper, "whisper.cpp": _whisper_cpp,
    "openai-whisper": _openai_whisper, "transformers": _transformers, "onnx-asr": _onnx_asr,
}  # fmt: skip
