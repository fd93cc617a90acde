"""The gate behind every export: graphs in ONNX Runtime against torch, on real clips; and int8 scored beside float32.

float32 must give torch's values within `TOLERANCE` of each output's own scale, and the very same tokens, or
`ParityError` is raised. int8 gives other values by its nature: it is scored, and the report says how often it agrees.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import LectError
from lect.engine.contract.tensor_names import CTC_BIAS, CTC_WEIGHT, EMBEDDING
from lect.engine.decoding.ctc import Ints
from lect.engine.decoding.recogniser import Recogniser, TorchDecoder, TorchState
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.device import Device
from lect.engine.model.handles import NO_HANDLES, Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.scoring.scores import score
from lect.engine.text.vocabulary import EOS, Vocabulary

from .graph_files import GraphFiles
from .onnx_decoder import OnnxDecoder
from .onnx_network import Adapted, Network
from .onnx_sessions import Array
from .pack_tensors import Tensor
from .recognition import OnnxRecogniser, Recognised

# Largest `relative_error` of an output. Measured on Whisper-base and real clips: 2.4e-5 between ONNX Runtime and
# PyTorch, 1.2e-5 between PyTorch in float32 and in float64; 5e-2 and more for planted faults (two heads of one layer
# swapped, the smallest bias missing, positions off by one).
TOLERANCE = 1e-3
PROBE_SECONDS = (0.4, 1.1, 2.9)
STEPS = 4  # of the decoder, compared number by number
_CPU = Device(torch.device("cpu"), False, "CPU")


class ParityError(LectError):
    """The graphs do not compute what the model computes."""


@dataclass(frozen=True)
class System:
    """What is exported: a network, and what was learnt on top of it."""

    model: EncoderDecoder  # in the window that it was trained in
    tensors: Mapping[str, Tensor]  # float32, by graph input name; empty for a bare backbone
    vocabulary: Vocabulary
    ctc_weight: float | None = None  # in the search


@dataclass(frozen=True)
class Clips:
    """What it is tried on."""

    waveforms: Sequence[Samples]
    labels: Sequence[str] | None = None  # as given; None where there are none
    normalise: Callable[[str], str] = str  # the text rules
    normalisation: str = "none"  # their name


@dataclass(frozen=True)
class Rates:
    """Error rates on the clips, fractions."""

    cer: float
    wer: float
    normalisation: str


@dataclass(frozen=True)
class ParityReport:
    """How near the graphs are to the model."""

    clips: int  # decoded by both, with the same tokens
    seconds: float  # of audio in them
    encoder_difference: float  # largest relative error of keys, values and CTC log-probabilities
    decoder_difference: float  # likewise of the next token's log-probabilities and of what alignment heads attend to
    tolerance: float  # that both stayed below
    float32: Rates | None  # None without labels
    int8: Rates | None  # None without labels or int8 graphs
    int8_agreement: float | None  # share of clips whose int8 text is the float32 text

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def probes() -> Clips:
    """Three seeded noises that swell and fade, for a backbone of which no recordings are at hand."""
    rng = np.random.default_rng(0)
    lengths = [int(seconds * SAMPLE_RATE) for seconds in PROBE_SECONDS]
    return Clips([(np.hanning(size) * rng.normal(0, 0.1, size)).astype(np.float32) for size in lengths])


def check_parity(
    system: System,
    float32: GraphFiles,
    clips: Clips,
    *,
    int8: GraphFiles | None = None,
    options: DecodeOptions | None = None,
    tolerance: float = TOLERANCE,
) -> ParityReport:
    """Compares the graphs `float32` and `int8` with the model. Raises ParityError.

    Values are compared on a short, a middling and a long clip, alone and as one batch, with and without what was
    learnt; tokens on all clips. tolerance: the largest relative error that passes.
    """
    options = options or DecodeOptions()
    options = options if system.ctc_weight is None else replace(options, ctc_weight=system.ctc_weight)
    network = Network.open(float32, "cpu")
    encoder, decoder = _checked_values(system, network, clips.waveforms, tolerance)
    tokens = _checked_tokens(system, network, clips, options)
    texts = [system.vocabulary.decode(found) for found in tokens]
    quantised = None if int8 is None else _int8_texts(system, int8, clips, options)
    return ParityReport(
        clips=len(tokens),
        seconds=sum(map(len, clips.waveforms)) / SAMPLE_RATE,
        encoder_difference=encoder,
        decoder_difference=decoder,
        tolerance=tolerance,
        float32=rates(clips, texts),
        int8=rates(clips, quantised),
        int8_agreement=agreement(texts, quantised),
    )


def _checked_values(
    system: System, network: Network, waveforms: Sequence[Samples], tolerance: float
) -> tuple[float, float]:
    encoder, decoder = _values(system, network, waveforms)
    if max(encoder, decoder) > tolerance:
        raise ParityError(
            f"The exported graphs differ from the model by {max(encoder, decoder):.1g} (allowed: {tolerance:.0e}): "
            "nothing was exported; please report this."
        )
    return encoder, decoder


def _checked_tokens(system: System, network: Network, clips: Clips, options: DecodeOptions) -> list[tuple[int, ...]]:
    """What torch writes, which must be what the graphs write."""
    cpu = Recogniser(system.model, system.vocabulary, _handles(system), options, _CPU)
    tokens = [found.tokens for found in cpu.transcribe(clips.waveforms)]
    same = [found.tokens for found in _recognised(system, network, clips, options)]
    if differing := [index for index, pair in enumerate(zip(tokens, same, strict=True)) if pair[0] != pair[1]]:
        raise ParityError(
            f"The exported graphs write other text than the model for {len(differing)} of {len(tokens)} clips "
            f"(the first is number {differing[0] + 1}): nothing was exported; please report this."
        )
    return tokens


def _values(system: System, network: Network, waveforms: Sequence[Samples]) -> tuple[float, float]:
    """The largest differences of the encoder and of the decoder over all cases."""
    cases = [(_handles(system), _adapted(system, network))]
    if network.takes_tensors and (system.tensors or network.has_own_decoder):
        cases.append((NO_HANDLES, _adapted(replace(system, tensors={}), network)))
    differences = [
        _difference(system.model, handles, network, adapted, batch)
        for handles, adapted in cases
        for batch in _batches(waveforms)
    ]
    return max(encoder for encoder, _ in differences), max(decoder for _, decoder in differences)


def _batches(waveforms: Sequence[Samples]) -> Iterator[list[Samples]]:
    by_length = sorted(waveforms, key=len)
    chosen = [by_length[0], by_length[len(by_length) // 2], by_length[-1]]
    yield from ([waveform] for waveform in chosen)
    yield chosen


@torch.no_grad()
def _difference(
    model: EncoderDecoder, handles: Handles, network: Network, adapted: Adapted, batch: list[Samples]
) -> tuple[float, float]:
    recogniser = Recogniser(model, Vocabulary("grapheme", ()), handles, DecodeOptions(), _CPU)
    encoded, exported = recogniser.encode(batch), network.encode(batch, adapted)
    ours, theirs = TorchDecoder(model, encoded, handles), OnnxDecoder(network, exported, adapted)
    logits = model.ctc_logits(encoded, handles)
    expected = [tensor for memory in ours.cross[0] for tensor in memory]
    pairs = list(zip(expected, exported.cross.values(), strict=True))
    padding = exported.mask.shape[1] - exported.lengths
    errors = [relative_error(_inside(array, padding), _inside(tensor.numpy(), padding)) for tensor, array in pairs]
    if logits is not None and (ctc := exported.ctc_log_probs) is not None:
        padding = ctc.shape[1] - exported.ctc_lengths
        errors.append(relative_error(_inside(ctc, padding), _inside(logits.values.log_softmax(-1).numpy(), padding)))
    return max(errors), _decoder_difference(ours, theirs, len(batch))


def _decoder_difference(ours: TorchDecoder, theirs: OnnxDecoder, rows: int) -> float:
    """The largest over some steps."""
    worst, state, exported_state = 0.0, ours.start(), theirs.start()
    tokens, heard = np.full(rows, EOS), list[Array]()
    theirs.listener = lambda clips, read, weights: heard.append(weights)
    for step in range(STEPS):
        aligned = _aligned(ours, tokens, state)
        scores, state = ours.step(tokens, state)
        exported_scores, exported_state = theirs.step(tokens, exported_state)
        worst = max(worst, relative_error(exported_scores, scores))
        if aligned is not None and heard:  # older graphs of a backbone have no such output
            worst = max(worst, relative_error(heard[-1], aligned.numpy()))
        tokens = (tokens + step) % scores.shape[1]
    return worst


def _aligned(ours: TorchDecoder, tokens: Ints, state: TorchState) -> torch.Tensor | None:
    """The weights of a step's alignment heads, (rows, heads, frames)."""
    decoder, column = ours.model.decoder, torch.from_numpy(tokens)[:, None]
    *_, attended = decoder.states(column, state.position, state.past, state.cross, ours.handles)
    return decoder.alignment(attended, ours.encoded.values.shape[1])


