"""Pieces of a recording that are heard in one window, and what is written of each."""

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.contract.files import ASSETS
from lect.exports.recognition import Recognised
from lect.exports.runtime import Runtime
from lect.exports.segments import Gap, Piece
from lect.exports.transcript import Segment, TimedWord
from lect.exports.windows import is_missed, joined, parted

CLIPS = ("Marco-0099.ogg", "m7-0075.ogg", "Marco-0160.ogg")


def piece(start: float, seconds: float) -> Piece:
    return Piece(round(start * SAMPLE_RATE), np.zeros(round(seconds * SAMPLE_RATE), np.float32))


def test_neighbours_share_a_window_while_there_is_room() -> None:
    pieces = [piece(0, 12), piece(20, 15), piece(40, 5), piece(50, 31), piece(90, 1), piece(95, 29)]
    found = list(joined(pieces, 30 * SAMPLE_RATE))
    assert [[each.start // SAMPLE_RATE for each in together] for together in found] == [[0, 20], [40], [50], [90, 95]]
    assert list(joined([], SAMPLE_RATE)) == []


def test_a_word_goes_to_the_piece_that_its_middle_lies_in() -> None:
    words = (
        TimedWord("ba", 0.1, 0.5, 0.9),
        TimedWord("da", 1.4, 2.2, 0.4),  # reaches into the next piece
        TimedWord("go", 2.1, 2.9, 0.5),
        TimedWord("su", 4.0, 9.0, 0.8),  # beyond the end
    )
    whole = Recognised((5, 6, 7, 8), "ba da go su", words, 0.6, False, doubt="repeats")
    first, second, third = parted(whole, [piece(0, 2), piece(7, 1), piece(9, 2)])
    assert [each.text for each in (first, second, third)] == ["ba da", "go", "su"]
    assert [(word.start, word.end) for word in (*first.words, *second.words)] == [(0.1, 0.5), (1.4, 2.0), (0.1, 0.9)]
    assert third.words[0].start == 1.0 and {each.doubt for each in (first, second, third)} == {"repeats"}
    assert first.confidence == pytest.approx(0.6) and second.confidence == pytest.approx(0.5)
    assert parted(whole, [piece(0, 9)]) == [whole]
    assert [is_missed(piece(0, seconds), second) for seconds in (0.4, 2)] == [False, True]


def test_what_is_heard_together_is_placed_where_it_was_spoken() -> None:
    waveforms = [load_audio(ASSETS / "sample" / "audio" / name) for name in CLIPS]
    found: list[Piece | Gap] = []
    for waveform in waveforms:
        start = found[-1].end + SAMPLE_RATE if found else 0
        found += [Gap(start - SAMPLE_RATE, start), Piece(start, waveform)] if found else [Piece(start, waveform)]
    runtime = Runtime.open(compute_type="int8", device="cpu")
    runtime.set_language("sw")
    segments = [one for one in runtime.written(found) if isinstance(one, Segment)]
    assert [round(segment.start * SAMPLE_RATE) for segment in segments] == [
        each.start for each in found if isinstance(each, Piece)
    ]
    for segment in segments:
        assert segment.words and segment.text == " ".join(word.text for word in segment.words)
        assert all(segment.start <= word.start <= word.end <= segment.end for word in segment.words)
    (alone,) = runtime.written([Piece(0, waveforms[0])])
    assert isinstance(alone, Segment)
    starts = {word.text: word.start for word in alone.words}
    shared = [(word.start, starts[word.text]) for word in segments[0].words if word.text in starts]
    assert shared and np.median([abs(one - other) for one, other in shared]) < 0.1
