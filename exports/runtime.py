"""The runtime: recordings to text with a pack and its backbone's graphs, or with a portable export. No torch anywhere.

    runtime = Runtime.open("village.lect")
    print(runtime.transcribe("recording.wav").text)

It does not know where a long recording could be cut: recordings of up to `MAX_SECONDS` for now.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from engine.audio import SAMPLE_RATE, load_audio, probe
from engine.backbone import Backbone, backbone_folders, open_backbone
from engine.decode import DecodeOptions, Hypothesis, Word, words
from engine.errors import AudioError, BackboneError, PackError, UsageError
from engine.files import read_json
from engine.vocabulary import Vocabulary
from exports.pack import VOCABULARY, Pack, check_fits, read_pack
from exports.sessions import BACKBONE_SHA256, BATCH_SECONDS, BUILD, ENCODER, Network, Samples, recognize
from exports.tensors import Tensor

MAX_SECONDS = 30.0
COMPUTE_TYPES = ("float32", "int8")
BUNDLED_BACKBONE, BUNDLED_PACK = "backbone", "pack.lect"  # a bundle is a folder with these two
# The backbone's own vocabulary: its names as graph inputs, and in the weights.
_OWN_VOCABULARY = {
    "vocabulary.embedding": "decoder.embedding",
    "vocabulary.ctc.weight": "ctc.weight",
    "vocabulary.ctc.bias": "ctc.bias",
}

Source = Path | str | Samples  # a file, or (samples,) float32 at 16 kHz


@dataclass(frozen=True)
class Transcript:
    """What was heard in one recording."""

    text: str
    words: tuple[Word, ...]
    confidence: float  # in [0, 1]: geometric mean over the tokens; 0 where nothing was heard
    seconds: float  # of audio
    real_time_factor: float  # seconds of work a second of audio, reading included; in a batch, the batch's
    device: str  # cpu or cuda, as read back from ONNX Runtime


class Runtime:
    """A loaded network and what is plugged into it."""

    def __init__(
        self, network: Network, vocabulary: Vocabulary, options: DecodeOptions, backbone: Backbone | None = None
    ):
        """Without a backbone the network has its adaptation inside, and takes no packs."""
        self._network, self._options, self._backbone = network, options, backbone
        self._vocabulary = vocabulary
        self._adapted = network.adapt({} if backbone is None else _own_vocabulary(backbone))

    @classmethod
    def open(
        cls,
        source: Path | str,
        backbone: Path | str | None = None,
        *,
        device: str = "auto",
        compute_type: str = "float32",
        threads: int | None = None,
        options: DecodeOptions | None = None,
    ) -> "Runtime":
        """Opens a pack, a bundle, a portable export, or a bare backbone (a folder, or the name of an installed one).

        A pack finds its backbone among the installed ones by its hash, unless `backbone` says where it is.
        device: auto, cpu or cuda; compute_type: float32 or int8 (a portable export has only its own, which the
        property tells).
        Raises UsageError, PackError or BackboneError.
        """
        if compute_type not in COMPUTE_TYPES:
            raise UsageError(f"Compute type {compute_type!r} is not known: use float32 or int8.")
        path, options = Path(source), options or DecodeOptions()
        if is_portable(path):
            return cls(Network.open(path, device, threads), _portable_vocabulary(path), options)
        if (path / BUNDLED_PACK).is_file():
            path, backbone = path / BUNDLED_PACK, (path / BUNDLED_BACKBONE).resolve()
        pack = read_pack(path) if path.is_file() else None
        found = open_backbone(str(source)) if pack is None else _backbone_of(pack, backbone)
        if pack is not None:
            check_fits(pack, found)
        network = Network.open(found.graphs(compute_type), device, threads)
        if network.facts.get(BACKBONE_SHA256) != found.sha256:
            raise BackboneError(f"The graphs of backbone {found.name!r} were made of other weights: export it again.")
        runtime = cls(network, found.vocabulary, options, found)
        if pack is not None:
            runtime.swap(pack)
        return runtime

    @property
    def device(self) -> str:
        """Where it really runs: cpu or cuda."""
        return self._network.device

    @property
    def compute_type(self) -> str:
        """float32 or int8, as the graphs say."""
        return self._network.facts[BUILD]

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols that it writes."""
        return self._vocabulary

    def swap(self, pack: Pack | Path | str) -> None:
        """Puts another pack of the same backbone in place; the graphs stay loaded. Raises PackError or UsageError."""
        if self._backbone is None:
            raise UsageError(
                "A portable export has its adaptation inside and takes no packs: open its backbone instead."
            )
        pack = pack if isinstance(pack, Pack) else read_pack(Path(pack))
        check_fits(pack, self._backbone)
        self._adapted = self._network.adapt(_own_vocabulary(self._backbone) | pack.tensors)
        self._vocabulary = pack.vocabulary

    def transcribe(self, source: Source) -> Transcript:
        """One recording. Raises AudioError when it cannot be read or is too long."""
        return self.transcribe_batch([source])[0]

    def transcribe_batch(self, sources: Sequence[Source], batch_seconds: float = BATCH_SECONDS) -> list[Transcript]:
        """Many recordings at once, in their order. Raises AudioError, which names the first that cannot be used."""
        started = time.perf_counter()
        waveforms = [_samples(source) for source in sources]
        hypotheses = recognize(self._network, self._adapted, waveforms, self._options, batch_seconds)
        seconds = [len(waveform) / SAMPLE_RATE for waveform in waveforms]
        factor = (time.perf_counter() - started) / sum(seconds) if sources else 0.0
        return [
            self._transcript(hypothesis, length, factor) for hypothesis, length in zip(hypotheses, seconds, strict=True)
        ]

    def _transcript(self, hypothesis: Hypothesis, seconds: float, factor: float) -> Transcript:
        heard = [math.log(max(confidence, 1e-9)) for confidence in hypothesis.token_confidences]
        return Transcript(
            text=self._vocabulary.decode(hypothesis.tokens),
            words=tuple(words(self._vocabulary, hypothesis)),
            confidence=math.exp(sum(heard) / len(heard)) if heard else 0.0,
            seconds=seconds,
            real_time_factor=factor,
            device=self.device,
        )


