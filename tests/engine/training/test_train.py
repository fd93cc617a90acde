"""The training loop: resumed equals unbroken, cached equals uncached, frozen stays frozen, and it learns."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from lect.engine.audio.reading import load_audio
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.errors import TrainError
from lect.engine.contract.events import BaseScored, Ended, Event, Started, Stepped
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.tensor_names import network_weights
from lect.engine.contract.train_settings import LEARNING_RATES, TrainSettings
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_adaptation
from lect.engine.training.features import ALL_LAYERS, FeatureCache
from lect.engine.training.state import TrainState, make_state
from lect.engine.training.train import TrainData, rate, step_batch, train

SPEC = AdaptationSpec(num_virtual_tokens=3, placement="e:last1,d:all")
SETTINGS = TrainSettings(spec=SPEC, max_steps=30, evaluations=3, copies=3, per_device_train_batch_size=4)
Events = list[Event]
E = TypeVar("E", bound=Event)


@pytest.fixture
def run(tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, tmp_path: Path) -> Iterator[Any]:
    def start(
        name: str,
        settings: TrainSettings = SETTINGS,
        stop_after: int | None = None,
        cached: bool = True,
        resume: bool = False,
    ) -> Events:
        cache = FeatureCache(tmp_path / "cache") if cached else None
        state = make_state(settings, tiny_backbone, tone_data.vocabulary, cpu, cache)
        return events_of(state, settings, tone_data, tmp_path / name, stop_after, resume)

    yield start


def events_of(
    state: TrainState,
    settings: TrainSettings,
    data: TrainData,
    folder: Path,
    stop_after: int | None = None,
    resume: bool = False,
) -> Events:
    """Of a training into `folder`, which may be stopped after so many steps."""
    folder.mkdir(exist_ok=True)
    events: Events = []

    def stop() -> bool:
        return stop_after is not None and len(of_kind(Stepped, events)) >= stop_after

    for event in train(state, settings, data, folder, resume=resume, stop=stop):
        events.append(event)
    return events


def of_kind(kind: type[E], events: Events) -> list[E]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def difference(a: Path, b: Path) -> float:
    """The largest difference between two results' tensors."""
    first, second = load_adaptation(RunFiles(a).best), load_adaptation(RunFiles(b).best)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def test_a_resumed_run_equals_an_unbroken_one(run: Any, tmp_path: Path) -> None:
    unbroken = run("unbroken")
    run("broken", stop_after=14)  # after the first checkpoint, before the second
    resumed = run("broken", resume=True)
    assert difference(tmp_path / "unbroken", tmp_path / "broken") == 0
    assert of_kind(Ended, resumed)[0].best_cer == of_kind(Ended, unbroken)[0].best_cer
    assert of_kind(Stepped, resumed)[0].step == 11


