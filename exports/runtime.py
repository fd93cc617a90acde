"""The runtime: recordings to text with a pack and its backbone's graphs, or with a portable export. No torch anywhere.

    runtime = Runtime.open("village.lect")
    for segment in runtime.segments("recording.wav"):  # of any length, in constant memory
        print(segment.start, segment.end, segment.text)

`runtime.transcribe("recording.wav")` gives all of it at once.
"""

import copy
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from lect.engine.audio.reading import SAMPLE_RATE, Samples, checked, load_audio, probe, stream
from lect.engine.contract.errors import AudioError, BackboneError, PackError, TextError, UsageError
from lect.engine.contract.files import read_json
from lect.engine.contract.tensor_names import OWN_VOCABULARY
from lect.engine.decoding.hotwords import Hotwords
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, backbone_folders, open_backbone
from lect.engine.text.rules import TextRules
from lect.engine.text.vocabulary import Vocabulary
from lect.exports.pack import LANGUAGE_MODEL, MANIFEST, RULES, VOCABULARY, Pack, check_fits, read_pack
from lect.exports.recognition import Heard, hear
from lect.exports.segments import MAX_SECONDS, CutOptions, Gap, Piece, cut
from lect.exports.sessions import BACKBONE_SHA256, BATCH_SECONDS, BUILD, ENCODER, Adapted, Network
from lect.exports.tensors import Tensor
from lect.exports.transcript import Segment, Skipped, TimedWord, Transcript
from lect.exports.vad import Detector, Method, detector

COMPUTE_TYPES = ("float32", "int8")
HOTWORD_BOOST = 1.0  # a token; how it was chosen: ARCHITECTURE.md
BUNDLED_BACKBONE, BUNDLED_PACK = "backbone", "pack.lect"  # a bundle is a folder with these two
Source = Path | str | Samples  # a file, or (samples,) float32 at 16 kHz


@dataclass(frozen=True)
class SpeechOptions:
    """How speech is looked for in a recording."""

    vad: Method = "silero"  # what tells speech from other sound: silero, energy or off
    cut: CutOptions = field(default_factory=CutOptions)


