"""Wav2Seq checkpoints (arXiv 2205.01086, fairseq): a HuBERT or XLS-R encoder and a post-norm decoder.

Names are those of fairseq's modules. The config may lack the encoder's part; what it leaves open follows from the
shapes, and from habits that all published encoders share. fairseq hides padding from attention but not from the first
convolution's normalisation; `engine/model/frontend.py` says where we differ on purpose.
"""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...contract.errors import BackboneError
from ...contract.model_config import WAV2VEC_CONVOLUTIONS, ModelConfig
from ...text.vocabulary import SPECIALS, WORD_START, Vocabulary
from .checkpoint import plain, read_checkpoint
from .limits import bounded_json, check_tensors, finite, short
from .network import Foreign, filled, layer_count, layer_names, renamed

HEAD_DIM = 64  # of every published encoder and decoder
MOST_CONVOLUTIONS = 100  # a longer list is no network but an attack on memory
LICENCE = "MIT"
TOKENIZERS = "*tokenizer*.json"  # beside the checkpoint: the characters of each pseudo-subword

_ENCODER = "encoder.w2v_model."
_EXTRACTOR = f"{_ENCODER}feature_extractor.conv_layers."
_POSITIONS = f"{_ENCODER}encoder.pos_conv.0."
# What pretraining leaves behind and recognition does not use.
_UNUSED = tuple(_ENCODER + name for name in ("mask_emb", "label_embs_concat", "final_proj", "quantizer", "project_q"))
_UNUSED += ("decoder.embed_positions._float_tensor", "decoder.version")

Tensors = Mapping[str, Tensor]


def read_wav2seq(path: Path, checkpoint: Mapping[str, Any] | None = None) -> Foreign:
    """The backbone in a checkpoint, which may be read already.

    Raises BackboneError when it is damaged, hostile or something else.
    """
    checkpoint = read_checkpoint(path) if checkpoint is None else checkpoint
    tensors = checkpoint.get("model")
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise BackboneError(f"{path.name} holds no weights named 'model', as fairseq's checkpoints do.")
    check_tensors(tensors, path.name)
    for part, example in (("encoder", f"{_EXTRACTOR}0.0.weight"), ("decoder", "decoder.embed_tokens.weight")):
        if example not in tensors:
            raise BackboneError(f"{path.name} has no {part} ({example}): it is no Wav2Seq checkpoint.")
    try:
        config = wav2seq_config(tensors, plain(checkpoint.get("cfg")) or {})
        vocabulary = _vocabulary(plain(checkpoint.get("task_state")) or {}, config.vocab_size, path.parent)
        network = wav2seq_network(tensors, config)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, SyntaxError, TypeError, ValueError) as error:
        raise BackboneError(f"{path.name} is no Wav2Seq checkpoint as published ({short(error)}).") from error
    return Foreign(filled(config, finite(network, path.name), path.name), vocabulary, (), LICENCE)


def wav2seq_config(tensors: Tensors, cfg: Mapping[str, Any]) -> ModelConfig:
    """The sizes, from the shapes where they tell and from `cfg` (plain containers) for the rest.

    Raises BackboneError where the network has habits that Lect's has not.
    """
    model = cfg.get("model") or {}
    encoder = (model.get("w2v_args") or {}).get("model") or {}
    vocab_size, dim = tensors["decoder.embed_tokens.weight"].shape
    large = f"{_EXTRACTOR}1.2.1.weight" in tensors  # LayerNorm behind every convolution
    heads = encoder.get("encoder_attention_heads", dim // HEAD_DIM)
    if model.get("decoder_attention_heads", heads) != heads or model.get("use_squared_relu"):
        raise BackboneError("This Wav2Seq checkpoint's decoder differs from the published ones: it cannot be used.")
    return ModelConfig(
        vocab_size,
        dim,
        heads,
        ffn_dim=tensors["decoder.layers.0.fc1.weight"].shape[0],
        encoder_layers=layer_count(tensors, f"{_ENCODER}encoder.layers."),
        decoder_layers=layer_count(tensors, "decoder.layers."),
        frontend="waveform",
        waveform_convolutions=_convolutions(tensors, encoder.get("conv_feature_layers")),
        waveform_layer_norm=large,
        waveform_normalise=(cfg.get("task") or {}).get("normalize", large),
        encoder_norm_first=encoder.get("layer_norm_first", large),
        decoder_norm_first=model.get("decoder_normalize_before", False),
        encoder_activation=encoder.get("activation_fn", "gelu"),
        decoder_activation=model.get("activation_fn", "relu"),
        encoder_positions="convolutional",
        position_kernel=tensors[f"{_POSITIONS}weight_v"].shape[2],
        position_groups=dim // tensors[f"{_POSITIONS}weight_v"].shape[1],
        ctc=False,
    )


def _convolutions(tensors: Tensors, expression: str | None) -> tuple[tuple[int, int, int], ...]:
    """(channels, kernel, stride) of each. Shapes do not tell strides: where the config does not, they are the usual."""
    stated = parse_convolutions(expression) if expression else WAV2VEC_CONVOLUTIONS
    shapes = [tensors[f"{_EXTRACTOR}{index}.0.weight"].shape for index in range(layer_count(tensors, _EXTRACTOR))]
    found = tuple((shape[0], shape[2], stride) for shape, (*_, stride) in zip(shapes, stated, strict=True))
    if [kernel for _, kernel, _ in found] != [kernel for _, kernel, _ in stated]:
        raise ValueError("its convolutions have other shapes than its config says")
    return found


def parse_convolutions(expression: str) -> tuple[tuple[int, int, int], ...]:
    """`[(512, 10, 5)] + [(512, 3, 2)] * 4` without evaluating it. Raises ValueError or SyntaxError."""
    found = _value(ast.parse(expression, mode="eval").body)
    if not isinstance(found, list) or not all(isinstance(each, tuple) and len(each) == 3 for each in found):
        raise ValueError(f"{expression!r} is no list of convolutions")
    return tuple(found)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) is int and 0 < node.value < 10_000:
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, list):
            return left + right
        if isinstance(node.op, ast.Mult) and isinstance(left, list) and len(left) * right <= MOST_CONVOLUTIONS:
            return left * right
    raise ValueError("its list of convolutions is not plain")


