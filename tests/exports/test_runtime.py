"""What an offline machine does: a pack, a bundle or a bare backbone in, text out; and no torch anywhere."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import AudioError, BackboneError, LectError, PackError, UsageError
from lect.engine.contract.files import write_bytes
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, verify_backbone, write_sums
from lect.engine.model.device import Device
from lect.engine.model.handles import Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import save_backbone
from lect.exports.bundle import write_bundle
from lect.exports.graph_files import DECODER, ENCODER
from lect.exports.opening import BUNDLED_BACKBONE, BUNDLED_PACK
from lect.exports.pack import write_pack
from lect.exports.parity import Clips, ParityError
from lect.exports.runtime import Runtime
from lect.exports.transcriber import SpeechOptions
from tests import ROOT
from tests.conftest import PHONES, TINY, tones
from tests.exports.conftest import LETTERS, adaptation, contents, in_torch, sharpened, texts

WHOLE = SpeechOptions(vad="off")  # the clips are tones, which are no speech


@pytest.fixture(scope="module")
def packs(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two packs of one backbone; the second has no prompt, and adapters of another rank."""
    folder = tmp_path_factory.mktemp("packs")
    write_pack(folder / "one.lect", contents(backbone, adaptation(TINY)))
    write_pack(folder / "two.lect", contents(backbone, adaptation(TINY, seed=4, length=0, rank=5), name="two"))
    return folder / "one.lect", folder / "two.lect"


