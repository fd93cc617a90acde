"""Whispers that CTranslate2 (faster-whisper) reads: a `model.bin`, with a config and a vocabulary beside it.

The file is a list of named variables (python/ctranslate2/specs/model_spec.py). Queries, keys and values are fused;
8-bit weights have a scale for each row, 16-bit ones a single scale. It does not know how a Whisper becomes a backbone.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...contract.errors import BackboneError
from .binary import Binary, opened
from .huggingface import rows_of
from .limits import MOST_JSON_BYTES, MOST_TENSORS, bounded_json
from .network import layer_count, renamed
from .whisper import (
    DECODER_POSITIONS,
    EMBEDDING,
    ENCODER_POSITIONS,
    LAYER,
    OUTPUT,
    Whisper,
    named_as,
    whisper_modules,
)
from .whisper_tokens import (
    checked_heads,
    published_alignment_heads,
    published_tokens,
    tokens_beside,
)

SPEC = "WhisperSpec"
VERSIONS = (4, 5, 6)  # of the file's layout, which is the same in these; no Whisper was ever written in an older one
LICENCE = "MIT"
MOST_DIMENSIONS = 4
TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)

_PARTS = {
    "ffn.linear_0": "feed_forward.up",
    "ffn.linear_1": "feed_forward.down",
    "ffn.layer_norm": "feed_forward_norm",
    "self_attention.query": "attention.query",
    "self_attention.key": "attention.key",
    "self_attention.value": "attention.value",
    "self_attention.linear_1": "attention.output",
    "self_attention.layer_norm": "attention_norm",
    "attention.linear_0": "cross_attention.query",
    "attention.key": "cross_attention.key",
    "attention.value": "cross_attention.value",
    "attention.linear_2": "cross_attention.output",
    "attention.layer_norm": "cross_attention_norm",
}
_OUTSIDE = {f"encoder.conv{n + 1}": f"encoder.frontend.convolutions.{n}" for n in range(2)}
_OUTSIDE |= {f"{stack}.layer_norm": f"{stack}.norm" for stack in ("encoder", "decoder")}
_TABLES = {
    "decoder.embeddings.weight": EMBEDDING,
    "decoder.projection.weight": OUTPUT,
    "encoder.position_encodings.encodings": ENCODER_POSITIONS,
    "decoder.position_encodings.encodings": DECODER_POSITIONS,
}
# Which modules are several in one, and what they are, from the first row.
_FUSED = {
    "self_attention.linear_0": ("self_attention.query", "self_attention.key", "self_attention.value"),
    "attention.linear_1": ("attention.key", "attention.value"),
}
_LAYER = re.compile(r"\.layer_(\d{1,4})\.")
_ENDINGS = {"gamma": "weight", "beta": "bias"}  # of a normalisation's names


def read_ctranslate2(path: Path) -> Whisper:
    """The Whisper in a `model.bin` and the files beside it. Raises BackboneError, OSError or ValueError."""
    with opened(path) as file:
        variables = read_variables(file)
    heads = _heads(variables, path.name)
    tensors = _network(_dequantised(variables, path.name), path.name)
    if EMBEDDING not in tensors or tensors[EMBEDDING].dim() != 2:
        raise BackboneError(f"{path.name} lacks weights, {EMBEDDING}: it is incomplete, or of another kind.")
    rows, layers = len(tensors[EMBEDDING]), layer_count(tensors, "decoder.layers.")
    config = bounded_json(path.parent / "config.json") if (path.parent / "config.json").is_file() else {}
    stated = config.get("alignment_heads")
    return Whisper(
        path.name,
        tensors,
        heads,
        tokens_beside(path.parent, rows) or _listed(path.parent) or published_tokens(rows, path.name),
        LICENCE,
        suppressed=rows_of(config.get("suppress_ids")),
        alignment_heads=checked_heads(stated, layers, heads) or published_alignment_heads(layers, heads, rows),
    )


def read_variables(file: Binary) -> dict[str, Tensor]:
    """Every variable by its name. Raises BackboneError where the file is damaged or of another version."""
    version = file.number("I")
    spec, _, count = _string(file), file.number("I"), file.number("I")
    if version not in VERSIONS or spec != SPEC:
        raise BackboneError(f"{file.name} is {spec!r:.40} in version {version} of CTranslate2, which Lect cannot read.")
    if count > MOST_TENSORS:
        raise BackboneError(f"{file.name} says {count} variables, more than any speech model has: it is damaged.")
    variables = dict(_variable(file) for _ in range(count))
    aliases = file.number("I")
    if aliases > MOST_TENSORS:
        raise BackboneError(f"{file.name} says {aliases} aliases, more than any speech model has: it is damaged.")
    for _ in range(aliases):
        alias, target = _string(file), _string(file)
        if target not in variables:
            raise BackboneError(f"{file.name} names {target!r:.60}, which it does not hold: it is damaged.")
        variables[alias] = variables[target]
        if f"{target}_scale" in variables:  # which has no alias of its own
            variables.setdefault(f"{alias}_scale", variables[f"{target}_scale"])
    return variables


def _variable(file: Binary) -> tuple[str, Tensor]:
    name, dimensions = _string(file), file.number("B")
    if dimensions > MOST_DIMENSIONS:
        raise BackboneError(f"{file.name} holds a tensor of {dimensions} dimensions: it is damaged.")
    shape = file.numbers(f"{dimensions}I")
    kind, count = file.number("B"), file.number("I")
    if kind >= len(TYPES):
        raise BackboneError(f"{file.name} holds {name!r:.60} in an unknown form ({kind}): it may need a newer Lect.")
    return name, file.tensor(TYPES[kind], shape, count)


def _string(file: Binary) -> str:
    return file.text(file.number("H")).removesuffix("\0")


def _heads(variables: Mapping[str, Tensor], source: str) -> int:
    stated = [variables[name] for name in ("encoder/num_heads", "decoder/num_heads") if name in variables]
    found = {int(value) for value in stated if value.numel() == 1 and not value.is_floating_point()}
    if len(found) != 1 or len(stated) != 2:
        raise BackboneError(f"{source} does not say one number of heads for encoder and decoder: it cannot be used.")
    return found.pop()


def _dequantised(variables: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The weights among the variables, with dots for slashes, as floating point numbers."""
    found = {}
    for name, value in variables.items():
        scale = variables.get(f"{name}_scale")
        if value.dim() == 0 or name.endswith("_scale"):
            continue
        if not value.is_floating_point():
            if scale is None or scale.shape not in (value.shape[:1], ()):
                raise BackboneError(f"{source} holds {name!r:.60} as {value.dtype} without its scales: it is damaged.")
            value = value.float() / scale.float().reshape(-1, *(1,) * (value.dim() - 1))
        found[name.replace("/", ".")] = value
    return found


