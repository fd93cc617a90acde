"""Exported graphs in ONNX Runtime: waveforms to encoder output, and the decoder step that the search asks for.

Everything an adaptation changes is fed as an input, so one pair of sessions serves any number of adaptations. It reads
the inputs' names and shapes from the graphs themselves and knows neither packs nor torch.
"""

import ctypes
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from lect.engine.audio.batches import batches_by_length, padded
from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import BackboneError, PackError, UsageError
from lect.engine.contract.tensor_names import (
    EMBEDDING,
    PROMPT,
    TensorName,
    adaptation_inputs,
    as_past,
    parse,
    parse_past,
)
from lect.engine.decoding.ctc import Ints, LogProbs
from lect.engine.decoding.search import DecodeOptions, Hypothesis, decode
from lect.engine.text.vocabulary import Vocabulary

ENCODER = "encoder_model.onnx"
DECODER = "decoder_model_merged.onnx"
# What a graph says of itself.
BUILD, BACKBONE_SHA256, POSITIONS = "lect.build", "lect.backbone_sha256", "lect.decoder_positions"
WINDOW_SECONDS = "lect.window_seconds"
# A vocabulary's embedding, and what the int8 build multiplies by where it is large: int8 columns, and a scale each.
VOCABULARY_COLUMNS, VOCABULARY_SCALES = "vocabulary.columns", "vocabulary.scales"
_LARGEST = 63  # of 7 bits; see `lect.exports.build.quantized`
_ROWS_AT_ONCE = 256  # so few that they stay in a processor's cache
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_FATAL = 4

BATCH_SECONDS = 60.0  # of padded audio that is transcribed at once
WINDOWS_AT_ONCE = 8  # likewise, where each clip fills a window; only the decoder has them all

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]


@dataclass(frozen=True)
class Adapted:
    """An adaptation's tensors as the graphs take them; the bare backbone's are empty."""

    encoder: dict[str, Array]
    decoder: dict[str, Array]
    past: dict[str, Array]  # first rows of the cache: (1, heads, length, head_dim)
    hears_ctc: bool = True  # false where its training let the CTC head be, which then has nothing to say


@dataclass(frozen=True)
class Encoded:
    """What the encoder says about a batch."""

    mask: Ints  # (batch, frames), 1 inside each clip
    ctc_log_probs: LogProbs | None  # (batch, frames, vocab); None without a CTC head
    cross: dict[str, Array]  # the decoder's inputs of these names, (batch, heads, prompt + frames, head_dim)

    @property
    def lengths(self) -> Ints:
        """(batch,) frames."""
        lengths: Ints = self.mask.sum(axis=1)
        return lengths


