"""The feature cache: bounded, never stale, safe against damage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lect.engine.contract.train_settings import Augmentation
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.weights import load_model
from lect.engine.training.features import ALL_LAYERS, CLEAN, FeatureCache, FeatureSource
from lect.engine.training.train import TrainData


def source(
    backbone: Backbone, cpu: Device, cache: FeatureCache | None, layer: int | None = 1, **augmentation: float
) -> FeatureSource:
    settings = replace(Augmentation(), **augmentation)  # type: ignore[arg-type]
    return FeatureSource(load_model(backbone), backbone.sha256, layer, settings, cache, cpu)


def test_cached_frames_equal_computed_ones(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path)
    examples = tone_data.train[:3]
    for layer in (0, 1, ALL_LAYERS, None):
        cached = source(tiny_backbone, cpu, cache, layer)
        list(cached.prepare(examples, range(2)))
        for copy in range(2):
            kept = cached.batch(examples, [copy] * 3)
            computed = source(tiny_backbone, cpu, None, layer).batch(examples, [copy] * 3)
            torch.testing.assert_close(kept[0], computed[0], atol=0, rtol=0)
            assert torch.equal(kept.lengths, computed.lengths)


def test_a_batch_without_padding_is_heard_as_with_a_mask(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device
) -> None:
    at_first_layer = source(tiny_backbone, cpu, None, 0)
    model, same = at_first_layer.model, at_first_layer.batch([tone_data.train[0]] * 2, [0, 0])
    heard, masked = (model.encoder(frames, NO_HANDLES) for frames in (same._replace(whole=True), same))
    torch.testing.assert_close(heard.values, masked.values, atol=1e-5, rtol=1e-4)


def test_what_the_cache_lost_is_computed_in_full_precision_inside_of_a_bfloat16_step(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, tmp_path: Path
) -> None:
    kept = source(tiny_backbone, cpu, FeatureCache(tmp_path)).batch(tone_data.train[:2], [CLEAN, 1]).values
    halves = Device(cpu.torch_device, True, "CPU")
    with halves.autocast():
        found = source(tiny_backbone, halves, FeatureCache(tmp_path / "empty")).batch(tone_data.train[:2], [CLEAN, 1])
    torch.testing.assert_close(found.values, kept, atol=0, rtol=0)


def test_copies_differ_from_the_recording_and_from_each_other(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device
) -> None:
    frames = source(tiny_backbone, cpu, None)
    clean, first, second = (frames.batch(tone_data.train[:1], [copy]).values for copy in (CLEAN, 1, 2))
    assert clean.shape != first.shape or (clean - first).abs().max() > 1e-3
    assert first.shape != second.shape or (first - second).abs().max() > 1e-3


def test_the_name_of_kept_frames_changes_with_all_they_depend_on(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device
) -> None:
    example = tone_data.train[0]
    keys = {source(tiny_backbone, cpu, None)._key(example, 1)}
    keys.add(source(tiny_backbone, cpu, None)._key(example, 2))
    keys.add(source(tiny_backbone, cpu, None, layer=0)._key(example, 1))
    keys.add(source(tiny_backbone, cpu, None, speed=0.2)._key(example, 1))
    keys.add(source(replace(tiny_backbone, sha256="0" * 64), cpu, None)._key(example, 1))
    keys.add(source(tiny_backbone, cpu, None)._key(replace(example, sha256="f" * 64), 1))
    assert len(keys) == 6


def test_the_cache_is_bounded_and_drops_the_least_recently_used(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, max_bytes=40_000)
    row = np.zeros(2000, np.float32)
    for number in range(3):
        cache.put(f"{number:064d}", row)
    assert cache.get(f"{0:064d}") is not None  # used again, so the last to go
    for number in range(3, 12):
        cache.put(f"{number:064d}", row)
        assert cache.size() <= 40_000 + row.nbytes + 200
    assert cache.get(f"{1:064d}") is None
    assert cache.clear() > 0 and cache.size() == 0


def test_a_damaged_file_is_computed_again(
    tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, tmp_path: Path
) -> None:
    cached = source(tiny_backbone, cpu, FeatureCache(tmp_path))
    whole = cached.batch(tone_data.train[:1], [CLEAN]).values
    path = next(tmp_path.glob("*/*.npy"))
    path.write_bytes(path.read_bytes()[:100])
    assert torch.equal(cached.batch(tone_data.train[:1], [CLEAN]).values, whole)
