"""Pseudo-labels: the same sounds get the same units, nothing is computed twice, and a network learns to write them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.errors import UsageError
from lect.engine.model.device import Device
from lect.engine.model.network import EncoderDecoder
from lect.engine.pretraining.acoustic_units import UNITS, UnitSettings, add_units, encoder_frames, mel_frames
from lect.engine.pretraining.corpus import Corpus, CorpusWriter
from lect.engine.pretraining.prepare import symbols
from lect.engine.pretraining.pretrain import pretrain
from lect.engine.text.vocabulary import Vocabulary
from tests.conftest import TINY, WORDS, tones
from tests.engine.pretraining.test_pretrain import SETTINGS

UNIT_SETTINGS = UnitSettings(clusters=8, pieces=16, share=1.0)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Recordings without labels: each word several times, at other lengths."""
    with CorpusWriter(tmp_path, "field") as writer:
        for number in range(24):
            sound = tones(WORDS[number % 4], 0.8 + 0.02 * (number // 4), number)
            writer.add(sound, "", language="xx", speaker=str(number), source="field", held_out=number >= 20)
    return Corpus(tmp_path)


def test_frames_come_at_the_encoders_rate(cpu: Device) -> None:
    waveform = tones("ba da", 2.0)
    assert mel_frames(waveform).shape == (50, 80)
    assert encoder_frames(EncoderDecoder(TINY), 1, cpu)(waveform).shape == (50, TINY.dim)
    with pytest.raises(UsageError, match=f"1 to {TINY.encoder_layers}"):
        encoder_frames(EncoderDecoder(TINY), TINY.encoder_layers + 1, cpu)


def test_clips_that_sound_alike_get_units_alike(corpus: Corpus) -> None:
    part = add_units(corpus, mel_frames, "log-mel", UNIT_SETTINGS)
    units = Corpus(corpus.folder, [part])
    assert [clip.shard for clip in units.utterances] == [clip.shard for clip in corpus.utterances]
    assert {clip.language for clip in units.utterances} == {UNITS}
    labels = [set(clip.label) for clip in units.utterances]
    assert all(labels)

    def overlap(one: int, other: int) -> float:
        return len(labels[one] & labels[other]) / len(labels[one] | labels[other])

    same = np.mean([overlap(one, one + 4) for one in range(16)])
    other = np.mean([overlap(one, one + 5) for one in range(16)])
    assert same > other
    assert units.waveform(units.utterances[0]).shape == (int(0.8 * SAMPLE_RATE),)


def test_the_name_of_units_tells_what_they_depend_on(corpus: Corpus) -> None:
    heard = []
    part = add_units(corpus, mel_frames, "log-mel", UNIT_SETTINGS, lambda: heard.append(1))
    assert len(heard) == len(corpus.utterances)
    assert add_units(Corpus(corpus.folder), mel_frames, "log-mel", UNIT_SETTINGS, lambda: heard.append(1)) == part
    assert len(heard) == len(corpus.utterances)
    assert add_units(corpus, mel_frames, "log-mel", replace(UNIT_SETTINGS, seed=1)) != part
    assert add_units(corpus, mel_frames, "layer 2 of abc", UNIT_SETTINGS) != part


def test_too_little_speech_is_refused(corpus: Corpus) -> None:
    with pytest.raises(UsageError, match="add recordings"):
        add_units(corpus, mel_frames, "log-mel", UnitSettings(clusters=100_000))


@pytest.mark.slow
def test_a_network_learns_to_write_units(corpus: Corpus, tmp_path: Path, cpu: Device) -> None:
    units = Corpus(corpus.folder, [add_units(corpus, mel_frames, "log-mel", UNIT_SETTINGS)])
    vocabulary = Vocabulary("phone", (" ", *symbols((clip.label for clip in units.utterances), 1)))
    config = replace(TINY, vocab_size=len(vocabulary))
    (tmp_path / "run").mkdir()
    events = list(pretrain(config, units, vocabulary, replace(SETTINGS, steps=120), [], tmp_path / "run", cpu))
    steps = [event for event in events if event["event"] == "step"]
    assert steps[-1]["ctc"] < 0.8 * steps[0]["ctc"]
    assert UNITS in events[-1]["symbol_error_rate"]