def _network(weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """CTranslate2's weights under our names. Raises BackboneError for a key with a bias, which no Whisper has."""
    parts: dict[str, Tensor] = {}
    for name, value in weights.items():
        module, _, part = _LAYER.sub(r".layers.\1.", name).rpartition(".")
        for own, rows in _unfused(module, value):
            if part == "bias" and own.endswith(".key"):
                if bool(rows.any()):
                    raise BackboneError(f"{source} has a key with a bias, which no Whisper has: it cannot be used.")
            else:
                parts[f"{own}.{_ENDINGS.get(part, part)}"] = rows
    rest = {name: value for name, value in parts.items() if name not in _TABLES}
    modules = whisper_modules(rest, LAYER, _PARTS, _OUTSIDE)
    return renamed(rest, modules) | {ours: parts[name] for name, ours in _TABLES.items() if name in parts}


def named_as_ctranslate2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A Whisper's tensors as CTranslate2's variables: fused, with zeros as the keys' biases."""
    parts = named_as(tensors, LAYER, _PARTS, _OUTSIDE, _TABLES)
    for name in [name for name in parts if name.endswith(".value.bias")]:
        parts[name.replace(".value.", ".key.")] = torch.zeros_like(parts[name])
    for fused, modules in _FUSED.items():
        first = re.compile(rf"(.*\.){re.escape(modules[0])}\.(weight|bias)")
        for stem, part in [match.groups() for match in map(first.fullmatch, tuple(parts)) if match]:
            rows = [parts.pop(f"{stem}{module}.{part}") for module in modules]
            parts[f"{stem}{fused}.{part}"] = torch.cat(rows)
    return {_variable_name(name): tensor for name, tensor in parts.items()}


def _variable_name(name: str) -> str:
    """`encoder.layers.0.self_attention.layer_norm.weight` as CTranslate2 writes it."""
    module, _, part = name.rpartition(".")
    if module.endswith("layer_norm"):
        part = next(theirs for theirs, ours in _ENDINGS.items() if ours == part)
    return re.sub(r"/layers/(\d+)/", r"/layer_\1/", f"{module}.{part}".replace(".", "/"))


def _unfused(module: str, value: Tensor) -> list[tuple[str, Tensor]]:
    """The modules that one variable is of, each with its rows."""
    for fused, parts in _FUSED.items():
        if module.endswith(f".{fused}") and len(value) % len(parts) == 0:
            stem = module.removesuffix(fused)
            return [(stem + part, rows) for part, rows in zip(parts, value.chunk(len(parts)), strict=True)]
    return [(module, value)]


def _listed(folder: Path) -> tuple[str, ...] | None:
    """The tokens of the vocabulary that CTranslate2's converter wrote, in either of its forms; None without one."""
    path = next((path for path in (folder / "vocabulary.json", folder / "vocabulary.txt") if path.is_file()), None)
    if path is None:
        return None
    if path.stat().st_size > MOST_JSON_BYTES:
        raise BackboneError(f"{path.name} has more than {MOST_JSON_BYTES >> 20} MB: no model's has.")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        return tuple(text.removesuffix("\n").split("\n"))
    try:
        return tuple(json.loads(text))
    except (RecursionError, TypeError, ValueError) as error:
        raise BackboneError(f"{path.name} is damaged ({type(error).__name__}): fetch it again.") from error
