"""A Whisper run as ONNX graphs: onnx-asr and sherpa-onnx, which share no code with Lect, write the same text."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import read_json
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, open_backbone, verify_backbone
from lect.engine.model.device import Device
from lect.engine.model.handles import Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model, save_backbone
from lect.engine.text.rules import nfc
from lect.engine.text.vocabulary import EOS, Vocabulary
from lect.exports.pack import MANIFEST, PackContents
from lect.exports.parity import TOLERANCE
from lect.exports.sherpa_folder import DECODER, ENCODER, TOKENS, write_sherpa_folder
from lect.exports.whisper_folder import write_whisper_folder
from tests.conftest import tones
from tests.exports.conftest import LETTERS, adaptation, contents, in_torch, sharpened
from tests.exports.test_foreign import BYTES, WHISPER

POSITIONS = 448  # as published
END_AT = 24  # the position at which the end is written
CONFIG = replace(WHISPER, mel_window_seconds=30.0, decoder_positions=POSITIONS)


@pytest.fixture(scope="module")
def onnx_asr() -> ModuleType:
    return pytest.importorskip("onnx_asr", reason="onnx-asr is not installed: pip install 'lect[dev]'")


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """(samples,) each, that fill most of a window: of silence, all say the same."""
    texts = ("ba da", "go mi su", "la", "su la go mi")
    return [tones(text, 12.0 + 4 * index, index) for index, text in enumerate(texts)]


@dataclass(frozen=True)
class Talker:
    """A run on a random Whisper whose text depends on the sound, and ends."""

    model: EncoderDecoder
    contents: PackContents

    def texts(self, clips: list[np.ndarray]) -> list[str]:
        """What PyTorch writes greedily, which must say something."""
        options, vocabulary = DecodeOptions(beam_size=1, max_repeats=0), self.contents.vocabulary
        handles, cpu = Handles.from_tensors(in_torch(self.contents.tensors)), Device(torch.device("cpu"), False, "CPU")
        hypotheses = Recogniser(self.model, vocabulary, handles, options, cpu).transcribe(clips)
        texts = [vocabulary.decode(each.tokens) for each in hypotheses]
        assert all(texts) and (len({*texts}) > 1 or vocabulary.kind != "bytes")
        assert max(len(each.tokens) for each in hypotheses) < END_AT
        return texts


@pytest.fixture(params=[True, False], ids=["its own tokens", "a new vocabulary"])
def talker(request: pytest.FixtureRequest, tmp_path: Path) -> Talker:
    network = sharpened(CONFIG, 3)
    assert network.decoder.positions is not None
    network.decoder.positions.mul_(4)  # where a token stands must matter
    for layer in network.decoder.layers:
        layer.cross_attention.output.weight.mul_(3)  # and so must the sound
    end = 4 * CONFIG.dim**-0.5 * torch.randn(CONFIG.dim)  # as large as other tokens' rows
    network.decoder.embedding[EOS] = end
    network.decoder.positions[END_AT] = -1000 * end  # the norm of a sharpened network turns it round
    save_backbone(tmp_path / "base", "base", network, BYTES, languages=(), licence="CC0-1.0")
    backbone = open_backbone(str(tmp_path / "base"))
    if request.param:
        vocabulary, tensors = BYTES.starting("sw"), adaptation(CONFIG)
        del tensors["vocabulary.embedding"]
    else:
        vocabulary = Vocabulary("grapheme", tuple(" abdgilmosué")).led_by(BYTES, "sw")
        tensors = adaptation(CONFIG, vocabulary=len(vocabulary))
        tensors["vocabulary.embedding"][EOS] = end.numpy()
    return Talker(load_model(backbone), contents(backbone, tensors, vocabulary=vocabulary))


def tidy(texts: list[str]) -> list[str]:
    return [" ".join(nfc(text).split()) for text in texts]


def test_onnx_asr_writes_the_same_text(
    onnx_asr: ModuleType, talker: Talker, clips: list[np.ndarray], tmp_path: Path
) -> None:
    folder = tmp_path / "village"
    assert 0 < write_whisper_folder(folder, talker.contents, talker.model, clips) < TOLERANCE / 10
    assert verify_backbone(folder) == [] and read_json(folder / MANIFEST)["parity"]
    other = onnx_asr.load_model("whisper", folder, providers=["CPUExecutionProvider"])
    assert tidy(other.recognize(clips)) == talker.texts(clips)


def test_sherpa_onnx_writes_the_same_text(talker: Talker, clips: list[np.ndarray], tmp_path: Path) -> None:
    sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed: pip install sherpa-onnx")
    folder = tmp_path / "village"
    assert 0 < write_sherpa_folder(folder, talker.contents, talker.model, clips) < TOLERANCE / 10
    assert verify_backbone(folder) == [] and read_json(folder / MANIFEST)["parity"]
    files = [str(folder / name) for name in (ENCODER, DECODER, TOKENS)]
    other, found = sherpa_onnx.OfflineRecognizer.from_whisper(*files), []
    for clip in clips:
        stream = other.create_stream()
        stream.accept_waveform(SAMPLE_RATE, clip)
        other.decode_stream(stream)
        found.append(stream.result.text)
    # Of bytes that are no letter it writes nothing.
    expected = [text.replace("\N{REPLACEMENT CHARACTER}", "") for text in talker.texts(clips)]
    assert tidy(found) == tidy(expected)


@pytest.mark.parametrize("write", [write_whisper_folder, write_sherpa_folder])
def test_what_the_layout_cannot_hold_is_refused(
    write: Callable[..., float], backbone: Backbone, clips: list[np.ndarray], tmp_path: Path
) -> None:
    model = sharpened(replace(CONFIG, mel_window_seconds=1.0), 3)
    with pytest.raises(UsageError, match="30 s"):
        write(tmp_path / "a", contents(backbone, {}, vocabulary=LETTERS), model, clips)
    assert not (tmp_path / "a").exists()
