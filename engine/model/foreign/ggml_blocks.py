"""ggml's quantised weights: blocks of 32 along a row, each with its own scale (ggml/src/ggml-common.h).

Low nibbles are a block's first half, high ones its second. It does not know files.
"""

import numpy as np
import torch
from torch import Tensor

BLOCK = 32
_NIBBLES = ("q", "u1", BLOCK // 2)
_SCALE, _LEAST, _HIGH_BITS = ("d", "<f2"), ("m", "<f2"), ("h", "<u4")
# ggml's number of the form -> what a block of it holds.
QUANTISED = {
    2: np.dtype([_SCALE, _NIBBLES]),  # q4_0
    3: np.dtype([_SCALE, _LEAST, _NIBBLES]),  # q4_1
    6: np.dtype([_SCALE, _HIGH_BITS, _NIBBLES]),  # q5_0
    7: np.dtype([_SCALE, _LEAST, _HIGH_BITS, _NIBBLES]),  # q5_1
    8: np.dtype([_SCALE, ("q", "i1", BLOCK)]),  # q8_0
}
_MIDDLE = {2: 8, 6: 16}  # of the whole numbers without a least value


def block_bytes(kind: int) -> int:
    """Size of a block."""
    return QUANTISED[kind].itemsize


def dequantised(data: bytearray, kind: int, shape: tuple[int, ...]) -> Tensor:
    """float32 of this shape; kind: of QUANTISED."""
    blocks = np.frombuffer(data, QUANTISED[kind])
    names = blocks.dtype.names or ()
    values = blocks["q"] if kind == 8 else np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1)
    if "h" in names:
        high = (blocks["h"][:, None] >> np.arange(BLOCK, dtype=np.uint32)) & 1
        values = values | (high.astype(np.uint8) << 4)
    found = values.astype(np.float32) - np.float32(_MIDDLE.get(kind, 0))
    found *= blocks["d"].astype(np.float32)[:, None]
    if "m" in names:
        found += blocks["m"].astype(np.float32)[:, None]
    return torch.from_numpy(found.reshape(shape))
