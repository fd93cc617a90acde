"""Pretraining on a corpus made here: stateless batches, resuming, language prompts, and that it learns."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.audio import SAMPLE_RATE
from engine.augment import Augmentation
from engine.corpus import Corpus, CorpusWriter
from engine.device import Device
from engine.pretrain import BUCKET_SECONDS, Batches, LanguagePrompts, PretrainSettings, learning_rate, pretrain
from tests.conftest import PHONES, TINY, WORDS, tones

SETTINGS = PretrainSettings(
    steps=40, batch_seconds=8.0, learning_rate=3e-3, warmup_steps=5, decay_steps=10, evaluate_every=20,
    longest_seconds=4.0, prompt_length=3, dropout=0.0,
    augmentation=Augmentation(speed_share=0, noise_share=0.5, room_share=0, band_share=0, clip_share=0),
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    with CorpusWriter(folder) as writer:
        for number in range(30):
            text = WORDS[number % len(WORDS)]
            writer.add(
                tones(text, 0.7 + 0.02 * number, number), text, language=("xx", "yy")[number % 2], speaker=str(number % 3),
                source="espeak-ng" if number % 5 == 0 else "real", held_out=number >= 26,
            )  # fmt: skip
    return Corpus(folder)


def events_of(corpus: Corpus, folder: Path, cpu: Device, settings: PretrainSettings = SETTINGS) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    return list(pretrain(TINY, corpus, PHONES, settings, [], folder, cpu))


def test_a_corpus_gives_back_what_was_written(corpus: Corpus) -> None:
    assert len(corpus.utterances) == 30 and sum(utterance.held_out for utterance in corpus.utterances) == 4
    utterance = corpus.utterances[7]
    np.testing.assert_allclose(corpus.waveform(utterance), tones(WORDS[7], 0.84, 7), atol=1e-4)
    assert utterance.phones == WORDS[7] and utterance.seconds == pytest.approx(0.84)


def test_a_corpus_whose_building_broke_off_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), CorpusWriter(tmp_path) as writer:
        writer.add(tones("ba"), "ba", language="xx", speaker="", source="real")
        raise RuntimeError("broken off")
    assert not (tmp_path / "index.jsonl").exists()


def test_a_batch_depends_on_seed_and_step_alone(corpus: Corpus) -> None:
    def batches(seed: int = 0) -> Batches:
        return Batches(corpus, PHONES, replace(SETTINGS, seed=seed), [], ["xx", "yy"])

    first, second = batches()[21], batches()[21]
    assert torch.equal(first.waveform, second.waveform) and torch.equal(first.labels.tokens, second.labels.tokens)
    assert any(not torch.equal(batches(1)[step].lengths, batches()[step].lengths) for step in range(8))
    assert first.waveform.shape[1] % int(BUCKET_SECONDS * SAMPLE_RATE) == 0
    held_out = {utterance.samples for utterance in corpus.utterances if utterance.held_out}
    seen = {int(length) for step in range(16) for length in batches()[step].lengths}
    assert not seen & held_out


def test_pretraining_learns_and_says_so(corpus: Corpus, tmp_path: Path, cpu: Device) -> None:
    events = events_of(corpus, tmp_path, cpu)
    steps = [event for event in events if event["event"] == "step"]
    assert steps[-1]["ctc"] < steps[0]["ctc"] and steps[-1]["attention"] < steps[0]["attention"]
    rates = events[-1]["symbol_error_rate"]
    assert set(rates) == {"real", "real/xx", "real/yy"} and events[-1]["step"] == 40
    assert json.dumps(events)


def test_resumed_pretraining_equals_an_unbroken_one(corpus: Corpus, tmp_path: Path, cpu: Device) -> None:
    whole = events_of(corpus, tmp_path / "whole", cpu)
    broken = tmp_path / "broken"
    broken.mkdir()
    for event in pretrain(TINY, corpus, PHONES, SETTINGS, [], broken, cpu):
        if event["event"] == "evaluation":
            break  # after the checkpoint at step 20
    resumed = events_of(corpus, broken, cpu)
    assert resumed[0]["step"] == 40
    assert resumed[0]["ctc"] == whole[2]["ctc"] and resumed[-1]["symbol_error_rate"] == whole[-1]["symbol_error_rate"]


def test_each_language_has_its_own_prompts_in_every_self_attention() -> None:
    torch.manual_seed(0)
    from engine.model import EncoderDecoder

    prompts, model = LanguagePrompts(TINY, 2, 3), EncoderDecoder(TINY)
    handles = prompts(model, torch.tensor([1, 2, 1]))
    assert sorted(handles.encoder_prompts) == sorted(handles.decoder_prompts) == [0, 1]
    key = handles.encoder_prompts[0].key
    assert key.shape == (3, 3, 2, 16)
    assert torch.equal(key[0], key[2]) and not torch.equal(key[0], key[1])


def test_learning_rate_rises_stays_and_falls() -> None:
    rates = [learning_rate(step, SETTINGS) for step in range(40)]
    assert rates[0] == pytest.approx(3e-3 / 5) and rates[5:30] == [3e-3] * 25 and rates[-1] == pytest.approx(3e-4)
