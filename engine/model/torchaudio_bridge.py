"""torchaudio where its compiled extension cannot be loaded.

torchaudio's wheels link their extension against CUDA, so that `import torchaudio` raises OSError beside a CPU-only
torch, although all that Lect uses (filter banks, effects) is plain Python over torch. Importing this module first
makes the extension absent instead of fatal; with a CUDA build of torch it changes nothing.
"""

import ctypes
import importlib.util
import sys
import types
from pathlib import Path

import torch  # noqa: F401  (its libraries must be loaded before torchaudio's extension is tried)


def _extension_loads() -> bool:
    package = importlib.util.find_spec("torchaudio")
    if package is None or package.origin is None:
        return True  # let the import below say what is missing
    for library in Path(package.origin).parent.glob("lib/_torchaudio*.so"):
        try:
            ctypes.CDLL(str(library))
        except OSError:
            return False
    return True


if not _extension_loads():
    stub = types.ModuleType("torchaudio._extension")
    # Names that torchaudio's own modules take from the extension when they are imported.
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
    stub.fail_if_no_align = lambda function: function  # type: ignore[attr-defined]
    sys.modules["torchaudio._extension"] = stub

import torchaudio.functional as functional  # noqa: E402

__all__ = ["functional"]