def _inside(values: npt.NDArray[np.float32], padding: Ints) -> npt.NDArray[np.float32]:
    """(rows, ..., frames, size), zero in each row's last frames, which pad it: the decoder reads none of them."""
    frames = values.shape[-2]
    inside = np.arange(frames) < frames - padding[:, None]
    return np.where(inside.reshape(len(padding), *[1] * (values.ndim - 3), frames, 1), values, np.float32(0))


def _recognised(system: System, network: Network, clips: Clips, options: DecodeOptions) -> list[Recognised]:
    graphs = OnnxRecogniser(network, _adapted(system, network), system.vocabulary, options)
    return graphs.recognise(clips.waveforms)


def _int8_texts(system: System, files: GraphFiles, clips: Clips, options: DecodeOptions) -> list[str]:
    return [found.text for found in _recognised(system, Network.open(files, "cpu"), clips, options)]


def agreement(texts: Sequence[str], quantised: Sequence[str] | None) -> float | None:
    """The share of texts that are the same; None without the second ones."""
    if quantised is None:
        return None
    return float(np.mean([a == b for a, b in zip(texts, quantised, strict=True)]))


def rates(clips: Clips, texts: Sequence[str] | None) -> Rates | None:
    """The error rates of the clips' texts; None without texts or labels."""
    if texts is None or clips.labels is None:
        return None
    ids = [str(index) for index in range(len(texts))]
    scores = score(clips.labels, texts, ids, normalisation=clips.normalisation, normalise=clips.normalise)
    return Rates(scores.cer, scores.wer, clips.normalisation)


