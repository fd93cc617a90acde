"""Whisper (arXiv 2212.04356) as its files hold it, in any format, and how that becomes a backbone.

Sizes follow from the tensors; what a file says of them must agree. Our ids begin with four specials: Whisper's end of
text, start of transcript and two of its tokens that it never writes take their places, so that every row of its
embedding stays, in another order. It does not know formats, nor how text is decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from ...contract.errors import BackboneError, UsageError
from ...contract.model_config import ModelConfig
from ...text.vocabulary import BOS, CONTROL, EOS, PAD, SPECIALS, UNK, Vocabulary
from ..network import EncoderDecoder, sinusoids
from .limits import check_size, check_tensors, finite
from .network import Foreign, filled, layer_count, renamed
from .whisper_tokens import (
    ENGLISH_ROWS,
    NO_TIMESTAMPS,
    Heads,
    check_tokens,
    in_published_order,
    named,
    never_written,
    ordinary_tokens,
)

WINDOW_SECONDS = 30.0
# Whose places our specials take. Two are never written: the first that a tokenizer has stands in.
PLACES = {
    BOS: ("<|startoftranscript|>",),
    PAD: ("<|nospeech|>", "<|nocaptions|>"),
    EOS: ("<|endoftext|>",),
    UNK: ("<|startoflm|>",),
}

EMBEDDING, DECODER_POSITIONS = "decoder.embedding", "decoder.positions"
# What our network does not store: sinusoids, and an output that is the embedding.
ENCODER_POSITIONS, OUTPUT = "encoder.positions", "output"
FIRST_CONVOLUTION = "encoder.frontend.convolutions.0.weight"
LAYER = "{stack}.layers.{index}"  # our name of one
_POSITION_TOLERANCE = 4e-3  # of bfloat16 sinusoids


@dataclass(frozen=True)
class Whisper:
    """One Whisper, read but not yet built."""

    source: str  # its file's name, for sentences
    tensors: Mapping[str, Tensor]  # under our network's names and the two above; the embedding's rows in its order
    heads: int
    tokens: Sequence[str]  # by row of the embedding; "" where one has no name
    licence: str
    suppressed: Sequence[int] | None = None  # rows that are never written; None: as OpenAI's decoding does
    multilingual: bool | None = None  # None: by the number of tokens
    alignment_heads: Heads = ()


def whisper_backbone(whisper: Whisper, window_seconds: float = WINDOW_SECONDS) -> Foreign:
    """The backbone. Raises BackboneError when its parts do not fit each other.

    window_seconds: shorter clips are padded with silence up to here; see `MelFrontend` for what a short one changes.
    """
    source = whisper.source
    check_tensors(whisper.tensors, source)
    config = replace(
        whisper_config(whisper.tensors, whisper.heads, source),
        mel_window_seconds=window_seconds,
        alignment_heads=tuple(whisper.alignment_heads),
    )
    check_tokens(whisper.tokens, config.vocab_size, source)
    order, vocabulary = whisper_vocabulary(whisper)
    model = filled(config, finite(_network(whisper, config, order), source), source)
    languages = vocabulary.languages() or ("en",)
    return Foreign(model, vocabulary, languages, whisper.licence)


def whisper_config(tensors: Mapping[str, Tensor], heads: int, source: str) -> ModelConfig:
    """The sizes of the network that these tensors are of. Raises BackboneError where they are of none."""
    vocab_size, dim = _shape(tensors, EMBEDDING, 2, source)
    if dim % 2 or dim % check_size(source, "heads", heads, 1, dim):
        raise BackboneError(f"{source} says {heads} heads, which do not fit its width of {dim}: it is damaged.")
    return ModelConfig(
        vocab_size,
        dim,
        heads,
        ffn_dim=_shape(tensors, "encoder.layers.0.feed_forward.up.weight", 2, source)[0],
        encoder_layers=layer_count(tensors, "encoder.layers."),
        decoder_layers=layer_count(tensors, "decoder.layers."),
        mels=_shape(tensors, FIRST_CONVOLUTION, 3, source)[1],
        mel_strides=(1, 2),
        mel_normalisation="range",
        mel_window_seconds=WINDOW_SECONDS,
        decoder_positions=_shape(tensors, DECODER_POSITIONS, 2, source)[0],
        scale_embedding=False,
        key_bias=False,
        ctc=False,
    )


def whisper_vocabulary(whisper: Whisper) -> tuple[Tensor, Vocabulary]:
    """The row of each new token, and the vocabulary, which starts as the checkpoint does.

    What is suppressed at the first token only (the end and a space) is not: a clip without speech may have no text.
    Raises BackboneError where it lacks a token that every Whisper has.
    """
    tokens = named(whisper.tokens)
    rows = {token: row for row, token in enumerate(tokens)}
    taken = [_row(rows, PLACES[special], whisper.source) for special in range(len(SPECIALS))]
    order = taken + [row for row in range(len(tokens)) if row not in taken]
    new_ids = {row: new for new, row in enumerate(order)}
    suppressed = never_written(tokens) if whisper.suppressed is None else whisper.suppressed
    unwritten = {row for row, token in enumerate(tokens) if CONTROL.fullmatch(token)}
    unwritten |= {row for row in suppressed if row >= 0}
    multilingual = len(tokens) != ENGLISH_ROWS if whisper.multilingual is None else whisper.multilingual
    start = ("<|en|>", "<|transcribe|>", NO_TIMESTAMPS) if multilingual else (NO_TIMESTAMPS,)
    return torch.tensor(order), Vocabulary(
        "bytes",
        symbols=tuple(tokens[row] for row in order[len(SPECIALS) :]),
        start=(BOS, *(new_ids[_row(rows, (name,), whisper.source)] for name in start)),
        suppressed=tuple(sorted({new_ids[row] for row in unwritten} - set(range(len(SPECIALS))))),
    )


def plain_whisper(model: EncoderDecoder, vocabulary: Vocabulary, name: str, licence: str) -> Whisper:
    """Undoes `whisper_backbone`: the Whisper that a network is, its embedding's rows in the published order.

    Raises UsageError for a network or a vocabulary that is no published Whisper's.
    """
    config, frames = model.config, model.encoder.window_samples // model.config.frame_samples
    rows = None if config.mel_normalisation != "range" or vocabulary.kind != "bytes" else _published_rows(vocabulary)
    if rows is None:
        raise UsageError(f"{name} does not write in the tokens of a published Whisper: no other program could read it.")
    ids = {row: index for index, row in enumerate(rows)}
    tensors = {key: tensor.detach().float() for key, tensor in model.state_dict().items()}
    tensors[EMBEDDING] = tensors[EMBEDDING][torch.tensor([ids[row] for row in range(len(rows))])]
    tokens = in_published_order(ordinary_tokens(vocabulary.symbols), len(rows), name)
    names = named(tokens)
    return Whisper(
        name,
        tensors | {ENCODER_POSITIONS: sinusoids(torch.arange(frames), config.dim)},
        config.heads,
        tokens,
        licence,
        sorted(rows[index] for index in vocabulary.suppressed if not CONTROL.fullmatch(names[rows[index]])),
        bool(vocabulary.languages()),
        config.alignment_heads,
    )


def _published_rows(vocabulary: Vocabulary) -> list[int] | None:
    """The row of each of our tokens in the published order; None where they are not those."""
    try:
        tokens = named(in_published_order(ordinary_tokens(vocabulary.symbols), len(vocabulary), "it"))
    except BackboneError:
        return None
    places = {token: row for row, token in enumerate(tokens)}
    taken = [PLACES[special][0] for special in range(len(SPECIALS))]
    names = [*taken, *vocabulary.symbols]
    return [places[token] for token in names] if set(names) == set(tokens) else None


def whisper_modules(
    tensors: Mapping[str, Tensor],
    theirs: str,
    parts: Mapping[str, str],
    outside: Mapping[str, str],
    ours: str = LAYER,
) -> dict[str, str]:
    """Modules' names in a format, theirs -> ours.

    theirs: a layer's name, such as "{stack}.blocks.{index}"; parts: of a layer; outside: those of no layer.
    """
    names = dict(outside)
    for stack in ("encoder", "decoder"):
        count = layer_count(tensors, theirs.format(stack=stack, index=""))
        for index, (part, own) in product(range(count), parts.items()):
            layer = {"stack": stack, "index": index}
            names[f"{theirs.format(**layer)}.{part}"] = f"{ours.format(**layer)}.{own}"
    return names


def named_as(
    tensors: Mapping[str, Tensor],
    theirs: str,
    parts: Mapping[str, str],
    outside: Mapping[str, str],
    tables: Mapping[str, str],
) -> dict[str, Tensor]:
    """Tensors under our names under a format's, of which the tables are those that belong to no module."""
    own_parts, own_outside, own_tables = (
        {ours: name for name, ours in each.items()} for each in (parts, outside, tables)
    )
    modules = whisper_modules(tensors, LAYER, own_parts, own_outside, theirs)
    rest = {name: tensor for name, tensor in tensors.items() if name not in own_tables}
    return renamed(rest, modules) | {own_tables[name]: tensors[name] for name in own_tables.keys() & tensors.keys()}


