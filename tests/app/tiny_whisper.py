"""A tiny random Whisper in Hugging Face's layout: what `lect backbone add` takes."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from lect.engine.model.network import sinusoids

LETTERS = "abcdefghijklmnopqrstuvwxyzĠ"
CONTROLS = ("endoftext", "startoftranscript", "en", "sw", "transcribe", "startoflm", "nospeech", "notimestamps")
DIM, LAYERS = 16, 1


def whisper_folder(folder: Path) -> Path:
    """Random weights in Hugging Face's layout, written without its library."""
    folder.mkdir()
    tokens = [*LETTERS, *(f"<|{name}|>" for name in CONTROLS)]
    sizes = {
        "vocab_size": len(tokens), "d_model": DIM, "num_mel_bins": 80, "max_target_positions": 20,
        "encoder_layers": LAYERS, "decoder_layers": LAYERS, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 24, "decoder_ffn_dim": 24,
    }  # fmt: skip
    specials = {"decoder_start_token_id": tokens.index("<|startoftranscript|>"), "eos_token_id": len(LETTERS)}
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper"} | sizes | specials))
    (folder / "vocab.json").write_text(json.dumps({letter: index for index, letter in enumerate(LETTERS)}))
    added = {f"<|{name}|>": len(LETTERS) + index for index, name in enumerate(CONTROLS)}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    save_file(weights(len(tokens)), folder / "model.safetensors")
    return folder


def weights(vocabulary: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (DIM, 80, 3),
        "encoder.conv2.weight": (DIM, DIM, 3),
        "decoder.embed_tokens.weight": (vocabulary, DIM),
        "decoder.embed_positions.weight": (20, DIM),
    }
    vectors = ["encoder.conv1.bias", "encoder.conv2.bias"]
    norms = ["encoder.layer_norm", "decoder.layer_norm"]
    for stack, attentions in (("encoder", ["self_attn"]), ("decoder", ["self_attn", "encoder_attn"])):
        layer = f"{stack}.layers.0"
        shapes |= {f"{layer}.fc1.weight": (24, DIM), f"{layer}.fc1.bias": (24,), f"{layer}.fc2.weight": (DIM, 24)}
        vectors.append(f"{layer}.fc2.bias")
        norms.append(f"{layer}.final_layer_norm")
        for attention in attentions:
            parts = ("q_proj", "k_proj", "v_proj", "out_proj")
            shapes |= {f"{layer}.{attention}.{part}.weight": (DIM, DIM) for part in parts}
            vectors += [f"{layer}.{attention}.{part}.bias" for part in parts if part != "k_proj"]
            norms.append(f"{layer}.{attention}_layer_norm")
    vectors += [f"{norm}.{part}" for norm in norms for part in ("weight", "bias")]
    tensors = {name: torch.randn(shape) for name, shape in (shapes | dict.fromkeys(vectors, (DIM,))).items()}
    tensors["encoder.embed_positions.weight"] = sinusoids(torch.arange(1500), DIM)
    return {f"model.{name}": tensor for name, tensor in tensors.items()}
