"""Several packs on one recording: each stretch of speech is written by the one that is surest of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from lect.exports.runtime import Runtime
from lect.exports.segments import Gap, Piece
from lect.exports.transcript import Segment, Skipped


class Several(Runtime):
    """A runtime over others, by name. The recording is cut once, and every one hears all of it.

    A model that was taught the language is surer of its tokens than one that was not; a confidence is what is compared,
    so packs should be of one kind of vocabulary.
    """

    def __init__(self, runtimes: Mapping[str, Runtime]) -> None:
        first = next(iter(runtimes.values()))
        super().__init__(first._network, first._vocabulary, first._options, first._backbone)
        self._runtimes = dict(runtimes)

    def written(self, found: Sequence[Piece | Gap]) -> Iterator[Segment | Skipped]:
        """As `Runtime.written`; each Segment names its pack."""
        for versions in zip(*(runtime.written(found) for runtime in self._runtimes.values()), strict=True):
            named = zip(self._runtimes, versions, strict=True)
            said = [replace(each, pack=name) for name, each in named if isinstance(each, Segment)]
            yield max(said, key=lambda each: each.confidence) if said else versions[0]