class Network:
    """A backbone's two graphs, loaded once."""

    def __init__(self, encoder: onnxruntime.InferenceSession, decoder: onnxruntime.InferenceSession):
        self.encoder, self.decoder = encoder, decoder
        self._shapes = {port.name: port.shape for session in (encoder, decoder) for port in session.get_inputs()}
        self._encoder_names = {port.name for port in encoder.get_inputs()}
        self._decoder_names = {port.name for port in decoder.get_inputs()}

    @classmethod
    def open(cls, folder: Path, device: str = "auto", threads: int | None = None) -> "Network":
        """Loads the graphs in `folder`; device: auto, cpu or cuda. Raises UsageError or BackboneError."""
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"Device {device!r} is not known here: use auto, cpu or cuda.")
        if device == "cuda" and not cuda_is_there():
            raise UsageError("There is no usable CUDA device: use --device auto, or run `lect doctor`.")
        cuda = device != "cpu" and cuda_is_there()
        network = cls(*(open_session(folder / name, cuda, threads) for name in (ENCODER, DECODER)))
        if device == "cuda" and network.device != "cuda":
            raise UsageError(
                "ONNX Runtime cannot use this machine's CUDA device: use --device auto, or run `lect doctor`."
            )
        return network

    @property
    def device(self) -> str:
        """Where it really runs, read back from the sessions: cuda or cpu."""
        providers = [session.get_providers()[0] for session in (self.encoder, self.decoder)]
        return "cuda" if providers == [_CUDA, _CUDA] else "cpu"

    @property
    def facts(self) -> dict[str, str]:
        """What the graphs say of themselves."""
        facts: dict[str, str] = self.encoder.get_modelmeta().custom_metadata_map
        return facts

    @property
    def positions(self) -> int:
        """The most tokens that the decoder reads, its start included; 0: no limit."""
        return int(self.facts.get(POSITIONS, 0))

    @property
    def window_samples(self) -> int:
        """What the encoder fills shorter clips up to, as Whisper's does; 0: nothing."""
        return round(float(self.facts.get(WINDOW_SECONDS, 0)) * SAMPLE_RATE)

    @property
    def takes_tensors(self) -> bool:
        """Whether adaptations are inputs; a portable export has one inside."""
        return EMBEDDING in self._shapes

    def adapt(self, tensors: Tensors) -> Adapted:
        """The feeds of an adaptation; a layer without tensors gets length and rank 0.

        Raises PackError when a tensor does not fit.
        """
        past = {}
        for name in self._decoder_names:
            cache = parse_past(name)
            if cache is not None and cache[1] == "decoder":
                layer, _, part = cache
                past[name] = self._prompt(name, tensors.get(str(TensorName("decoder", layer, PROMPT, part))))
        given = {name: tensor for name, tensor in tensors.items() if not _is_decoder_prompt(name)}
        for name, tensor in given.items():
            if not self._fits(name, tensor.shape):
                raise PackError(f"The tensor {name!r} does not fit this backbone: the pack was made for another one.")
        adaptable = {name for name in self._shapes if _is_adaptable(name)}
        feeds = {name: _as_input(given[name]) if name in given else self._nothing(name) for name in adaptable}
        if VOCABULARY_COLUMNS in adaptable:
            feeds[VOCABULARY_COLUMNS], feeds[VOCABULARY_SCALES] = _quantized(feeds[EMBEDDING])
        return Adapted(
            {name: feeds[name] for name in self._encoder_names & adaptable},
            {name: feeds[name] for name in self._decoder_names & adaptable},
            past,
        )

    def batches(self, waveforms: Sequence[Samples], seconds: float) -> list[list[int]]:
        """Which are transcribed at once: those of like length, up to so much padded audio, or up to so many windows."""
        lengths, window = [len(waveform) for waveform in waveforms], self.window_samples
        return batches_by_length(lengths, max(seconds * SAMPLE_RATE, WINDOWS_AT_ONCE * window), window)

    def encode(self, waveforms: Sequence[Samples], adapted: Adapted) -> Encoded:
        """waveforms: (samples,) float32 at 16 kHz each."""
        batches = [[waveform] for waveform in waveforms] if self.window_samples else [waveforms]
        parts = [
            _run(self.encoder, {"audio": audio, "lengths": lengths, **adapted.encoder})
            for audio, lengths in map(padded, batches)
        ]
        outputs = {name: _stacked([part.pop(name) for part in parts]) for name in list(parts[0])}
        cross = _as_cache(outputs)
        ctc = outputs.get("ctc_log_probs") if adapted.hears_ctc else None
        return Encoded(outputs["encoder_attention_mask"], ctc, cross)

    def _prompt(self, name: str, prompt: Array | None) -> Array:
        _, heads, _, head_dim = self._shapes[name]
        if prompt is None:
            return np.zeros((1, heads, 0, head_dim), np.float32)
        if prompt.ndim != 3 or prompt.shape[1:] != (heads, head_dim):
            raise PackError("A decoder prompt does not fit this backbone: the pack was made for another one.")
        return _as_input(prompt.transpose(1, 0, 2)[None])

    def _fits(self, name: str, shape: tuple[int, ...]) -> bool:
        wanted = self._shapes.get(name) if _is_adaptable(name) else None
        return (
            wanted is not None
            and len(wanted) == len(shape)
            and all(isinstance(want, str) or want == size for want, size in zip(wanted, shape, strict=True))
        )

    def _nothing(self, name: str) -> Array:
        return np.zeros([0 if isinstance(size, str) else size for size in self._shapes[name]], np.float32)


@dataclass(frozen=True)
class State:
    """Where the decoder stands, one row per hypothesis."""

    position: int
    clips: Ints  # (rows,) which clip of the batch each row listens to
    past: dict[str, Array]  # (rows, heads, prompt + written, head_dim)
    listened: dict[str, Array]  # cross keys/values and mask, (rows, ...)


class OnnxDecoder:
    """The `StepDecoder` of a network over a batch of encoder output."""

    def __init__(self, network: Network, encoded: Encoded, adapted: Adapted):
        self.session, self.encoded, self.adapted = network.decoder, encoded, adapted
        self._listened = {"encoder_attention_mask": encoded.mask, **encoded.cross}

    def start(self) -> State:
        """Prompts as the first rows of the cache; one row per clip."""
        batch = len(self.encoded.mask)
        past = {name: np.repeat(rows, batch, axis=0) for name, rows in self.adapted.past.items()}
        return State(0, np.arange(batch), past, self._listened)

    def step(self, tokens: Ints, state: State) -> tuple[LogProbs, State]:
        """(rows,) -> (rows, vocab) log-probabilities and the next state."""
        positions = np.full(len(tokens), state.position, np.int64)
        feeds = {"input_ids": tokens, "position_ids": positions, **state.past, **state.listened, **self.adapted.decoder}
        outputs = _run(self.session, feeds)
        logits = outputs.pop("logits")
        past = _as_cache(outputs)
        return _log_softmax(logits), replace(state, position=state.position + 1, past=past)

    def reorder(self, state: State, rows: Ints) -> State:
        """Picks and repeats rows; uses `state` up. Only what changes is copied, for caches are large."""
        clips = state.clips[rows]
        listened = state.listened
        if not np.array_equal(clips, state.clips):
            listened = {name: array[clips] for name, array in self._listened.items()}
        past = {name: _picked(array, rows) for name, array in state.past.items()}
        return State(state.position, clips, past, listened)


