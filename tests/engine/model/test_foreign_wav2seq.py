"""Wav2Seq checkpoints, written here under fairseq's names, give what independent implementations give."""

import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lect.engine.contract.errors import BackboneError
from lect.engine.contract.model_config import WAV2VEC_CONVOLUTIONS, ModelConfig
from lect.engine.model.backbone import open_backbone, verify_backbone
from lect.engine.model.foreign import add_backbone
from lect.engine.model.foreign.network import filled
from lect.engine.model.foreign.wav2seq import parse_convolutions, read_wav2seq, wav2seq_config, wav2seq_network
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.weights import load_model

DIM, HEADS, FFN, VOCABULARY, CHANNELS = 128, 2, 96, 24, 16
CONVOLUTIONS = "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] + [(16, 2, 2)]"
TOLERANCE = 1e-4
# transformers' names of HuBERT -> fairseq's
HUBERT = (
    ("feature_projection.layer_norm", "layer_norm"),
    ("feature_projection.projection", "post_extract_proj"),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original0", "encoder.pos_conv.0.weight_g"),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original1", "encoder.pos_conv.0.weight_v"),
    ("encoder.pos_conv_embed.conv", "encoder.pos_conv.0"),
    (".attention.", ".self_attn."),
    ("feed_forward.intermediate_dense", "fc1"),
    ("feed_forward.output_dense", "fc2"),
)


@dataclass(frozen=True)
class Shape:
    """One of the published forms."""

    large: bool  # layer norms in the extractor, pre-norm, normalised waveform
    encoder_config: bool = True  # whether the checkpoint has it
    extra: tuple[str, ...] = ()  # what pretraining left behind


SHAPES = {
    "hubert-base": Shape(False, extra=("mask_emb", "label_embs_concat")),
    "hubert-large": Shape(True, extra=("mask_emb",)),
    "xlsr": Shape(True, encoder_config=False, extra=("mask_emb", "quantizer.vars", "project_q.weight")),
}


@pytest.fixture(scope="module")
def transformers() -> ModuleType:
    from lect.engine.model import torchaudio_bridge  # noqa: F401  (before transformers, which imports torchaudio)

    return pytest.importorskip("transformers", reason="transformers is not installed: pip install 'lect[dev]'")


