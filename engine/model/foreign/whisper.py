"""Whisper checkpoints (arXiv 2212.04356) in Hugging Face's layout: a folder with config, weights and tokenizer.

Our ids begin with four specials. Whisper's end of text, start of transcript and two of its tokens that it never writes
take their places, so that every row of its embedding stays, in another order. It does not know how text is decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...contract.errors import BackboneError
from ...contract.files import read_json
from ...contract.model_config import ModelConfig
from ...text.vocabulary import BOS, CONTROL, EOS, PAD, SPECIALS, UNK, Vocabulary
from ..network import sinusoids
from .network import Foreign, filled, layer_names, renamed

WINDOW_SECONDS = 30.0
LICENCE = "Apache-2.0"
ENGLISH_ROWS = 51_864  # of the English-only checkpoints' embeddings, which know no other language's token
# Never written: the first that a tokenizer has stands in for the special.
STAND_INS = {PAD: ("<|nospeech|>", "<|nocaptions|>"), UNK: ("<|startoflm|>",)}

_FRONTEND = {f"model.encoder.conv{n + 1}": f"encoder.frontend.convolutions.{n}" for n in range(2)}
_NORMS = {"model.encoder.layer_norm": "encoder.norm", "model.decoder.layer_norm": "decoder.norm"}
_EMBEDDING, _OUTPUT = "model.decoder.embed_tokens.weight", "proj_out.weight"
_ENCODER_POSITIONS, _DECODER_POSITIONS = (f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder"))
_POSITION_TOLERANCE = 1e-3  # of float16 sinusoids


def read_whisper(folder: Path, window_seconds: float = WINDOW_SECONDS) -> Foreign:
    """The backbone in a folder. Raises BackboneError when it is incomplete, damaged or something else.

    window_seconds: shorter clips are padded with silence up to here; see `MelFrontend` for what a short one changes.
    """
    try:
        config = read_json(folder / "config.json")
        generation_file = folder / "generation_config.json"
        generation = read_json(generation_file) if generation_file.is_file() else {}
        if config.get("model_type") != "whisper":
            raise BackboneError(f"{folder.name} holds a model of type {config.get('model_type')!r}, not Whisper's.")
        tensors = load_weights(folder)
        order, vocabulary = whisper_vocabulary(_tokens(folder, config["vocab_size"]), config | generation)
        model_config = replace(whisper_config(config), mel_window_seconds=window_seconds)
        model = filled(model_config, _network(tensors, model_config, order), folder.name)
    except OSError as error:
        raise BackboneError(f"{error.filename or folder} cannot be read: fetch the whole folder again.") from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise BackboneError(f"{folder.name} is no Whisper checkpoint as published ({error}).") from error
    return Foreign(model, vocabulary, vocabulary.languages() or ("en",), LICENCE)


def whisper_config(config: Mapping[str, Any]) -> ModelConfig:
    """The sizes in a config.json. Raises BackboneError where encoder and decoder differ in width."""
    if (config["encoder_attention_heads"], config["encoder_ffn_dim"]) != (
        config["decoder_attention_heads"],
        config["decoder_ffn_dim"],
    ):
        raise BackboneError("This Whisper's encoder and decoder differ in heads or width: it cannot be used.")
    return ModelConfig(
        config["vocab_size"],
        config["d_model"],
        config["encoder_attention_heads"],
        config["encoder_ffn_dim"],
        config["encoder_layers"],
        config["decoder_layers"],
        mels=config["num_mel_bins"],
        mel_strides=(1, 2),
        mel_normalisation="range",
        mel_window_seconds=WINDOW_SECONDS,
        decoder_positions=config["max_target_positions"],
        scale_embedding=config.get("scale_embedding", False),
        key_bias=False,
        ctc=False,
    )


def load_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of `model.safetensors`, or of the parts that its index names."""
    index = folder / "model.safetensors.index.json"
    parts = sorted(set(read_json(index)["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    return {name: tensor for part in parts for name, tensor in load_file(folder / Path(part).name).items()}


def whisper_vocabulary(tokens: Sequence[str], config: Mapping[str, Any]) -> tuple[Tensor, Vocabulary]:
    """Tokens by their ids -> the old id of each new one, and the vocabulary, which starts as the checkpoint does.

    config: `config.json` with `generation_config.json` over it. What is suppressed at the first token only (the end and
    a space) is not: a clip without speech may have no text.
    """
    old_ids = {token: index for index, token in enumerate(tokens)}
    specials = {BOS: config["decoder_start_token_id"], EOS: _first(config["eos_token_id"])}
    for special, names in STAND_INS.items():
        specials[special] = old_ids[next((name for name in names if name in old_ids), names[0])]
    taken = [specials[special] for special in range(len(SPECIALS))]
    order = taken + [index for index in range(len(tokens)) if index not in taken]
    new_ids = {old: new for new, old in enumerate(order)}
    unwritten = {index for index, token in enumerate(tokens) if CONTROL.fullmatch(token)}
    unwritten |= set(config.get("suppress_tokens") or ())
    suppressed = {new_ids[old] for old in unwritten if old >= 0} - set(range(len(SPECIALS)))
    symbols = tuple(tokens[old] for old in order[len(SPECIALS) :])
    multilingual = config.get("is_multilingual", len(tokens) != ENGLISH_ROWS)
    start = ["<|en|>", "<|transcribe|>", "<|notimestamps|>"] if multilingual else ["<|notimestamps|>"]
    ids = (BOS, *(new_ids[old_ids[name]] for name in start))
    return torch.tensor(order), Vocabulary("bytes", symbols, (), ids, tuple(sorted(suppressed)))


def _first(value: int | list[int]) -> int:
    return value[0] if isinstance(value, list) else value


def _tokens(folder: Path, size: int) -> list[str]:
    """Tokens by id. Rows without one, and the empty token that Whisper's vocabulary ends with, get a control name."""
    named: dict[str, int]
    if (folder / "tokenizer.json").is_file():
        tokenizer = read_json(folder / "tokenizer.json")
        named = tokenizer["model"]["vocab"] | {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    else:
        added = folder / "added_tokens.json"
        named = read_json(folder / "vocab.json") | (read_json(added) if added.is_file() else {})
    tokens = [f"<|unused {index}|>" for index in range(size)]
    for token, index in named.items():
        if token:
            tokens[index] = token
    return tokens


def _network(tensors: Mapping[str, Tensor], config: ModelConfig, order: Tensor) -> dict[str, Tensor]:
    """The checkpoint's tensors under our names. Raises ValueError where it differs from every published one."""
    used = dict(tensors)
    embedding, positions = used.pop(_EMBEDDING), used.pop(_ENCODER_POSITIONS)
    if not torch.equal(used.pop(_OUTPUT, embedding), embedding):
        raise ValueError("its output is not tied to its embedding")
    expected = sinusoids(torch.arange(len(positions)), config.dim)
    if (positions.float() - expected).abs().max() > _POSITION_TOLERANCE:
        raise ValueError("its encoder's positions are not sinusoidal")
    names = _FRONTEND | _NORMS
    for stack, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for index in range(layers):
            ours = f"{stack}.layers.{index}"
            names |= layer_names(f"model.{ours}", ours, cross=stack == "decoder")
    own = {"decoder.embedding": embedding[order], "decoder.positions": used.pop(_DECODER_POSITIONS)}
    return renamed(used, names) | own
