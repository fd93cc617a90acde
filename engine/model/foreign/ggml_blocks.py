"""ggml's quantised weights: blocks of 32 along a row, each with its own scale (ggml/src/ggml-common.h).

Low nibbles are a block's first half, high ones its second. What is written is rounded as in ggml-quants.c, to the bit.
It does not know files.
"""

import numpy as np
import torch
from torch import Tensor

BLOCK = 32
Q5_1, Q8_0 = 7, 8
_NIBBLES = ("q", "u1", BLOCK // 2)
_SCALE, _LEAST, _HIGH_BITS = ("d", "<f2"), ("m", "<f2"), ("h", "<u4")
# ggml's number of the form -> what a block of it holds.
QUANTISED = {
    2: np.dtype([_SCALE, _NIBBLES]),  # q4_0
    3: np.dtype([_SCALE, _LEAST, _NIBBLES]),  # q4_1
    6: np.dtype([_SCALE, _HIGH_BITS, _NIBBLES]),  # q5_0
    Q5_1: np.dtype([_SCALE, _LEAST, _HIGH_BITS, _NIBBLES]),
    Q8_0: np.dtype([_SCALE, ("q", "i1", BLOCK)]),
}
_MIDDLE = {2: 8, 6: 16}  # of the whole numbers without a least value


def block_bytes(kind: int) -> int:
    """Size of a block."""
    return QUANTISED[kind].itemsize


def dequantised(data: bytearray, kind: int, shape: tuple[int, ...]) -> Tensor:
    """float32 of this shape; kind: of QUANTISED."""
    blocks = np.frombuffer(data, QUANTISED[kind])
    names = blocks.dtype.names or ()
    values = blocks["q"] if kind == Q8_0 else np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1)
    if "h" in names:
        high = (blocks["h"][:, None] >> np.arange(BLOCK, dtype=np.uint32)) & 1
        values = values | (high.astype(np.uint8) << 4)
    found = values.astype(np.float32) - np.float32(_MIDDLE.get(kind, 0))
    found *= blocks["d"].astype(np.float32)[:, None]
    if "m" in names:
        found += blocks["m"].astype(np.float32)[:, None]
    return torch.from_numpy(found.reshape(shape))


def quantised(tensor: Tensor, kind: int) -> bytes:
    """The blocks of a float32 tensor whose rows are whole blocks long; kind: Q8_0 or Q5_1."""
    values = tensor.numpy().reshape(-1, BLOCK)
    blocks = np.zeros(len(values), QUANTISED[kind])
    least = values.min(axis=1) if kind == Q5_1 else np.zeros(len(values), np.float32)
    largest = values.max(axis=1) - least if kind == Q5_1 else np.abs(values).max(axis=1)
    scale = largest / np.float32(31 if kind == Q5_1 else 127)
    steps = (values - least[:, None]) * np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)[:, None]
    blocks["d"] = scale
    if kind == Q8_0:
        blocks["q"] = np.trunc(steps + np.copysign(np.float32(0.5), steps))  # halves go away from zero
        return blocks.tobytes()
    whole = np.minimum(steps + np.float32(0.5), 31).astype(np.uint8)
    blocks["m"] = least
    blocks["h"] = ((whole >> 4).astype(np.uint32) << np.arange(BLOCK, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    blocks["q"] = whole[:, : BLOCK // 2] & 15 | whole[:, BLOCK // 2 :] << 4
    return blocks.tobytes()
