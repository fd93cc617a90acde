"""What a decoder's alignment heads attended to while a batch was searched, for the times of what was found.

Every step of the search gives it anyway, and only then is it known without reading all tokens once more. It knows
neither graphs nor what a token means.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lect.engine.decoding.ctc import Ints

from .onnx_sessions import Array


@dataclass(frozen=True)
class Attended:
    """By clip and by the tokens that the decoder had read."""

    frames: Ints  # (clips,) of each clip itself, without what fills a window
    _weights: dict[tuple[int, ...], Array] = field(default_factory=dict)

    def note(self, clips: Ints, read: Ints, weights: Array) -> None:
        """A step's: (rows,) the clip of each row, (rows, steps) what it has read, and (rows, heads, frames)."""
        for clip, tokens, row in zip(clips.tolist(), read.tolist(), weights, strict=True):
            own = row[:, : self.frames[clip]]
            # Half precision: hypotheses that come to nothing are kept too, and a batch's are tens of megabytes.
            shares = own / np.maximum(own.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
            self._weights[clip, *tokens] = shares.astype(np.float16)

    def of(self, clip: int, read: Sequence[int], tokens: Sequence[int]) -> Array | None:
        """(tokens + 1, heads, frames) of the steps that predicted the tokens, behind those read before, and the end.

        None where nothing was noted.
        """
        steps = [self._weights.get((clip, *read, *tokens[:end])) for end in range(len(tokens) + 1)]
        found = [weights for weights in steps if weights is not None]
        return np.stack(found).astype(np.float32) if found else None
