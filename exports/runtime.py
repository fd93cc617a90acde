"""The runtime: recordings to text with a pack and its backbone's graphs, or with a portable export. No torch anywhere.

    runtime = Runtime.open("village.lect")
    for segment in runtime.segments("recording.wav"):  # of any length, in constant memory
        print(segment.start, segment.end, segment.text)

`runtime.transcribe("recording.wav")` gives all of it at once. `Runtime.open()` without a pack is a Whisper in its own
vocabulary, which finds each recording's language out.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lect.engine.audio.reading import SAMPLE_RATE, Samples, checked, load_audio, probe, stream
from lect.engine.contract.errors import AudioError, UsageError
from lect.engine.decoding.ctc import LogProbs
from lect.engine.decoding.hotwords import Hotwords
from lect.engine.decoding.search import DecodeOptions
from lect.engine.text.vocabulary import Vocabulary

from .onnx_network import BATCH_SECONDS, BUILD
from .opening import Opened, Settings, open_source, with_pack
from .pack import Pack, read_pack
from .recognition import Recognised
from .segments import MAX_SECONDS, Gap, Piece, cut
from .transcriber import Source, SpeechOptions, Transcriber
from .transcript import Language, Segment, Skipped, Transcript, WordTimes
from .whisper_decoding import WhisperDecoding, prompt_tokens
from .windows import UNSPACED, is_missed, joined, parted

HOTWORD_BOOST = 1.0  # a token; how it was chosen: docs/language_model.md
WINDOWS = 2  # written at once: only the last of them is likely to have much room left
TELLING_SAMPLES = 5 * SAMPLE_RATE  # so much speech tells its language; a shorter piece may be a mere yes


class Runtime(Transcriber):
    """A loaded network and what is plugged into it."""

    def __init__(self, opened: Opened, *, keeps_language: bool = False) -> None:
        super().__init__()
        self._opened = opened
        self._keeps_language = keeps_language  # what `written` detects holds for all that it writes later

    @classmethod
    def open(
        cls,
        source: Path | str | None = None,
        backbone: Path | str | None = None,
        *,
        device: str = "auto",
        compute_type: str = "float32",
        threads: int | None = None,
        options: DecodeOptions | None = None,
    ) -> "Runtime":
        """Opens a pack, a bundle, a portable export, or a bare backbone (a folder, or the name of an installed one).

        A pack finds its backbone among the installed ones by its hash, unless `backbone` names its place. Without a
        source it is that backbone, or Whisper-base, in its own vocabulary.
        device: auto, cpu or cuda; compute_type: float32 or int8 (a portable export has only its own, which the
        property tells).
        Raises UsageError, PackError or BackboneError.
        """
        return cls(open_source(source, backbone, Settings(device, compute_type, threads, options or DecodeOptions())))

    @classmethod
    def open_all(
        cls, sources: Sequence[Path | str | None], backbone: Path | str | None = None, **settings: Any
    ) -> list["Runtime"]:
        """Each of several, in their order, as `open` does; packs of one backbone share its loaded graphs."""
        opened = list[Runtime]()
        for source in sources:
            pack = read_pack(Path(source)) if source and Path(source).is_file() else None
            alike = next((each for each in opened if pack and each._is_of(pack)), None)
            opened.append(alike.beside(pack) if alike and pack else cls.open(source, backbone, **settings))
        return opened

    @property
    def device(self) -> str:
        """Where it really runs: cpu or cuda."""
        return self._opened.recogniser.network.device

    @property
    def compute_type(self) -> str:
        """float32 or int8, as the graphs state."""
        return self._opened.recogniser.network.facts[BUILD]

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols that it writes."""
        return self._opened.recogniser.vocabulary

    @property
    def language(self) -> str:
        """The code of the lect that it writes, as its pack states; empty where nothing states it."""
        return self._opened.language

    @property
    def whisper(self) -> WhisperDecoding | None:
        """How it decodes as a Whisper in its own vocabulary; None for anything else."""
        return self._opened.recogniser.whisper

    def swap(self, pack: Pack | Path | str) -> None:
        """Puts another pack of the same backbone in place; the graphs stay loaded. Raises PackError or UsageError."""
        self._opened = with_pack(self._opened, pack)

    def beside(self, pack: Pack | Path | str) -> "Runtime":
        """Another runtime with another pack of the same backbone, over the same loaded graphs. Raises as `swap`."""
        return Runtime(with_pack(self._opened, pack))

    def set_hotwords(self, words: Iterable[str], boost: float = HOTWORD_BOOST) -> list[str]:
        """Favours words and phrases, brought under the pack's text rules, until the next `swap`.

        boost: what each of their tokens adds to a hypothesis (natural logarithm). Returns those that the vocabulary
        cannot spell, which are left out.
        """
        tidy = dict.fromkeys(filter(None, map(self._opened.rules.apply, words)))
        hotwords = Hotwords(self.vocabulary, tidy, boost)
        self._use(options=replace(self._opened.recogniser.options, hotwords=hotwords))
        return hotwords.unknown

    def set_language(self, language: str, task: str = "transcribe") -> None:
        """The language that a Whisper in its own vocabulary transcribes; task: transcribe, or translate into English.

        language: "" finds each recording's out. Raises UsageError when it has no token for them.
        """
        if language:
            self._speak(Language(language, None), task)
            return
        languages = self.vocabulary.languages()
        if self.whisper is None or not languages:
            raise UsageError(f"This model does not find a language out: name it for the task {task!r}.")
        self.vocabulary.starting(languages[0], task)  # not only when the first recording is there
        self._use(whisper=replace(self.whisper, language=None, task=task))
        self._opened = replace(self._opened, language="")

    def set_prompt(self, text: str) -> None:
        """Text that a Whisper in its own vocabulary takes as written before, for its names and its spelling; "": none.

        Raises UsageError where the model takes none.
        """
        if self.whisper is None:
            raise UsageError("Only a Whisper in its own vocabulary takes a prompt: leave --prompt out.")
        tokens = prompt_tokens(text, self.vocabulary, self._opened.recogniser.network.positions)
        self._use(whisper=replace(self.whisper, prompt=tokens))

    def for_recording(self) -> "Runtime":
        """Over the same graphs; where languages are detected, the first speech with words settles it for the rest."""
        detects = self.whisper is not None and self.whisper.detects(self.vocabulary)
        recording = Runtime(self._opened, keeps_language=detects)
        recording._detectors = self._detectors  # loaded once for all recordings
        return recording

    def recognise(
        self, waveforms: Sequence[Samples], batch_seconds: float = BATCH_SECONDS, beam_size: int | None = None
    ) -> list[Recognised]:
        """(samples,) of up to MAX_SECONDS each -> their words; beam_size: another than the runtime's own."""
        recogniser = self._opened.recogniser
        if beam_size is not None:
            recogniser = replace(recogniser, options=replace(recogniser.options, beam_size=beam_size))
        return recogniser.recognise(waveforms, batch_seconds)

    def heard(self, source: Source, speech: SpeechOptions | None = None) -> Iterator[tuple[Piece, LogProbs, float]]:
        """Each piece of speech, what the CTC head makes of it, and its frames' distance in seconds; no search.

        Raises UsageError where there is no CTC head, or where the training left it out.
        """
        recogniser, speech = self._opened.recogniser, speech or SpeechOptions()
        if not recogniser.adapted.uses_ctc:
            raise UsageError("Words are found by a CTC head, which this model lacks: use a pack with a new vocabulary.")
        blocks = stream(source if isinstance(source, np.ndarray) else Path(source))
        for piece in cut(self.detector(speech.vad).windows(blocks), speech.cut):
            if isinstance(piece, Piece):
                yield piece, *recogniser.heard([piece.samples])[0]

    def is_enough(self, waiting: Sequence[Piece | Gap]) -> bool:
        """A batch; where pieces share windows, some full ones."""
        heard = sum(len(each.samples) for each in waiting if isinstance(each, Piece))
        return heard >= WINDOWS * window if (window := self._window()) else super().is_enough(waiting)

    def written(self, found: Sequence[Piece | Gap]) -> Iterator[Segment | Skipped]:
        """The text of what a recording was cut into, in order."""
        recognised = iter(self._recognised([each for each in found if isinstance(each, Piece)]))
        for each in found:
            start, end = each.start / SAMPLE_RATE, each.end / SAMPLE_RATE
            if isinstance(each, Gap):
                yield Skipped(start, end, "no speech")
                continue
            one = next(recognised)
            yield Skipped(start, end, "no words") if one.is_blank else self._placed(one, start, end)

    def word_times(self, segments: Sequence[Segment] = ()) -> WordTimes:
        """How words get their times; the same for all segments."""
        return self._opened.recogniser.word_times

    def transcribe_batch(self, sources: Sequence[Source], batch_seconds: float = BATCH_SECONDS) -> list[Transcript]:
        """Many clips of up to MAX_SECONDS at once, in their order, each recognised as a whole.

        Raises AudioError, which names the first that cannot be used.
        """
        started = time.perf_counter()
        waveforms = [_samples(source) for source in sources]
        recognised = self.recognise(waveforms, batch_seconds)
        seconds = [len(waveform) / SAMPLE_RATE for waveform in waveforms]
        factor = (time.perf_counter() - started) / sum(seconds) if sources else 0.0
        whole = SpeechOptions(vad="off")
        return [
            replace(self.gathered([self._placed(one, 0.0, length)], started, whole), real_time_factor=factor)
            for one, length in zip(recognised, seconds, strict=True)
        ]

    def _recognised(self, pieces: Sequence[Piece]) -> list[Recognised]:
        """Of each piece; neighbours are heard together where a Whisper's window has room for them."""
        window = self._window()
        if not window:
            return self._in_one_language([piece.samples for piece in pieces])
        heard, found, missed = list(joined(pieces, window)), list[Recognised](), list[int]()
        waveforms = [np.concatenate([piece.samples for piece in together]) for together in heard]
        for together, whole in zip(heard, self.recognise(waveforms), strict=True):
            for piece, part in zip(together, parted(whole, together), strict=True):
                if len(together) > 1 and is_missed(piece, part):
                    missed.append(len(found))
                found.append(part)
        for index, one in zip(missed, self.recognise([pieces[index].samples for index in missed]), strict=True):
            found[index] = one
        return found

    def _window(self) -> int:
        """How many samples are heard together: 0, where pieces cannot be told apart again by the times of words."""
        adapted, settled = self._opened.recogniser.adapted, not self._keeps_language
        apart = adapted.has_alignment and settled and self.whisper is not None and self.language not in UNSPACED
        return min(adapted.window_samples, int(MAX_SECONDS * SAMPLE_RATE)) if apart else 0

    def _in_one_language(self, waveforms: Sequence[Samples]) -> list[Recognised]:
        """As `recognise`; where the language is still open, one with words in it settles it before the others."""
        if not (self._keeps_language and waveforms):
            return self.recognise(waveforms)
        lengths = [len(waveform) for waveform in waveforms]
        longest = min(max(lengths), TELLING_SAMPLES)
        index = next(index for index, length in enumerate(lengths) if length >= longest)
        (first,) = self.recognise([waveforms[index]])
        if self.whisper and first.language and first.text:
            self._speak(first.language, self.whisper.task)
            self._keeps_language = False
        rest = self.recognise([*waveforms[:index], *waveforms[index + 1 :]])
        return [*rest[:index], first, *rest[index:]]

    def _speak(self, language: Language, task: str) -> None:
        vocabulary, whisper = self.vocabulary.starting(language.code, task), self.whisper
        self._use(vocabulary=vocabulary, whisper=whisper and replace(whisper, language=language, task=task))
        self._opened = replace(self._opened, language=language.code if task == "transcribe" else "en")

    def _use(self, **changes: Any) -> None:
        self._opened = replace(self._opened, recogniser=replace(self._opened.recogniser, **changes))

    def _placed(self, recognised: Recognised, start: float, end: float) -> Segment | Skipped:
        if not recognised.text:
            return Skipped(start, end, "no words")
        words = tuple(replace(word, start=word.start + start, end=word.end + start) for word in recognised.words)
        stated = Language(self.language, None) if self.language else None
        language, doubt = recognised.language or stated, recognised.doubt
        return Segment(start, end, recognised.text, words, recognised.confidence, language=language, doubt=doubt)

    def _is_of(self, pack: Pack) -> bool:
        backbone = self._opened.backbone
        return backbone is not None and backbone.sha256 == pack.manifest.backbone_sha256


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
