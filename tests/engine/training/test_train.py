"""The training loop: resumed equals unbroken, cached equals uncached, frozen stays frozen, and it learns."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lect.engine.audio.reading import load_audio
from lect.engine.contract.errors import TrainError
from lect.engine.decoding.recognizer import Recognizer
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.adaptations import AdaptationSpec
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device
from lect.engine.model.weights import load_adaptation
from lect.engine.training import learner as learner_module
from lect.engine.training.features import ALL_LAYERS, FeatureCache
from lect.engine.training.learner import Learner
from lect.engine.training.train import (
    BEST,
    LEARNING_RATES,
    TrainData,
    TrainSettings,
    make_learner,
    rate,
    step_batch,
    train,
)

SPEC = AdaptationSpec(num_virtual_tokens=3, placement="e:last1,d:all")
SETTINGS = TrainSettings(spec=SPEC, max_steps=30, evaluations=3, copies=3, per_device_train_batch_size=4)
Events = list[dict[str, Any]]


@pytest.fixture
def run(tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, tmp_path: Path) -> Iterator[Any]:
    def start(name: str, settings: TrainSettings = SETTINGS, stop_after: int | None = None, **options: Any) -> Events:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        events: Events = []
        options.setdefault("cache", FeatureCache(tmp_path / "cache"))

        def stop() -> bool:
            return stop_after is not None and sum(event["event"] == "step" for event in events) >= stop_after

        for event in train(settings, tiny_backbone, tone_data, folder, cpu, stop=stop, **options):
            events.append(event)
        return events

    yield start


def difference(a: Path, b: Path) -> float:
    """The largest difference between two results' tensors."""
    first, second = load_adaptation(a / BEST), load_adaptation(b / BEST)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def test_a_resumed_run_equals_an_unbroken_one(run: Any, tmp_path: Path) -> None:
    unbroken = run("unbroken")
    run("broken", stop_after=14)  # after the first checkpoint, before the second
    resumed = run("broken", resume=True)
    assert difference(tmp_path / "unbroken", tmp_path / "broken") == 0
    assert resumed[-1]["best_cer"] == unbroken[-1]["best_cer"]
    assert next(event["step"] for event in resumed if event["event"] == "step") == 11


def test_with_and_without_the_feature_cache_the_result_is_the_same(run: Any, tmp_path: Path) -> None:
    run("cached")
    run("uncached", cache=None)
    assert difference(tmp_path / "cached", tmp_path / "uncached") < 1e-5
    run("again")  # from a cache that is full
    assert difference(tmp_path / "cached", tmp_path / "again") == 0


@pytest.mark.parametrize(
    ("spec", "constant_below"),
    [
        (replace(SPEC, placement="e:all,d:all"), 0),
        (replace(SPEC, placement="d:all,c:all"), ALL_LAYERS),
        (replace(SPEC, method="adapter", rank=2), 1),
        (replace(SPEC, method="lora", rank=2, placement="e:last1,d:all,c:all"), 1),
        (replace(SPEC, method="lora", rank=2, placement="d:all"), ALL_LAYERS),
        (replace(SPEC, method="vocabulary"), ALL_LAYERS),
        (replace(SPEC, method="finetune", finetune_layers=1), ALL_LAYERS),
        (replace(SPEC, method="finetune"), None),
        (replace(SPEC, method="scratch"), None),
    ],
    ids=lambda value: f"{value.method}-{value.placement}" if isinstance(value, AdaptationSpec) else None,
)
def test_every_method_learns(run: Any, tmp_path: Path, spec: AdaptationSpec, constant_below: int | None) -> None:
    settings = replace(SETTINGS, spec=spec, learning_rate=1e-2, vocabulary_learning_rate=1e-2)
    events = run("method", settings)
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert events[0]["constant_below_layer"] == constant_below
    assert [event["event"] for event in events[:2]] == ["start", "base"]  # the base is scored before anything is learnt
    has_network = any(name.startswith("network.") for name in load_adaptation(tmp_path / "method" / BEST))
    assert has_network == spec.trains_backbone


@pytest.mark.parametrize("ctc_weight", [0.0, 0.5])
def test_the_best_step_is_chosen_by_what_learns(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, ctc_weight: float
) -> None:
    """Where CTC has no part in the loss, by the attention alone: its head says nothing of worth."""
    learner = make_learner(replace(SETTINGS, ctc_weight=ctc_weight), tiny_backbone, tone_data, cpu, None)
    handles = learner.adaptation.handles(learner.model)
    chosen_by = learner.recognize(tone_data.dev, handles, tone_data.vocabulary, 2)
    options = DecodeOptions(beam_size=1, ctc_weight=float(ctc_weight > 0))
    recognizer = Recognizer(learner.model, tone_data.vocabulary, handles, options, cpu)
    assert chosen_by == recognizer.texts([load_audio(example.path) for example in tone_data.dev])


