"""The baseline: its language model reads only what came before, and prompts alone teach it to write a label."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import sha256_file
from lect.engine.data.layouts import read
from lect.engine.data.store import DATABASE, Project
from lect.engine.decoding.search import DecodeOptions, decode
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device
from lect.engine.text.vocabulary import EOS, Vocabulary
from tests.benchmarks import speech_units, speechprompt, unit_language_model
from tests.benchmarks.speech_units import Encoder, centroids_in, unit_corpus
from tests.benchmarks.speechprompt import main
from tests.benchmarks.unit_language_model import UnitLanguageModel, perplexity, pretrain
from tests.benchmarks.unit_prompts import PromptDecoder, UnitPrompts, verbalised
from tests.conftest import WORDS, tones
from tests.engine.data.test_store import speech

UNITS = 8
LETTERS = Vocabulary("grapheme", ("a", "b", "c"))
A, B, C = range(4, 7)
CLIPS = [[0, 1, 2], [3, 4, 5, 6], [2, 5]]
LABELS = [(A, B), (B, C), (C, A)]


@pytest.fixture
def model() -> UnitLanguageModel:
    torch.manual_seed(0)
    return UnitLanguageModel(UNITS, layers=2, dim=32, dropout=0.0)


def test_units_come_in_whole_speakers_and_without_a_language(
    tmp_path: Path, tiny_backbone: Backbone, cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_units, "CLUSTERS", UNITS)
    lines = ["file_name,transcription,speaker,language"]
    for number in range(12):
        write_wav(tmp_path / "set" / f"{number}.wav", tones(WORDS[number % 10], 0.8, number))
        lines.append(f"{number}.wav,x,speaker{number % 4},{'xx' if number else 'yy'}")
    (tmp_path / "set" / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    assert len(read(tmp_path / "set")) == 12
    frames = Encoder(str(tiny_backbone.folder), 1).frames(cpu)
    corpus = unit_corpus(tmp_path / "kept", [tmp_path / "set"], ["yy"], 1.0, frames)
    assert len(corpus.train) + len(corpus.held_out) == 9 and len(corpus.held_out) % 3 == 0
    assert corpus.hours == pytest.approx(9 * 0.8 / 3600)
    assert all(np.all(np.diff(clip) != 0) for clip in corpus.train)
    assert centroids_in(tmp_path / "kept").shape == (UNITS, 32)
    assert unit_corpus(tmp_path / "kept", [], [], 1.0, frames) == corpus


def test_what_comes_later_changes_nothing_before(model: UnitLanguageModel) -> None:
    units = torch.randint(0, UNITS, (2, 12))
    changed = units.clone()
    changed[:, 8:] = (units[:, 8:] + 1) % UNITS
    one, other = (model.eval()(model.embedding[each], 0, model.nothing(2))[0] for each in (units, changed))
    assert torch.equal(one[:, :8], other[:, :8]) and not torch.allclose(one[:, 8:], other[:, 8:])


def test_it_learns_which_unit_follows(model: UnitLanguageModel, cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_language_model, "CHUNK", 24)
    monkeypatch.setattr(unit_language_model, "LEARNING_RATE", 1e-2)
    clips = [[(start + step) % UNITS for step in range(100)] for start in range(20)]
    before = perplexity(model, clips)
    list(pretrain(model, clips, epochs=3, device=cpu))
    assert before > UNITS - 1 and perplexity(model, clips) < 1.5


@pytest.mark.parametrize("units", [None, verbalised(LABELS, CLIPS, len(LETTERS), UNITS)])
def test_prompts_alone_teach_it_to_write(model: UnitLanguageModel, units: list[int] | None) -> None:
    model.requires_grad_(False).embedding *= 1 if units is None else 20  # rows that do not learn must lie apart
    frozen = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    prompts = UnitPrompts(model, len(LETTERS), 4, units)
    assert len(prompts.letters()) == (units is None)
    optimizer = torch.optim.Adam([each for each in prompts.parameters() if each.requires_grad], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        prompts.learning().loss(CLIPS[:1], LABELS[:1]).backward()
        optimizer.step()
    decoder, options = PromptDecoder(prompts.eval(), CLIPS[0]), DecodeOptions(ctc_weight=0.0)
    assert decode(lambda: decoder, None, np.array([9]), LETTERS, options)[0].tokens == LABELS[0]
    assert all(torch.equal(frozen[name], tensor) for name, tensor in model.state_dict().items())


def test_steps_give_what_reading_at_once_does(model: UnitLanguageModel) -> None:
    prompts = UnitPrompts(model.requires_grad_(False), len(LETTERS), 4, None).eval()
    decoder, total = PromptDecoder(prompts, CLIPS[0]), 0.0
    state = decoder.start()
    for token, following in zip((EOS, *LABELS[0]), (*LABELS[0], EOS), strict=True):
        log_probs, state = decoder.step(np.array([token]), state)
        total -= float(log_probs[0, following])
    assert total / 3 == pytest.approx(prompts.loss(CLIPS[:1], LABELS[:1]).item(), abs=1e-5)


def test_frequent_letters_are_written_in_frequent_units() -> None:
    found = verbalised([(A, A, B)], [[5, 5, 5, 2, 2, 1]], len(LETTERS), UNITS)
    assert found[A] == 5 and found[B] == 2 and found[EOS] == UNITS
    assert len(set(found)) == len(LETTERS)
    with pytest.raises(UsageError, match="7 symbols for 5 units"):
        verbalised([], [], len(LETTERS), 5)


def test_its_table_is_that_of_the_lab(
    tmp_path: Path, tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speech_units, "CLUSTERS", 20)
    monkeypatch.setattr(speechprompt, "CLUSTERS", 20)
    monkeypatch.setattr(speechprompt, "UnitLanguageModel", partial(UnitLanguageModel, layers=1, dim=32))
    monkeypatch.setattr(unit_language_model, "CHUNK", 4)
    project = Project.create(tmp_path / "project", "p", "xx")
    for number in range(12):
        write_wav(tmp_path / "set" / f"{number}.wav", speech(number))
        split = ("test", "dev")[number] if number < 2 else "train"
        project.keep(tmp_path / "set" / f"{number}.wav", speech(number), WORDS[number % 10], split=split)
    lines = [f"{number}.wav,x,{number}" for number in range(12)]
    (tmp_path / "set" / "metadata.csv").write_text("\n".join(["file_name,transcription,speaker", *lines]))
    before = sha256_file(tmp_path / "project" / DATABASE)
    options = ["--backbone", str(tiny_backbone.folder), "--layer", "1", "--epochs", "1", "--passes", "1"]
    given = [
        "--speech",
        str(tmp_path / "set"),
        "--project",
        str(tmp_path / "project"),
        "--length",
        "2",
        "--hours",
        "0.002",
    ]
    main([str(tmp_path / "kept"), *given, *options])
    table = capsys.readouterr().out
    assert table.count(" | SpeechPrompt, labels as ") == 2 and "perplexity" in table
    assert (tmp_path / "kept" / "table.md").read_text(encoding="utf-8") == table[:-1]
    assert sha256_file(tmp_path / "project" / DATABASE) == before
