"""ONNX files as sessions of ONNX Runtime, on the CPU or on a CUDA device. It does not know what a graph computes."""

import contextlib
import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt
import onnxruntime

from lect.engine.contract.errors import BackboneError

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_FATAL = 4

Array = npt.NDArray[Any]
Session: TypeAlias = onnxruntime.InferenceSession


def cuda_is_there() -> bool:
    """Whether ONNX Runtime was built for CUDA and the driver finds a device.

    A CUDA build lists its provider everywhere; asking for it without a device logs errors and falls back without a
    word.
    """
    if CUDA not in onnxruntime.get_available_providers():
        return False
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def open_session(path: Path, cuda: bool, threads: int | None) -> Session:
    """An ONNX file, loaded; threads: None for as many as there are cores. Raises BackboneError."""
    if not path.is_file():
        raise BackboneError(f"There is no {path.name} in {path.parent}: run `lect export` for this backbone first.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Spinning threads cost more than they win as soon as anything else runs on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Planning which buffers share memory takes longer than loading all else; the arena frees them after use anyway.
    options.enable_mem_reuse = False
    # Processors without VNNI add pairs of 8-bit products in 16 bits: there, ONNX Runtime is to widen the weights.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if cuda:
        # A CUDA build without all of its libraries logs errors before it falls back; `Network.device` tells instead.
        onnxruntime.set_default_logger_severity(_FATAL)
    options.log_severity_level = _FATAL
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[CUDA, CPU] if cuda else [CPU])
    except Exception as error:  # onnxruntime's own exceptions have no common public class
        raise BackboneError(f"The graph {path.name} in {path.parent} cannot be loaded: export it again.") from error
    _trim()
    return session


def _trim() -> None:
    # Weights are loaded, packed anew and freed, and glibc keeps what was freed: a sixth of a Whisper's peak.
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # other C libraries have no such call, and no need of it
            ctypes.CDLL(None).malloc_trim(0)


def run(session: Session, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs by name."""
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))
