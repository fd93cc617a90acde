"""Other programs transcribe with what Lect wrote for them. Run by a Python that has them, never imported by the tests.

python whisper_runners.py PROGRAM MODEL LANGUAGE RECORDING... prints a JSON object: the version, the texts without
timestamps and those with them, greedily. PROGRAM: transformers, faster-whisper, pywhispercpp or openai-whisper.
"""

import importlib.metadata
import json
import sys
from collections.abc import Callable

import numpy as np
import soundfile

Recognise = Callable[[np.ndarray, bool], str]  # (samples,) at 16 kHz, with timestamps or without


def with_transformers(model: str, language: str) -> Recognise:
    """Hugging Face's layout."""
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    processor = WhisperProcessor.from_pretrained(model)
    network = WhisperForConditionalGeneration.from_pretrained(model, dtype=torch.float32)

    def recognise(samples: np.ndarray, times: bool) -> str:
        long = len(samples) > 30 * 16_000
        more = {"truncation": False, "padding": "longest", "return_attention_mask": True} if long else {}
        given = processor(samples, sampling_rate=16_000, return_tensors="pt", **more)
        tokens = network.generate(
            **given, language=language, task="transcribe", return_timestamps=times or long, num_beams=1, do_sample=False
        )
        return str(processor.batch_decode(tokens, skip_special_tokens=True)[0])

    return recognise


def with_faster_whisper(model: str, language: str) -> Recognise:
    """CTranslate2's layout."""
    from faster_whisper import WhisperModel

    network = WhisperModel(model, device="cpu", compute_type="float32", cpu_threads=2)

    def recognise(samples: np.ndarray, times: bool) -> str:
        segments, _ = network.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0,
            without_timestamps=not times,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text.strip() for segment in segments)

    return recognise


def with_whisper_cpp(model: str, language: str) -> Recognise:
    """whisper.cpp's layout, by its Python package."""
    from pywhispercpp.model import Model

    network = Model(
        model, redirect_whispercpp_logs_to=None, language=language, n_threads=2, temperature_inc=0.0, no_context=True
    )

    def recognise(samples: np.ndarray, times: bool) -> str:
        segments = network.transcribe(samples, no_timestamps=not times, single_segment=False)
        return " ".join(segment.text.strip() for segment in segments)

    return recognise


def with_openai(model: str, language: str) -> Recognise:
    """OpenAI's checkpoint."""
    import whisper

    network = whisper.load_model(model, device="cpu")

    def recognise(samples: np.ndarray, times: bool) -> str:
        return str(
            network.transcribe(
                samples,
                language=language,
                temperature=0,
                without_timestamps=not times,
                condition_on_previous_text=False,
                fp16=False,
            )["text"]
        )

    return recognise


PROGRAMS = {
    "transformers": with_transformers,
    "faster-whisper": with_faster_whisper,
    "pywhispercpp": with_whisper_cpp,
    "openai-whisper": with_openai,
}


def main(program: str, model: str, language: str, recordings: list[str]) -> None:
    """Prints what the program writes."""
    recognise = PROGRAMS[program](model, language)
    waveforms = [soundfile.read(recording, dtype="float32")[0] for recording in recordings]
    texts = {
        name: [recognise(samples, times).strip() for samples in waveforms]
        for name, times in (("plain", False), ("timed", True))
    }
    print(json.dumps({"version": importlib.metadata.version(program), **texts}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