def _handles(system: System) -> Handles:
    return Handles.from_tensors({name: torch.from_numpy(tensor).float() for name, tensor in system.tensors.items()})


def _adapted(system: System, network: Network) -> Adapted:
    """As the runtime feeds it; a portable network has everything inside."""
    if not network.takes_tensors:
        return network.adapt({})
    own = {} if network.has_own_decoder else own_vocabulary(system.model)
    return replace(network.adapt(own | dict(system.tensors)), window_samples=system.model.encoder.window_samples)


def own_vocabulary(model: EncoderDecoder) -> dict[str, Tensor]:
    """A network's own vocabulary matrices, by graph input name."""
    embedding, weight, bias = model.vocabulary()
    own = {EMBEDDING: embedding.detach().numpy()}
    if weight is not None and bias is not None:
        own |= {CTC_WEIGHT: weight.detach().numpy(), CTC_BIAS: bias.detach().numpy()}
    return own


def relative_error(values: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """The root mean square of the difference over the expected values' standard deviation; infinite for NaN.

    Activations of a large model reach the hundreds, so that an absolute difference says nothing.
    """
    if not np.isfinite(values).all():
        return math.inf
    difference = np.sqrt(np.mean((values - expected) ** 2, dtype=np.float64))
    return float(difference / max(float(np.std(expected, dtype=np.float64)), np.finfo(np.float32).tiny))
