"""A training's state in one safetensors file: weights, the optimiser's moments, and progress as JSON. Never a pickle.

Randomness needs no place in it: every step seeds its own from (seed, step), so that a resumed run repeats an unbroken
one.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..contract.errors import UsageError
from ..contract.files import atomic_path
from ..contract.tensor_files import disk_errors


def save_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
    """Writes atomically; only parameters that learn are kept, the others belong to the backbone's own file."""
    tensors = {f"weight.{name}": tensor.detach() for name, tensor in _learning(module)}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    with disk_errors(path), atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"progress": json.dumps(progress)})


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restores both in place; returns the progress. Raises UsageError when the checkpoint is of another module."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        progress: dict[str, Any] = json.loads(file.metadata()["progress"])
    weights = _weights(tensors)
    with torch.no_grad():
        for name, parameter in _learning(module):
            if name not in weights or weights[name].shape != parameter.shape:
                raise UsageError(f"{path} is of another model or other languages: train into another folder.")
            parameter.copy_(weights[name])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return progress


def load_weights(path: Path) -> dict[str, Tensor]:
    """The weights alone, by parameter name."""
    with safe_open(path, framework="pt") as file:
        return _weights({name: file.get_tensor(name) for name in file.keys()})


def _weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("weight."): tensor for name, tensor in tensors.items() if name.startswith("weight.")}


def _learning(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
