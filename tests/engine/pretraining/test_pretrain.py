"""Pretraining on a corpus made here: stateless batches, resuming, language prompts, and that it learns."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.errors import UsageError
from lect.engine.contract.train_settings import Augmentation
from lect.engine.model.backbone import open_backbone
from lect.engine.model.device import Device
from lect.engine.pretraining.corpus import SYNTHETIC, Corpus, CorpusWriter
from lect.engine.pretraining.pretrain import (
    CHECKPOINT,
    LanguagePrompts,
    Pretraining,
    PretrainSettings,
    finish,
    learning_rate,
    pretrain,
)
from lect.engine.pretraining.sampling import PADDING_SECONDS, Batches, Sampling
from lect.engine.training.checkpoint import load_weights
from lect.engine.training.processes import Processes
from tests import ROOT
from tests.conftest import PHONES, TINY, WORDS, tones

AUGMENTATION = Augmentation(speed_share=0, noise_share=0.5, room_share=0, band_share=0, clip_share=0)
SETTINGS = PretrainSettings(
    steps=40, learning_rate=3e-3, warmup_steps=5, decay_steps=10, evaluate_every=20, prompt_length=3, dropout=0.0,
    sampling=Sampling(batch_seconds=8.0, longest_seconds=4.0, augmentation=AUGMENTATION),
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    with CorpusWriter(folder, "part") as writer:
        for number in range(30):
            text = WORDS[number % len(WORDS)]
            writer.add(
                tones(text, 0.7 + 0.02 * number, number),
                text,
                language=("xx", "yy")[number % 2],
                speaker=str(number % 3),
                source=SYNTHETIC if number % 5 == 0 else "real",
                held_out=number >= 26,
            )
    return Corpus(folder)


def events_of(corpus: Corpus, folder: Path, cpu: Device, settings: PretrainSettings = SETTINGS) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    return list(pretrain(TINY, corpus, PHONES, settings, [], folder, cpu))


def test_a_corpus_gives_back_what_was_written(corpus: Corpus) -> None:
    assert len(corpus.utterances) == 30 and sum(utterance.held_out for utterance in corpus.utterances) == 4
    utterance = corpus.utterances[7]
    np.testing.assert_allclose(corpus.waveform(utterance), tones(WORDS[7], 0.84, 7), atol=1e-4)
    assert utterance.label == WORDS[7] and utterance.seconds == pytest.approx(0.84)


def test_a_corpus_whose_building_broke_off_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), CorpusWriter(tmp_path, "part") as writer:
        writer.add(tones("ba"), "ba", language="xx", speaker="", source="real")
        raise RuntimeError("broken off")
    with pytest.raises(UsageError, match="no corpus"):
        Corpus(tmp_path)


def test_a_batch_depends_on_seed_and_number_alone(corpus: Corpus) -> None:
    def batches(seed: int = 0) -> Batches:
        return Batches(corpus, PHONES, SETTINGS.sampling, [], ["xx", "yy"], seed)

    first, second = batches()[21], batches()[21]
    assert torch.equal(first.waveform, second.waveform) and torch.equal(first.labels.tokens, second.labels.tokens)
    assert any(not torch.equal(batches(1)[step].lengths, batches()[step].lengths) for step in range(8))
    assert first.waveform.shape[1] % int(PADDING_SECONDS * SAMPLE_RATE) == 0
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


def test_a_checkpoint_of_other_languages_is_refused(corpus: Corpus, tmp_path: Path, cpu: Device) -> None:
    events_of(corpus, tmp_path, cpu)
    grown = Corpus(corpus.folder)
    grown.utterances.append(replace(grown.utterances[0], language="zz"))
    with pytest.raises(UsageError, match="other languages"):
        events_of(grown, tmp_path, cpu)


def test_each_language_has_its_own_prompts_in_every_self_attention() -> None:
    torch.manual_seed(0)
    from lect.engine.model.network import EncoderDecoder

    prompts, model = LanguagePrompts(TINY, 2, 3), EncoderDecoder(TINY)
    handles = prompts(model, torch.tensor([1, 2, 1]))
    assert sorted(handles.encoder_prompts) == sorted(handles.decoder_prompts) == [0, 1]
    key = handles.encoder_prompts[0].key
    assert key.shape == (3, 3, 2, 16)
    assert torch.equal(key[0], key[2]) and not torch.equal(key[0], key[1])


def test_learning_rate_rises_stays_and_falls() -> None:
    rates = [learning_rate(step, SETTINGS) for step in range(40)]
    assert rates[0] == pytest.approx(3e-3 / 5) and rates[5:30] == [3e-3] * 25 and rates[-1] == pytest.approx(3e-4)


def test_a_pretraining_starts_from_a_backbone(corpus: Corpus, tmp_path: Path, cpu: Device) -> None:
    events_of(corpus, tmp_path / "first", cpu, replace(SETTINGS, steps=20))
    finish(tmp_path / "first", tmp_path / "made", TINY, PHONES, name="made", languages=("xx",), licence="CC0-1.0")
    task = Pretraining(TINY, SETTINGS, 5)
    task.start_from(open_backbone(str(tmp_path / "made")))
    weights = load_weights(tmp_path / "first" / CHECKPOINT)
    learnt, kept = task.model.encoder.layers[1].state_dict(), "model.encoder.layers.1."
    for name, weight in learnt.items():  # float16 lies between
        torch.testing.assert_close(weight, weights[kept + name], atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(task.prompts.keys[4], weights["prompts.keys"][0], atol=1e-2, rtol=1e-2)


TOGETHER = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from lect.engine.pretraining.corpus import Corpus
from lect.engine.model.device import Device
from lect.engine.pretraining.pretrain import pretrain
from lect.engine.training.processes import Processes
from tests.conftest import PHONES, TINY
from tests.engine.pretraining.test_pretrain import SETTINGS
torch.set_num_threads(1)
settings = replace(SETTINGS, steps=6, batches_per_step=2, evaluate_every=6)
corpus, folder = Corpus(Path(sys.argv[1])), Path(sys.argv[2])
for event in pretrain(TINY, corpus, PHONES, settings, [], folder, Device(torch.device("cpu"), False, "CPU")):
    pass
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_the_same_batches(corpus: Corpus, tmp_path: Path) -> None:
    (script := tmp_path / "together.py").write_text(TOGETHER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    runs = {"one": [], "two": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]}
    for name, launcher in runs.items():
        (tmp_path / name).mkdir()
        command = [sys.executable, *launcher, str(script), str(corpus.folder), str(tmp_path / name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    one, two = (load_weights(tmp_path / name / CHECKPOINT) for name in runs)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4


def test_batches_that_processes_cannot_share_are_refused() -> None:
    assert [list(Processes(rank, 2).share(4)) for rank in (0, 1)] == [[0, 2], [1, 3]]
    with pytest.raises(UsageError, match="3 batches a step cannot be shared by 2 processes"):
        Processes(0, 2).share(3)
