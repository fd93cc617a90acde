"""Several packs on one recording: each stretch is the surest one's, and word times are those of who wrote it."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.model.backbone import Backbone
from lect.engine.text.vocabulary import PAD
from lect.exports.pack import write_pack
from lect.exports.pack_selection import PackSelector
from lect.exports.pack_tensors import Tensor
from lect.exports.runtime import Runtime
from lect.exports.segments import CutOptions
from lect.exports.transcriber import SpeechOptions
from tests.conftest import TINY, tones
from tests.exports.conftest import adaptation, contents

SPEECH = SpeechOptions(vad="energy", cut=CutOptions(vad_speech_pad_ms=200))
WITHOUT_CTC = {"method": "prompt", "ctc_weight": 0.0}
Packs = dict[str, Runtime]


def scaled(tensors: dict[str, Tensor], factor: int) -> dict[str, Tensor]:
    """The same adaptation, surer of its tokens or less sure."""
    return tensors | {"vocabulary.embedding": factor * tensors["vocabulary.embedding"]}


@pytest.fixture(scope="module")
def packs(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Packs:
    """Of one backbone, surest first; "attention" was trained without CTC, and the CTC head of "blank" finds nothing."""
    blank = adaptation(TINY, seed=3)
    blank["vocabulary.ctc.weight"] *= 0
    blank["vocabulary.ctc.bias"] = np.where(np.arange(len(blank["vocabulary.ctc.bias"])) == PAD, 9, 0).astype("f")
    made: Mapping[str, tuple[dict[str, Tensor], Mapping[str, object]]] = {
        "sure": (scaled(adaptation(TINY, seed=4), 16), {"method": "prompt"}),
        "attention": (adaptation(TINY, seed=4), WITHOUT_CTC),
        "unsure": (adaptation(TINY, seed=5), {"method": "prompt"}),
        "blank": (blank, {"method": "prompt"}),
    }
    folder = tmp_path_factory.mktemp("packs")
    for name, (tensors, method) in made.items():
        write_pack(folder / f"{name}.lect", contents(backbone, tensors, name=name, method=method))
    opened = Runtime.open_all([folder / f"{name}.lect" for name in made], backbone.folder, device="cpu")
    return dict(zip(made, opened, strict=True))


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    """Three times a second of tones, with faint noise between."""
    rng = np.random.default_rng(0)
    parts = [(0.002 * rng.standard_normal(4 * SAMPLE_RATE), tones(text, 1.0)) for text in ("ba da", "go mi su", "la")]
    return np.concatenate([part for pair in parts for part in pair]).astype(np.float32)


def test_each_stretch_is_written_by_the_surest(packs: Packs, recording: np.ndarray) -> None:
    alone = {name: runtime.transcribe(recording, SPEECH) for name, runtime in packs.items() if name != "blank"}
    chosen = PackSelector({name: packs[name] for name in alone}).transcribe(recording, SPEECH)
    assert chosen.segments
    for segment in chosen.segments:
        rivals = {
            name: next((each for each in transcript.segments if each.start == segment.start), None)
            for name, transcript in alone.items()
        }
        best = max((each.confidence, name) for name, each in rivals.items() if each is not None)
        assert (segment.confidence, segment.pack) == best
        assert segment.text == getattr(rivals[segment.pack], "text", None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("sure", "unsure"), "ctc"),
        (("attention", "sure"), "ctc"),
        (("unsure", "attention"), "estimated"),
        (("attention",), "estimated"),
    ],
)
def test_word_times_are_those_of_the_packs_that_wrote(
    packs: Packs, recording: np.ndarray, names: tuple[str, ...], expected: str
) -> None:
    transcript = PackSelector({name: packs[name] for name in names}).transcribe(recording, SPEECH)
    writers = {segment.pack for segment in transcript.segments}
    assert writers and ("attention" in writers) == (expected == "estimated")
    assert transcript.word_times == expected


def test_a_pack_that_wrote_nothing_does_not_decide_about_word_times(packs: Packs, recording: np.ndarray) -> None:
    selector = PackSelector({"blank": packs["blank"], "attention": packs["attention"]})
    transcript = selector.transcribe(recording, SPEECH)
    assert {segment.pack for segment in transcript.segments} == {"attention"}
    selector = PackSelector({"unsure": packs["unsure"], "blank": packs["blank"]})
    transcript = selector.transcribe(recording, SPEECH)
    assert {segment.pack for segment in transcript.segments} == {"unsure"} and transcript.word_times == "ctc"


def test_gaps_stay_gaps(packs: Packs, recording: np.ndarray) -> None:
    selector = PackSelector({name: packs[name] for name in ("sure", "unsure")})
    found = list(selector.listen(recording, SPEECH))
    assert found[0].start == 0 and found[-1].end == len(recording) / SAMPLE_RATE
    assert all(before.end == after.start for before, after in pairwise(found))
    assert list(selector.segments(recording, SPEECH)) == [each for each in found if hasattr(each, "pack")]
    assert selector.device == "cpu"


def test_silence_has_no_words_from_anybody(packs: Packs) -> None:
    transcript = PackSelector(packs).transcribe(np.zeros(10 * SAMPLE_RATE, np.float32), SPEECH)
    assert transcript.segments == () and [each.reason for each in transcript.skipped] == ["no speech"]
    assert transcript.word_times == "estimated"  # of one of them they would be