def wav2seq_network(tensors: Tensors, config: ModelConfig) -> dict[str, Tensor]:
    """The checkpoint's tensors under our names."""
    used = {name: tensor for name, tensor in tensors.items() if not name.startswith(_UNUSED)}
    direction, length = used.pop(f"{_POSITIONS}weight_v"), used.pop(f"{_POSITIONS}weight_g")
    if length.numel() != direction.shape[2]:  # else their product could be far larger than both
        raise ValueError("its positions have other shapes than published ones")
    norm = direction.float().square().sum((0, 1), keepdim=True).sqrt()
    used[f"{_POSITIONS}weight"] = length.float() * direction.float() / norm
    embedding = used.pop("decoder.embed_tokens.weight")
    return renamed(used, _modules(config)) | {"decoder.embedding": embedding}


def _modules(config: ModelConfig) -> dict[str, str]:
    norm = "encoder.norm" if config.encoder_norm_first else "encoder.embedding_norm"
    names = {
        f"{_ENCODER}layer_norm": "encoder.frontend.norm",
        f"{_ENCODER}post_extract_proj": "encoder.frontend.projection",
        f"{_ENCODER}encoder.pos_conv.0": "encoder.positions.convolution",
        f"{_ENCODER}encoder.layer_norm": norm,
        "decoder.layer_norm": "decoder.norm",
    }
    for index in range(len(config.waveform_convolutions)):
        names[f"{_EXTRACTOR}{index}.0"] = f"encoder.frontend.convolutions.{index}"
        names[f"{_EXTRACTOR}{index}.2{'.1' * config.waveform_layer_norm}"] = f"encoder.frontend.norms.{index}"
    for index in range(config.encoder_layers):
        names |= layer_names(f"{_ENCODER}encoder.layers.{index}", f"encoder.layers.{index}", cross=False)
    for index in range(config.decoder_layers):
        names |= layer_names(f"decoder.layers.{index}", f"decoder.layers.{index}", cross=True)
    return names


def _vocabulary(task_state: Mapping[str, Any], size: int, folder: Path) -> Vocabulary:
    """The checkpoint's own dictionary: subwords after fine-tuning on text, numbers of pseudo-subwords before.

    fairseq sorts these by frequency, so the tokenizer can say what a number stands for but not which row is its own;
    without a dictionary, rows keep bare numbers.
    """
    dictionary = task_state.get("target_dictionary") or {}
    rows = [str(row) for row in range(len(SPECIALS), size)]
    symbols = list(dictionary.get("symbols") or [*SPECIALS, *rows])
    if tuple(symbols[: len(SPECIALS)]) != SPECIALS or len(symbols) != size:
        raise ValueError("its dictionary does not fit its embedding")
    pieces = symbols[len(SPECIALS) :]
    if any(WORD_START in piece for piece in pieces):
        # fairseq keeps no probabilities: equal ones cut words into the fewest pieces.
        return Vocabulary("unigram", tuple(pieces), (-1.0,) * len(pieces))
    characters = _pseudo_subwords(folder) if dictionary else {}
    return Vocabulary("phone", tuple(characters.get(piece, piece) for piece in pieces))


def _pseudo_subwords(folder: Path) -> dict[str, str]:
    """Number -> characters, from the published tokenizer beside the checkpoint, if it is there."""
    for path in sorted(folder.glob(TOKENIZERS)):
        return {str(number): piece for piece, number in bounded_json(path)["model"]["vocab"].items()}
    return {}
