"""The encoder-decoder: padding, caches, positions and prompts behave as their docstrings say."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from lect.engine.contract.model_config import ModelConfig
from lect.engine.model.frontend import Frames, LogMel
from lect.engine.model.handles import NO_HANDLES, Bottleneck, Handles, KeyValue
from lect.engine.model.network import EncoderDecoder, sinusoids
from lect.engine.model.torchaudio_bridge import functional as audio_functional

MEL = ModelConfig(30, dim=32, heads=2, ffn_dim=64, encoder_layers=2, decoder_layers=2, convolution_kernel=7)
WAVEFORM = replace(
    MEL,
    frontend="waveform",
    waveform_convolutions=((16, 10, 5), (16, 8, 8), (16, 8, 8)),
    encoder_norm_first=False,
    decoder_norm_first=False,
    decoder_activation="relu",
    encoder_positions="convolutional",
    position_kernel=16,
    position_groups=4,
    convolution_kernel=0,
    ctc=False,
)
FAMILIES = {
    "mel": MEL,
    "waveform": WAVEFORM,
    "large": replace(WAVEFORM, waveform_layer_norm=True, waveform_normalise=True),
}


def model_of(name: str) -> EncoderDecoder:
    torch.manual_seed(1)
    return EncoderDecoder(FAMILIES[name]).eval()


def speech(batch: int, samples: int) -> Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(2)) * 0.1


def prompt(length: int, seed: int) -> KeyValue:
    generator = torch.Generator().manual_seed(seed)
    return KeyValue(torch.randn(length, 2, 16, generator=generator), torch.randn(length, 2, 16, generator=generator))


HANDLES = Handles(
    encoder_prompts={1: prompt(3, 0)},
    decoder_prompts={0: prompt(2, 1), 1: prompt(5, 2)},
    cross_prompts={0: prompt(4, 3), 1: prompt(4, 4)},
)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("handles", [NO_HANDLES, HANDLES], ids=["bare", "prompts"])
@torch.no_grad()
def test_a_clip_in_a_padded_batch_equals_the_clip_alone(name: str, handles: Handles) -> None:
    model = model_of(name)
    waveform, lengths = speech(2, 9600), torch.tensor([9600, 6400])
    waveform[1, 6400:] = 0
    tokens = torch.tensor([[2, 5, 6, 7], [2, 8, 9, 4]])
    logits, ctc = model(waveform, lengths, tokens, handles)
    alone, ctc_alone = model(waveform[1:, :6400], lengths[1:], tokens[1:], handles)
    torch.testing.assert_close(logits[1:], alone, atol=1e-5, rtol=1e-4)
    if ctc is not None:
        torch.testing.assert_close(ctc[1:, : ctc_alone.shape[1]], ctc_alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_step_by_step_equals_teacher_forcing(name: str) -> None:
    model = model_of(name)
    waveform, lengths = speech(2, 8000), torch.tensor([8000, 8000])
    tokens = torch.tensor([[2, 5, 6, 7], [2, 8, 9, 4]])
    encoded = model.encoder(model.encoder.embed(waveform, lengths), HANDLES)
    taught = model.teacher_forcing(encoded, tokens, HANDLES)
    past, cross = model.decoder.past(2, HANDLES, encoded.values), model.decoder.cross(encoded, HANDLES)
    for position in range(tokens.shape[1]):
        logits, past = model.decoder(tokens[:, position : position + 1], position, past, cross, HANDLES)
        torch.testing.assert_close(logits[:, 0], taught[:, position], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_running_the_encoder_in_two_parts_changes_nothing() -> None:
    model = model_of("mel")
    frames = model.encoder.embed(speech(1, 8000), torch.tensor([8000]))
    whole = model.encoder(frames, HANDLES)
    lower = model.encoder(frames, NO_HANDLES, 0, 1)  # HANDLES change layer 1 only
    torch.testing.assert_close(model.encoder(lower, HANDLES, 1).values, whole.values, atol=0, rtol=0)


@torch.no_grad()
def test_empty_prompts_and_rank_zero_adapters_are_the_bare_backbone() -> None:
    model = model_of("mel")
    inputs = speech(1, 8000), torch.tensor([8000]), torch.tensor([[2, 5, 6]])
    nothing = Handles(
        encoder_prompts={0: prompt(0, 0)},
        decoder_prompts={0: prompt(0, 0)},
        cross_prompts={index: prompt(0, 0) for index in range(2)},
        encoder_adapters={1: Bottleneck(torch.zeros(0, 32), torch.zeros(32, 0))},
    )
    for bare, empty in zip(model(*inputs, NO_HANDLES), model(*inputs, nothing), strict=True):
        torch.testing.assert_close(empty, bare, atol=0, rtol=0)


@torch.no_grad()
def test_every_handle_changes_the_output() -> None:
    model = model_of("mel")
    inputs = speech(1, 8000), torch.tensor([8000]), torch.tensor([[2, 5, 6]])
    bare = model(*inputs, NO_HANDLES)[0]
    bottleneck = Bottleneck(torch.randn(3, 32), torch.randn(32, 3))
    changes = [
        Handles(encoder_prompts={0: prompt(3, 0)}),
        Handles(decoder_prompts={0: prompt(3, 0)}),
        Handles(cross_prompts={0: prompt(3, 0), 1: prompt(3, 1)}),
        Handles(encoder_adapters={0: bottleneck}),
        Handles(decoder_adapters={1: bottleneck}),
    ]
    for handles in changes:
        assert (model(*inputs, handles)[0] - bare).abs().max() > 1e-3


@torch.no_grad()
def test_prompts_for_each_clip_equal_one_by_one() -> None:
    model = model_of("mel")
    waveform, lengths, tokens = speech(2, 8000), torch.tensor([8000, 8000]), torch.tensor([[2, 5, 6]] * 2)
    first, second = prompt(3, 0), prompt(3, 1)
    both = KeyValue(torch.stack([first.key, second.key]), torch.stack([first.value, second.value]))
    together = model(waveform, lengths, tokens, Handles(encoder_prompts={0: both}))[0]
    for row, one in enumerate((first, second)):
        alone = model(waveform[row : row + 1], lengths[:1], tokens[:1], Handles(encoder_prompts={0: one}))[0]
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


def test_wav2seq_base_has_its_published_sizes() -> None:
    with torch.device("meta"):
        model = EncoderDecoder(
            ModelConfig(
                1000, 768, 12, 3072, 12, 6, "waveform",
                encoder_norm_first=False, decoder_norm_first=False, encoder_positions="convolutional", ctc=False,
            )
        )  # fmt: skip

    def millions(module: torch.nn.Module) -> float:
        return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 2)

    assert millions(model.encoder) == 94.37
    assert sum(parameter.numel() for parameter in model.decoder.layers[0].parameters()) == 9_451_776
    assert millions(model.decoder.layers) == 56.71


@torch.no_grad()
def test_log_mel_is_the_logarithm_of_torchaudios_mel_power() -> None:
    waveform = speech(1, 16000)
    frames = LogMel(40)(waveform, torch.tensor([16000]))
    assert frames.values.shape == (1, 100, 40)
    window = torch.hann_window(400)
    padded = torch.nn.functional.pad(waveform, (200, 200))
    power = torch.stft(padded, 400, 160, window=window, center=False, return_complex=True).abs().square()[..., :100]
    filters = audio_functional.melscale_fbanks(201, 0.0, 8000.0, 40, 16000, norm="slaney", mel_scale="slaney")
    expected = torch.log(power.transpose(1, 2) @ filters)
    expected = expected - expected.mean(1, keepdim=True)
    expected = expected / expected.square().mean(1, keepdim=True).sqrt().clamp(min=0.5)
    torch.testing.assert_close(frames.values, expected, atol=2e-3, rtol=1e-3)


@torch.no_grad()
def test_log_mel_does_not_depend_on_the_level() -> None:
    waveform = speech(1, 16000)
    lengths = torch.tensor([16000])
    torch.testing.assert_close(
        LogMel(40)(waveform, lengths).values, LogMel(40)(waveform * 0.1, lengths).values, atol=1e-3, rtol=1e-3
    )


def test_sinusoids_follow_fairseq() -> None:
    """Half sines, half cosines; frequencies from 1 to 1/10000."""
    table = sinusoids(torch.tensor([2, 3]), 8)
    assert table.shape == (2, 8)
    torch.testing.assert_close(table[0, 0], torch.tensor(2.0).sin())
    torch.testing.assert_close(table[0, 4], torch.tensor(2.0).cos())
    torch.testing.assert_close(table[1, 3], torch.tensor(3e-4).sin())


def test_config_survives_json() -> None:
    for config in FAMILIES.values():
        assert ModelConfig.from_json(config.to_json()) == config


def test_frame_lengths_are_those_of_the_convolutions() -> None:
    for name in FAMILIES:
        model = model_of(name)
        for samples in (3200, 8000, 8123):
            frames = model.encoder.embed(speech(1, samples), torch.tensor([samples]))
            assert isinstance(frames, Frames)
            assert frames.values.shape[1] == int(frames.lengths[0]), (name, samples)


@pytest.mark.parametrize("name", FAMILIES)
def test_checkpointing_keeps_less_and_gives_the_same_gradients(name: str) -> None:
    """Of a prompt under frozen layers, as adapting has them."""
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    found = []
    for checkpointed in (False, True):
        model, learnt = model_of(name).requires_grad_(False), prompt(3, 0)
        if checkpointed:
            model.checkpoint_gradients()
        handles = Handles(encoder_prompts={0: learnt}, decoder_prompts={0: learnt}, cross_prompts={})
        learnt.key.requires_grad_(True)
        kept.clear()
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            logits = model(speech(2, 9600), torch.tensor([9600, 6400]), torch.tensor([[2, 5, 6], [2, 8, 9]]), handles)[
                0
            ]
        found.append((sum(kept), torch.autograd.grad(logits.square().sum(), learnt.key)[0]))
    assert found[1][0] < found[0][0] / 3
    torch.testing.assert_close(found[1][1], found[0][1])
