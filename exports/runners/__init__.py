"""The programs that people run Whispers in, each with its writer: what a plain Whisper becomes for them.

Names and layouts are those of the readers in `engine/model/foreign`. It does not know runs, nor how what was written is
tried (`exports/plain_whisper.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lect.engine.model.foreign.whisper import Whisper

from .ctranslate2 import write_ctranslate2
from .ggml import write_ggml
from .huggingface import write_huggingface
from .openai import write_openai

FLOATS = ("float16", "float32")


@dataclass(frozen=True)
class Runner:
    """One layout."""

    write: Callable[[Path, Whisper, str, str], Path]  # (folder, whisper, weights, language) -> what a reader opens
    weights: tuple[str, ...]  # in which they can be written, the usual first
    form: str  # what it is, for a sentence
    use: str  # how to open it, in Markdown; of a FOLDER, in a LANGUAGE


RUNNERS = {
    "huggingface": Runner(
        write_huggingface,
        FLOATS,
        "a folder in Hugging Face's layout, which transformers opens",
        """\
```python
from transformers import pipeline

recognise = pipeline("automatic-speech-recognition", "FOLDER", return_timestamps=True)
print(recognise("recording.wav", generate_kwargs={"language": "LANGUAGE"})["text"])
```""",
    ),
    "ctranslate2": Runner(
        write_ctranslate2,
        FLOATS,
        "a folder in CTranslate2's layout, which faster-whisper and programs built on it open",
        """\
```python
from faster_whisper import WhisperModel

segments, _ = WhisperModel("FOLDER").transcribe("recording.wav", language="LANGUAGE")
print(*(segment.text for segment in segments))
```""",
    ),
    "ggml": Runner(
        write_ggml,
        ("float16", "q8_0", "q5_1"),
        "one file, which whisper.cpp and programs built on it open",
        """\
```
whisper-cli -m FOLDER/ggml-model.bin -l LANGUAGE recording.wav
```
It wants 16 kHz WAV files where it was built without FFmpeg.""",
    ),
    "openai": Runner(
        write_openai,
        FLOATS,
        "one file, which OpenAI's own program opens",
        """\
```
whisper recording.wav --model FOLDER/model.pt --language LANGUAGE
```""",
    ),
}
