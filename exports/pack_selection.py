"""Several packs on one recording: each stretch of speech is written by the one that is surest of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from .segments import Gap, Piece
from .transcriber import Transcriber
from .transcript import Segment, Skipped, WordTimes


class PackSelector(Transcriber):
    """Over transcribers by the names of their packs. The recording is cut once, and every one of them writes all of it.

    A model that was trained on the language is surer of its tokens than one that was not; a confidence is what is
    compared, so packs should be of one kind of vocabulary.
    """

    def __init__(self, transcribers: Mapping[str, Transcriber]) -> None:
        super().__init__()
        self._transcribers = dict(transcribers)

    @property
    def device(self) -> str:
        """Where the first runs, as all are opened alike."""
        return next(iter(self._transcribers.values())).device

    def for_recording(self) -> "PackSelector":
        """Over what each of them writes one recording with."""
        return PackSelector({name: each.for_recording() for name, each in self._transcribers.items()})

    def written(self, found: Sequence[Piece | Gap]) -> Iterator[Segment | Skipped]:
        """As `Transcriber.written`; each Segment names its pack."""
        for versions in zip(*(each.written(found) for each in self._transcribers.values()), strict=True):
            named = zip(self._transcribers, versions, strict=True)
            segments = [replace(each, pack=name) for name, each in named if isinstance(each, Segment)]
            yield max(segments, key=lambda each: each.confidence) if segments else versions[0]

    def word_times(self, segments: Sequence[Segment]) -> WordTimes:
        """The least sure way of the packs that wrote these segments."""
        names = {segment.pack for segment in segments} or self._transcribers.keys()
        kinds = {self._transcribers[name].word_times(segments) for name in names}
        return max(kinds, key=get_args(WordTimes).index)
