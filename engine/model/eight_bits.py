"""Weights in 8 bits with a scale for each row: how they are made, stored and read back. In numpy, without torch.

A matrix W (rows, columns) is stored turned, as integers Q (columns, rows) under its own name, as the graphs' products
read it, and as scales s (rows,) under `scale_name`; W = (Q * s) transposed is what PyTorch and both builds of the
graphs compute with. Symmetric rounding to the nearest, as in Wu et al. 2020 (arXiv 2004.09602, section 3).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

LARGEST = 127
_SUFFIX = ".scale"

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int8]


def is_stored_so(name: str, shape: Sequence[int]) -> bool:
    """Whether a network's tensor is worth it: matrices are, but positions, which are added and not multiplied by.

    Nor is the first encoder layer's attention: on Whisper-base's it alone makes half of the encoder's error (2.7 % of
    the output's deviation with it, 1.4 % without) for a seventieth of the weights.
    """
    return len(shape) == 2 and not name.endswith("positions") and not name.startswith("encoder.layers.0.attention.")


def scale_name(name: str) -> str:
    """The name under which a matrix's scales are stored."""
    return name + _SUFFIX


def described(name: str) -> str:
    """The matrix whose scales a tensor holds; of any other tensor, itself."""
    return name.removesuffix(_SUFFIX)


def quantised(matrix: Floats, largest: int = LARGEST) -> tuple[Integers, Floats]:
    """(rows, columns) -> integers (columns, rows) up to `largest` and the scale of each row."""
    # A row of nothing, or nearly, must not divide by zero.
    scales = np.maximum(np.abs(matrix).max(axis=1) / np.float32(largest), np.finfo(np.float32).tiny)
    return np.ascontiguousarray(np.rint(matrix / scales[:, None]).astype(np.int8).T), scales


def restored(tensors: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Floats]:
    """All tensors of a weights file in float32 and the right way round.

    Raises KeyError for integers without scales, and ValueError for scales of another number of rows.
    """
    found = dict[str, Floats]()
    for name, tensor in tensors.items():
        if tensor.dtype == np.int8:
            scales = tensors[scale_name(name)].astype(np.float32)
            found[name] = np.ascontiguousarray((tensor.astype(np.float32) * scales).T)
        elif described(name) == name or described(name) not in tensors:
            found[name] = tensor.astype(np.float32)
    return found
