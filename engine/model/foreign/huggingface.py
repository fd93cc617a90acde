"""Whispers in Hugging Face's layout: a folder with config, weights and tokenizer.

The weights are `model.safetensors`, its parts by an index, or the older `pytorch_model.bin`. Names are those of
transformers' modules. It does not know how a Whisper becomes a backbone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...contract.errors import BackboneError
from .checkpoint import read_checkpoint
from .limits import MOST_HEADER_BYTES, agree, bounded_json, check_size
from .network import ATTENTION, FEED_FORWARD, layer_count, renamed
from .whisper import (
    DECODER_POSITIONS,
    EMBEDDING,
    ENCODER_POSITIONS,
    FIRST_CONVOLUTION,
    OUTPUT,
    Whisper,
    named_as,
    whisper_modules,
)
from .whisper_tokens import checked_heads, published_alignment_heads, published_tokens, tokens_beside

CONFIG, GENERATION = "config.json", "generation_config.json"
WEIGHTS, INDEX, OLD_WEIGHTS = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
LICENCE = "Apache-2.0"  # of OpenAI's models there

_LAYER = "model.{stack}.layers.{index}"
_PARTS = FEED_FORWARD | {"self_attn_layer_norm": "attention_norm", "encoder_attn_layer_norm": "cross_attention_norm"}
_PARTS |= {f"self_attn.{theirs}": f"attention.{ours}" for theirs, ours in ATTENTION.items()}
_PARTS |= {f"encoder_attn.{theirs}": f"cross_attention.{ours}" for theirs, ours in ATTENTION.items()}
_OUTSIDE = {f"model.encoder.conv{n + 1}": f"encoder.frontend.convolutions.{n}" for n in range(2)}
_OUTSIDE |= {f"model.{stack}.layer_norm": f"{stack}.norm" for stack in ("encoder", "decoder")}
_TABLES = {
    "model.decoder.embed_tokens.weight": EMBEDDING,
    "proj_out.weight": OUTPUT,
    "model.encoder.embed_positions.weight": ENCODER_POSITIONS,
    "model.decoder.embed_positions.weight": DECODER_POSITIONS,
}


def read_huggingface(folder: Path) -> Whisper:
    """The Whisper in a folder. Raises BackboneError; ValueError, TypeError or the like for a config of another form."""
    config = bounded_json(folder / CONFIG)
    if config.get("model_type") != "whisper":
        raise BackboneError(f"{folder.name} holds a model of type {config.get('model_type')!r:.40}, not Whisper's.")
    tensors = huggingface_tensors(load_weights(folder))
    _check(config, tensors, folder.name)
    rows, layers = len(tensors[EMBEDDING]), layer_count(tensors, "decoder.layers.")
    heads = check_size(folder.name, "decoder_attention_heads", config["decoder_attention_heads"], 1, 1024)
    generation = bounded_json(folder / GENERATION) if (folder / GENERATION).is_file() else {}
    stated = config | generation
    return Whisper(
        folder.name,
        tensors,
        heads,
        tokens_beside(folder, rows) or published_tokens(rows, folder.name),
        LICENCE,
        suppressed=rows_of(stated.get("suppress_tokens")),
        multilingual=stated.get("is_multilingual"),
        alignment_heads=checked_heads(stated.get("alignment_heads"), layers, heads)
        or published_alignment_heads(layers, heads, rows),
    )


def huggingface_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' tensors under our names."""
    modules = whisper_modules(tensors, _LAYER, _PARTS, _OUTSIDE)
    rest = {name: tensor for name, tensor in tensors.items() if name not in _TABLES}
    return renamed(rest, modules) | {ours: tensors[name] for name, ours in _TABLES.items() if name in tensors}


def named_as_huggingface(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A Whisper's tensors under transformers' names."""
    return named_as(tensors, _LAYER, _PARTS, _OUTSIDE, _TABLES)


def load_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's weights file, or of the parts that its index names."""
    if (folder / INDEX).is_file():
        parts = sorted({Path(part).name for part in bounded_json(folder / INDEX)["weight_map"].values()})
    elif not (folder / WEIGHTS).is_file() and (folder / OLD_WEIGHTS).is_file():
        return read_checkpoint(folder / OLD_WEIGHTS)
    else:
        parts = [WEIGHTS]
    return {name: tensor for part in parts for name, tensor in load_safetensors(folder / part).items()}


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one file. Raises BackboneError when it is damaged or no file, and OSError."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise BackboneError(f"{path.name} is no file: fetch it again.")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > min(MOST_HEADER_BYTES, path.stat().st_size):
        raise BackboneError(f"{path.name} is cut short, damaged, or holds what no model does: fetch it again.")
    try:
        return load_file(path)
    except (SafetensorError, RecursionError, ValueError, RuntimeError) as error:
        raise BackboneError(f"{path.name} is cut short or damaged ({str(error)[:100]!r}): fetch it again.") from error


def rows_of(stated: Any) -> list[int] | None:
    """A list of the vocabulary's rows in a config, or None. Raises ValueError when it is neither."""
    if stated is None:
        return None
    if not isinstance(stated, list) or len(stated) > 1_000_000 or not all(type(row) is int for row in stated):
        raise ValueError("its suppressed tokens are no list of numbers")
    return stated


def _check(config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str) -> None:
    for name in (EMBEDDING, FIRST_CONVOLUTION, DECODER_POSITIONS, "encoder.layers.0.feed_forward.up.weight"):
        if name not in tensors or tensors[name].dim() not in (2, 3):
            raise BackboneError(f"{source} lacks weights, {name}: it is incomplete, or of another kind.")
    width = len(tensors["encoder.layers.0.feed_forward.up.weight"])
    found = {
        "vocab_size": len(tensors[EMBEDDING]),
        "d_model": tensors[EMBEDDING].shape[1],
        "encoder_layers": layer_count(tensors, "encoder.layers."),
        "decoder_layers": layer_count(tensors, "decoder.layers."),
        "encoder_ffn_dim": width,
        "decoder_ffn_dim": width,
        "num_mel_bins": tensors[FIRST_CONVOLUTION].shape[1],
        "max_target_positions": len(tensors[DECODER_POSITIONS]),
        "encoder_attention_heads": config["decoder_attention_heads"],
    }
    for name, size in found.items():
        agree(source, name, config[name], size)
    if config.get("scale_embedding") or config.get("activation_function", "gelu") != "gelu":
        raise BackboneError(f"{source} is a Whisper of other habits than any published: it cannot be used.")
