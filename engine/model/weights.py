"""Weights between memory and safetensors files: a backbone's network, and an adaptation's tensors."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..contract.errors import BackboneError, TrainError
from ..contract.files import atomic_path, write_json
from ..contract.tensor_files import disk_errors
from ..contract.tensor_names import is_shared_prompt, shared_prompt_weight, shared_prompts
from ..text.vocabulary import Vocabulary
from .backbone import CONFIG, FORMAT_VERSION, WEIGHTS, Backbone, write_sums
from .eight_bits import described, is_stored_so, quantised, restored, scale_name
from .network import EncoderDecoder

Bits = Literal[8, 16]


def load_model(backbone: Backbone, window_seconds: float | None = None) -> EncoderDecoder:
    """The frozen network, float32, in evaluation mode.

    window_seconds: what it pads shorter clips up to, where that is not the config's. Raises BackboneError when the
    weights do not fit the config.
    """
    window = backbone.config.mel_window_seconds if window_seconds is None else window_seconds
    model = EncoderDecoder(replace(backbone.config, mel_window_seconds=window))
    try:
        model.load_state_dict(_read(backbone, lambda name: not is_shared_prompt(name)))
    except RuntimeError as error:
        raise BackboneError(
            f"The weights of backbone {backbone.name!r} do not fit its config: install it again."
        ) from error
    return model.eval().requires_grad_(False)


def load_shared_prompt(backbone: Backbone) -> dict[str, Tensor]:
    """The prompt tensors that new prompts may start from; empty where the backbone has none."""
    return shared_prompts(_read(backbone, is_shared_prompt))


def _read(backbone: Backbone, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    try:
        with safe_open(backbone.weights, framework="np") as file:
            stored = {name: file.get_tensor(name) for name in file.keys() if wanted(described(name))}
            return {name: torch.from_numpy(tensor) for name, tensor in restored(stored).items()}
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise BackboneError(f"The weights of backbone {backbone.name!r} cannot be read: install it again.") from error


def load_adaptation(path: Path) -> dict[str, Tensor]:
    """An adaptation's flat tensors. Raises TrainError when the file is damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainError(f"{path} cannot be read ({error}): train again.") from error


def save_backbone(
    folder: Path,
    name: str,
    model: EncoderDecoder,
    vocabulary: Vocabulary,
    *,
    languages: tuple[str, ...],
    licence: str,
    shared_prompt: Mapping[str, Tensor] | None = None,
    bits: Bits = 16,
) -> None:
    """Writes a backbone folder: config, weights and sums. Graphs and model card are added by their own makers.

    bits: 16 for float16, 8 for matrices as `eight_bits` stores them and all else in float16.
    """
    tensors = dict(model.state_dict())
    tensors |= {shared_prompt_weight(key): tensor for key, tensor in (shared_prompt or {}).items()}
    # With the sizes inside, weights that another network reads in another way have another hash.
    metadata = {"model": json.dumps(model.config.to_json(), sort_keys=True)}
    save_tensors(folder / WEIGHTS, _stored(tensors, bits), metadata)
    config = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "model": model.config.to_json(),
        "vocabulary": vocabulary.to_json(),
        "languages": list(languages),
        "licence": licence,
    }
    write_json(folder / CONFIG, config)
    write_sums(folder)


def _stored(tensors: Mapping[str, Tensor], bits: Bits) -> dict[str, Tensor]:
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if bits == 8 and is_stored_so(name, tensor.shape):
            rows, scales = quantised(tensor.detach().float().cpu().numpy())
            stored |= {name: torch.from_numpy(rows), scale_name(name): torch.from_numpy(scales)}
        else:
            stored[name] = tensor.detach().half()
    return stored


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes tensors atomically, in the order of their names; metadata: of one entry, since their order varies."""
    with disk_errors(path), atomic_path(path) as temporary:
        save_file({name: tensors[name].cpu().contiguous() for name in sorted(tensors)}, temporary, metadata)