def test_stopping_before_the_first_evaluation_still_leaves_a_result(run: Any, tmp_path: Path) -> None:
    events = run("stopped", stop_after=2)
    assert events[-1]["event"] == "end" and events[-1]["stopped"] and events[-1]["best_step"] == 2
    assert (tmp_path / "stopped" / BEST).exists()


def test_the_learning_rate_is_the_methods_own_unless_it_is_given() -> None:
    adapter = replace(SETTINGS, spec=AdaptationSpec(method="adapter"), learning_rate=0.0)
    assert adapter.peak == LEARNING_RATES["adapter"] and replace(adapter, learning_rate=0.5).peak == 0.5


def test_patience_ends_a_run_that_no_longer_improves(run: Any) -> None:
    events = run("patient", replace(SETTINGS, max_steps=200, learning_rate=1e-30, vocabulary_learning_rate=0.0,
                                    evaluations=20, early_stopping_patience=2))  # fmt: skip
    assert events[-1]["step"] == 30  # the first evaluation is the best, two worse ones follow


def test_too_little_memory_splits_the_batch_and_changes_nothing(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("roomy")
    real = Learner._encode

    def small(self: Learner, frames: Any, handles: Any) -> Any:
        if len(frames.lengths) > 2 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("out of memory")
        return real(self, frames, handles)

    monkeypatch.setattr(learner_module.Learner, "_encode", small)
    run("cramped")
    assert difference(tmp_path / "roomy", tmp_path / "cramped") < 1e-3


@pytest.mark.parametrize("asked", [True, False], ids=["asked for", "when memory does not suffice"])
def test_gradient_checkpointing_changes_no_result(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    settings = replace(SETTINGS, spec=replace(SPEC, method="lora", rank=2), gradient_checkpointing=asked)
    run("roomy", replace(settings, gradient_checkpointing=False))
    real, parts = Learner._encode, set()

    def small(self: Learner, frames: Any, handles: Any) -> Any:
        if torch.is_grad_enabled():
            if not self.model.encoder.gradient_checkpointing:
                raise torch.OutOfMemoryError("out of memory")
            parts.add(self.largest_part)
        return real(self, frames, handles)

    monkeypatch.setattr(learner_module.Learner, "_encode", small)
    run("saving", settings)
    assert len(parts) == 1 and parts.pop() >= SETTINGS.per_device_train_batch_size  # no batch was cut in two for it
    assert difference(tmp_path / "roomy", tmp_path / "saving") < 1e-5


def test_memory_too_small_for_one_clip_is_said_in_a_sentence(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_at_all(self: Learner, frames: Any, handles: Any) -> Any:
        if torch.is_grad_enabled():
            raise MemoryError
        return frames

    monkeypatch.setattr(learner_module.Learner, "_encode", none_at_all)
    with pytest.raises(TrainError, match="single clip"):
        run("impossible", replace(SETTINGS, spec=replace(SPEC, method="vocabulary")))


def test_weights_that_should_be_frozen_and_move_are_found_out(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Learner.step

    def meddling(self: Learner, *arguments: Any) -> Any:
        self.model.encoder.layers[0].feed_forward.up.weight.data[0, 0] += 1e-3
        return real(self, *arguments)

    monkeypatch.setattr(learner_module.Learner, "step", meddling)
    with pytest.raises(TrainError, match="frozen"):
        run("meddled", replace(SETTINGS, max_steps=2))


def test_each_epoch_sees_every_clip_once_and_repeats_by_seed(tone_data: TrainData) -> None:
    batches = SETTINGS.batches(10)
    assert batches == 3
    seen = [step_batch(SETTINGS, tone_data.train, step)[0] for step in range(batches)]
    assert sorted(example.sha256 for batch in seen for example in batch) == [e.sha256 for e in tone_data.train]
    assert step_batch(SETTINGS, tone_data.train, 7) == step_batch(SETTINGS, tone_data.train, 7)
    other = replace(SETTINGS, seed=1)
    assert any(step_batch(SETTINGS, tone_data.train, s) != step_batch(other, tone_data.train, s) for s in range(6))


def test_the_learning_rate_rises_and_falls() -> None:
    shares = [rate(SETTINGS, step, 100) for step in range(100)]
    assert shares[0] == pytest.approx(0.2) and max(shares) == 1.0 and shares[-1] < 0.06
    assert shares.index(1.0) == 4


def test_settings_of_a_set_scale_with_it() -> None:
    settings = TrainSettings()
    assert settings.steps(4) < settings.steps(120) <= settings.steps(10_000)
    assert replace(settings, max_steps=7).steps(120) == 7


def test_the_same_seed_gives_the_same_adaptation(tiny_backbone: Backbone, tone_data: TrainData, cpu: Device) -> None:
    first, second = (make_learner(SETTINGS, tiny_backbone, tone_data, cpu, None).result() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
