"""Other programs write real weights in their own formats. Run by a Python that has them, never imported by Lect's own.

python whisper_writers.py OPENAI_PT TOKENIZER_FOLDER RECORDING TARGET

needs openai-whisper, transformers, ctranslate2, mlx (on Linux: mlx[cpu]) and mlx-whisper. It writes into TARGET what
each program writes, and `reference.safetensors`: quantised weights as MLX itself dequantises them. OpenAI's program and
mlx-whisper also transcribe the recording, to prove that OPENAI_PT is what it should be.
"""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx_whisper.decoding
import torch
import whisper
from ctranslate2.converters import TransformersConverter
from mlx.utils import tree_flatten, tree_unflatten
from mlx_whisper.whisper import ModelDimensions, Whisper
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

CT2_FORMS = ("float32", "float16", "bfloat16", "int8", "int8_float16", "int16")
MLX_BITS = (4, 8)
RENAMED = (
    (".blocks.", ".layers."), ("cross_attn_ln", "encoder_attn_layer_norm"), ("cross_attn.", "encoder_attn."),
    (".attn_ln", ".self_attn_layer_norm"), (".attn.", ".self_attn."), ("query", "q_proj"), ("key", "k_proj"),
    ("value", "v_proj"), (".out.", ".out_proj."), ("mlp_ln", "final_layer_norm"), ("mlp.0", "fc1"), ("mlp.2", "fc2"),
    ("ln_post", "layer_norm"), ("decoder.ln.", "decoder.layer_norm."), ("token_embedding.", "embed_tokens."),
    ("positional_embedding", "embed_positions.weight"),
)  # fmt: skip


def write_transformers(model: whisper.Whisper, tokenizer: Path, folder: Path) -> None:
    """Hugging Face's folder, by transformers."""
    sizes = model.dims
    config = WhisperConfig(
        vocab_size=sizes.n_vocab, num_mel_bins=sizes.n_mels, d_model=sizes.n_audio_state,
        encoder_layers=sizes.n_audio_layer, decoder_layers=sizes.n_text_layer,
        encoder_attention_heads=sizes.n_audio_head, decoder_attention_heads=sizes.n_text_head,
        encoder_ffn_dim=4 * sizes.n_audio_state, decoder_ffn_dim=4 * sizes.n_text_state,
    )  # fmt: skip
    theirs = WhisperForConditionalGeneration(config)
    state = {}
    for name, tensor in model.state_dict().items():
        for old, new in RENAMED:
            name = name.replace(old, new)
        state[f"model.{name}"] = tensor
    left = theirs.load_state_dict(state, strict=False)
    assert not left.unexpected_keys and left.missing_keys in ([], ["proj_out.weight"]), left
    theirs.tie_weights()
    published = json.loads((tokenizer / "config.json").read_text())
    theirs.generation_config = GenerationConfig(
        suppress_tokens=published["suppress_ids"], begin_suppress_tokens=published["suppress_ids_begin"],
        alignment_heads=published["alignment_heads"], is_multilingual=True, decoder_start_token_id=50258,
        eos_token_id=50257, lang_to_id={str(row): row for row in published["lang_ids"]},
    )  # fmt: skip
    theirs.half().save_pretrained(folder)
    shutil.copy(tokenizer / "tokenizer.json", folder)


def write_mlx(model: whisper.Whisper, folder: Path, bits: int | None) -> tuple[Whisper, dict[str, mx.array]]:
    """mlx-whisper's folder; -> its model, and quantised weights as MLX dequantises them."""
    folder.mkdir()
    sizes = ModelDimensions(**asdict(model.dims))
    theirs = Whisper(sizes, mx.float16)
    weights = []
    for name, tensor in model.state_dict().items():
        if name != "encoder.positional_embedding":
            values = mx.array(tensor.float().numpy()).astype(mx.float16)
            name = name.replace("mlp.0", "mlp1").replace("mlp.2", "mlp2")
            weights.append((name, values.transpose(0, 2, 1) if values.ndim == 3 else values))
    theirs.update(tree_unflatten(weights))
    config = asdict(sizes) | {"model_type": "whisper"}
    if bits:
        nn.quantize(theirs, 64, bits)
        config["quantization"] = {"group_size": 64, "bits": bits}
    found = dict(tree_flatten(theirs.parameters()))
    if bits:
        mx.save_safetensors(str(folder / "weights.safetensors"), found)
    else:
        mx.savez(str(folder / "weights.npz"), **found)
    (folder / "config.json").write_text(json.dumps(config))
    plain = {}
    for name in [name.removesuffix(".scales") for name in found if name.endswith(".scales")]:
        parts = [found[f"{name}.{part}"] for part in ("scales", "biases")]
        wide = [part.astype(mx.float32) for part in parts]
        plain[f"{bits}.{name}.weight"] = mx.dequantize(found[f"{name}.weight"], *wide, group_size=64, bits=bits)
    return theirs, plain


def main(checkpoint: Path, tokenizer: Path, recording: str, target: Path) -> None:
    """Writes everything."""
    model = whisper.load_model(str(checkpoint), device="cpu")
    waveform = whisper.pad_or_trim(torch.tensor(json.loads(Path(recording).read_text())))
    mel = whisper.log_mel_spectrogram(waveform)
    options = whisper.DecodingOptions(language="nl", fp16=False, without_timestamps=True)
    texts = {"openai": whisper.decode(model, mel, options).text}
    write_transformers(model, tokenizer, target / "transformers")
    for form in CT2_FORMS:
        converter = TransformersConverter(str(target / "transformers"), copy_files=["tokenizer.json"])
        converter.convert(str(target / f"ct2-{form}"), quantization=form)
    reference: dict[str, mx.array] = {}
    for bits in (None, *MLX_BITS):
        theirs, plain = write_mlx(model, target / f"mlx-{bits or 16}", bits)
        reference |= plain
        if bits is None:  # quantised products take minutes on a CPU
            own = mlx_whisper.decoding.DecodingOptions(language="nl", without_timestamps=True)
            texts["mlx"] = mlx_whisper.decoding.decode(theirs, mx.array(mel.numpy().T).astype(mx.float16), own).text
    mx.save_safetensors(str(target / "reference.safetensors"), reference)
    (target / "texts.json").write_text(json.dumps(texts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
