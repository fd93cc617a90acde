"""A Whisper in its own vocabulary: languages that it finds out, prompts, and the guards, by a decoder with a script."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from lect.engine.contract.errors import UsageError
from lect.engine.decoding.search import DecodeOptions
from lect.engine.text.vocabulary import BOS, EOS, PAD, Vocabulary
from lect.exports.decoding_guards import compression_ratio, doubt_about, is_silence
from lect.exports.transcript import Language
from lect.exports.whisper_decoding import Decoded, WhisperDecoding, prompt_tokens

CONTROLS = ("<|en|>", "<|sw|>", "<|transcribe|>", "<|translate|>", "<|notimestamps|>", "<|startofprev|>")
SYMBOLS = (*"abdgilmosuĠ", *CONTROLS)
EN, SW, TRANSCRIBE, TRANSLATE, NO_TIMESTAMPS, PREVIOUS = (4 + SYMBOLS.index(name) for name in CONTROLS)
OWN = Vocabulary("bytes", SYMBOLS, (), (BOS, EN, TRANSCRIBE, NO_TIMESTAMPS), tuple(range(EN, PREVIOUS + 1)))
POSITIONS = 120
LONG = " ".join(["ba da go"] * 7)  # less than a loop that the first search would end
State = list[tuple[int, ...]]  # what each row has read


@dataclass(frozen=True)
class Clip:
    """What the scripted decoder makes of one."""

    text: str
    sure: float = 0.9  # the probability of each token of its text
    swahili: float = 0.5  # and of this language, among two
    no_speech: float = 0.01


@dataclass
class Scripted:
    """A `StepDecoder` over clips that writes their texts, whatever the search."""

    clips: Sequence[Clip]
    read: list[State] = field(default_factory=list)  # every state that it was asked about

    def start(self) -> State:
        return [(index,) for index in range(len(self.clips))]

    def step(self, tokens: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        state = [(*row, int(token)) for row, token in zip(state, tokens, strict=True)]
        self.read.append(state)
        return np.log(np.stack([self._next(self.clips[clip], read) for clip, *read in state])), state

    def reorder(self, state: State, rows: np.ndarray) -> State:
        return [state[row] for row in rows]

    def _next(self, clip: Clip, read: list[int]) -> np.ndarray:
        if read[-1] == BOS:
            given = {PAD: clip.no_speech, SW: clip.swahili / 4, EN: (1 - clip.swahili) / 4}
        else:
            script = [*OWN.encode(clip.text), EOS]
            written = len(read) - read.index(NO_TIMESTAMPS) - 1 if NO_TIMESTAMPS in read else 0
            given = {script[min(written, len(script) - 1)]: clip.sure}
        rest = (1 - sum(given.values())) / (len(OWN) - len(given))
        return np.array([given.get(token, rest) for token in range(len(OWN))])


def decoded(
    clips: Sequence[Clip], decoding: WhisperDecoding, vocabulary: Vocabulary = OWN
) -> tuple[list[Decoded], list[State]]:
    """What is found in the clips, and what the decoder was asked."""
    read: list[State] = []
    found = decoding.decode(
        lambda rows: Scripted([clips[row] for row in rows], read),
        np.full(len(clips), POSITIONS),
        vocabulary,
        DecodeOptions(),
        POSITIONS,
    )
    return found, read


def test_each_clip_is_written_in_the_language_that_it_is_in() -> None:
    found, read = decoded(
        [Clip("ba", swahili=0.9), Clip("da", swahili=0.2), Clip("go", swahili=0.7)], WhisperDecoding()
    )
    assert [OWN.decode(one.hypothesis.tokens) for one in found] == ["ba", "da", "go"]
    assert [one.language.code for one in found if one.language] == ["sw", "en", "sw"]
    assert [one.language.probability for one in found if one.language] == pytest.approx([0.9, 0.8, 0.7])
    starts = {row[1:5] for state in read for row in state if len(row) > 4}
    assert starts == {(BOS, SW, TRANSCRIBE, NO_TIMESTAMPS), (BOS, EN, TRANSCRIBE, NO_TIMESTAMPS)}


def test_a_given_language_is_not_doubted_and_a_task_goes_with_one_that_is_found() -> None:
    given, (_, *read) = decoded([Clip("ba", swahili=0.9)], WhisperDecoding(language=Language("en", None)))
    assert given[0].language == Language("en", None) and read[3][0][1:5] == OWN.start
    _, read = decoded([Clip("ba", swahili=0.9)], WhisperDecoding("translate"))
    assert read[4][0][1:5] == (BOS, SW, TRANSLATE, NO_TIMESTAMPS)


def test_a_prompt_is_read_first_and_keeps_to_half_of_the_positions() -> None:
    prompt = prompt_tokens("da da", OWN, POSITIONS)
    assert prompt == (PREVIOUS, *OWN.encode("da da"))
    _, read = decoded([Clip("ba")], WhisperDecoding(language=Language("en", None), prompt=prompt))
    assert read[-1][0][1 : len(prompt) + 5] == (*prompt, *OWN.start)
    long = prompt_tokens("go " * 100 + "ba", OWN, POSITIONS)
    assert len(long) == POSITIONS // 2 and OWN.decode(long).endswith("go ba")
    assert prompt_tokens("", OWN, POSITIONS) == ()
    with pytest.raises(UsageError, match="--prompt"):
        prompt_tokens("ba", Vocabulary("bytes", (*"ba", "<|en|>"), (), (BOS, 6)), POSITIONS)


def test_no_speech_gives_no_text_and_an_unsure_one_is_marked() -> None:
    clips = [Clip("ba", 0.3, no_speech=0.5), Clip("ba", 0.3), Clip("ba", 0.9, no_speech=0.5)]
    found, _ = decoded(clips, WhisperDecoding())
    assert [OWN.decode(one.hypothesis.tokens) for one in found] == ["", "ba", "ba"]
    assert [one.doubt for one in found] == ["", "unsure", ""]


def test_a_text_that_repeats_itself_is_searched_again() -> None:
    found, _ = decoded([Clip(LONG), Clip("ba da go")], WhisperDecoding())
    assert compression_ratio(LONG) > 2.4
    assert [OWN.decode(one.hypothesis.tokens) for one in found] == ["ba da go", "ba da go"]
    assert [one.doubt for one in found] == ["", ""]


def test_thresholds_are_the_published_ones() -> None:
    assert is_silence(0.61, -1.0) and not is_silence(0.59, -1.0) and is_silence(0.9, -0.75)
    assert doubt_about("la la " * 20, -0.1) == "repeats" and doubt_about("la", -1.1) == "unsure"
    assert doubt_about("", 0.0) == doubt_about("la la la", -0.9) == ""
