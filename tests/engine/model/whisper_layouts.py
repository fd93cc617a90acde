"""One tiny random Whisper, written in the layout of every program: what the readers must give back.

The writers follow the published layouts and share no code with the readers. A quantised writer also returns the
numbers that its file stands for.
"""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from lect.engine.model.network import sinusoids

DIM, HEADS, LAYERS, POSITIONS, FRAMES = 32, 4, 2, 20, 50
LANGUAGES = 3
BYTES = tuple(bytes([value]) for value in range(256))
BLOCK = 32

State = dict[str, Tensor]
Quantiser = Callable[[np.ndarray], tuple[bytes, np.ndarray]]  # (blocks, 32) -> what a file holds, what it stands for


def letters() -> list[str]:
    """GPT-2's letter for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(value) if value in shown else chr(next(hidden)) for value in range(256)]


def controls() -> list[str]:
    """The control tokens of a Whisper of three languages, in the published order."""
    names = ["endoftext", "startoftranscript", "en", "zh", "de", "translate", "transcribe", "startoflm", "startofprev"]
    times = [f"{step * 0.02:.2f}" for step in range(1501)]
    return [f"<|{name}|>" for name in (*names, "nospeech", "notimestamps", *times)]


TOKENS = (*letters(), *controls())


@dataclass(frozen=True)
class Tiny:
    """Weights under OpenAI's names, and its sizes."""

    state: State
    sizes: dict[str, int]


def tiny(rows: int = len(TOKENS), mels: int = 80) -> Tiny:
    """Random weights."""
    random = torch.Generator().manual_seed(rows + mels)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (DIM, mels, 3),
        "encoder.conv2.weight": (DIM, DIM, 3),
        "decoder.token_embedding.weight": (rows, DIM),
        "decoder.positional_embedding": (POSITIONS, DIM),
    }
    vectors = ["encoder.conv1.bias", "encoder.conv2.bias"]
    norms = ["encoder.ln_post", "decoder.ln"]
    for stack, attentions in (("encoder", ["attn"]), ("decoder", ["attn", "cross_attn"])):
        for index in range(LAYERS):
            block = f"{stack}.blocks.{index}"
            shapes |= {f"{block}.mlp.0.weight": (4 * DIM, DIM), f"{block}.mlp.0.bias": (4 * DIM,)}
            shapes |= {f"{block}.mlp.2.weight": (DIM, 4 * DIM)}
            vectors.append(f"{block}.mlp.2.bias")
            norms += [f"{block}.mlp_ln", *(f"{block}.{attention}_ln" for attention in attentions)]
            for attention in attentions:
                shapes |= {
                    f"{block}.{attention}.{part}.weight": (DIM, DIM) for part in ("query", "key", "value", "out")
                }
                vectors += [f"{block}.{attention}.{part}.bias" for part in ("query", "value", "out")]
    vectors += [f"{norm}.{part}" for norm in norms for part in ("weight", "bias")]
    shapes |= dict.fromkeys(vectors, (DIM,))
    # As float16 numbers, so that no float type changes them.
    state = {name: torch.randn(shape, generator=random).half().float() for name, shape in shapes.items()}
    state["encoder.positional_embedding"] = sinusoids(torch.arange(FRAMES), DIM)
    sizes = {
        "n_vocab": rows, "n_audio_ctx": FRAMES, "n_audio_state": DIM, "n_audio_head": HEADS, "n_audio_layer": LAYERS,
        "n_text_ctx": POSITIONS, "n_text_state": DIM, "n_text_head": HEADS, "n_text_layer": LAYERS, "n_mels": mels,
    }  # fmt: skip
    return Tiny(state, sizes)


def write_openai(path: Path, model: Tiny) -> Path:
    """OpenAI's `.pt`."""
    half = {name: tensor.half() for name, tensor in model.state.items()}
    torch.save({"dims": model.sizes, "model_state_dict": half}, path)
    return path


def tokenizer_json(path: Path) -> None:
    """A Hugging Face tokenizer that lists no timestamps, as older ones do not."""
    ordinary = {letter: row for row, letter in enumerate(letters())}
    names = [name for name in controls() if "." not in name]
    added = [{"content": name, "id": len(ordinary) + row} for row, name in enumerate(names)]
    path.write_text(json.dumps({"model": {"vocab": ordinary}, "added_tokens": added}))