def recognize(
    network: Network,
    adapted: Adapted,
    waveforms: Sequence[Samples],
    vocabulary: Vocabulary,
    options: DecodeOptions,
    batch_seconds: float = BATCH_SECONDS,
) -> list[Hypothesis]:
    """(samples,) float32 at 16 kHz each -> their tokens, as the torch `Recogniser` finds them."""
    found: dict[int, Hypothesis] = {}
    for batch in network.batches(waveforms, batch_seconds):
        encoded = network.encode([waveforms[index] for index in batch], adapted)
        make_decoder = partial(OnnxDecoder, network, encoded, adapted)
        written = decode(make_decoder, encoded.ctc_log_probs, encoded.lengths, vocabulary, options, network.positions)
        found |= dict(zip(batch, written, strict=True))
    return [found[index] for index in range(len(waveforms))]


def cuda_is_there() -> bool:
    """Whether ONNX Runtime was built for CUDA and the driver finds a device.

    A CUDA build lists its provider everywhere; asking for it without a device logs errors and falls back without a
    word.
    """
    if _CUDA not in onnxruntime.get_available_providers():
        return False
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def open_session(path: Path, cuda: bool, threads: int | None) -> onnxruntime.InferenceSession:
    """An ONNX file, loaded; threads: None for as many as there are cores. Raises BackboneError."""
    if not path.is_file():
        raise BackboneError(f"There is no {path.name} in {path.parent}: run `lect export` for this backbone first.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Spinning threads cost more than they win as soon as anything else runs on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Planning which buffers share memory takes longer than loading all else; the arena frees them after use anyway.
    options.enable_mem_reuse = False
    if cuda:
        # A CUDA build without all of its libraries logs errors before it falls back; `Network.device` tells instead.
        onnxruntime.set_default_logger_severity(_FATAL)
    options.log_severity_level = _FATAL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[_CUDA, _CPU] if cuda else [_CPU])
    except Exception as error:  # onnxruntime's own exceptions have no common public class
        raise BackboneError(f"The graph {path.name} in {path.parent} cannot be loaded: export it again.") from error


def _run(session: onnxruntime.InferenceSession, feeds: dict[str, Array]) -> dict[str, Array]:
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def _quantized(rows: Array) -> tuple[Array, Array]:
    """(vocab, dim) -> int8 (dim, vocab) and float32 (vocab,), whose product column by column is nearly the same."""
    columns, scales = np.empty(rows.shape[::-1], np.int8), np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        these = slice(start, start + _ROWS_AT_ONCE)
        scales[these] = np.maximum(np.abs(rows[these]).max(axis=1) / _LARGEST, np.finfo(np.float32).tiny)
        columns[:, these] = np.rint(rows[these] / scales[these, None]).T
    return columns, scales


def _stacked(parts: Sequence[Array]) -> Array:
    """(rows, ...) each -> one below the other, filled up with zeros where some are shorter in a size."""
    if len(parts) == 1:
        return parts[0]
    shape = np.max([part.shape for part in parts], axis=0)
    stacked = np.zeros((sum(map(len, parts)), *shape[1:]), parts[0].dtype)
    row = 0
    for part in parts:
        stacked[(slice(row, row + len(part)), *map(slice, part.shape[1:]))] = part
        row += len(part)
    return stacked


def _picked(array: Array, rows: Ints) -> Array:
    """array[rows], in place where as many rows stay as there were: most of them stay where they are."""
    if len(rows) != len(array):
        return array[rows]
    moved = np.flatnonzero(rows != np.arange(len(rows)))
    array[moved] = array[rows[moved]]
    return array


def _is_adaptable(name: str) -> bool:
    return name in (VOCABULARY_COLUMNS, VOCABULARY_SCALES) or bool(adaptation_inputs([name]))


def _is_decoder_prompt(name: str) -> bool:
    layered = parse(name)
    return layered is not None and (layered.stack, layered.kind) == ("decoder", PROMPT)


def _as_cache(outputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs that the decoder takes at its next step, under its inputs' names."""
    return {past: array for name, array in outputs.items() if (past := as_past(name)) is not None}


def _as_input(tensor: Array) -> Array:
    return np.ascontiguousarray(tensor, np.float32)


def _log_softmax(logits: Array) -> LogProbs:
    shifted = logits - logits.max(axis=1, keepdims=True)
    scores: LogProbs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return scores