class Runtime:
    """A loaded network and what is plugged into it."""

    def __init__(
        self, network: Network, vocabulary: Vocabulary, options: DecodeOptions, backbone: Backbone | None = None
    ):
        """Without a backbone the network has its adaptation inside, and takes no packs."""
        self._network, self._options, self._backbone = network, options, backbone
        self._vocabulary = vocabulary
        self._adapted = network.adapt({} if backbone is None else _own_vocabulary(backbone))
        self._language, self._rules = "", TextRules("keep", "keep")
        self._has_ctc = any(port.name == "ctc_log_probs" for port in network.encoder.get_outputs())
        self._detectors: dict[Method, Detector] = {}

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
            options = replace(options, language_model=_portable_language_model(path))
            runtime = cls(Network.open(path, device, threads), _portable_vocabulary(path), options)
            manifest = _portable_manifest(path)
            runtime._language, runtime._rules = str(manifest.get("language", "")), _portable_rules(path)
            runtime._adapted = _listening(runtime._adapted, manifest.get("method"))
            return runtime
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

    @classmethod
    def open_all(
        cls, sources: Sequence[Path | str], backbone: Path | str | None = None, **settings: Any
    ) -> list["Runtime"]:
        """Each of several, in their order, as `open` does; packs of one backbone share its loaded graphs."""
        opened = list[Runtime]()
        for source in sources:
            pack = read_pack(Path(source)) if Path(source).is_file() else None
            alike = next((each for each in opened if pack and each._is_of(pack)), None)
            opened.append(alike.beside(pack) if alike and pack else cls.open(source, backbone, **settings))
        return opened

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

    @property
    def language(self) -> str:
        """The code of the lect that it writes, as its pack says; empty where nothing says it."""
        return self._language

    def swap(self, pack: Pack | Path | str) -> None:
        """Puts another pack of the same backbone in place; the graphs stay loaded. Raises PackError or UsageError."""
        if self._backbone is None:
            raise UsageError(
                "A portable export has its adaptation inside and takes no packs: open its backbone instead."
            )
        pack = pack if isinstance(pack, Pack) else read_pack(Path(pack))
        check_fits(pack, self._backbone)
        adapted = self._network.adapt(_own_vocabulary(self._backbone) | pack.tensors)
        self._adapted = _listening(adapted, pack.manifest.method)
        self._vocabulary, self._language, self._rules = pack.vocabulary, pack.manifest.language, pack.rules
        # Hotwords are spelled in the former one's tokens.
        self._options = replace(self._options, hotwords=None, language_model=pack.language_model)

    def beside(self, pack: Pack | Path | str) -> "Runtime":
        """Another runtime with another pack of the same backbone, over the same loaded graphs. Raises as `swap`."""
        other = copy.copy(self)
        other.swap(pack)
        return other

    def prefer(self, words: Iterable[str], boost: float = HOTWORD_BOOST) -> list[str]:
        """Leans towards words and phrases, brought under the pack's text rules, until the next `swap`.

        boost: what each of their tokens adds to a hypothesis (natural logarithm). Returns those that the vocabulary
        cannot spell, which are left out.
        """
        tidy = dict.fromkeys(filter(None, map(self._rules.apply, words)))
        hotwords = Hotwords(self._vocabulary, tidy, boost)
        self._options = replace(self._options, hotwords=hotwords)
        return hotwords.unknown

    def speak(self, language: str, task: str = "transcribe") -> None:
        """Tells a Whisper in its own vocabulary which language it hears; task: transcribe, or translate into English.

        Raises UsageError when it has no token for them.
        """
        self._vocabulary = self._vocabulary.starting(language, task)
        self._language = language if task == "transcribe" else "en"

    def segments(self, source: Source, speech: SpeechOptions | None = None) -> Iterator[Segment]:
        """What is said in a recording of any length, in order, as it is found. Raises AudioError or UsageError."""
        return (found for found in self.listen(source, speech) if isinstance(found, Segment))

    def transcribe(self, source: Source, speech: SpeechOptions | None = None) -> Transcript:
        """All of a recording of any length. Raises AudioError when it cannot be read, UsageError for its options."""
        started = time.perf_counter()
        return self.gathered(list(self.listen(source, speech)), started, speech)

    def listen(self, source: Source, speech: SpeechOptions | None = None) -> Iterator[Segment | Skipped]:
        """As `segments`, with the stretches between in which nothing was written down."""
        speech = speech or SpeechOptions()
        waiting: list[Piece | Gap] = []
        blocks = stream(source if isinstance(source, np.ndarray) else Path(source))
        for found in cut(self.detector(speech.vad).windows(blocks), speech.cut):
            waiting.append(found)
            if _padded_seconds(waiting) >= BATCH_SECONDS:
                yield from self.written(waiting)
                waiting = []
        yield from self.written(waiting)

    def gathered(
        self, found: Sequence[Segment | Skipped], started: float, speech: SpeechOptions | None = None
    ) -> Transcript:
        """The transcript of all that `listen` gave; started: `time.perf_counter()` before it."""
        segments = tuple(each for each in found if isinstance(each, Segment))
        seconds = max((each.end for each in found), default=0.0)
        logs = [(math.log(max(each.confidence, 1e-9)), len(each.words)) for each in segments]
        weight = sum(count for _, count in logs)
        return Transcript(
            text=" ".join(each.text for each in segments),
            segments=segments,
            skipped=tuple(each for each in found if isinstance(each, Skipped)),
            words=tuple(word for each in segments for word in each.words),
            confidence=math.exp(sum(log * count for log, count in logs) / weight) if weight else 0.0,
            seconds=seconds,
            real_time_factor=(time.perf_counter() - started) / max(seconds, 1 / SAMPLE_RATE),
            device=self.device,
            vad=self.detector((speech or SpeechOptions()).vad).name,
            word_times="ctc" if self._has_ctc and self._adapted.hears_ctc else "estimated",
        )

    def transcribe_batch(self, sources: Sequence[Source], batch_seconds: float = BATCH_SECONDS) -> list[Transcript]:
        """Many clips of up to MAX_SECONDS at once, in their order, each heard as a whole.

        Raises AudioError, which names the first that cannot be used.
        """
        started = time.perf_counter()
        waveforms = [_samples(source) for source in sources]
        heard = self.hear(waveforms, batch_seconds)
        seconds = [len(waveform) / SAMPLE_RATE for waveform in waveforms]
        factor = (time.perf_counter() - started) / sum(seconds) if sources else 0.0
        whole = SpeechOptions(vad="off")
        return [
            replace(self.gathered([_placed(one, 0.0, length)], started, whole), real_time_factor=factor)
            for one, length in zip(heard, seconds, strict=True)
        ]

    def _is_of(self, pack: Pack) -> bool:
        return self._backbone is not None and self._backbone.sha256 == pack.manifest.backbone_sha256

    def detector(self, method: Method) -> Detector:
        """What tells speech, loaded once. Raises UsageError for a name that is not known."""
        # Loading Silero's network takes longer than looking through a minute of sound.
        if method not in self._detectors:
            self._detectors[method] = detector(method)
        return self._detectors[method]

    def hear(
        self, waveforms: Sequence[Samples], batch_seconds: float = BATCH_SECONDS, beam_size: int | None = None
    ) -> list[Heard]:
        """(samples,) of up to MAX_SECONDS each -> their words; beam_size: another than the runtime's own."""
        options = replace(self._options, beam_size=beam_size) if beam_size else self._options
        return hear(self._network, self._adapted, self._vocabulary, waveforms, options, batch_seconds)

    def written(self, found: Sequence[Piece | Gap]) -> Iterator[Segment | Skipped]:
        """The text of what a recording was cut into, in order."""
        heard = iter(self.hear([each.samples for each in found if isinstance(each, Piece)]))
        for each in found:
            start, end = each.start / SAMPLE_RATE, each.end / SAMPLE_RATE
            if isinstance(each, Gap):
                yield Skipped(start, end, "no speech")
                continue
            one = next(heard)
            yield Skipped(start, end, "no words") if one.is_blank else _placed(one, start, end)