def hubert(transformers: ModuleType, shape: Shape) -> Any:
    torch.manual_seed(1)
    config = transformers.HubertConfig(
        hidden_size=DIM,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=FFN,
        conv_dim=(CHANNELS,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer" if shape.large else "group",
        conv_bias=shape.large,
        do_stable_layer_norm=shape.large,
    )
    model = transformers.HubertModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases must be able to be wrong
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def fairseq_encoder(model: Any, shape: Shape) -> dict[str, Tensor]:
    tensors = {}
    for name, tensor in model.state_dict().items():
        for theirs, fairseq in HUBERT:
            name = name.replace(theirs, fairseq)
        if ".layers." in name and name.split(".layers.")[1].split(".")[1] == "layer_norm":
            name = name.replace(".layer_norm", ".self_attn_layer_norm")
        if name.startswith("feature_extractor"):
            name = name.replace(".conv.", ".0.").replace(".layer_norm.", ".2.1." if shape.large else ".2.")
        tensors[f"encoder.w2v_model.{name}"] = tensor
    tensors.pop("encoder.w2v_model.masked_spec_embed", None)
    return tensors | {f"encoder.w2v_model.{name}": torch.zeros(3) for name in shape.extra}


def fairseq_decoder(dim: int = DIM, ffn: int = FFN, layers: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(2)
    sizes = {f"{a}.{p}_proj": (dim, dim) for a in ("self_attn", "encoder_attn") for p in "qkv"}
    sizes |= {f"{attention}.out_proj": (dim, dim) for attention in ("self_attn", "encoder_attn")}
    sizes |= {"fc1": (ffn, dim), "fc2": (dim, ffn)}
    tensors = {"decoder.embed_tokens.weight": torch.randn(VOCABULARY, dim) * dim**-0.5}
    for layer in range(layers):
        for module, size in sizes.items():
            tensors[f"decoder.layers.{layer}.{module}.weight"] = torch.randn(size) * dim**-0.5
            tensors[f"decoder.layers.{layer}.{module}.bias"] = torch.randn(size[0]) * 0.1
        for norm in ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"):
            tensors[f"decoder.layers.{layer}.{norm}.weight"] = 1 + 0.1 * torch.randn(dim)
            tensors[f"decoder.layers.{layer}.{norm}.bias"] = 0.1 * torch.randn(dim)
    return tensors | {"decoder.embed_positions._float_tensor": torch.zeros(1)}


def checkpoint(tensors: dict[str, Tensor], shape: Shape, symbols: list[str] | None = None) -> dict[str, Any]:
    encoder = {
        "encoder_attention_heads": HEADS,
        "layer_norm_first": shape.large,
        "activation_fn": "gelu",
        "conv_feature_layers": CONVOLUTIONS,
    }
    model = {
        "decoder_embed_dim": DIM,
        "decoder_attention_heads": HEADS,
        "decoder_normalize_before": False,
        "activation_fn": "relu",
        "share_decoder_input_output_embed": True,
        "w2v_args": {"model": encoder} if shape.encoder_config else None,
    }
    state = {} if symbols is None else {"target_dictionary": {"symbols": symbols}}
    return {"model": tensors, "cfg": {"model": model, "task": {"normalize": shape.large}}, "task_state": state}


def write(path: Path, value: dict[str, Any]) -> Path:
    torch.save(value, path)
    return path


def decoder_logits(tensors: dict[str, Tensor], encoded: Tensor, tokens: Tensor) -> Tensor:
    """fairseq's post-norm decoder by torch's own multi-head attention; encoded (batch, frames, dim)."""
    half = DIM // 2
    position = 2 + torch.arange(tokens.shape[1])[:, None]
    angles = position * torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    table = tensors["decoder.embed_tokens.weight"]
    x = math.sqrt(DIM) * table[tokens] + torch.cat([angles.sin(), angles.cos()], 1)
    future = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
    for layer in range(2):
        own = {
            name.removeprefix(f"decoder.layers.{layer}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"decoder.layers.{layer}.")
        }
        x = _normed(own, "self_attn_layer_norm", x + _attended(own, "self_attn", x, x, future))
        x = _normed(own, "encoder_attn_layer_norm", x + _attended(own, "encoder_attn", x, encoded, None))
        hidden = F.relu(F.linear(x, own["fc1.weight"], own["fc1.bias"]))
        x = _normed(own, "final_layer_norm", x + F.linear(hidden, own["fc2.weight"], own["fc2.bias"]))
    return x @ table.T


def _normed(own: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, (DIM,), own[f"{name}.weight"], own[f"{name}.bias"])


def _attended(own: dict[str, Tensor], name: str, x: Tensor, memory: Tensor, hidden: Tensor | None) -> Tensor:
    query, key, value = (own[f"{name}.{part}_proj.weight"] for part in "qkv")
    attended, _ = F.multi_head_attention_forward(
        x.transpose(0, 1), memory.transpose(0, 1), memory.transpose(0, 1), DIM, HEADS, None,
        torch.cat([own[f"{name}.{part}_proj.bias"] for part in "qkv"]), None, None, False, 0.0,
        own[f"{name}.out_proj.weight"], own[f"{name}.out_proj.bias"], training=False, attn_mask=hidden,
        use_separate_proj_weight=True, q_proj_weight=query, k_proj_weight=key, v_proj_weight=value,
    )  # fmt: skip
    return attended.transpose(0, 1)


@pytest.mark.parametrize("name", SHAPES)
@torch.no_grad()
def test_equals_hubert_and_a_fairseq_decoder(name: str, tmp_path: Path, transformers: ModuleType) -> None:
    shape = SHAPES[name]
    theirs, decoder = hubert(transformers, shape), fairseq_decoder()
    foreign = read_wav2seq(write(tmp_path / "w.pt", checkpoint(fairseq_encoder(theirs, shape) | decoder, shape)))
    waveform = torch.randn(2, 8000) * 0.1
    lengths = torch.tensor([8000, 6400])
    waveform[1, 6400:] = 0
    encoded = foreign.model.encoder(foreign.model.encoder.embed(waveform, lengths), NO_HANDLES)
    tokens = torch.tensor([[2, 5, 6, 7], [2, 8, 9, 4]])
    logits = foreign.model.teacher_forcing(encoded, tokens, NO_HANDLES)
    for row, length in enumerate(lengths.tolist()):  # single clips: each of ours sits in a padded batch
        alone = waveform[row : row + 1, :length]
        expected = theirs(F.layer_norm(alone, alone.shape) if shape.large else alone).last_hidden_state
        assert int(encoded.lengths[row]) == expected.shape[1]
        torch.testing.assert_close(
            encoded.values[row : row + 1, : expected.shape[1]], expected, atol=TOLERANCE, rtol=TOLERANCE
        )
        wanted = decoder_logits(decoder, expected, tokens[row : row + 1])
        torch.testing.assert_close(logits[row : row + 1], wanted, atol=TOLERANCE, rtol=TOLERANCE)

    with torch.autocast("cpu", torch.bfloat16):
        half, _ = foreign.model(waveform, lengths, tokens, NO_HANDLES)
    assert (half - logits).abs().max() < 0.05 * logits.abs().max()  # bfloat16 has 8 bits


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_published_sizes_follow_from_the_shapes(large: bool, transformers: ModuleType) -> None:
    """HuBERT-base, and HuBERT-large, whose sizes are XLS-R's too; the checkpoint tells nothing of its config."""
    dim, ffn, layers = (1024, 4096, 24) if large else (768, 3072, 12)
    sizes = {
        "hidden_size": dim,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": dim // 64,
    }
    habits = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True} if large else {}
    with torch.device("meta"):
        theirs = transformers.HubertModel(transformers.HubertConfig(**sizes, **habits))
        tensors = fairseq_encoder(theirs, SHAPES["hubert-large" if large else "hubert-base"])
        tensors |= fairseq_decoder(dim, ffn, layers=6)
    config = wav2seq_config(tensors, {})
    assert config == ModelConfig(
        VOCABULARY, dim, dim // 64, ffn, layers, 6, "waveform", waveform_layer_norm=large, waveform_normalise=large,
        encoder_norm_first=large, decoder_norm_first=False, decoder_activation="relu",
        encoder_positions="convolutional", ctc=False,
    )  # fmt: skip
    filled(config, wav2seq_network(tensors, config), "it")  # name by name


SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]


@pytest.fixture(scope="module")
def tensors(transformers: ModuleType) -> dict[str, Tensor]:
    """A base checkpoint's."""
    return fairseq_encoder(hubert(transformers, SHAPES["hubert-base"]), SHAPES["hubert-base"]) | fairseq_decoder()


def test_vocabulary_of_text(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    pieces = ["▁the", "▁", "t", "he", *(f"▁w{n}" for n in range(16))]
    value = checkpoint(tensors, SHAPES["hubert-base"], SPECIALS + pieces)
    vocabulary = read_wav2seq(write(tmp_path / "ft.pt", value)).vocabulary
    assert vocabulary.kind == "unigram" and vocabulary.tokens == (*SPECIALS, *pieces)
    assert vocabulary.encode("the the") == [4, 4]
    assert vocabulary.decode([4, 5, 6, 7, 2]) == "the the"


def test_vocabulary_of_pseudo_subwords(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    numbers = [str(number) for number in (7, 3, *range(10, 28))]
    path = write(tmp_path / "pt.pt", checkpoint(tensors, SHAPES["hubert-base"], SPECIALS + numbers))
    assert read_wav2seq(path).vocabulary.symbols == tuple(numbers)
    vocab = '{"model": {"vocab": {"!%": 7, "%": 3}}}'
    (tmp_path / "c500-bpe-tokenizer-vocab30000.json").write_text(vocab)
    assert read_wav2seq(path).vocabulary.symbols[:3] == ("!%", "%", "10")
    path = write(tmp_path / "bare.pt", checkpoint(tensors, SHAPES["hubert-base"]))
    assert len(read_wav2seq(path).vocabulary) == VOCABULARY


def test_is_kept_in_the_store_and_loads_from_there(
    tmp_path: Path, tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECT_HOME", str(tmp_path / "home"))
    path = write(tmp_path / "wav2seq-hubert-base-25k.pt", checkpoint(tensors, SHAPES["hubert-base"]))
    folder = add_backbone(path)
    assert folder == tmp_path / "home" / "backbones" / path.stem
    assert verify_backbone(folder) == []
    backbone = open_backbone(path.stem)
    assert backbone.licence == "MIT"
    kept, read = load_model(backbone).state_dict(), read_wav2seq(path).model.state_dict()
    for name, tensor in read.items():
        torch.testing.assert_close(kept[name], tensor.half().float(), atol=0, rtol=0)


def test_what_does_not_fit_is_told_in_one_sentence(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    shape = SHAPES["hubert-base"]
    base = "encoder.w2v_model.encoder.layers.1"
    without = {name: tensor for name, tensor in tensors.items() if name != f"{base}.fc2.bias"}
    encoder_only = {name: tensor for name, tensor in tensors.items() if not name.startswith("decoder")}
    eleven = checkpoint(tensors, shape, SPECIALS + [str(n) for n in range(11)])
    cases = {
        "lacks weights, encoder.layers.1.feed_forward.down.bias": checkpoint(without, shape),
        "no place for, decoder.embed_out": checkpoint(tensors | {"decoder.embed_out": torch.zeros(2)}, shape),
        "has no decoder": checkpoint(encoder_only, shape),
        "no weights named 'model'": {"weights": tensors},
        "dictionary does not fit": eleven,
        "other shapes": checkpoint(tensors | {f"{base}.fc1.bias": torch.zeros(7)}, shape),
    }
    for words, value in cases.items():
        with pytest.raises(BackboneError, match=words) as raised:
            read_wav2seq(write(tmp_path / "w.pt", value))
        assert "\n" not in str(raised.value)


def test_convolutions_are_parsed_and_never_evaluated() -> None:
    text = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"
    assert parse_convolutions(text) == WAV2VEC_CONVOLUTIONS
    for hostile in (
        "__import__('os').getcwd()",
        "[(1, 2, 3)] * 9999 * 9999",
        "[(1, 2, 3)] * 10 ** 9",
        "[(1, 2)]",
        "[open]",
        "(1",
    ):
        with pytest.raises((ValueError, SyntaxError)):
            parse_convolutions(hostile)
