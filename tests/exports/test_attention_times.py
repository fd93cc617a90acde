"""The times of words by a Whisper's alignment heads, on a tiny random one: what graphs give, and what is made of it.

How near they are to the truth cannot be seen on random weights; the last test hears the Whisper that ships.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from lect.engine.contract.files import ASSETS
from lect.engine.contract.tensor_names import ALIGNMENT
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, write_sums
from lect.engine.model.weights import load_model
from lect.exports.attended import Attended
from lect.exports.attention_times import LAG_S, token_spans, without_silence
from lect.exports.graph_files import graph_files
from lect.exports.onnx_decoder import OnnxDecoder
from lect.exports.opening import Settings, open_source
from lect.exports.parity import Clips, ParityError, System, check_parity
from lect.exports.recognition import OnnxRecogniser
from lect.exports.runtime import Runtime
from lect.exports.transcript import TimedWord
from tests.exports.test_foreign import BYTES, WHISPER, exported

HEADS = len(WHISPER.alignment_heads)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """With its graphs."""
    return exported(tmp_path_factory, "whisper", WHISPER, BYTES)


def replayed(recogniser: OnnxRecogniser, clip: np.ndarray, read: Sequence[int]) -> np.ndarray:
    """(steps, heads, frames) of the window while these tokens are read, one after the other."""
    steps: list[np.ndarray] = []
    network, adapted = recogniser.network, recogniser.adapted
    decoder = OnnxDecoder(network, network.encode([clip], adapted), adapted, lambda *step: steps.append(step[2][0]))
    state = decoder.start()
    for token in read:
        _, state = decoder.step(np.array([token]), state)
    return np.stack(steps)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_search_notes_what_reading_its_result_again_would_give(
    whisper: Backbone, clips: list[np.ndarray], beam_size: int
) -> None:
    settings = Settings("cpu", options=DecodeOptions(beam_size=beam_size))
    recogniser = open_source(whisper.folder, None, settings).recogniser
    attended = Attended(np.array([5, 10, 15, 20, 25]))
    found = recogniser._search(recogniser.network.encode(clips, recogniser.adapted), attended)
    assert any(one.hypothesis.tokens for one in found)
    for row, (clip, one) in enumerate(zip(clips, found, strict=True)):
        start, tokens, frames = one.start, one.hypothesis.tokens, attended.frames[row]
        own = replayed(recogniser, clip, start + tokens)[len(start) - 1 :, :, :frames]
        heads = attended.of(row, start, tokens)
        assert heads is not None and heads.shape == (len(tokens) + 1, HEADS, frames)
        np.testing.assert_allclose(heads, own / own.sum(axis=2, keepdims=True), atol=1e-3)


def test_punctuation_takes_no_time() -> None:
    edges, pieces = [0, 20, 40, 60, 70, 80, 100], [" da", ",", " (", "go", ").", " 5%"]
    attended = np.full((len(pieces) + 1, HEADS, 110), 1e-4, np.float32)
    for step, (first, last) in enumerate(pairwise([*edges, 110])):
        attended[step, :, first:last] = 1
    spans = (token_spans(attended, pieces, 0.02) - LAG_S) / 0.02
    expected = [(0, 20), (20, 20), (60, 60), (60, 70), (70, 70), (80, 100)]
    np.testing.assert_allclose(spans, expected, atol=1e-9)


def test_words_are_cut_to_their_sound() -> None:
    rng = np.random.default_rng(0)
    waveform = (0.001 * rng.standard_normal(48_000)).astype(np.float32)
    waveform[8_000:16_000] *= 300
    waveform[32_000:40_000] *= 100
    words = [TimedWord("da", 0.0, 0.8, 1.0), TimedWord("go", 0.8, 1.9, 1.0), TimedWord("mi", 2.603, 2.9, 1.0)]
    found = [(word.start, word.end) for word in without_silence(words, waveform)]
    assert found == [(0.5, 0.8), (0.8, 1.0), (2.603, 2.9)]
    assert without_silence(words, np.zeros(0, np.float32)) == tuple(words)


@pytest.mark.parametrize("language", ["", "sw"])
def test_words_follow_each_other_inside_of_their_clip(
    whisper: Backbone, clips: list[np.ndarray], language: str
) -> None:
    runtime = Runtime.open(str(whisper.folder), device="cpu")
    runtime.set_language(language)
    transcripts = runtime.transcribe_batch(clips)
    assert {one.word_times for one in transcripts} == {"attention"}
    assert any(len(one.words) > 1 for one in transcripts)
    for clip, one in zip(clips, transcripts, strict=True):
        assert all(0 <= word.start <= word.end <= len(clip) / 16_000 for word in one.words)
        assert all(word.end <= following.start for word, following in pairwise(one.words))


def test_older_graphs_give_estimated_times(whisper: Backbone, clips: list[np.ndarray], tmp_path: Path) -> None:
    shutil.copytree(whisper.folder, tmp_path / "older")
    for path in (tmp_path / "older").glob("decoder*.onnx"):
        graph = onnx.load(path, load_external_data=False)
        (output,) = [each for each in graph.graph.output if each.name == ALIGNMENT]
        graph.graph.output.remove(output)
        path.write_bytes(graph.SerializeToString())
    write_sums(tmp_path / "older")
    newer, older = (Runtime.open(str(folder), device="cpu") for folder in (whisper.folder, tmp_path / "older"))
    for one, other in zip(newer.transcribe_batch(clips), older.transcribe_batch(clips), strict=True):
        assert (one.text, other.word_times) == (other.text, "estimated")
        assert [word.start for word in other.words] != [word.start for word in one.words]


def test_the_gate_compares_what_the_heads_attend_to(whisper: Backbone, clips: list[np.ndarray]) -> None:
    model = load_model(whisper)
    model.decoder.config = replace(WHISPER, alignment_heads=WHISPER.alignment_heads[::-1])
    with pytest.raises(ParityError, match="differ from the model"):
        check_parity(System(model, {}, BYTES), graph_files(whisper.folder), Clips(clips))


def test_words_of_real_speech_are_spread_over_it() -> None:
    runtime = Runtime.open(device="cpu", compute_type="int8", options=DecodeOptions(beam_size=1))
    runtime.set_language("sw")
    said = runtime.transcribe(ASSETS / "sample" / "audio" / "m1-0001.ogg")
    starts = [word.start / said.seconds for word in said.words]
    assert said.word_times == "attention" and len(starts) > 6
    assert all(one < other for one, other in pairwise(starts)) and starts[0] < 0.2 and starts[-1] > 0.7
    assert 0.3 < starts[len(starts) // 2] < 0.7