def _padded_seconds(found: Sequence[Piece | Gap]) -> float:
    lengths = [len(each.samples) / SAMPLE_RATE for each in found if isinstance(each, Piece)]
    return len(lengths) * max(lengths, default=0.0)


def _placed(heard: Heard, start: float, end: float) -> Segment | Skipped:
    if not heard.text:
        return Skipped(start, end, "no words")
    words = (TimedWord(word.text, word.start + start, word.end + start, word.confidence) for word in heard.words)
    return Segment(start, end, heard.text, tuple(words), heard.confidence)


def is_portable(folder: Path) -> bool:
    """Whether a folder is a portable export: graphs with their own vocabulary beside them."""
    return (folder / VOCABULARY).is_file() and (folder / ENCODER).is_file()


def _samples(source: Source) -> Samples:
    if isinstance(source, np.ndarray):
        name, seconds = "The recording", len(source) / SAMPLE_RATE
    else:
        name, seconds = Path(source).name, probe(Path(source)).seconds
    if seconds > MAX_SECONDS:
        raise AudioError(
            f"{name} is {seconds:.0f} s long; up to {MAX_SECONDS:.0f} s fit into a batch: transcribe it by itself."
        )
    return checked(source) if isinstance(source, np.ndarray) else load_audio(Path(source))


def _backbone_of(pack: Pack, given: Path | str | None) -> Backbone:
    """The backbone that was named; else the installed one with the hash that the pack names, and with graphs if any."""
    wanted = pack.manifest.backbone_sha256
    if given is not None:
        return open_backbone(str(given))
    installed = [backbone for backbone in map(_intact, backbone_folders()) if backbone and backbone.sha256 == wanted]
    if installed:
        return min(installed, key=lambda backbone: not (backbone.folder / ENCODER).is_file())
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
            return {name: file.get_tensor(own) for name, own in OWN_VOCABULARY.items() if own in stored}
    except (OSError, SafetensorError) as error:
        raise BackboneError(f"The weights of backbone {backbone.name!r} cannot be read: install it again.") from error


def _portable_vocabulary(folder: Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(read_json(folder / VOCABULARY))
    except (OSError, ValueError) as error:
        raise BackboneError(f"The vocabulary in {folder} cannot be read: export it again.") from error


def _portable_rules(folder: Path) -> TextRules:
    try:
        return TextRules.from_json(read_json(folder / RULES))
    except (OSError, ValueError, TextError) as error:
        raise BackboneError(f"The text rules in {folder} cannot be read: export it again.") from error


def _portable_language_model(folder: Path) -> LanguageModel | None:
    if not (path := folder / LANGUAGE_MODEL).is_file():
        return None
    try:
        return LanguageModel.from_bytes(path.read_bytes(), len(_portable_vocabulary(folder)))
    except (OSError, TextError) as error:
        raise BackboneError(f"The language model in {folder} cannot be read: export it again.") from error


def _portable_manifest(folder: Path) -> dict[str, Any]:
    try:
        return dict(read_json(folder / MANIFEST))
    except (OSError, ValueError, TypeError):
        return {}  # a folder that says nothing about itself still transcribes


def _listening(adapted: Adapted, method: Any) -> Adapted:
    """With the CTC head, unless what is told of the training says that it let it be."""
    return replace(adapted, hears_ctc=not isinstance(method, dict) or method.get("ctc_weight") != 0)
