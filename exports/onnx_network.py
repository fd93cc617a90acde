"""Exported graphs in ONNX Runtime: what an adaptation feeds them, and waveforms to encoder output.

Everything an adaptation changes is fed as an input, so one pair of sessions serves any number of adaptations. It reads
the inputs' names and shapes from the graphs themselves and knows neither packs nor torch.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lect.engine.audio.batches import batches_by_length, padded
from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import PackError, UsageError
from lect.engine.contract.tensor_names import (
    ALIGNMENT,
    CTC_LOG_PROBS,
    CTC_WEIGHT,
    EMBEDDING,
    PROMPT,
    TensorName,
    adaptation_inputs,
    as_past,
    parse,
    parse_past,
)
from lect.engine.decoding.ctc import Ints, LogProbs

from .graph_files import GraphFiles
from .onnx_sessions import CUDA, Array, Session, cuda_is_there, open_session, run

# A graph's facts about itself.
BUILD, BACKBONE = "lect.build", "lect.backbone"
BACKBONE_SHA256, POSITIONS = "lect.backbone_sha256", "lect.decoder_positions"
WINDOW_SECONDS = "lect.window_seconds"  # what the runtime fills a clip up to, unless an adaptation says otherwise
CTC_STRIDE = "lect.ctc_stride"  # encoder frames to one of the CTC head's

BATCH_SECONDS = 60.0  # of padded audio that is transcribed at once
WINDOWS_AT_ONCE = 8  # likewise, where each clip fills a window; only the decoder has them all

Tensors = Mapping[str, Array]
Shape: TypeAlias = list[Any]  # an int, or a name where it is dynamic, for each axis


@dataclass(frozen=True)
class Adapted:
    """An adaptation's tensors as the graphs take them; the bare backbone's are empty."""

    encoder: dict[str, Array]
    decoder: dict[str, Array]
    past: dict[str, Array]  # first rows of the cache: (1, heads, length, head_dim)
    session: Session  # the decoder's
    window_samples: int = 0  # what shorter clips are filled up to
    uses_ctc: bool = True  # False without a CTC head, or where the training left it as it was: its scores mean nothing
    ctc_weight: float | None = None  # in the search; None where a pack does not say

    @property
    def has_alignment(self) -> bool:
        """Whether the decoder tells what its alignment heads attend to; older graphs do not."""
        return any(port.name == ALIGNMENT for port in self.session.get_outputs())


@dataclass(frozen=True)
class Encoded:
    """The encoder's output for a batch."""

    mask: Ints  # (batch, frames), 1 inside each clip
    ctc_log_probs: LogProbs | None  # (batch, frames / ctc_stride, vocab); None without a CTC head
    cross: dict[str, Array]  # the decoder's inputs of these names, (batch, heads, prompt + frames, head_dim)
    ctc_stride: int = 1

    @property
    def lengths(self) -> Ints:
        """(batch,) frames."""
        lengths: Ints = self.mask.sum(axis=1)
        return lengths

    @property
    def ctc_lengths(self) -> Ints:
        """(batch,) of the CTC head's frames."""
        return self.lengths // self.ctc_stride

    def of(self, clips: Ints) -> "Encoded":
        """The same of some clips of the batch, in rising order; all of them are not copied."""
        if len(clips) == len(self.mask):
            return self
        ctc = None if self.ctc_log_probs is None else self.ctc_log_probs[clips]
        cross = {name: array[clips] for name, array in self.cross.items()}
        return Encoded(self.mask[clips], ctc, cross, self.ctc_stride)


