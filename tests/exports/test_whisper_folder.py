"""A Whisper run in Hugging Face's layout: onnx-asr, which shares no code with Lect, writes the same text."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import read_json
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import open_backbone, verify_backbone
from lect.engine.model.device import Device
from lect.engine.model.handles import Handles
from lect.engine.model.weights import load_model, save_backbone
from lect.engine.text.rules import nfc
from lect.engine.text.vocabulary import EOS, Vocabulary
from lect.exports.pack import MANIFEST
from lect.exports.parity import TOLERANCE
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


@pytest.mark.parametrize("own", [True, False], ids=["its own tokens", "a new vocabulary"])
def test_onnx_asr_writes_the_same_text(
    onnx_asr: ModuleType, own: bool, clips: list[np.ndarray], tmp_path: Path
) -> None:
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
    model = load_model(backbone)
    tensors = adaptation(CONFIG)
    vocabulary = Vocabulary("grapheme", tuple(" abdgilmosué")).led_by(BYTES, "sw")
    if own:
        vocabulary = BYTES.starting("sw")
        del tensors["vocabulary.embedding"]
    else:
        tensors = adaptation(CONFIG, vocabulary=len(vocabulary))
        tensors["vocabulary.embedding"][EOS] = end.numpy()
    made = contents(backbone, tensors, vocabulary=vocabulary)
    assert 0 < write_whisper_folder(tmp_path / "village", made, model, clips) < TOLERANCE / 10
    assert verify_backbone(tmp_path / "village") == [] and read_json(tmp_path / "village" / MANIFEST)["parity"]
    other = onnx_asr.load_model("whisper", tmp_path / "village", providers=["CPUExecutionProvider"])
    found = other.recognize(clips)
    options, handles = DecodeOptions(beam_size=1, max_repeats=0), Handles.from_tensors(in_torch(tensors))
    cpu = Device(torch.device("cpu"), False, "CPU")
    hypotheses = Recogniser(model, vocabulary, handles, options, cpu).transcribe(clips)
    expected = [vocabulary.decode(each.tokens) for each in hypotheses]
    assert [" ".join(nfc(text).split()) for text in found] == expected
    assert all(expected) and (len({*expected}) > 1 or not own)
    assert max(len(each.tokens) for each in hypotheses) < END_AT


def test_what_the_layout_cannot_hold_is_refused(backbone: object, clips: list[np.ndarray], tmp_path: Path) -> None:
    model = sharpened(replace(CONFIG, mel_window_seconds=1.0), 3)
    with pytest.raises(UsageError, match="30 s"):
        write_whisper_folder(tmp_path / "a", contents(backbone, {}, vocabulary=LETTERS), model, clips)  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()
