"""Whisper folders, written here by transformers with random weights, give what transformers gives."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.errors import BackboneError, UsageError
from lect.engine.decoding.recogniser import TorchDecoder
from lect.engine.decoding.search import DecodeOptions, decode
from lect.engine.model.foreign.huggingface import huggingface_tensors
from lect.engine.model.foreign.network import Foreign
from lect.engine.model.foreign.reading import read_foreign
from lect.engine.model.foreign.whisper import Whisper, whisper_config, whisper_vocabulary
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.network import EncoderDecoder
from lect.engine.text.vocabulary import EOS, Vocabulary

TOLERANCE = 1e-4
SENTENCES = (
    "And so, my fellow Americans, it's 1961!",
    "Ask not what your country can do.",
    "Jambo, habari ya asubuhi?",
)
CONTROLS = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|sw|>", "<|yue|>", "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>", "<|0.02|>",
)  # fmt: skip
NAMELESS = 3  # rows of the embedding beyond the tokenizer, as in published checkpoints
# d_model, heads, layers of encoder and decoder, mels, vocabulary of every published size
SIZES = {
    "tiny": (384, 6, 4, 4, 80, 51865),
    "tiny.en": (384, 6, 4, 4, 80, 51864),
    "base": (512, 8, 6, 6, 80, 51865),
    "small": (768, 12, 12, 12, 80, 51865),
    "medium": (1024, 16, 24, 24, 80, 51865),
    "large-v2": (1280, 20, 32, 32, 80, 51865),
    "large-v3": (1280, 20, 32, 32, 128, 51866),
    "large-v3-turbo": (1280, 20, 32, 4, 128, 51866),
}


@pytest.fixture(scope="module")
def transformers() -> ModuleType:
    from lect.engine.model import torchaudio_bridge  # noqa: F401  (before transformers, which imports torchaudio)

    return pytest.importorskip("transformers", reason="transformers is not installed: pip install 'lect[dev]'")


@dataclass(frozen=True)
class Published:
    """A checkpoint folder, and what wrote it."""

    folder: Path
    model: Any
    tokenizer: Tokenizer

    @property
    def foreign(self) -> Foreign:
        return read_foreign(self.folder)

    def id(self, token: str) -> int:
        return int(self.tokenizer.token_to_id(token))


def byte_pairs() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in CONTROLS])
    return tokenizer


def publish(transformers: ModuleType, folder: Path, mels: int) -> Published:
    """Random weights in the published layout."""
    tokenizer = byte_pairs()
    size = tokenizer.get_vocab_size() + NAMELESS
    end, start = (tokenizer.token_to_id(token) for token in CONTROLS[:2])
    config = transformers.WhisperConfig(
        vocab_size=size, num_mel_bins=mels, d_model=32, encoder_layers=2, decoder_layers=2, max_target_positions=40,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48,
        decoder_start_token_id=start, eos_token_id=end, bos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    torch.manual_seed(mels)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "encoder.embed_positions" not in name:
                scale = 1.0 if "embed_positions" in name else 0.1  # what is said must vary
                parameter.add_(scale * torch.randn_like(parameter))
    generation = model.generation_config
    generation.is_multilingual, generation.begin_suppress_tokens = True, None
    generation.lang_to_id = {f"<|{code}|>": tokenizer.token_to_id(f"<|{code}|>") for code in ("en", "sw", "yue")}
    generation.task_to_id = {task: tokenizer.token_to_id(f"<|{task}|>") for task in ("transcribe", "translate")}
    generation.no_timestamps_token_id = tokenizer.token_to_id("<|notimestamps|>")
    generation.suppress_tokens = [tokenizer.token_to_id("!"), *range(start, size)]
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return Published(folder, model, tokenizer)


@pytest.fixture(scope="module", params=[80, 128])
def published(request: pytest.FixtureRequest, transformers: ModuleType, tmp_path_factory: Any) -> Published:
    """A tiny checkpoint of each number of mel bands."""
    return publish(transformers, tmp_path_factory.mktemp("whisper"), request.param)


def noise(seconds: float) -> torch.Tensor:
    """(1, samples) that grows louder, so that time matters."""
    samples = int(seconds * SAMPLE_RATE)
    random = torch.randn(1, samples, generator=torch.Generator().manual_seed(3))
    return 0.1 * random * torch.linspace(0.1, 1, samples)


def features(transformers: ModuleType, waveform: torch.Tensor, mels: int) -> torch.Tensor:
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    audio: np.ndarray = waveform[0].numpy()
    return extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features


@torch.no_grad()
def test_equals_transformers(published: Published, transformers: ModuleType) -> None:
    foreign, theirs = published.foreign, published.model
    model, mels = foreign.model, theirs.config.num_mel_bins
    for seconds in (30.0, 2.5):  # one that fills the window to its last frame, and one with silence behind
        waveform, lengths = noise(seconds), torch.tensor([round(seconds * SAMPLE_RATE)])
        audio = features(transformers, waveform, mels)
        window = torch.nn.functional.pad(waveform, (0, 480_000 - waveform.shape[1]))
        log_mel = model.encoder.frontend.log_mel(window, torch.tensor([480_000])).values
        torch.testing.assert_close(log_mel.transpose(1, 2), audio, atol=TOLERANCE, rtol=TOLERANCE)

    encoded = model.encoder(model.encoder.embed(waveform, lengths), NO_HANDLES)
    expected = theirs.model.encoder(audio).last_hidden_state
    torch.testing.assert_close(encoded.values, expected, atol=TOLERANCE, rtol=TOLERANCE)

    order = old_ids(foreign.vocabulary, published)
    tokens = torch.tensor([[*foreign.vocabulary.start, *range(4, 20)]])
    logits = model.teacher_forcing(encoded, tokens, NO_HANDLES)
    wanted = theirs(input_features=audio, decoder_input_ids=order[tokens]).logits[..., order]
    torch.testing.assert_close(logits, wanted, atol=TOLERANCE, rtol=TOLERANCE)

    vocabulary = foreign.vocabulary.starting("sw")
    generated = theirs.generate(audio, language="sw", task="transcribe", max_new_tokens=16, do_sample=False)
    options = DecodeOptions(beam_size=1, max_tokens=16, max_repeats=0)
    decoder = TorchDecoder(model, encoded, NO_HANDLES)
    (found,) = decode(
        lambda: decoder, None, encoded.lengths.numpy(), vocabulary, options, model.config.decoder_positions
    )
    assert len(set(found.tokens)) > 3
    said = [token for token in generated[0].tolist() if token < published.id("<|endoftext|>")]
    assert order[list(found.tokens)].tolist() == said


def old_ids(vocabulary: Vocabulary, published: Published) -> torch.Tensor:
    """New id -> the tokenizer's, by the tokens' names."""
    specials = ("<|startoftranscript|>", "<|nospeech|>", "<|endoftext|>", "<|startoflm|>")
    nameless = iter(range(published.tokenizer.get_vocab_size(), len(vocabulary)))
    ids = [published.tokenizer.token_to_id(token) for token in (*specials, *vocabulary.symbols)]
    return torch.tensor([next(nameless) if index is None else index for index in ids])


@torch.no_grad()
def test_a_padded_batch_equals_single_clips_and_bf16_is_near(published: Published) -> None:
    model = published.foreign.model
    model.encoder.window_samples = 16_000  # the window is of one length for all, and short to be quick
    waveform, lengths = noise(3).repeat(2, 1), torch.tensor([48_000, 8_000])
    waveform[1, 8_000:] = 0
    tokens = torch.tensor([[0, 5, 6, 7], [0, 8, 9, 4]])
    logits, _ = model(waveform, lengths, tokens, NO_HANDLES)
    alone, _ = model(waveform[1:, :8_000], lengths[1:], tokens[1:], NO_HANDLES)
    torch.testing.assert_close(logits[1:], alone, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        half, _ = model(waveform, lengths, tokens, NO_HANDLES)
    assert (half - logits).abs().max() < 0.03 * logits.abs().max()  # bfloat16 has 8 bits


@torch.no_grad()
def test_a_shorter_window_hears_less_silence(published: Published) -> None:
    model = published.foreign.model
    waveform, lengths = noise(2.5), torch.tensor([40_000])
    whole = model.encoder.embed(waveform, lengths)
    short = EncoderDecoder(replace(model.config, mel_window_seconds=4.0)).eval()
    short.load_state_dict(model.state_dict())
    frames = short.encoder.embed(waveform, lengths)
    assert (whole.values.shape[1], frames.values.shape[1]) == (1500, 200)
    # A frame sees its neighbours only, so before the attention nothing else changes.
    torch.testing.assert_close(frames.values[:, :199], whole.values[:, :199], atol=1e-5, rtol=1e-4)


def test_the_tokenizer_is_whispers_own(published: Published) -> None:
    vocabulary = published.foreign.vocabulary
    order = old_ids(vocabulary, published)
    for text in (*SENTENCES, "don't  stop 12,5 % – naïve 日本 🎉", ""):
        spaced = " " + " ".join(text.split()) if text else ""
        assert order[vocabulary.encode(text)].tolist() == published.tokenizer.encode(spaced).ids
        assert vocabulary.decode([*vocabulary.start, *vocabulary.encode(text), EOS]) == spaced.strip()
    assert "".join(vocabulary.pieces(vocabulary.encode("日本 🎉"))) == " 日本 🎉"
    assert len(vocabulary) == published.model.config.vocab_size
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_control_tokens(published: Published) -> None:
    vocabulary = published.foreign.vocabulary
    assert vocabulary.languages() == ("en", "sw", "yue")

    def names(ids: tuple[int, ...]) -> list[str]:
        return [vocabulary.tokens[token] for token in ids]

    assert names(vocabulary.start) == ["<s>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    assert names(vocabulary.starting("yue", "translate").start)[1:3] == ["<|yue|>", "<|translate|>"]
    assert {"!", "<|0.00|>", "<|en|>"} <= set(names(vocabulary.suppressed))
    assert EOS not in vocabulary.suppressed
    with pytest.raises(UsageError, match="en, sw, yue"):
        vocabulary.starting("tlh")


def test_english_only_starts_without_a_language(published: Published) -> None:
    tokens = [published.tokenizer.id_to_token(id) for id in range(published.tokenizer.get_vocab_size())]
    _, vocabulary = whisper_vocabulary(Whisper("it", {}, 2, tokens, "MIT", multilingual=False))
    assert [vocabulary.tokens[token] for token in vocabulary.start] == ["<s>", "<|notimestamps|>"]
    assert vocabulary.languages() == ()


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_its_published_parameters(size: str, transformers: ModuleType) -> None:
    dim, heads, encoder, decoder, mels, vocabulary = SIZES[size]
    config = transformers.WhisperConfig(
        vocab_size=vocabulary, num_mel_bins=mels, d_model=dim, encoder_layers=encoder, decoder_layers=decoder,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * dim, decoder_ffn_dim=4 * dim,
    )  # fmt: skip
    with torch.device("meta"):
        theirs = transformers.WhisperForConditionalGeneration(config)
        ours = EncoderDecoder(whisper_config(huggingface_tensors(theirs.state_dict()), heads, size))
    expected = sum(parameter.numel() for parameter in theirs.parameters()) - 1500 * dim  # its table of sinusoids
    assert sum(parameter.numel() for parameter in ours.parameters()) == expected


def test_what_does_not_fit_is_told_in_one_sentence(published: Published, tmp_path: Path) -> None:
    config = (published.folder / "config.json").read_text()
    tokenizer = (published.folder / "tokenizer.json").read_text()
    weights = (published.folder / "model.safetensors").read_bytes()
    deeper = config.replace('"encoder_layers": 2', '"encoder_layers": 3')
    cases = {
        "model of type 'bert'": (config.replace('"whisper"', '"bert"'), tokenizer, weights),
        "no Whisper as published": (config, tokenizer.replace("<|startoflm|>", "<|other|>"), weights),
        "cut short": (config, tokenizer, weights[:5000]),
        "says 3 for encoder_layers, but its weights have 2": (deeper, tokenizer, weights),
        "does not say which": (config, None, weights),
    }  # fmt: skip
    for number, (words, (config_text, tokenizer_text, data)) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.json").write_text(config_text)
        (folder / "model.safetensors").write_bytes(data)
        if tokenizer_text is not None:
            (folder / "tokenizer.json").write_text(tokenizer_text)
        with pytest.raises(BackboneError, match=words) as raised:
            read_foreign(folder)
        assert "\n" not in str(raised.value)
