"""Foreign backbones learn: without a CTC head by attention alone, from Whisper's start tokens, in either vocabulary."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.errors import TrainError, UsageError
from lect.engine.contract.events import Started, Stepped
from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.model.adaptations import make_adaptation
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.device import Device
from lect.engine.model.frontend import Frames
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_adaptation, save_backbone
from lect.engine.text.vocabulary import BOS, EOS, Vocabulary
from lect.engine.training.losses import Labels, attention_loss
from lect.engine.training.state import make_state
from lect.engine.training.train import TrainData, train

CONTROLS = ("<|en|>", "<|sw|>", "<|transcribe|>", "<|notimestamps|>")
LETTERS = "abdegilmosuĠ"
BYTES = Vocabulary("bytes", (*LETTERS, "ba", *CONTROLS), (), (BOS, 17, 19, 20), (17, 18, 19, 20))
POSITIONS = 32
WHISPER = ModelConfig(
    len(BYTES), 32, 2, 64, 1, 1, mel_strides=(1, 2), mel_normalisation="range", mel_window_seconds=1.5,
    decoder_positions=POSITIONS, scale_embedding=False, key_bias=False, ctc=False,
)  # fmt: skip
WAV2SEQ = ModelConfig(
    30, 32, 2, 64, 1, 1, "waveform", waveform_convolutions=((16, 10, 5), (16, 8, 8), (16, 8, 8)), ctc=False,
    encoder_norm_first=False, decoder_norm_first=False, decoder_activation="relu", encoder_positions="convolutional",
    position_kernel=16, position_groups=4,
)  # fmt: skip
SPEC = AdaptationSpec(num_virtual_tokens=3, placement="e:all,d:all")
PROMPTS = 2 * 2 * 3 * 32
SETTINGS = TrainSettings(
    spec=SPEC, max_steps=20, evaluations=1, copies=1, per_device_train_batch_size=5, learning_rate=0.02,
    vocabulary_learning_rate=0.02, ctc_weight=1.0,
)  # fmt: skip


def backbone_of(folder: Path, config: ModelConfig, vocabulary: Vocabulary) -> Backbone:
    torch.manual_seed(2)
    save_backbone(folder, "foreign", EncoderDecoder(config), vocabulary, languages=(), licence="MIT")
    return open_backbone(str(folder))


@pytest.fixture
def whisper(tmp_path: Path) -> Backbone:
    return backbone_of(tmp_path / "whisper", WHISPER, BYTES)


def learnt(backbone: Backbone, data: TrainData, vocabulary: Vocabulary, folder: Path, device: Device) -> int:
    """The trainable parameters of a training in `vocabulary`, which must learn; no CTC loss, at whatever weight."""
    texts = [data.vocabulary.decode(example.tokens) for example in data.train]
    examples = [
        replace(example, tokens=tuple(vocabulary.encode(text))) for example, text in zip(data.train, texts, strict=True)
    ]
    data = replace(data, vocabulary=vocabulary, train=examples)
    folder.mkdir(exist_ok=True)
    events = list(train(make_state(SETTINGS, backbone, vocabulary, device, None), SETTINGS, data, folder))
    steps = [event for event in events if isinstance(event, Stepped)]
    losses = [event.attention_loss for event in steps]
    assert sum(losses[-4:]) < sum(losses[:4])
    assert all(event.ctc_loss == 0 for event in steps)
    return next(event.trained_parameters for event in events if isinstance(event, Started))


def test_whisper_in_its_own_vocabulary_learns_prompts_alone(
    whisper: Backbone, tone_data: TrainData, tmp_path: Path, cpu: Device
) -> None:
    parameters = learnt(whisper, tone_data, BYTES.starting("sw"), tmp_path / "run", cpu)
    assert parameters == PROMPTS
    assert all(".prompt." in name for name in load_adaptation(RunFiles(tmp_path / "run").best))


def test_whisper_in_a_new_vocabulary_starts_with_a_new_language(
    whisper: Backbone, tone_data: TrainData, tmp_path: Path, cpu: Device
) -> None:
    vocabulary = tone_data.vocabulary.led_by(BYTES, "x-mine")
    assert [vocabulary.tokens[token] for token in vocabulary.start] == [
        "<s>", "<|x-mine|>", "<|transcribe|>", "<|notimestamps|>",
    ]  # fmt: skip
    parameters = learnt(whisper, tone_data, vocabulary, tmp_path / "run", cpu)
    assert parameters == PROMPTS + 32 * len(vocabulary)
    assert len(load_adaptation(RunFiles(tmp_path / "run").best)["vocabulary.embedding"]) == len(vocabulary)


def test_wav2seq_learns(tone_data: TrainData, tmp_path: Path, cpu: Device) -> None:
    backbone = backbone_of(tmp_path / "wav2seq", WAV2SEQ, Vocabulary("phone", tuple(map(str, range(26)))))
    learnt(backbone, tone_data, tone_data.vocabulary, tmp_path / "run", cpu)


def test_a_label_longer_than_the_decoder_reads_is_told_first(
    whisper: Backbone, tone_data: TrainData, tmp_path: Path, cpu: Device
) -> None:
    example = replace(tone_data.train[0], tokens=(4,) * (POSITIONS - 3))
    data = replace(tone_data, vocabulary=BYTES, train=[*tone_data.train, example])
    with pytest.raises(TrainError, match=r"0\.wav has 29 symbols, .* can read 28: cut"):
        next(train(make_state(SETTINGS, whisper, BYTES, cpu, None), SETTINGS, data, tmp_path))


def test_the_loss_begins_where_the_label_does() -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(WHISPER).eval()
    encoded, labels = Frames(torch.randn(2, 9, 32), torch.tensor([9, 6])), Labels.of([[4, 5, 6], [7]])
    found = attention_loss(model, encoded, labels, NO_HANDLES, 0.0, BYTES.start)
    expected = torch.tensor(0.0)
    for row, label in enumerate(([4, 5, 6], [7])):
        one = Frames(encoded.values[row : row + 1], encoded.lengths[row : row + 1])
        log_probs = model.teacher_forcing(one, torch.tensor([[*BYTES.start, *label]]), NO_HANDLES)[0].log_softmax(-1)
        expected = expected - sum(log_probs[3 + place, token] for place, token in enumerate([*label, EOS]))
    torch.testing.assert_close(found, expected / 4)


@torch.no_grad()
def test_new_tokens_start_from_the_bytes_that_spell_them() -> None:
    model = EncoderDecoder(WHISPER)
    rows = model.decoder.embedding
    new = Vocabulary("grapheme", (" ", "a", "ba", "Ġ")).led_by(BYTES, "quc")
    adaptation = make_adaptation(replace(SPEC, method="adapter"), model, BYTES, new, {})
    embedding = adaptation.tensors(model)["vocabulary.embedding"]
    ids = {token: index for index, token in enumerate(BYTES.tokens)}
    for token, sources in {
        "<s>": ["<s>"], " ": ["Ġ"], "a": ["a"], "ba": ["ba"], "<|quc|>": ["<|en|>", "<|sw|>"],
        "<|transcribe|>": ["<|transcribe|>"],
    }.items():  # fmt: skip
        expected = torch.stack([rows[ids[source]] for source in sources]).mean(0)
        torch.testing.assert_close(embedding[new.tokens.index(token)], expected)
    # A letter that looks like one of the bytes' names is not that byte.
    assert not torch.equal(embedding[new.tokens.index("Ġ")], rows[ids["Ġ"]])


def test_a_method_that_would_learn_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="--vocabulary new"):
        make_adaptation(replace(SPEC, method="vocabulary"), EncoderDecoder(WHISPER), BYTES, BYTES, {})
