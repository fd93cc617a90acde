"""That nothing is left behind on another device; the walk on CUDA itself runs where there is a GPU."""

from pathlib import Path

import pytest
import torch

from lect.engine.audio.reading import load_audio
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.events import Ended, Started
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device, choose_device
from lect.engine.model.handles import Bottleneck, Handles, KeyValue, LowRank, Vocabularies
from lect.engine.model.weights import load_adaptation, load_model
from lect.engine.training.features import FeatureCache
from lect.engine.training.state import make_state
from lect.engine.training.train import TrainData, train
from tests.conftest import PHONES


def test_all_of_an_adaptation_goes_where_the_model_goes(tiny_backbone: Backbone) -> None:
    ones = torch.ones(2, 2)
    handles = Handles(
        encoder_prompts={1: KeyValue(ones, ones)},
        decoder_adapters={0: Bottleneck(ones, ones)},
        cross_updates={0: {"key": LowRank(ones, ones)}},
        vocabulary=Vocabularies(ones, None, None),
    )
    elsewhere = Device(torch.device("meta"), False, "nowhere")
    moved = Recogniser(load_model(tiny_backbone), PHONES, handles, DecodeOptions(), elsewhere).handles
    assert moved.vocabulary is not None
    tensors = [*moved.encoder_prompts[1], *moved.decoder_adapters[0], *moved.cross_updates[0]["key"]]
    assert {tensor.device.type for tensor in [*tensors, moved.vocabulary.embedding]} == {"meta"}
    assert moved.vocabulary.ctc_weight is None and moved.decoder_prompts == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ["prompt", "adapter", "lora"])
def test_training_and_writing_on_cuda(
    method: str, tiny_backbone: Backbone, tone_data: TrainData, cpu: Device, tmp_path: Path
) -> None:
    cuda = choose_device("cuda")
    settings = TrainSettings(spec=AdaptationSpec(method=method), max_steps=30, evaluations=3, copies=3)  # type: ignore[arg-type]
    state = make_state(settings, tiny_backbone, tone_data.vocabulary, cuda, FeatureCache(tmp_path / "cache"))
    events = list(train(state, settings, tone_data, tmp_path))
    assert isinstance(events[0], Started) and events[0].device == cuda.name and isinstance(events[-1], Ended)
    handles = Handles.from_tensors(load_adaptation(RunFiles(tmp_path).best))
    waveforms = [load_audio(example.path) for example in tone_data.dev]
    texts = [
        Recogniser(load_model(tiny_backbone), tone_data.vocabulary, handles, DecodeOptions(), device).texts(waveforms)
        for device in (cuda, cpu)
    ]
    assert texts[0] == texts[1]