@pytest.fixture(scope="module")
def bundle(
    backbone: Backbone,
    packs: tuple[Path, Path],
    clips: list[np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The first pack with its backbone."""
    folder = tmp_path_factory.mktemp("bundles") / "village"
    report = write_bundle(folder, packs[0], backbone, Clips(clips, ["ba da"] * len(clips)))
    assert report.clips == len(clips) and report.int8 is not None
    return folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of sound."""
    path = tmp_path_factory.mktemp("recordings") / "clip.wav"
    write_wav(path, tones("go mi su", 1.0))
    return path


def without_torch(code: str, *arguments: Path) -> dict[str, Any]:
    """What `code` prints as JSON, in a process where torch and all that only training needs cannot be imported."""
    absent = ["torch", "torchaudio", "gradio", "onnx", "onnxscript", "jiwer", "sqlite_utils", "tokenizers", "pandas"]
    block = f"import json, sys\nfor name in {absent!r}: sys.modules[name] = None\n"
    return printed(block + code, *arguments)


def printed(code: str, *arguments: Path) -> dict[str, Any]:
    """What `code` prints as JSON, in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "LECT_HOME": "/absent"})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


TRANSCRIBE = """
from lect.exports.runtime import Runtime
from lect.exports.transcriber import SpeechOptions
runtime = Runtime.open(*sys.argv[2:])
transcript = runtime.transcribe(sys.argv[1], SpeechOptions(vad="off"))
loaded = sorted({"torch", "gradio", "onnx"} & {name for name, module in sys.modules.items() if module})
print(json.dumps({"text": transcript.text, "device": transcript.device, "loaded": loaded}))
"""


def test_a_pack_writes_what_torch_writes(
    backbone: Backbone, packs: tuple[Path, Path], model: EncoderDecoder, clips: list[np.ndarray]
) -> None:
    runtime = Runtime.open(packs[0], backbone.folder, device="cpu")
    transcripts = runtime.transcribe_batch(clips)
    assert [one.text for one in transcripts] == texts(model, adaptation(TINY), LETTERS, clips)
    assert all(0 < one.confidence <= 1 and one.real_time_factor > 0 for one in transcripts)
    assert [one.seconds for one in transcripts] == [len(clip) / 16_000 for clip in clips]
    assert all(" ".join(word.text for word in one.words) == one.text for one in transcripts)


def test_a_pack_trained_without_ctc_is_written_by_the_attention_alone(
    backbone: Backbone, packs: tuple[Path, Path], model: EncoderDecoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    method = {"method": "prompt", "ctc_weight": 0.0}
    write_pack(tmp_path / "alone.lect", contents(backbone, adaptation(TINY), method=method))
    runtime, options = Runtime.open(tmp_path / "alone.lect", backbone.folder), DecodeOptions(ctc_weight=0.0)
    cpu, handles = Device(torch.device("cpu"), False, "CPU"), Handles.from_tensors(in_torch(adaptation(TINY)))
    transcripts = runtime.transcribe_batch(clips)
    assert [each.text for each in transcripts] == Recogniser(model, LETTERS, handles, options, cpu).texts(clips)
    assert {each.word_times for each in transcripts} == {"estimated"}
    runtime.swap(packs[0])
    transcripts = runtime.transcribe_batch(clips)
    assert [each.text for each in transcripts] == texts(model, adaptation(TINY), LETTERS, clips)
    assert {each.word_times for each in transcripts} == {"ctc"}


def test_the_search_weighs_ctc_as_the_pack_says(
    backbone: Backbone, packs: tuple[Path, Path], model: EncoderDecoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    written = set()
    for weight in (0.05, 0.95):
        method = {"method": "prompt", "ctc_weight": weight}
        write_pack(tmp_path / "joint.lect", contents(backbone, adaptation(TINY), method=method))
        found = [each.text for each in Runtime.open(tmp_path / "joint.lect", backbone.folder).transcribe_batch(clips)]
        assert found == texts(model, adaptation(TINY), LETTERS, clips, DecodeOptions(ctc_weight=weight))
        written.add(tuple(found))
    assert len(written) == 2


def test_a_pack_with_a_language_model_uses_it_until_another_takes_its_place(
    backbone: Backbone, packs: tuple[Path, Path], model: EncoderDecoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    leaning = LanguageModel.of([LETTERS.encode(text) for text in ("ba da", "su la")], len(LETTERS), 1.0)
    write_pack(tmp_path / "read.lect", contents(backbone, adaptation(TINY), language_model=leaning))
    runtime = Runtime.open(tmp_path / "read.lect", backbone.folder, device="cpu")
    written = [one.text for one in runtime.transcribe_batch(clips)]
    assert written == texts(model, adaptation(TINY), LETTERS, clips, DecodeOptions(language_model=leaning))
    runtime.swap(packs[0])
    plain = [one.text for one in runtime.transcribe_batch(clips)]
    assert plain == texts(model, adaptation(TINY), LETTERS, clips) != written


def test_swapping_changes_the_text_and_back_without_loading_again(
    backbone: Backbone, packs: tuple[Path, Path], model: EncoderDecoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    shutil.copytree(backbone.folder, tmp_path / "tiny")
    runtime = Runtime.open(str(tmp_path / "tiny"), device="cpu")
    for name in (ENCODER, DECODER):
        (tmp_path / "tiny" / name).unlink()
    bare = [one.text for one in runtime.transcribe_batch(clips)]
    assert bare == texts(model, {}, PHONES, clips)
    written = []
    for pack in (packs[0], packs[1], packs[0]):
        runtime.swap(pack)
        written.append([one.text for one in runtime.transcribe_batch(clips)])
    assert written[0] == written[2]
    assert len({tuple(one) for one in (bare, *written)}) == 3
    assert written[1] == texts(model, adaptation(TINY, seed=4, length=0, rank=5), LETTERS, clips)


def test_a_refused_swap_changes_nothing(
    backbone: Backbone, packs: tuple[Path, Path], tmp_path: Path, clips: list[np.ndarray]
) -> None:
    runtime = Runtime.open(packs[0], backbone.folder, device="cpu")
    before = runtime.transcribe(clips[1], WHOLE).text
    write_bytes(tmp_path / "bad.lect", b"nothing")
    with pytest.raises(PackError):
        runtime.swap(tmp_path / "bad.lect")
    assert runtime.transcribe(clips[1], WHOLE).text == before


def test_a_batch_is_its_clips(backbone: Backbone, packs: tuple[Path, Path], clips: list[np.ndarray]) -> None:
    runtime = Runtime.open(packs[0], backbone.folder, device="cpu")
    alone = [runtime.transcribe(clip, WHOLE).text for clip in clips]
    assert any(alone)
    assert [one.text for one in runtime.transcribe_batch(clips)] == alone
    assert [one.text for one in runtime.transcribe_batch(clips, batch_seconds=1.0)] == alone


def test_the_device_and_the_build_are_read_back(backbone: Backbone, packs: tuple[Path, Path]) -> None:
    for build in ("float32", "int8"):
        runtime = Runtime.open(packs[0], backbone.folder, device="cpu", compute_type=build)
        assert (runtime.device, runtime.compute_type) == ("cpu", build)
    with pytest.raises(UsageError, match="use float32 or int8"):
        Runtime.open(packs[0], backbone.folder, compute_type="int4")
    with pytest.raises(UsageError, match="use auto, cpu or cuda"):
        Runtime.open(packs[0], backbone.folder, device="tpu")


def test_a_bundle_needs_nothing_else(bundle: Path, recording: Path, model: EncoderDecoder) -> None:
    assert verify_backbone(bundle) == [] and verify_backbone(bundle / BUNDLED_BACKBONE) == []
    found = without_torch(TRANSCRIBE, recording, bundle)
    expected = texts(model, adaptation(TINY), LETTERS, [tones("go mi su", 1.0)])
    assert found == {"text": expected[0], "device": "cpu", "loaded": []}
    assert found["text"]


def test_a_pack_is_opened_without_torch(backbone: Backbone, packs: tuple[Path, Path], recording: Path) -> None:
    found = without_torch(TRANSCRIBE, recording, packs[0], backbone.folder)
    assert found["text"] and found["loaded"] == []


def test_torch_stays_out_where_it_is_installed(backbone: Backbone, packs: tuple[Path, Path], recording: Path) -> None:
    code = "import json, sys\n" + TRANSCRIBE
    assert printed(code, recording, packs[0], backbone.folder)["loaded"] == []


def with_another_weight(backbone: Backbone, folder: Path) -> Backbone:
    """A copy of the backbone whose decoder graph computes something else."""
    shutil.copytree(backbone.folder, folder)
    graph = onnx.load(folder / DECODER, load_external_data=False)
    inside = next(each for each in graph.graph.initializer if each.raw_data and each.data_type == TensorProto.FLOAT)
    inside.raw_data = (numpy_helper.to_array(inside) + 1).tobytes()
    (folder / DECODER).write_bytes(graph.SerializeToString())
    write_sums(folder)
    return replace(backbone, folder=folder)


def test_an_earlier_bundle_is_replaced_and_a_failed_one_leaves_it(
    bundle: Path,
    backbone: Backbone,
    packs: tuple[Path, Path],
    clips: list[np.ndarray],
    tmp_path: Path,
) -> None:
    sums = (bundle / "SHA256SUMS").read_bytes()
    with pytest.raises(ParityError, match="nothing was exported"):
        write_bundle(bundle, packs[1], with_another_weight(backbone, tmp_path / "wrong"), Clips(clips))
    assert (bundle / "SHA256SUMS").read_bytes() == sums and verify_backbone(bundle) == []
    write_bundle(bundle, packs[1], backbone, Clips(clips))
    assert (bundle / BUNDLED_PACK).read_bytes() == packs[1].read_bytes()
    write_bundle(bundle, packs[0], backbone, Clips(clips))
    assert (bundle / "SHA256SUMS").read_bytes() == sums
    assert list(bundle.parent.iterdir()) == [bundle]


def test_a_pack_whose_backbone_is_not_installed(packs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECT_HOME", "/absent")
    with pytest.raises(PackError, match=r"needs the backbone 'tiny' \(.{12}\), which is not installed here"):
        Runtime.open(packs[0])


def test_a_pack_finds_its_backbone_by_its_weights(
    bundle: Path, packs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backbones").mkdir()
    (tmp_path / "backbones" / "renamed").symlink_to(bundle / BUNDLED_BACKBONE)
    (tmp_path / "backbones" / "broken").mkdir()
    (tmp_path / "backbones" / "broken" / "config.json").write_text("{")
    monkeypatch.setenv("LECT_HOME", str(tmp_path))
    assert Runtime.open(packs[0], device="cpu").vocabulary == LETTERS


def test_graphs_of_other_weights_are_refused(
    backbone: Backbone, packs: tuple[Path, Path], tmp_path: Path, clips: list[np.ndarray]
) -> None:
    folder = tmp_path / "retrained"
    save_backbone(folder, "retrained", sharpened(TINY, 9), PHONES, languages=("xx",), licence="CC0-1.0")
    with pytest.raises(BackboneError, match="no graphs: run `lect export --backbone retrained`"):
        Runtime.open(str(folder))
    for name in (ENCODER, DECODER):
        (folder / name).write_bytes((backbone.folder / name).read_bytes())
    with pytest.raises(BackboneError, match="made of other weights: export it again"):
        Runtime.open(str(folder))
    with pytest.raises(PackError, match="was made for the backbone 'tiny'"):
        write_bundle(tmp_path / "bundle", packs[0], replace(backbone, sha256="0" * 64), Clips(clips))


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros(0, np.float32), "is empty, not mono"),
        (np.zeros((2, 800), np.float32), "is empty, not mono"),
        (np.full(800, np.nan, np.float32), "not numbers"),
    ],
)
def test_recordings_that_cannot_be_used(
    backbone: Backbone, packs: tuple[Path, Path], samples: np.ndarray, sentence: str
) -> None:
    runtime = Runtime.open(packs[0], backbone.folder, device="cpu")
    with pytest.raises(AudioError, match=sentence):
        runtime.transcribe(samples)
    with pytest.raises(AudioError, match=sentence):
        runtime.transcribe_batch([samples])


def test_a_batch_takes_clips_that_a_backbone_takes_at_once(backbone: Backbone, packs: tuple[Path, Path]) -> None:
    with pytest.raises(AudioError, match=r"31 s long; up to 30 s fit into a batch: transcribe it by itself\."):
        Runtime.open(packs[0], backbone.folder, device="cpu").transcribe_batch([np.zeros(31 * 16_000, np.float32)])


@pytest.mark.parametrize("samples", [1, 100, 800])
def test_recordings_shorter_than_a_frame(backbone: Backbone, packs: tuple[Path, Path], samples: int) -> None:
    transcript = Runtime.open(packs[0], backbone.folder, device="cpu").transcribe(np.zeros(samples, np.float32), WHOLE)
    assert isinstance(transcript.text, str)


def test_a_file_that_is_no_sound(backbone: Backbone, packs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("just text, renamed")
    with pytest.raises(LectError, match=r"text\.wav"):
        Runtime.open(packs[0], backbone.folder, device="cpu").transcribe(tmp_path / "text.wav")
