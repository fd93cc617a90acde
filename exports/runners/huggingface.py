"""Hugging Face's folder: transformers' config, weights, tokenizer and what its generation starts with."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.files import write_bytes, write_json
from lect.engine.model.foreign.huggingface import CONFIG, GENERATION, WEIGHTS, named_as_huggingface
from lect.engine.model.foreign.openai import sizes_of
from lect.engine.model.foreign.whisper import Whisper
from lect.engine.model.foreign.whisper_tokens import NO_TIMESTAMPS
from lect.engine.model.frontend import HOP_SAMPLES, WINDOW_SAMPLES

from .generation import END, START, TASKS, first_suppressed, languages, suppressed
from .tokenizer import tokenizer_config, tokenizer_json

TOKENIZER, PREPROCESSOR = "tokenizer.json", "preprocessor_config.json"
CHUNK_SECONDS = 30


def write_huggingface(folder: Path, whisper: Whisper, weights: str, language: str) -> Path:
    """Writes the folder; weights: float16 or float32; language: a code that it starts with unless told otherwise."""
    dtype = getattr(torch, weights)
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in named_as_huggingface(whisper.tensors).items()}
    write_bytes(folder / WEIGHTS, save(tensors, {"format": "pt"}))
    write_json(folder / CONFIG, _config(whisper, weights))
    write_json(folder / GENERATION, _generation(whisper, language))
    write_json(folder / PREPROCESSOR, preprocessor(whisper))
    write_json(folder / "tokenizer_config.json", tokenizer_config(whisper.tokens))
    (folder / TOKENIZER).write_text(tokenizer_json(whisper.tokens), encoding="utf-8")
    return folder


def preprocessor(whisper: Whisper) -> dict[str, Any]:
    """How sound becomes features, for transformers and faster-whisper."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": sizes_of(whisper)["n_mels"],
        "sampling_rate": SAMPLE_RATE,
        "hop_length": HOP_SAMPLES,
        "n_fft": WINDOW_SAMPLES,
        "chunk_length": CHUNK_SECONDS,
        "n_samples": SAMPLE_RATE * CHUNK_SECONDS,
        "nb_max_frames": SAMPLE_RATE * CHUNK_SECONDS // HOP_SAMPLES,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _config(whisper: Whisper, weights: str) -> dict[str, Any]:
    sizes, tensors = sizes_of(whisper), whisper.tensors
    end = whisper.tokens.index(END)
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "torch_dtype": weights,
        "vocab_size": sizes["n_vocab"],
        "num_mel_bins": sizes["n_mels"],
        "d_model": sizes["n_text_state"],
        "encoder_layers": sizes["n_audio_layer"],
        "decoder_layers": sizes["n_text_layer"],
        "encoder_attention_heads": whisper.heads,
        "decoder_attention_heads": whisper.heads,
        "encoder_ffn_dim": len(tensors["encoder.layers.0.feed_forward.up.weight"]),
        "decoder_ffn_dim": len(tensors["decoder.layers.0.feed_forward.up.weight"]),
        "max_source_positions": sizes["n_audio_ctx"],
        "max_target_positions": sizes["n_text_ctx"],
        "decoder_start_token_id": whisper.tokens.index(START),
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end),
    }


def _generation(whisper: Whisper, language: str) -> dict[str, Any]:
    tokens = whisper.tokens
    end = tokens.index(END)
    facts = {
        "alignment_heads": [list(pair) for pair in whisper.alignment_heads],
        "suppress_tokens": suppressed(whisper),
        "begin_suppress_tokens": first_suppressed(tokens),
        "decoder_start_token_id": tokens.index(START),
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end),
        "prev_sot_token_id": tokens.index("<|startofprev|>"),
        "no_timestamps_token_id": tokens.index(NO_TIMESTAMPS),
        "max_initial_timestamp_index": 50,
        "max_length": sizes_of(whisper)["n_text_ctx"],
        "is_multilingual": bool(whisper.multilingual),
    }
    if whisper.multilingual:
        facts |= {
            "lang_to_id": languages(tokens),
            "task_to_id": {task: tokens.index(f"<|{task}|>") for task in TASKS},
            "task": "transcribe",
        }
        facts |= {"language": language} if language else {}
    return facts
