"""Whispers that whisper.cpp reads: one ggml `.bin` of sizes, mel filters, tokens and weights, perhaps quantised.

The layout is that of models/convert-pt-to-ggml.py; names are OpenAI's. whisper.cpp's files of other models begin with
the same four bytes. It does not know how a Whisper becomes a backbone.
"""

from pathlib import Path

import torch
from torch import Tensor

from ...contract.errors import BackboneError
from ...text.byte_pairs import lettered
from .binary import Binary, opened
from .ggml_blocks import BLOCK, QUANTISED, block_bytes, dequantised
from .limits import MOST_TENSORS, MOST_TOKEN_LETTERS
from .network import layer_count
from .openai import LICENCE, check_sizes, openai_tensors
from .whisper import EMBEDDING, Whisper
from .whisper_tokens import Heads, in_published_order, published_alignment_heads

MAGIC = 0x67676D6C
# In the file's order, each with the least and the most that any Whisper could have: other models lie outside.
SIZES = {
    "n_vocab": (1600, 200_000),
    "n_audio_ctx": (1, 100_000),
    "n_audio_state": (4, 16_384),
    "n_audio_head": (1, 1024),
    "n_audio_layer": (1, 512),
    "n_text_ctx": (1, 100_000),
    "n_text_state": (4, 16_384),
    "n_text_head": (1, 1024),
    "n_text_layer": (1, 512),
    "n_mels": (1, 1024),
    "ftype": (0, 100_000),
}
FREQUENCIES = 201  # of the mel filters
MOST_DIMENSIONS, MOST_NAME_BYTES = 4, 256
FLOATS = {0: torch.float32, 1: torch.float16}
END_OF_TEXT = "<|endoftext|>"  # that some converters write among the ordinary tokens
ONE_COLUMN = ("encoder.conv1.bias", "encoder.conv2.bias")  # vectors that the file has as matrices


def read_ggml(path: Path) -> Whisper:
    """The Whisper in a file. Raises BackboneError, and OSError."""
    with opened(path) as file:
        sizes = _sizes(file)
        ordinary = _tokens(file)
        tensors = openai_tensors(_tensors(file))
    check_sizes(sizes, tensors, path.name)
    rows, heads = len(tensors[EMBEDDING]), sizes["n_text_head"]
    return Whisper(
        path.name,
        tensors,
        heads,
        in_published_order(ordinary, rows, path.name),
        LICENCE,
        alignment_heads=_alignment_heads(tensors, heads, rows),
    )


def is_whisper(path: Path) -> bool:
    """Whether a ggml file is a Whisper's, by its first bytes alone. Raises OSError."""
    try:
        with opened(path) as file:
            _sizes(file)
    except BackboneError:
        return False
    return True


def _sizes(file: Binary) -> dict[str, int]:
    """The sizes, and past the mel filters. Raises BackboneError where they are of another model."""
    magic, *values = file.numbers(f"I{len(SIZES)}i")
    sizes = dict(zip(SIZES, values, strict=True))
    other = [name for name, (least, most) in SIZES.items() if not least <= sizes[name] <= most]
    mels, frequencies = file.numbers("2i") if not other and magic == MAGIC else (0, 0)
    if (mels, frequencies) != (sizes["n_mels"], FREQUENCIES):
        raise BackboneError(
            f"{file.name} is a ggml file but no Whisper's: whisper.cpp has others that find speech, or are of another "
            "family; give a ggml-base.bin or the like."
        )
    file.take(4 * mels * frequencies)
    return sizes


def _tokens(file: Binary) -> list[str]:
    count = file.number("i")
    if not 0 <= count <= SIZES["n_vocab"][1]:
        raise BackboneError(f"{file.name} says {count} tokens, which no Whisper has: it is damaged.")
    tokens = [_token(file) for _ in range(count)]
    return tokens[:-1] if tokens and tokens[-1] == END_OF_TEXT else tokens


def _token(file: Binary) -> str:
    length = file.number("I")
    if length > MOST_TOKEN_LETTERS:
        raise BackboneError(f"{file.name} has a token of {length} bytes, which no Whisper has: it is damaged.")
    return lettered(bytes(file.take(length)))


def _tensors(file: Binary) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    while file.left:
        name, tensor = _tensor(file)
        tensors[name] = tensor.reshape(-1) if name in ONE_COLUMN else tensor
        if len(tensors) > MOST_TENSORS:
            raise BackboneError(f"{file.name} holds more tensors than any speech model: it is damaged.")
    return tensors


def _tensor(file: Binary) -> tuple[str, Tensor]:
    dimensions, name_bytes, kind = file.numbers("3i")
    if not 1 <= dimensions <= MOST_DIMENSIONS or not 1 <= name_bytes <= MOST_NAME_BYTES:
        raise BackboneError(f"{file.name} holds a tensor of {dimensions} dimensions: it is damaged.")
    shape = file.numbers(f"{dimensions}i")[::-1]
    name = file.text(name_bytes)
    if min(shape) < 1 or (kind in QUANTISED and shape[-1] % BLOCK):
        raise BackboneError(f"{file.name} holds {name!r:.60} with the shape {list(shape)}: it is damaged.")
    elements = torch.Size(shape).numel()
    if kind in FLOATS:
        dtype = FLOATS[kind]
        return name, file.tensor(dtype, shape, elements * dtype.itemsize)
    if kind in QUANTISED:
        return name, dequantised(file.take(elements // BLOCK * block_bytes(kind)), kind, shape)
    raise BackboneError(
        f"{file.name} is quantised in a form that Lect does not read ({kind}): use a float16, q8_0, q5 or q4 file."
    )


def _alignment_heads(tensors: dict[str, Tensor], heads: int, rows: int) -> Heads:
    return published_alignment_heads(layer_count(tensors, "decoder.layers."), heads, rows)
