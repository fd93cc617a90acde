"""A tiny random backbone with its graphs, exported once, and what an adaptation of it might look like."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.tensor_names import ATTENTION
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.device import Device
from lect.engine.model.handles import Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model, save_backbone
from lect.engine.text.rules import TextRules
from lect.engine.text.vocabulary import EOS, Vocabulary
from lect.exports.backbone_graphs import build_backbone
from lect.exports.pack import PackContents
from lect.exports.pack_tensors import Tensor
from tests.conftest import PHONES, TINY, tones

# pytest collects every record, and torch writes one for each step of an export.
logging.getLogger("torch.__trace").propagate = False

LETTERS = Vocabulary("grapheme", tuple(" abdgilmosu"))
WAVEFORM = replace(
    TINY,
    frontend="waveform",
    waveform_convolutions=((16, 10, 5), (16, 8, 8), (16, 8, 8)),
    encoder_norm_first=False,
    decoder_norm_first=False,
    decoder_activation="relu",
    encoder_positions="convolutional",
    position_kernel=16,
    position_groups=4,
    convolution_kernel=0,
    encoder_layers=1,
    decoder_layers=1,
    ctc=False,
)


def sharpened(config: ModelConfig, seed: int) -> EncoderDecoder:
    """A random network that is sure of what it says, so that rounding cannot change its mind, and has much to say."""
    torch.manual_seed(seed)
    model = EncoderDecoder(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and parameter.dim() == 2:
            parameter.mul_(2)
    model.decoder.embedding.mul_(4)[EOS] = 0  # it would end at once
    if model.decoder.norm is not None:
        model.decoder.norm.weight.neg_()  # with its tied output it would repeat what it reads
    return model


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Weights and graphs in both builds."""
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    save_backbone(folder, "tiny", sharpened(TINY, 1), PHONES, languages=("xx",), licence="CC0-1.0")
    opened = open_backbone(str(folder))
    build_backbone(opened, load_model(opened))
    return open_backbone(str(folder))


@pytest.fixture(scope="session")
def model(backbone: Backbone) -> EncoderDecoder:
    """The same network in torch."""
    return load_model(backbone)


@pytest.fixture(scope="session")
def clips() -> list[np.ndarray]:
    """(samples,) each, of five lengths."""
    texts = ("ba da", "go mi su", "la", "su la go mi", "da")
    return [tones(text, 0.31 + 0.22 * index, index) for index, text in enumerate(texts)]


def adaptation(
    config: ModelConfig,
    *,
    seed: int = 1,
    length: int = 3,
    rank: int = 2,
    vocabulary: int = len(LETTERS),
    same_cross: bool = True,
    head: bool = False,
) -> dict[str, Tensor]:
    """Prompts and adapters in every layer and a vocabulary, each stack's layers of different lengths.

    head: whether it brings a CTC head where the backbone has none.
    """
    rng = np.random.default_rng(seed)
    stacks = {"encoder": config.encoder_layers, "decoder": config.decoder_layers, "cross": config.decoder_layers}
    tensors = {}
    for stack, layers in stacks.items():
        for layer in range(layers):
            rows = length if stack == "cross" and same_cross else length + layer
            for part in ("key", "value"):
                tensors[f"{stack}.{layer}.prompt.{part}"] = rng.standard_normal((rows, config.heads, config.head_dim))
            if stack == "encoder" and rank:
                tensors |= updates(config, layer, rank, np.random.default_rng([seed, layer]))
            if stack != "cross" and rank:
                tensors[f"{stack}.{layer}.adapter.down"] = rng.standard_normal((rank, config.dim)) / 4
                tensors[f"{stack}.{layer}.adapter.up"] = rng.standard_normal((config.dim, rank)) / 4
    tensors["vocabulary.embedding"] = rng.standard_normal((vocabulary, config.dim)) * 4 * config.dim**-0.5
    tensors["vocabulary.embedding"][EOS] = 0
    if config.ctc or head:
        tensors["vocabulary.ctc.weight"] = rng.standard_normal((vocabulary, config.dim)) * config.dim**-0.5
        tensors["vocabulary.ctc.bias"] = rng.standard_normal(vocabulary)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def updates(config: ModelConfig, layer: int, rank: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Of all projections of an encoder layer."""
    sizes = {name: (config.dim, config.dim) for name in ATTENTION}
    sizes |= {"up": (config.dim, config.ffn_dim), "down": (config.ffn_dim, config.dim)}
    found = {}
    for name, (size_in, size_out) in sizes.items():
        found[f"encoder.{layer}.lora.{name}.down"] = rng.standard_normal((rank, size_in)) * size_in**-0.5
        found[f"encoder.{layer}.lora.{name}.up"] = rng.standard_normal((size_out, rank)) / 64
    return found


def in_torch(tensors: Mapping[str, Tensor]) -> dict[str, torch.Tensor]:
    """The same as torch tensors."""
    return {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}


def contents(backbone: Backbone, tensors: Mapping[str, Tensor], **changes: Any) -> PackContents:
    """What a pack or a portable export of these tensors holds."""
    facts = {"name": "village", "language": "xx-village", "method": {"method": "prompt", "num_virtual_tokens": 3}}
    given = {"vocabulary": LETTERS, "rules": TextRules(), **facts, **changes}
    return PackContents(backbone=backbone, tensors=tensors, **given)


def texts(
    model: EncoderDecoder,
    tensors: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    clips: Sequence[np.ndarray],
    options: DecodeOptions | None = None,
) -> list[str]:
    """The text by torch."""
    handles, cpu = Handles.from_tensors(in_torch(tensors)), Device(torch.device("cpu"), False, "CPU")
    return Recogniser(model, vocabulary, handles, options or DecodeOptions(), cpu).texts(clips)
