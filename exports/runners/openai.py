"""OpenAI's checkpoint: sizes and weights, without a tokenizer."""

from pathlib import Path

import torch

from lect.engine.contract.errors import UsageError
from lect.engine.model.foreign.openai import SIZES, STATE, named_as_openai, sizes_of
from lect.engine.model.foreign.whisper import Whisper
from lect.engine.model.foreign.whisper_tokens import ENGLISH_ROWS, MULTILINGUAL_ROWS

FILE = "model.pt"


def write_openai(folder: Path, whisper: Whisper, weights: str, language: str) -> Path:
    """Writes `model.pt`; weights: float16 or float32. Raises UsageError for tokens that the program does not have."""
    if len(whisper.tokens) not in (ENGLISH_ROWS, *MULTILINGUAL_ROWS):
        raise UsageError(f"OpenAI's program has no tokens for a Whisper with {len(whisper.tokens)}: use huggingface.")
    dtype = getattr(torch, weights)
    state = {name: tensor.to(dtype) for name, tensor in named_as_openai(whisper.tensors).items()}
    torch.save({SIZES: sizes_of(whisper), STATE: state}, folder / FILE)
    return folder / FILE
