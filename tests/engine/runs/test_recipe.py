"""What is trained where nobody asks for a method."""

from dataclasses import replace
from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AUTO, AdaptationSpec, Method
from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.model.backbone import Backbone
from lect.engine.runs.recipe import (
    ATTENTION,
    COMMANDS,
    JOINT,
    NEW_HEAD,
    OWN_ADAPTERS,
    OWN_LORA_RATE,
    OWN_TOKENS,
    for_labels,
    reason,
    recommended,
)
from lect.engine.text.vocabulary import BOS, Vocabulary
from tests.engine.data.test_store import speech

BYTES = Vocabulary("bytes", (*"ab", "<|en|>", "<|sw|>"), (), (BOS, 6), (6, 7))
CONFIG = ModelConfig(8, 32, 2, 64, 4, 1, mel_window_seconds=30.0, ctc=False)


def backbone(config: ModelConfig = CONFIG) -> Backbone:
    return Backbone(Path(), "any", config, BYTES, ("en", "sw"), "MIT", "")


def test_a_whisper_learns_a_new_vocabulary_by_a_new_head() -> None:
    found = recommended(RunRequest("any"), backbone())
    assert (found.vocabulary, found.settings) == ("new", JOINT)
    assert (found.settings.spec.placement, found.settings.ctc_weight) == ("e:last3,d:all", 0.5)
    assert "e:last3,d:all" in reason(found, 8.9, 2) and "updates and adapters" in reason(found, 8.9, 2)
    assert "--method" in reason(found, 8.9, 2) and "8.9 minutes of 2 voices" in reason(found, 8.9, 2)


def test_a_whispers_own_vocabulary_is_for_the_attention_alone() -> None:
    own = recommended(RunRequest("any", vocabulary="backbone"), backbone())
    assert (own.vocabulary, own.settings) == ("backbone", OWN_ADAPTERS)
    prompts = TrainSettings(AdaptationSpec("prompt"))
    assert recommended(RunRequest("any", vocabulary="backbone", settings=prompts), backbone()).settings == OWN_TOKENS
    attention = recommended(RunRequest("any", settings=TrainSettings(AdaptationSpec(AUTO), ctc_weight=0)), backbone())
    assert (attention.vocabulary, attention.settings) == ("auto", replace(OWN_ADAPTERS, ctc_weight=0))
    asked = TrainSettings(AdaptationSpec("lora"))
    lora = recommended(RunRequest("any", vocabulary="backbone", settings=asked), backbone()).settings
    assert (lora.peak, lora.spec) == (OWN_LORA_RATE, asked.spec)


def test_labels_that_ctc_cannot_learn_are_the_decoders() -> None:
    settings = TrainSettings(AdaptationSpec(AUTO), ctc_weight=0)
    for config in (CONFIG, replace(CONFIG, encoder_layers=2)):
        found = recommended(RunRequest("any", vocabulary="words", settings=settings), backbone(config)).settings
        assert found == ATTENTION and (found.spec.method, found.spec.placement) == ("adapter", "d:all")
    prompts = replace(settings, spec=AdaptationSpec("prompt"))
    found = recommended(RunRequest("any", vocabulary="words", settings=prompts), backbone()).settings
    assert found == replace(ATTENTION, spec=AdaptationSpec("prompt", placement="d:all"))


def test_a_backbone_with_a_head_is_trained_as_ever() -> None:
    found = recommended(RunRequest("any", vocabulary="new"), backbone(replace(CONFIG, ctc=True)))
    assert found.settings == TrainSettings() and found.settings.spec.method == "prompt"
    assert reason(found, 2.0, 1) == (
        "With 2.0 minutes of 1 voice Lect trains by the method `prompt` on any. --method names another."
    )


def test_the_decoder_learns_where_its_attention_is_used() -> None:
    for settings in (
        TrainSettings(AdaptationSpec(AUTO), ctc_weight=1),
        TrainSettings(AdaptationSpec(AUTO, placement="e:last3")),
    ):
        assert recommended(RunRequest("any", settings=settings), backbone()).settings == NEW_HEAD
    found = recommended(RunRequest("any", settings=TrainSettings(AdaptationSpec(AUTO), ctc_weight=0.2)), backbone())
    assert found.settings == replace(JOINT, ctc_weight=0.2)


def test_what_is_asked_for_stays() -> None:
    asked = TrainSettings(spec=AdaptationSpec(AUTO, rank=8, placement="e:last2"), seed=3, max_steps=40)
    found = recommended(RunRequest("any", settings=asked), backbone()).settings
    assert (found.spec.rank, found.spec.placement, found.seed, found.max_steps) == (8, "e:last2", 3, 40)
    assert found.spec.full_rank and found.window_seconds == NEW_HEAD.window_seconds


def test_a_usual_value_that_is_stated_stays_too() -> None:
    asked = RunRequest("any", stated=("ctc_weight", "placement", "copies"))
    found = recommended(asked, backbone())
    assert (found.settings.ctc_weight, found.settings.copies, found.stated) == (0.5, 6, ())
    assert (found.settings.spec.placement, found.settings.spec.rank) == ("e:all,d:all", NEW_HEAD.spec.rank)
    assert RunRequest.from_json(asked.to_json()) == asked


@pytest.mark.parametrize("method", ["prompt", "adapter", "lora", "vocabulary", "finetune"])
def test_a_method_that_is_named_has_all_else_that_it_needs(method: Method) -> None:
    found = recommended(RunRequest("any", settings=TrainSettings(AdaptationSpec(method))), backbone())
    assert found.vocabulary == "new"
    assert found.settings == replace(NEW_HEAD, spec=AdaptationSpec(method, placement="e:last3"))
    assert f"`{method}`" in reason(found, 8.9, 2)


@pytest.mark.parametrize("spec", [AdaptationSpec("finetune", finetune_layers=1), AdaptationSpec("scratch")])
def test_what_learns_in_the_decoder_keeps_the_attentions_loss(spec: AdaptationSpec) -> None:
    found = recommended(RunRequest("any", settings=TrainSettings(spec)), backbone()).settings
    assert (found.ctc_weight, found.window_seconds, found.spec) == (0.5, 1.0, spec)


def test_a_small_backbone_without_windows_takes_what_it_has() -> None:
    small = replace(CONFIG, encoder_layers=2, mel_window_seconds=0.0)
    found = recommended(RunRequest("any"), backbone(small)).settings
    assert (found.spec.placement, found.window_seconds) == ("e:all,d:all", None)
    alone = TrainSettings(AdaptationSpec(AUTO), ctc_weight=1)
    assert recommended(RunRequest("any", settings=alone), backbone(small)).settings.spec.placement == "e:all"


def test_commands_are_learnt_whole_where_all_of_them_are_learnt(project: Project, tmp_path: Path) -> None:
    assert for_labels(project, RunRequest()).vocabulary == "auto"
    project.delete([clip.id for clip in project.clips()])
    for number in range(16):
        split = ("train", "train", "dev", "test")[number // 4]
        write_wav(path := tmp_path / f"c{number}.wav", speech(50 + number))
        project.keep(path, speech(50 + number), ("on", "off", "up", "down")[number % 4], split=split)
    found = for_labels(project, RunRequest())
    taught = recommended(found, backbone())
    assert taught.vocabulary == "words" and "whole words" in reason(taught, 1.0, 1) and taught.settings == COMMANDS
    assert for_labels(project, RunRequest(vocabulary="new")).vocabulary == "new"
    project.set_split([clip.id for clip in project.clips("train") if clip.text == "on"], "test")
    assert for_labels(project, RunRequest()).vocabulary == "auto"
