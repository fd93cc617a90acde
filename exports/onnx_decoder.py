"""The decoder's graph, one step at a time, as the search asks for it. It knows neither packs nor torch."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lect.engine.contract.tensor_names import ALIGNMENT
from lect.engine.decoding.ctc import Ints, LogProbs
from lect.engine.decoding.search import attended

from .onnx_network import Adapted, Encoded, Network, as_cache
from .onnx_sessions import Array, run

# Takes a step's clips and read tokens, as `State` has them, and the alignment heads' weights, (rows, heads, frames).
Listener = Callable[[Ints, Ints, Array], None]


@dataclass(frozen=True)
class State:
    """Where the decoder stands, one row per hypothesis."""

    position: int
    clips: Ints  # (rows,) which clip of the batch each row listens to
    past: dict[str, Array]  # (rows, heads, prompt + written, head_dim)
    listened: dict[str, Array]  # cross keys/values and mask, (clips, ...)
    read: Ints  # (rows, position) tokens


class OnnxDecoder:
    """The `StepDecoder` of a network over a batch of encoder output."""

    def __init__(self, network: Network, encoded: Encoded, adapted: Adapted, listener: Listener | None = None):
        self.session, self.encoded, self.adapted, self.listener = adapted.session, encoded, adapted, listener
        self._listened = {"encoder_attention_mask": encoded.mask, **encoded.cross}
        shapes = {port.name: port.shape for port in adapted.session.get_inputs()}
        # Graphs of Lect 0.1 want what a row attends to row by row.
        self._repeats = shapes["encoder_attention_mask"][0] == "batch"

    def start(self) -> State:
        """Prompts as the first rows of the cache; one row per clip."""
        batch = len(self.encoded.mask)
        past = {name: np.repeat(rows, batch, axis=0) for name, rows in self.adapted.past.items()}
        return State(0, np.arange(batch), past, self._listened, np.zeros((batch, 0), np.int64))

    def step(self, tokens: Ints, state: State) -> tuple[LogProbs, State]:
        """(rows,) -> (rows, vocab) log-probabilities and the next state."""
        positions = np.full(len(tokens), state.position, np.int64)
        feeds = {"input_ids": tokens, "position_ids": positions, **state.past, **state.listened, **self.adapted.decoder}
        outputs = run(self.session, feeds)
        logits, past, read = outputs["logits"], as_cache(outputs), np.column_stack([state.read, tokens])
        if self.listener and ALIGNMENT in outputs:
            self.listener(state.clips, read, outputs[ALIGNMENT])
        return _log_softmax(logits), replace(state, position=state.position + 1, past=past, read=read)

    def reorder(self, state: State, rows: Ints) -> State:
        """Picks and repeats rows; uses `state` up. Only what changes is copied, for caches are large."""
        clips, listened = state.clips[rows], state.listened
        before, needed = (each if self._repeats else attended(each) for each in (state.clips, clips))
        if not np.array_equal(needed, before):
            listened = {name: array[needed] for name, array in self._listened.items()}
        past = {name: _picked(array, rows) for name, array in state.past.items()}
        return State(state.position, clips, past, listened, state.read[rows])


def _picked(array: Array, rows: Ints) -> Array:
    """array[rows], in place where as many rows stay as there were: most of them stay where they are."""
    if len(rows) != len(array):
        return array[rows]
    moved = np.flatnonzero(rows != np.arange(len(rows)))
    array[moved] = array[rows[moved]]
    return array


def _log_softmax(logits: Array) -> LogProbs:
    shifted = logits - logits.max(axis=1, keepdims=True)
    scores: LogProbs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return scores