def is_portable(folder: Path) -> bool:
    """Whether a folder is a portable export: graphs with their own vocabulary beside them."""
    return (folder / VOCABULARY).is_file() and (folder / ENCODER).is_file()


def _samples(source: Source) -> Samples:
    if isinstance(source, np.ndarray):
        name, seconds = "The recording", len(source) / SAMPLE_RATE
    else:
        name, seconds = Path(source).name, probe(Path(source)).seconds
    if seconds > MAX_SECONDS:
        raise AudioError(f"{name} is {seconds:.0f} s long; up to {MAX_SECONDS:.0f} s can be transcribed: cut it first.")
    if not isinstance(source, np.ndarray):
        return load_audio(Path(source))
    if source.ndim != 1 or not len(source) or not np.isfinite(source).all():
        raise AudioError("The recording is empty, not mono, or holds samples that are not numbers: record it again.")
    return source.astype(np.float32, copy=False)


def _backbone_of(pack: Pack, given: Path | str | None) -> Backbone:
    """The backbone that was named; else the installed one with the hash that the pack names."""
    wanted = pack.manifest.backbone_sha256
    if given is not None:
        return open_backbone(str(given))
    for folder in backbone_folders():
        if (backbone := _intact(folder)) is not None and backbone.sha256 == wanted:
            return backbone
    raise PackError(
        f"The pack {pack.manifest.name!r} needs the backbone {pack.manifest.backbone!r} ({wanted[:12]}), which is not "
        "installed here: install it, or ask for a bundle."
    )


def _intact(folder: Path) -> Backbone | None:
    try:
        return open_backbone(str(folder))
    except BackboneError:
        return None  # a damaged one must not keep the others from being found


def _own_vocabulary(backbone: Backbone) -> dict[str, Tensor]:
    try:
        with safe_open(backbone.weights, framework="numpy") as file:
            stored = set(file.keys())
            return {name: file.get_tensor(own) for name, own in _OWN_VOCABULARY.items() if own in stored}
    except (OSError, SafetensorError) as error:
        raise BackboneError(f"The weights of backbone {backbone.name!r} cannot be read: install it again.") from error


def _portable_vocabulary(folder: Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(read_json(folder / VOCABULARY))
    except (OSError, ValueError) as error:
        raise BackboneError(f"The vocabulary in {folder} cannot be read: export it again.") from error
