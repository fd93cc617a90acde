"""Whispers as OpenAI publishes them: a `.pt` file of sizes and weights, without a tokenizer.

Their names are also those of whisper.cpp's and MLX's files. It does not know how a Whisper becomes a backbone.
"""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...contract.errors import BackboneError
from .limits import agree, check_size, check_tensors
from .network import layer_count, renamed
from .whisper import (
    DECODER_POSITIONS,
    EMBEDDING,
    ENCODER_POSITIONS,
    FIRST_CONVOLUTION,
    Whisper,
    named_as,
    whisper_modules,
)
from .whisper_tokens import published_alignment_heads, published_tokens

SIZES, STATE = "dims", "model_state_dict"
LICENCE = "MIT"
MOST_PICKLE_BYTES = 8 << 20  # of the names and shapes; Whisper-large's has 0.2 MB

_LAYER = "{stack}.blocks.{index}"
_ATTENTION = {"query": "query", "key": "key", "value": "value", "out": "output"}
_PARTS = {"mlp.0": "feed_forward.up", "mlp.2": "feed_forward.down", "mlp_ln": "feed_forward_norm"}
_PARTS |= {"attn_ln": "attention_norm", "cross_attn_ln": "cross_attention_norm"}
_PARTS |= {f"attn.{theirs}": f"attention.{ours}" for theirs, ours in _ATTENTION.items()}
_PARTS |= {f"cross_attn.{theirs}": f"cross_attention.{ours}" for theirs, ours in _ATTENTION.items()}
_MLX_PARTS = {"mlp1": "feed_forward.up", "mlp2": "feed_forward.down"}
_OUTSIDE = {f"encoder.conv{n + 1}": f"encoder.frontend.convolutions.{n}" for n in range(2)}
_OUTSIDE |= {"encoder.ln_post": "encoder.norm", "decoder.ln": "decoder.norm"}
_TABLES = {
    "decoder.token_embedding.weight": EMBEDDING,
    "encoder.positional_embedding": ENCODER_POSITIONS,
    "decoder.positional_embedding": DECODER_POSITIONS,
}


def read_openai(checkpoint: Mapping[str, Any], source: str) -> Whisper:
    """The Whisper in a checkpoint that `read_checkpoint` gives. Raises BackboneError."""
    sizes, state = checkpoint[SIZES], checkpoint.get(STATE)
    if not isinstance(sizes, dict) or not isinstance(state, dict):
        raise BackboneError(f"{source} holds no sizes and weights, as OpenAI's checkpoints do: check which file it is.")
    check_tensors(state, source)
    tensors = openai_tensors(state)
    check_sizes(sizes, tensors, source)
    rows, layers = len(tensors[EMBEDDING]), layer_count(tensors, "decoder.layers.")
    heads = sizes["n_text_head"]
    found = published_alignment_heads(layers, heads, rows)
    return Whisper(source, tensors, heads, published_tokens(rows, source), LICENCE, alignment_heads=found)


def is_openai(path: Path) -> bool:
    """Whether a zip file of torch is such a checkpoint, by the names in its pickle, of which nothing runs."""
    try:
        with zipfile.ZipFile(path) as file:
            pickled = next((each for each in file.infolist() if each.filename.endswith("/data.pkl")), None)
            if pickled is None or pickled.file_size > MOST_PICKLE_BYTES:
                return False
            names = file.read(pickled)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        return False
    return SIZES.encode() in names and STATE.encode() in names


def openai_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenAI's tensors, or MLX's, under our names. What is only a mask is left out."""
    modules = whisper_modules(tensors, _LAYER, _PARTS | _MLX_PARTS, _OUTSIDE)
    rest = {name: tensor for name, tensor in tensors.items() if name not in _TABLES and name != "decoder.mask"}
    return renamed(rest, modules) | {ours: tensors[name] for name, ours in _TABLES.items() if name in tensors}


def named_as_openai(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A Whisper's tensors under OpenAI's names."""
    return named_as(tensors, _LAYER, _PARTS, _OUTSIDE, _TABLES)


def sizes_of(whisper: Whisper) -> dict[str, int]:
    """A Whisper's sizes as OpenAI names them, in ggml's order."""
    tensors = whisper.tensors
    rows, dim = tensors[EMBEDDING].shape
    sizes = {"n_vocab": rows}
    for kind, stack, positions in (("audio", "encoder", ENCODER_POSITIONS), ("text", "decoder", DECODER_POSITIONS)):
        sizes[f"n_{kind}_ctx"] = len(tensors[positions])
        sizes[f"n_{kind}_state"] = dim
        sizes[f"n_{kind}_head"] = whisper.heads
        sizes[f"n_{kind}_layer"] = layer_count(tensors, f"{stack}.layers.")
    return sizes | {"n_mels": tensors[FIRST_CONVOLUTION].shape[1]}


def check_sizes(sizes: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str) -> None:
    """Raises BackboneError unless the sizes, under OpenAI's names, are those of the tensors under ours."""
    for name in (EMBEDDING, DECODER_POSITIONS, FIRST_CONVOLUTION):
        if name not in tensors or tensors[name].dim() != (3 if name == FIRST_CONVOLUTION else 2):
            raise BackboneError(f"{source} lacks weights, {name}: it is incomplete, or of another kind.")
    rows, dim = tensors[EMBEDDING].shape
    found = {
        "n_vocab": rows,
        "n_audio_state": dim,
        "n_text_state": dim,
        "n_mels": tensors[FIRST_CONVOLUTION].shape[1],
        "n_text_ctx": len(tensors[DECODER_POSITIONS]),
        "n_audio_layer": layer_count(tensors, "encoder.layers."),
        "n_text_layer": layer_count(tensors, "decoder.layers."),
    }
    for name, size in found.items():
        agree(source, name, sizes.get(name), size)
    heads = check_size(source, "n_text_head", sizes.get("n_text_head"), 1, 1024)
    agree(source, "n_audio_head", sizes.get("n_audio_head"), heads)
