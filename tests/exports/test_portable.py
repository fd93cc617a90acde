"""One folder that needs nothing else: it says what the network and its adaptation say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lect.engine.contract.errors import BackboneError, UsageError
from lect.engine.contract.files import read_json
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, verify_backbone
from lect.engine.model.network import EncoderDecoder
from lect.exports.graph_files import DECODER, ENCODER
from lect.exports.graphs import adaptation_names, decoder_inputs, encoder_inputs
from lect.exports.pack import CARD, LANGUAGE_MODEL, MANIFEST
from lect.exports.parity import TOLERANCE, Clips
from lect.exports.portable import write_portable
from lect.exports.runtime import Runtime
from tests.conftest import TINY
from tests.exports.conftest import LETTERS, WAVEFORM, adaptation, contents, sharpened, texts

SMALL = replace(TINY, encoder_layers=1, decoder_layers=1)  # an export takes seconds a layer
INT8_AGREEMENT = 0.4  # of a random network; it is no speech


@pytest.fixture(scope="module")
def model() -> EncoderDecoder:
    """A network whose graphs are made here."""
    return sharpened(SMALL, 1)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, backbone: Backbone, model: EncoderDecoder, clips: list[np.ndarray]
) -> Path:
    """Prompts and adapters made constant, float32."""
    folder = tmp_path_factory.mktemp("portable") / "village"
    report = write_portable(folder, contents(backbone, adaptation(SMALL)), model, Clips(clips))
    assert max(report.encoder_difference, report.decoder_difference) < TOLERANCE / 10
    return folder


def test_no_input_of_an_adaptation_is_left(folder: Path) -> None:
    inputs = {name: [port.name for port in onnx.load(folder / name).graph.input] for name in (ENCODER, DECODER)}
    assert inputs[ENCODER] == ["audio", "lengths"]
    ports = decoder_inputs(SMALL)
    assert inputs[DECODER] == [port.name for port in ports if port.name not in adaptation_names(ports)]
    assert adaptation_names(encoder_inputs(SMALL))


def test_the_runtime_writes_what_torch_writes(folder: Path, model: EncoderDecoder, clips: list[np.ndarray]) -> None:
    runtime = Runtime.open(folder)
    assert runtime.vocabulary == LETTERS
    assert (runtime.device, runtime.compute_type) == ("cpu", "float32")
    found = [transcript.text for transcript in runtime.transcribe_batch(clips)]
    assert found == texts(model, adaptation(SMALL), LETTERS, clips)
    assert any(found)
    with pytest.raises(UsageError, match="takes no packs"):
        runtime.swap(folder / "other.lect")


def test_the_folder_describes_itself(folder: Path, backbone: Backbone) -> None:
    assert verify_backbone(folder) == []
    manifest = read_json(folder / MANIFEST)
    assert manifest["backbone_sha256"] == backbone.sha256
    assert manifest["build"] == "float32"
    assert manifest["parity"]["tolerance"] == TOLERANCE
    assert "It needs\nno other file" in (folder / CARD).read_text()
    (damaged := folder / ENCODER).write_bytes(damaged.read_bytes() + b"\0")
    assert verify_backbone(folder) == [ENCODER]
    damaged.write_bytes(damaged.read_bytes()[:-1])


def test_its_language_model_lies_beside_the_graphs(
    tmp_path: Path, backbone: Backbone, model: EncoderDecoder, clips: list[np.ndarray]
) -> None:
    leaning = LanguageModel.of([LETTERS.encode(text) for text in ("ba da", "su la")], len(LETTERS), 1.0)
    what = contents(backbone, adaptation(SMALL), language_model=leaning)
    write_portable(tmp_path / "read", what, model, Clips(clips))
    found = [one.text for one in Runtime.open(tmp_path / "read").transcribe_batch(clips)]
    expected = texts(model, adaptation(SMALL), LETTERS, clips, DecodeOptions(language_model=leaning))
    assert found == expected != texts(model, adaptation(SMALL), LETTERS, clips)
    (tmp_path / "read" / LANGUAGE_MODEL).write_bytes(b"damaged")
    with pytest.raises(BackboneError, match="export it again"):
        Runtime.open(tmp_path / "read")


@pytest.mark.slow
def test_a_network_with_weights_of_its_own_as_int8(tmp_path: Path, backbone: Backbone, clips: list[np.ndarray]) -> None:
    tuned = sharpened(WAVEFORM, 5)
    own = {"vocabulary.embedding": adaptation(WAVEFORM)["vocabulary.embedding"]}
    labels = ["ba da"] * len(clips)
    report = write_portable(tmp_path / "tuned", contents(backbone, own), tuned, Clips(clips, labels), build="int8")
    assert report.float32 is not None and report.int8 is not None
    assert report.int8_agreement is not None and report.int8_agreement >= INT8_AGREEMENT
    runtime = Runtime.open(tmp_path / "tuned")
    assert runtime.compute_type == "int8"
    found = [runtime.transcribe_batch([clip])[0].text for clip in clips]
    expected = texts(tuned, own, LETTERS, clips)
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= INT8_AGREEMENT * len(clips)


def test_what_a_person_put_there_is_never_replaced(
    tmp_path: Path, backbone: Backbone, model: EncoderDecoder, clips: list[np.ndarray]
) -> None:
    (tmp_path / "village").mkdir()
    (tmp_path / "village" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="choose another folder"):
        write_portable(tmp_path / "village", contents(backbone, adaptation(SMALL)), model, Clips(clips))
    assert [path.name for path in tmp_path.rglob("*")] == ["village", "notes.txt"]