def test_with_and_without_the_feature_cache_the_result_is_the_same(run: Any, tmp_path: Path) -> None:
    run("cached")
    run("uncached", cached=False)
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
    losses = [event.loss for event in of_kind(Stepped, events)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert of_kind(Started, events)[0].constant_below_layer == constant_below
    assert [type(event) for event in events[:2]] == [
        Started,
        BaseScored,
    ]  # the base is scored before anything is learnt
    assert bool(network_weights(load_adaptation(RunFiles(tmp_path / "method").best))) == spec.trains_backbone


@pytest.mark.parametrize("ctc_weight", [0.0, 0.5])
def test_the_best_step_is_chosen_by_what_learns(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, ctc_weight: float
) -> None:
    """Where CTC has no part in the loss, by the attention alone: its head has learnt nothing."""
    state = make_state(replace(SETTINGS, ctc_weight=ctc_weight), tiny_backbone, tone_data.vocabulary, cpu, None)
    handles = state.adaptation.handles(state.model)
    chosen_by = state.decode(tone_data.dev, handles, tone_data.vocabulary, 2)
    options = DecodeOptions(beam_size=1, ctc_weight=float(ctc_weight > 0))
    recogniser = Recogniser(state.model, tone_data.vocabulary, handles, options, cpu)
    assert chosen_by == recogniser.texts([load_audio(example.path) for example in tone_data.dev])


def test_stopping_before_the_first_evaluation_still_leaves_a_result(run: Any, tmp_path: Path) -> None:
    events = run("stopped", stop_after=2)
    (end,) = of_kind(Ended, events)
    assert events[-1] is end and end.stopped and end.best_step == 2
    assert RunFiles(tmp_path / "stopped").best.exists()


def test_the_learning_rate_is_the_methods_own_unless_it_is_given() -> None:
    adapter = replace(SETTINGS, spec=AdaptationSpec(method="adapter"), learning_rate=0.0)
    assert adapter.peak == LEARNING_RATES["adapter"] and replace(adapter, learning_rate=0.5).peak == 0.5


def test_patience_ends_a_run_that_no_longer_improves(run: Any) -> None:
    events = run("patient", replace(SETTINGS, max_steps=200, learning_rate=1e-30, vocabulary_learning_rate=0.0,
                                    evaluations=20, early_stopping_patience=2))  # fmt: skip
    assert of_kind(Ended, events)[0].step == 30  # the first evaluation is the best, two worse ones follow


@pytest.fixture
def cramped(tiny_backbone: Backbone, tone_data: TrainData, cpu: Device) -> Iterator[Any]:
    """A fresh state in whose encoder memory does not suffice where `too_much` says so."""

    def make(settings: TrainSettings, too_much: Callable[[EncoderDecoder, int], bool]) -> TrainState:
        state = make_state(settings, tiny_backbone, tone_data.vocabulary, cpu, None)

        def fail(encoder: torch.nn.Module, inputs: Any) -> None:
            if torch.is_grad_enabled() and too_much(state.model, len(inputs[0].lengths)):
                torch.empty(1 << 50)  # really more than there is, so the error is PyTorch's own

        state.model.encoder.register_forward_pre_hook(fail)
        return state

    yield make


def test_too_little_memory_splits_the_batch_and_changes_nothing(
    run: Any, cramped: Any, tone_data: TrainData, tmp_path: Path
) -> None:
    run("roomy")
    state = cramped(SETTINGS, lambda model, clips: clips > 2)
    events_of(state, SETTINGS, tone_data, tmp_path / "cramped")
    assert state.largest_part == 2
    assert difference(tmp_path / "roomy", tmp_path / "cramped") < 1e-3


@pytest.mark.parametrize("asked", [True, False], ids=["asked for", "when memory does not suffice"])
def test_gradient_checkpointing_changes_no_result(
    run: Any, cramped: Any, tone_data: TrainData, tmp_path: Path, asked: bool
) -> None:
    settings = replace(SETTINGS, spec=replace(SPEC, method="lora", rank=2), gradient_checkpointing=asked)
    run("roomy", replace(settings, gradient_checkpointing=False))
    state = cramped(settings, lambda model, clips: not model.encoder.gradient_checkpointing)
    events_of(state, settings, tone_data, tmp_path / "saving")
    assert state.model.encoder.gradient_checkpointing
    assert state.largest_part >= SETTINGS.per_device_train_batch_size  # no batch was cut in two for it
    assert difference(tmp_path / "roomy", tmp_path / "saving") < 1e-5


def test_memory_too_small_for_one_clip_is_said_in_a_sentence(
    cramped: Any, tone_data: TrainData, tmp_path: Path
) -> None:
    state = cramped(SETTINGS, lambda model, clips: True)
    with pytest.raises(TrainError, match="single clip"):
        events_of(state, SETTINGS, tone_data, tmp_path / "impossible")


def test_an_error_that_is_not_about_memory_is_not_taken_for_one(cramped: Any, tone_data: TrainData) -> None:
    state = cramped(SETTINGS, lambda model, clips: False)
    state.model.encoder.register_forward_hook(lambda module, inputs, frames: frames._replace(values=frames.values[:1]))
    with pytest.raises(RuntimeError):
        state.step(tone_data.train[:3], [0] * 3, 1.0, 1.0)
    assert state.largest_part >= 3


def test_weights_that_should_be_frozen_and_move_are_found_out(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, tmp_path: Path
) -> None:
    state = make_state(SETTINGS, tiny_backbone, tone_data.vocabulary, cpu, None)

    @torch.no_grad()
    def meddle(optimizer: torch.optim.Optimizer, *arguments: Any) -> None:
        state.model.encoder.layers[0].feed_forward.up.weight[0, 0] += 1e-3

    state.optimizer.register_step_post_hook(meddle)
    with pytest.raises(TrainError, match="frozen"):
        events_of(state, replace(SETTINGS, max_steps=2), tone_data, tmp_path)


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
    states = (make_state(SETTINGS, tiny_backbone, tone_data.vocabulary, cpu, None) for _ in range(2))
    first, second = (state.adaptation.tensors(state.model) for state in states)
    assert all(torch.equal(first[name], second[name]) for name in first)
