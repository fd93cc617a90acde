"""Clips packed into windows: each once a packing, no window overfull, one sound and one label behind another."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.contract.train_settings import Augmentation
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device
from lect.engine.model.weights import load_model
from lect.engine.training.features import CLEAN, PAUSE_SECONDS, Example, FeatureSource
from lect.engine.training.packing import packed
from tests.engine.data.test_store import speech


def examples(*seconds: float) -> list[Example]:
    return [Example(f"{at:064x}", Path(f"{at}.wav"), long, (4 + at,) * 10) for at, long in enumerate(seconds)]


def test_every_clip_is_in_each_packing_once_and_no_window_is_overfull() -> None:
    clips = examples(*(2.0 + at % 5 for at in range(40)), 31.0)
    found = packed(clips, 30.0, 440, 3, 0)
    assert sum(1 + len(each.more) for each in found) == 3 * len(clips)
    paths = sorted(path for each in found for path in (each.path, *each.more))
    assert paths == sorted([each.path for each in clips] * 3)
    for each in found:
        assert each.seconds <= 30 or not each.more
        starts = [10 * [4 + int(path.stem)] for path in (each.path, *each.more)]
        assert [*each.tokens] == [token for start in starts for token in start]
    assert len(found) <= 3 * 8, "167 s in windows of 30"
    assert len({each.sha256 for each in found if each.more}) == len([each for each in found if each.more])
    assert packed(clips, 30.0, 440, 3, 0) == found != packed(clips, 30.0, 440, 3, 1)


def test_a_label_is_no_longer_than_the_decoder_reads() -> None:
    found = packed(examples(*[1.0] * 12), 30.0, 25, 1, 0)
    assert [len(each.tokens) for each in found] == [20] * 6
    long = replace(examples(1.0)[0], tokens=(4,) * 30)
    assert packed([long, *examples(1.0, 1.0)], 30.0, 25, 1, 0).count(long) == 1


def test_what_is_packed_is_heard_one_behind_another(tmp_path: Path, tiny_backbone: Backbone, cpu: Device) -> None:
    clips = []
    for at in range(2):
        write_wav(tmp_path / f"{at}.wav", speech(at))
        clips.append(Example(f"{at:064x}", tmp_path / f"{at}.wav", 1.0, (4,)))
    source = FeatureSource(load_model(tiny_backbone), tiny_backbone.sha256, None, Augmentation(), None, cpu)
    waveforms = source.batch([clips[0].followed_by(clips[1])], [CLEAN])
    pause = np.zeros(int(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    wanted = np.concatenate([load_audio(clips[0].path), pause, load_audio(clips[1].path)])
    assert np.array_equal(waveforms[0][0].numpy(), wanted) and waveforms[1].tolist() == [len(wanted)]