def write_huggingface(folder: Path, model: Tiny, old: bool = False) -> Path:
    """transformers' folder; old: with pytorch_model.bin."""
    folder.mkdir()
    sizes = model.sizes
    config = {
        "model_type": "whisper", "vocab_size": sizes["n_vocab"], "d_model": DIM, "num_mel_bins": sizes["n_mels"],
        "max_target_positions": POSITIONS, "encoder_layers": LAYERS, "decoder_layers": LAYERS,
        "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "encoder_ffn_dim": 4 * DIM,
        "decoder_ffn_dim": 4 * DIM,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer_json(folder / "tokenizer.json")
    state = {f"model.{_in_transformers(name)}": tensor for name, tensor in model.state.items()}
    if old:
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors")
    return folder


def _in_transformers(name: str) -> str:
    pairs = (
        (".blocks.", ".layers."), ("cross_attn_ln", "encoder_attn_layer_norm"), ("cross_attn.", "encoder_attn."),
        (".attn_ln", ".self_attn_layer_norm"), (".attn.", ".self_attn."), ("query", "q_proj"), ("key", "k_proj"),
        ("value", "v_proj"), (".out.", ".out_proj."), ("mlp_ln", "final_layer_norm"), ("mlp.0", "fc1"),
        ("mlp.2", "fc2"), ("ln_post", "layer_norm"), ("decoder.ln.", "decoder.layer_norm."),
        ("token_embedding.", "embed_tokens."), ("positional_embedding", "embed_positions.weight"),
    )  # fmt: skip
    for theirs, ours in pairs:
        name = name.replace(theirs, ours)
    return name


# CTranslate2


def variables(model: Tiny) -> dict[str, Tensor]:
    """CTranslate2's names, with fused projections and zeros for the key's bias."""
    state, found = model.state, {}
    for name in ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"):
        found[f"encoder/{name.replace('.', '/')}"] = state[f"encoder.{name}"]
    found["decoder/embeddings/weight"] = state["decoder.token_embedding.weight"]
    for stack, last in (("encoder", "ln_post"), ("decoder", "ln")):
        found |= _norm(state, f"{stack}.{last}", f"{stack}/layer_norm")
        found[f"{stack}/position_encodings/encodings"] = state[f"{stack}.positional_embedding"]
        for index in range(LAYERS):
            theirs, ours = f"{stack}.blocks.{index}", f"{stack}/layer_{index}"
            found |= _fused(state, f"{theirs}.attn", f"{ours}/self_attention/linear_0", "query", "key", "value")
            found |= _fused(state, f"{theirs}.attn", f"{ours}/self_attention/linear_1", "out")
            found |= _norm(state, f"{theirs}.attn_ln", f"{ours}/self_attention/layer_norm")
            if stack == "decoder":
                found |= _fused(state, f"{theirs}.cross_attn", f"{ours}/attention/linear_0", "query")
                found |= _fused(state, f"{theirs}.cross_attn", f"{ours}/attention/linear_1", "key", "value")
                found |= _fused(state, f"{theirs}.cross_attn", f"{ours}/attention/linear_2", "out")
                found |= _norm(state, f"{theirs}.cross_attn_ln", f"{ours}/attention/layer_norm")
            found |= _norm(state, f"{theirs}.mlp_ln", f"{ours}/ffn/layer_norm")
            for number in (0, 1):
                found |= _fused(state, theirs, f"{ours}/ffn/linear_{number}", f"mlp.{2 * number}")
    return found


def _fused(state: State, theirs: str, ours: str, *parts: str) -> State:
    biases = [state.get(f"{theirs}.{part}.bias", torch.zeros(DIM)) for part in parts]
    weights = [state[f"{theirs}.{part}.weight"] for part in parts]
    return {f"{ours}/weight": torch.cat(weights), f"{ours}/bias": torch.cat(biases)}


def _norm(state: State, theirs: str, ours: str) -> State:
    return {f"{ours}/gamma": state[f"{theirs}.weight"], f"{ours}/beta": state[f"{theirs}.bias"]}


CT2_TYPES = {torch.float32: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.float16: 4, torch.bfloat16: 5}


def write_ctranslate2(path: Path, model: Tiny, form: str = "float32") -> Path:
    """`model.bin` in float32, float16, bfloat16, int8 or int16."""
    found = variables(model)
    if form in ("int8", "int16"):
        for name in [name for name in found if name.endswith("/weight")]:
            found[name], found[f"{name}_scale"] = quantised_ctranslate2(found[name], form)
    else:
        found = {name: tensor.to(getattr(torch, form)) for name, tensor in found.items()}
    for stack in ("encoder", "decoder"):
        found[f"{stack}/num_heads"] = torch.tensor(HEADS, dtype=torch.int16)
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    with path.open("wb") as file:
        file.write(struct.pack("<I", 6) + _string("WhisperSpec") + struct.pack("<II", 3, len(found)))
        for name, tensor in sorted(found.items()):
            data = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
            shape = tuple(tensor.shape)
            file.write(_string(name) + struct.pack(f"<B{len(shape)}I", len(shape), *shape))
            file.write(struct.pack("<BI", CT2_TYPES[tensor.dtype], len(data)) + data)
        file.write(struct.pack("<I", len(aliases)))
        for alias, target in aliases.items():
            file.write(_string(alias) + _string(target))
    return path


def quantised_ctranslate2(weight: Tensor, form: str) -> tuple[Tensor, Tensor]:
    """Whole numbers and scales, as ctranslate2/specs/model_spec.py makes them: number = weight x scale."""
    if form == "int16":
        scale = 2**10 / weight.abs().max()
        return (weight * scale).round().to(torch.int16), scale
    rows = weight.reshape(len(weight), -1)
    scales = 127 / rows.abs().amax(1)
    return (rows * scales[:, None]).round().to(torch.int8).reshape(weight.shape), scales


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


# whisper.cpp

# ggml's number of each form, of a file and of a tensor, and the bits of a number.
GGML_FORMS = {
    "f32": (0, 0), "f16": (1, 1), "q4_0": (2, 2), "q4_1": (3, 3), "q8_0": (7, 8), "q5_0": (8, 6), "q5_1": (9, 7),
}  # fmt: skip


def write_ggml(
    path: Path,
    model: Tiny,
    form: str = "f32",
    tokens: tuple[bytes, ...] = BYTES,
    quantisers: Mapping[str, Quantiser] | None = None,
) -> Tiny:
    """A ggml file; -> the weights that it stands for."""
    order = (
        "n_vocab n_audio_ctx n_audio_state n_audio_head n_audio_layer n_text_ctx n_text_state n_text_head n_text_layer "
        "n_mels"
    ).split()
    kept: State = {}
    mels = model.sizes["n_mels"]
    with path.open("wb") as file:
        file.write(struct.pack("<I11i", 0x67676D6C, *(model.sizes[name] for name in order), GGML_FORMS[form][0]))
        file.write(struct.pack("<2i", mels, 201) + bytes(4 * mels * 201))
        file.write(struct.pack("<i", len(tokens)))
        file.writelines(struct.pack("<I", len(token)) + token for token in tokens)
        for name, tensor in model.state.items():
            kind, data, kept[name] = _ggml_tensor(name, tensor, form, quantisers or QUANTISERS)
            shape = (*tensor.shape, 1) if name in ("encoder.conv1.bias", "encoder.conv2.bias") else tuple(tensor.shape)
            file.write(struct.pack(f"<3i{len(shape)}i", len(shape), len(name), kind, *shape[::-1]))
            file.write(name.encode() + data)
    return Tiny(kept, model.sizes)


def _ggml_tensor(
    name: str, tensor: Tensor, form: str, quantisers: Mapping[str, Quantiser]
) -> tuple[int, bytes, Tensor]:
    if tensor.dim() < 2 or form == "f32" or "positional" in name:
        return 0, tensor.numpy().tobytes(), tensor
    if form == "f16" or tensor.dim() > 2:
        return 1, tensor.half().numpy().tobytes(), tensor.half().float()
    data, values = quantisers[form](tensor.numpy().reshape(-1, BLOCK))
    return GGML_FORMS[form][1], data, torch.from_numpy(values).reshape(tensor.shape)


def _q8_0(blocks: np.ndarray) -> tuple[bytes, np.ndarray]:
    scale = (np.abs(blocks).max(1) / 127).astype("<f2")
    whole = np.rint(blocks / scale.astype("f4")[:, None]).clip(-128, 127).astype("i1")
    data = b"".join(one.tobytes() + numbers.tobytes() for one, numbers in zip(scale, whole, strict=True))
    return data, scale.astype("f4")[:, None] * whole


def _with_nibbles(bits: int, least: bool) -> Quantiser:
    def quantise(blocks: np.ndarray) -> tuple[bytes, np.ndarray]:
        most = 2**bits - 1
        if least:
            bottom = blocks.min(1).astype("<f2")
            scale = ((blocks.max(1) - blocks.min(1)) / most).astype("<f2")
            whole = np.rint((blocks - bottom.astype("f4")[:, None]) / scale.astype("f4")[:, None]).clip(0, most)
            values = scale.astype("f4")[:, None] * whole.astype("f4") + bottom.astype("f4")[:, None]
        else:
            bottom, middle = None, 2 ** (bits - 1)
            scale = (np.abs(blocks).max(1) / middle).astype("<f2")
            whole = np.rint(blocks / scale.astype("f4")[:, None] + middle).clip(0, most)
            values = scale.astype("f4")[:, None] * (whole - middle).astype("f4")
        data = []
        for row, numbers in enumerate(whole.astype(int)):
            data.append(scale[row].tobytes() + (b"" if bottom is None else bottom[row].tobytes()))
            if bits == 5:
                data.append(struct.pack("<I", sum((int(number) >> 4) << place for place, number in enumerate(numbers))))
            half = BLOCK // 2
            data.append(bytes(int(numbers[i] & 15) | int(numbers[i + half] & 15) << 4 for i in range(half)))
        return b"".join(data), values.astype("f4")

    return quantise


QUANTISERS = {
    "q8_0": _q8_0,
    "q4_0": _with_nibbles(4, least=False),
    "q4_1": _with_nibbles(4, least=True),
    "q5_0": _with_nibbles(5, least=False),
    "q5_1": _with_nibbles(5, least=True),
}


# MLX


def write_mlx(folder: Path, model: Tiny, npz: bool = False, bits: int | None = None) -> Tiny:
    """mlx-whisper's folder; -> the weights that it stands for."""
    folder.mkdir()
    config: dict[str, Any] = model.sizes | {"model_type": "whisper"}
    weights, kept = {}, dict(model.state)
    for name, tensor in model.state.items():
        own = name.replace("mlp.0", "mlp1").replace("mlp.2", "mlp2")
        if name == "encoder.positional_embedding":
            continue
        if bits and tensor.dim() == 2 and "positional" not in name:
            module = own.removesuffix(".weight")
            parts, kept[name] = quantised_mlx(tensor, bits)
            weights |= {f"{module}.{part}": value for part, value in parts.items()}
        else:
            weights[own] = tensor.transpose(1, 2) if tensor.dim() == 3 else tensor
    if bits:
        config["quantization"] = {"group_size": BLOCK, "bits": bits}
    (folder / "config.json").write_text(json.dumps(config))
    plain = {name: tensor.contiguous() for name, tensor in weights.items()}
    if npz:
        np.savez(folder / "weights.npz", **{name: tensor.numpy() for name, tensor in plain.items()})
    else:
        save_file(plain, folder / "weights.safetensors")
    return Tiny(kept, model.sizes)


def quantised_mlx(weight: Tensor, bits: int) -> tuple[Mapping[str, Tensor], Tensor]:
    """MLX's parts, and what they stand for: numbers of a row follow one another from the lowest bit of its words."""
    groups = weight.reshape(-1, BLOCK)
    least, most = groups.amin(1), groups.amax(1)
    scales = ((most - least) / (2**bits - 1)).half()
    whole = ((groups - least[:, None]) / scales.float()[:, None]).round().clamp(0, 2**bits - 1).long()
    values = whole * scales.float()[:, None] + least.half().float()[:, None]
    words = []
    for row in whole.reshape(len(weight), -1).tolist():
        stream = sum(number << place * bits for place, number in enumerate(row))
        words.append(list(struct.unpack(f"<{len(row) * bits // 32}I", stream.to_bytes(len(row) * bits // 8, "little"))))
    parts = {
        "weight": torch.tensor(words, dtype=torch.uint32),
        "scales": scales.reshape(len(weight), -1),
        "biases": least.half().reshape(len(weight), -1),
    }
    return parts, values.reshape(weight.shape)