class Network:
    """A backbone's graphs, each loaded once: the encoder, and those decoders that adaptations call for."""

    def __init__(self, files: GraphFiles, cuda: bool, threads: int | None, *, own: bool = False):
        self._files, self._cuda, self._threads = files, cuda, threads
        self._decoders = dict[Path, Session]()
        with ThreadPoolExecutor(1) as beside:  # each loads on one core
            decoder = beside.submit(self._decoder, own) if own and self.has_own_decoder else None
            self.encoder = open_session(files.encoder, cuda, threads)
            if decoder:
                decoder.result()

    @classmethod
    def open(
        cls, files: GraphFiles, device: str = "auto", threads: int | None = None, *, own: bool = False
    ) -> "Network":
        """Loads the encoder, and the decoder with the backbone's own vocabulary where that will be used.

        device: auto, cpu or cuda. Raises UsageError or BackboneError.
        """
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"Device {device!r} is not known here: use auto, cpu or cuda.")
        if device == "cuda" and not cuda_is_there():
            raise UsageError("There is no usable CUDA device: use --device auto, or run `lect doctor`.")
        network = cls(files, device != "cpu" and cuda_is_there(), threads, own=own)
        if device == "cuda" and network.device != "cuda":
            raise UsageError(
                "ONNX Runtime cannot use this machine's CUDA device: use --device auto, or run `lect doctor`."
            )
        return network

    @property
    def device(self) -> str:
        """Where it really runs, read back from the sessions: cuda or cpu."""
        providers = {session.get_providers()[0] for session in (self.encoder, *self._decoders.values())}
        return "cuda" if providers == {CUDA} else "cpu"

    @property
    def facts(self) -> dict[str, str]:
        """The graphs' facts about themselves."""
        facts: dict[str, str] = self.encoder.get_modelmeta().custom_metadata_map
        return facts

    @property
    def positions(self) -> int:
        """The most tokens that the decoder reads, its start included; 0: no limit."""
        return int(self.facts.get(POSITIONS, 0))

    @property
    def window_samples(self) -> int:
        """What shorter clips are filled up to, as Whisper's are; 0: nothing."""
        return round(float(self.facts.get(WINDOW_SECONDS, 0)) * SAMPLE_RATE)

    @property
    def takes_one_clip(self) -> bool:
        """Whether the encoder takes no batches."""
        return bool(_shapes(self.encoder)["audio"][0] == 1)

    @property
    def takes_tensors(self) -> bool:
        """Whether adaptations are inputs; a portable export has one inside."""
        return any(map(_is_adaptable, _shapes(self.encoder)))

    @property
    def has_own_decoder(self) -> bool:
        """Whether a decoder with the backbone's own vocabulary inside is there."""
        return self._files.own_decoder.is_file()

    def adapt(self, tensors: Tensors) -> Adapted:
        """The feeds of an adaptation; a layer without tensors gets length and rank 0.

        Without a vocabulary it is the backbone's own, where a decoder has that inside. Raises PackError when a tensor
        does not fit.
        """
        decoder = self._decoder(own=EMBEDDING not in tensors and self.has_own_decoder)
        shapes = [_shapes(session) for session in (self.encoder, decoder)]
        known = {name: shape for each in shapes for name, shape in each.items() if _is_adaptable(name)}
        given = {name: tensor for name, tensor in tensors.items() if not _is_decoder_prompt(name)}
        for name, tensor in given.items():
            if name not in known:
                raise PackError(
                    f"The graphs of this backbone have no place for the tensor {name!r}: they are older than the pack; "
                    f"run `lect export --backbone {self.facts.get(BACKBONE, 'NAME')}`."
                )
            if not _fits(known[name], tensor.shape):
                raise PackError(f"The tensor {name!r} does not fit this backbone: the pack was made for another one.")
        feeds = {name: _as_input(given[name]) if name in given else _nothing(shape) for name, shape in known.items()}
        encoder_feeds, decoder_feeds = ({name: feeds[name] for name in each if name in feeds} for each in shapes)
        past, window = _past(tensors, shapes[1]), self.window_samples
        return Adapted(encoder_feeds, decoder_feeds, past, decoder, window, self._has_head(encoder_feeds))

    def _has_head(self, feeds: Mapping[str, Array]) -> bool:
        """Whether there is a CTC head: in the graph, or, of more than no rows, in what it is fed."""
        there = any(port.name == CTC_LOG_PROBS for port in self.encoder.get_outputs())
        return there and (CTC_WEIGHT not in feeds or len(feeds[CTC_WEIGHT]) > 0)

    def batches(self, waveforms: Sequence[Samples], seconds: float, window: int = 0) -> list[list[int]]:
        """Which are transcribed at once: those of like length, up to so much padded audio, or up to so many windows of
        so many samples.
        """
        lengths = [len(waveform) for waveform in waveforms]
        return batches_by_length(lengths, max(seconds * SAMPLE_RATE, WINDOWS_AT_ONCE * window), window)

    def encode(self, waveforms: Sequence[Samples], adapted: Adapted) -> Encoded:
        """waveforms: (samples,) float32 at 16 kHz each."""
        filled = [_filled(waveform, adapted.window_samples) for waveform in waveforms]
        batches = [[waveform] for waveform in filled] if self.takes_one_clip else [filled]
        parts = [
            run(self.encoder, {"audio": audio, "lengths": lengths, **adapted.encoder})
            for audio, lengths in map(padded, batches)
        ]
        outputs = {name: _stacked([part.pop(name) for part in parts]) for name in list(parts[0])}
        cross = as_cache(outputs)
        ctc = outputs.get(CTC_LOG_PROBS) if adapted.uses_ctc else None
        return Encoded(outputs["encoder_attention_mask"], ctc, cross, int(self.facts.get(CTC_STRIDE, 1)))

    def _decoder(self, own: bool) -> Session:
        path = self._files.own_decoder if own else self._files.decoder
        if path not in self._decoders:
            self._decoders[path] = open_session(path, self._cuda, self._threads)
        return self._decoders[path]


def _shapes(session: Session) -> dict[str, Shape]:
    return {port.name: port.shape for port in session.get_inputs()}


def _past(tensors: Tensors, shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Decoder prompts as the first rows of the cache."""
    past = {}
    for name, shape in shapes.items():
        cache = parse_past(name)
        if cache is not None and cache[1] == "decoder":
            layer, _, part = cache
            past[name] = _prompt(shape, tensors.get(str(TensorName("decoder", layer, PROMPT, part))))
    return past


def _prompt(shape: Shape, prompt: Array | None) -> Array:
    _, heads, _, head_dim = shape
    if prompt is None:
        return np.zeros((1, heads, 0, head_dim), np.float32)
    if prompt.ndim != 3 or prompt.shape[1:] != (heads, head_dim):
        raise PackError("A decoder prompt does not fit this backbone: the pack was made for another one.")
    return _as_input(prompt.transpose(1, 0, 2)[None])


def _filled(waveform: Samples, samples: int) -> Samples:
    """With silence behind it, up to so many samples."""
    return np.pad(waveform, (0, max(0, samples - len(waveform))))


def _fits(wanted: Shape, shape: tuple[int, ...]) -> bool:
    return len(wanted) == len(shape) and all(
        isinstance(want, str) or want == size for want, size in zip(wanted, shape, strict=True)
    )


def _nothing(shape: Shape) -> Array:
    return np.zeros([0 if isinstance(size, str) else size for size in shape], np.float32)


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


def _is_adaptable(name: str) -> bool:
    return bool(adaptation_inputs([name]))


def _is_decoder_prompt(name: str) -> bool:
    layered = parse(name)
    return layered is not None and (layered.stack, layered.kind) == ("decoder", PROMPT)


def _as_input(tensor: Array) -> Array:
    return np.ascontiguousarray(tensor, np.float32)


def as_cache(outputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs that the decoder takes at its next step, under its inputs' names."""
    return {past: array for name, array in outputs.items() if (past := as_past(name)) is not None}