def _network(whisper: Whisper, config: ModelConfig, order: Tensor) -> dict[str, Tensor]:
    """The tensors that our network stores. Raises BackboneError where it differs from every published Whisper."""
    used = dict(whisper.tensors)
    embedding = used[EMBEDDING]
    if not torch.equal(used.pop(OUTPUT, embedding), embedding):
        raise BackboneError(f"{whisper.source} has an output that is not its embedding, which no published one has.")
    if ENCODER_POSITIONS in used:
        length, dim = _shape(used, ENCODER_POSITIONS, 2, whisper.source)
        positions = used.pop(ENCODER_POSITIONS).float()
        if dim != config.dim or not _near(positions, sinusoids(torch.arange(length), dim)):
            raise BackboneError(f"{whisper.source} has encoder positions that are no sinusoids, unlike any published.")
    return used | {EMBEDDING: embedding[order]}


def _near(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= _POSITION_TOLERANCE)  # NaN is not near


def _shape(tensors: Mapping[str, Tensor], name: str, dims: int, source: str) -> tuple[int, ...]:
    if name not in tensors:
        raise BackboneError(f"{source} lacks weights, {name}: it is incomplete, or of another kind.")
    shape = tuple(tensors[name].shape)
    if len(shape) != dims or 0 in shape:
        raise BackboneError(f"{source} holds weights of other shapes than a Whisper has, {name}.")
    return shape


def _row(rows: Mapping[str, int], names: Sequence[str], source: str) -> int:
    for name in names:
        if name in rows:
            return rows[name]
    raise BackboneError(f"{source} lacks the token {names[0]}, which every Whisper has: it is no Whisper as published.")
