"""Which device computes, and in which precision: chosen once, and reported as what is really used."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from ..contract.errors import UsageError


@dataclass(frozen=True)
class Device:
    """A device and its precision for matrix products; weights stay float32."""

    torch_device: torch.device
    bf16: bool  # autocast to bfloat16
    name: str  # for people

    def autocast(self) -> AbstractContextManager[object]:
        """The context that a training or scoring step runs in."""
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16, enabled=self.bf16)

    @property
    def precision(self) -> str:
        """The name of the precision of matrix products."""
        return "bfloat16" if self.bf16 else "float32"


def choose_device(wanted: str = "auto", precision: str = "auto") -> Device:
    """`wanted`: auto, cuda, mps or cpu; `precision`: auto, float32 or bfloat16.

    Raises UsageError when it is not there.
    """
    kind = _best() if wanted == "auto" else wanted
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(kind, False):
        raise UsageError(f"Device {kind!r} is not available to this PyTorch; use --device auto, or run `lect doctor`.")
    if kind == "cuda":
        # cuDNN's attention is compiled anew, 0.4 s long, for every length of clips: ten times the cost of a step.
        torch.backends.cuda.enable_cudnn_sdp(False)
    bf16 = _has_fast_bf16(kind) if precision == "auto" else precision == "bfloat16"
    return Device(torch.device(kind), bf16, _name(kind))


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_fast_bf16(kind: str) -> bool:
    """Whether bfloat16 products are faster than float32 ones; without hardware for them they are many times slower."""
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind == "mps":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def _name(kind: str) -> str:
    if kind == "cuda":
        return f"CUDA ({torch.cuda.get_device_name()})"
    if kind == "mps":
        return "Apple GPU (MPS)"
    return f"CPU ({torch.get_num_threads()} of {os.cpu_count()} cores)"
