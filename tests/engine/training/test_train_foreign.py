"""Foreign backbones learn, from Whisper's start tokens, in either vocabulary: a new one brings a CTC head."""

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
from lect.engine.model.handles import NO_HANDLES, Handles, Vocabularies
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


def learnt(backbone: Backbone, data: TrainData, vocabulary: Vocabulary, folder: Path, device: Device, loss: str) -> int:
    """The trainable parameters of a training in `vocabulary`, whose only loss must fall."""
    texts = [data.vocabulary.decode(example.tokens) for example in data.train]
    examples = [
        replace(example, tokens=tuple(vocabulary.encode(text))) for example, text in zip(data.train, texts, strict=True)
    ]
    data = replace(data, vocabulary=vocabulary, train=examples)
    folder.mkdir(exist_ok=True)
    events = list(train(make_state(SETTINGS, backbone, vocabulary, device, None), SETTINGS, data, folder))
    steps = [event for event in events if isinstance(event, Stepped)]
    losses = {name: [getattr(event, name) for event in steps] for name in ("attention_loss", "ctc_loss")}
    assert sum(losses[loss][-4:]) < sum(losses.pop(loss)[:4])
    assert not any(*losses.values())
    return next(event.trained_parameters for event in events if isinstance(event, Started))


def test_whisper_in_its_own_vocabulary_learns_prompts_alone(
    whisper: Backbone, tone_data: TrainData, tmp_path: Path, cpu: Device
) -> None:
    parameters = learnt(whisper, tone_data, BYTES.starting("sw"), tmp_path / "run", cpu, "attention_loss")
    assert parameters == PROMPTS
    assert all(".prompt." in name for name in load_adaptation(RunFiles(tmp_path / "run").best))


def test_whisper_in_a_new_vocabulary_starts_with_a_new_language(
    whisper: Backbone, tone_data: TrainData, tmp_path: Path, cpu: Device
) -> None:
    vocabulary = tone_data.vocabulary.led_by(BYTES, "x-mine")
    assert [vocabulary.tokens[token] for token in vocabulary.start] == [
        "<s>", "<|x-mine|>", "<|transcribe|>", "<|notimestamps|>",
    ]  # fmt: skip
    parameters = learnt(whisper, tone_data, vocabulary, tmp_path / "run", cpu, "ctc_loss")
    assert parameters == PROMPTS + (32 + 32 + 1) * len(vocabulary)
    tensors = load_adaptation(RunFiles(tmp_path / "run").best)
    assert {len(tensor) for name, tensor in tensors.items() if name.startswith("vocabulary.")} == {len(vocabulary)}
    assert tensors["vocabulary.ctc.weight"].abs().max() > 0


def test_wav2seq_learns(tone_data: TrainData, tmp_path: Path, cpu: Device) -> None:
    backbone = backbone_of(tmp_path / "wav2seq", WAV2SEQ, Vocabulary("phone", tuple(map(str, range(26)))))
    learnt(backbone, tone_data, tone_data.vocabulary, tmp_path / "run", cpu, "ctc_loss")


def test_without_a_ctc_loss_a_new_vocabulary_brings_no_head(
    whisper: Backbone, tone_data: TrainData, cpu: Device
) -> None:
    vocabulary = tone_data.vocabulary.led_by(BYTES, "x-mine")
    state = make_state(replace(SETTINGS, ctc_weight=0.0), whisper, vocabulary, cpu, None)
    assert "vocabulary.ctc.weight" not in state.adaptation.tensors(state.model)
    assert not state.new_head()


def test_a_new_head_learns_before_all_else(whisper: Backbone, tone_data: TrainData, cpu: Device) -> None:
    state = make_state(SETTINGS, whisper, tone_data.vocabulary.led_by(BYTES, "x-mine"), cpu, None)
    before = {name: tensor.clone() for name, tensor in state.adaptation.tensors(state.model).items()}
    assert before["vocabulary.ctc.weight"].abs().max() == before["vocabulary.ctc.bias"].abs().max() == 0
    state.learn_head([tone_data.train[:4]] * 8, 0.02, 1.0)
    after = state.adaptation.tensors(state.model)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {"vocabulary.ctc.weight", "vocabulary.ctc.bias"}


@torch.no_grad()
def test_a_new_head_reads_pairs_of_normalised_frames() -> None:
    torch.manual_seed(0)
    model, encoded = EncoderDecoder(WHISPER).eval(), Frames(7 * torch.randn(2, 9, 32) + 3, torch.tensor([9, 4]))
    embedding, weight, bias = torch.randn(6, 32), torch.randn(6, 32), torch.randn(6)
    logits = model.ctc_logits(encoded, Handles(vocabulary=Vocabularies(embedding, weight, bias)))
    assert logits is not None and logits.lengths.tolist() == [4, 2]
    values = encoded.values - encoded.values.mean(-1, keepdim=True)
    values = values / (values.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    for frame in range(4):
        expected = values[:, 2 * frame : 2 * frame + 2].mean(1) @ weight.T + bias
        torch.testing.assert_close(logits.values[:, frame], expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_clip_without_a_window_gives_the_same_frames_in_any_batch() -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(replace(WHISPER, mel_window_seconds=0.0)).eval()
    waveform, lengths = torch.randn(2, 12_000) / 10, torch.tensor([12_000, 7_013])
    waveform[1, 7_013:] = 0
    both = model.encoder(model.encoder.embed(waveform, lengths), NO_HANDLES)
    alone = model.encoder(model.encoder.embed(waveform[1:, :7_013], lengths[1:]), NO_HANDLES)
    assert int(both.lengths[1]) == int(alone.lengths[0]) == alone.values.shape[1]
    torch.testing.assert_close(both.values[1:, : alone.values.shape[1]], alone.values, atol=1e-5, rtol=1e-4)


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
