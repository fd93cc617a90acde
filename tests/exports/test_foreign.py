"""Whisper's and Wav2Seq's habits in the graphs: prompts as inputs, both builds, a pack, and the runtime's text."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import PackError, UsageError
from lect.engine.contract.model_config import ModelConfig
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import Bits, load_model, save_backbone
from lect.engine.text.vocabulary import BOS, EOS, Vocabulary
from lect.exports.backbone_graphs import build_backbone
from lect.exports.graph_files import GraphFiles, graph_files
from lect.exports.onnx_decoder import OnnxDecoder
from lect.exports.onnx_network import Network
from lect.exports.pack import write_pack
from lect.exports.pack_tensors import Tensor
from lect.exports.parity import TOLERANCE, Clips, System, check_parity, own_vocabulary
from lect.exports.portable import write_portable
from lect.exports.quantisation import LARGE_VOCABULARY
from lect.exports.recognition import _hop_seconds
from lect.exports.runtime import Runtime
from lect.exports.segments import Piece
from lect.exports.transcript import Segment
from tests.conftest import TINY
from tests.exports.conftest import LETTERS, WAVEFORM, adaptation, contents, sharpened, texts

INT8_AGREEMENT = 0.2  # of random clips of a random network; it is no speech
CONTROLS = ("<|en|>", "<|sw|>", "<|transcribe|>", "<|notimestamps|>")
BYTES = Vocabulary("bytes", (*"abdgilmosuĠÃ©", *CONTROLS), (), (BOS, 17, 19, 20), (4, 17, 18, 19, 20))  # Ã© is é
POSITIONS = 16
WHISPER = replace(
    TINY,
    vocab_size=len(BYTES),
    encoder_layers=1,
    decoder_layers=1,
    mel_strides=(1, 2),
    mel_normalisation="range",
    mel_window_seconds=1.0,
    decoder_positions=POSITIONS,
    scale_embedding=False,
    key_bias=False,
    convolution_kernel=0,
    ctc=False,
    alignment_heads=((0, 1), (0, 0)),
)
WAV2SEQ = replace(WAVEFORM, vocab_size=len(LETTERS), waveform_layer_norm=True, waveform_normalise=True)


@dataclass(frozen=True)
class Family:
    """A random backbone of one family with its graphs, and an adaptation of it."""

    backbone: Backbone
    model: EncoderDecoder
    vocabulary: Vocabulary  # the adaptation's
    tensors: dict[str, Tensor]


def exported(folder: pytest.TempPathFactory, name: str, config: ModelConfig, own: Vocabulary) -> Backbone:
    """Graphs in both builds."""
    path = folder.mktemp("foreign") / name
    model = sharpened(config, 3)
    if model.decoder.positions is not None:
        model.decoder.positions.mul_(4)  # where a token stands must matter
    save_backbone(path, name, model, own, languages=(), licence="CC0-1.0")
    backbone = open_backbone(str(path))
    report = build_backbone(backbone, load_model(backbone))
    assert max(report.encoder_difference, report.decoder_difference) < TOLERANCE / 10
    return open_backbone(str(path))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """It keeps its vocabulary, and is started in another language."""
    backbone = exported(tmp_path_factory, "whisper", WHISPER, BYTES)
    tensors = adaptation(WHISPER)
    del tensors["vocabulary.embedding"]
    return Family(backbone, load_model(backbone), BYTES.starting("sw"), tensors)


@pytest.fixture(scope="module")
def wav2seq(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """It gets a new vocabulary, and with it a CTC head."""
    backbone = exported(tmp_path_factory, "wav2seq", WAV2SEQ, LETTERS)
    vocabulary = Vocabulary("grapheme", tuple(" abdgilmosué"))
    return Family(
        backbone, load_model(backbone), vocabulary, adaptation(WAV2SEQ, vocabulary=len(vocabulary), head=True)
    )


@pytest.fixture(params=["whisper", "wav2seq"])
def family(request: pytest.FixtureRequest) -> Family:
    """Each of them."""
    found: Family = request.getfixturevalue(request.param)
    return found


IN_ITS_WINDOW = {"method": "prompt", "ctc_weight": 0.5, "window_seconds": 0.4}


@pytest.fixture(scope="module")
def anew(whisper: Family) -> Family:
    """The Whisper with a new vocabulary, a CTC head, and a window that is shorter than its own and most clips."""
    vocabulary = Vocabulary("grapheme", tuple(" abdgilmosué")).led_by(BYTES, "x-mine")
    tensors = adaptation(WHISPER, vocabulary=len(vocabulary), head=True)
    model = load_model(whisper.backbone, IN_ITS_WINDOW["window_seconds"])
    return Family(whisper.backbone, model, vocabulary, tensors)


def test_a_new_vocabulary_brings_a_ctc_head_and_a_window(anew: Family, clips: list[np.ndarray], tmp_path: Path) -> None:
    for name, weight in (("both", 0.5), ("ctc", 1.0), ("attention", 0.0)):
        method = IN_ITS_WINDOW | {"ctc_weight": weight}
        pack = contents(anew.backbone, anew.tensors, vocabulary=anew.vocabulary, method=method)
        write_pack(tmp_path / f"{name}.lect", pack)
        runtime = Runtime.open(tmp_path / f"{name}.lect", anew.backbone.folder, device="cpu")
        found = runtime.transcribe_batch(clips)
        options = DecodeOptions(ctc_weight=weight)
        assert [one.text for one in found] == texts(anew.model, anew.tensors, anew.vocabulary, clips, options), name
        assert any(one.text for one in found)
        assert {one.word_times for one in found} == {"ctc" if weight else "attention"}
        for clip, one in zip(clips, found, strict=True):
            assert all(word.start <= word.end <= len(clip) / SAMPLE_RATE for word in one.words)


def test_a_head_gives_what_torch_gives_in_any_window(anew: Family, clips: list[np.ndarray]) -> None:
    system = System(anew.model, anew.tensors, anew.vocabulary, 0.5)
    float32, int8 = (graph_files(anew.backbone.folder, build) for build in BUILDS)
    report = check_parity(system, float32, Clips(clips), int8=int8)
    assert 0 < max(report.encoder_difference, report.decoder_difference) < TOLERANCE / 10
    network = Network.open(float32, device="cpu")
    own, headed = network.adapt({}), network.adapt(anew.tensors)
    assert (own.uses_ctc, headed.uses_ctc) == (False, True)
    assert network.encode(clips, own).ctc_log_probs is None
    encoded = network.encode(clips, headed)
    assert encoded.ctc_log_probs is not None and encoded.ctc_log_probs.shape[1] == encoded.ctc_lengths.max()


def test_words_stand_where_a_head_of_its_own_hop_finds_them(anew: Family, clips: list[np.ndarray]) -> None:
    network = Network.open(graph_files(anew.backbone.folder), device="cpu")
    encoded = network.encode(clips, network.adapt(anew.tensors))
    samples = max(network.window_samples, *map(len, clips))
    assert _hop_seconds(samples, encoded.ctc_lengths) == 0.04
    assert _hop_seconds(samples, encoded.lengths) == 0.02


def test_graphs_that_are_older_than_a_pack_say_so(whisper: Family, anew: Family) -> None:
    network = Network.open(graph_files(whisper.backbone.folder), device="cpu")
    unknown = {"encoder.7.prompt.key": anew.tensors["encoder.0.prompt.key"]}
    with pytest.raises(PackError, match="lect export --backbone whisper"):
        network.adapt(anew.tensors | unknown)


@pytest.mark.slow
def test_a_portable_export_keeps_its_window(anew: Family, clips: list[np.ndarray], tmp_path: Path) -> None:
    made = contents(anew.backbone, anew.tensors, vocabulary=anew.vocabulary, method=IN_ITS_WINDOW)
    write_portable(tmp_path / "village", made, anew.model, Clips(clips))
    found = Runtime.open(tmp_path / "village").transcribe_batch(clips)
    assert [one.text for one in found] == texts(anew.model, anew.tensors, anew.vocabulary, clips)
    assert {one.word_times for one in found} == {"ctc"}


def test_both_builds_give_what_torch_gives(family: Family, clips: list[np.ndarray]) -> None:
    float32, int8 = (graph_files(family.backbone.folder, build) for build in BUILDS)
    system = System(family.model, family.tensors, family.vocabulary)
    report = check_parity(system, float32, Clips(clips), int8=int8)
    assert 0 < max(report.encoder_difference, report.decoder_difference) < TOLERANCE / 10
    assert report.int8_agreement is not None and report.int8_agreement >= INT8_AGREEMENT


def test_windows_pass_the_encoder_one_at_a_time(family: Family, whisper: Family, clips: list[np.ndarray]) -> None:
    network = Network.open(graph_files(family.backbone.folder), device="cpu")
    audio = next(port for port in network.encoder.get_inputs() if port.name == "audio")
    assert audio.shape[0] == (1 if family is whisper else "batch")  # ONNX Runtime refuses any other
    encoded = network.encode(clips, network.adapt(family.tensors))
    assert {len(array) for array in (encoded.mask, *encoded.cross.values())} == {len(clips)}


def test_a_pack_is_transcribed_as_torch_does(family: Family, clips: list[np.ndarray], tmp_path: Path) -> None:
    pack = contents(family.backbone, family.tensors, vocabulary=family.vocabulary)
    write_pack(tmp_path / "village.lect", pack)
    runtime = Runtime.open(tmp_path / "village.lect", family.backbone.folder, device="cpu")
    found = runtime.transcribe_batch(clips)
    assert [one.text for one in found] == texts(family.model, family.tensors, family.vocabulary, clips)
    assert any(one.text for one in found)
    assert all(" ".join(word.text for word in one.words) == one.text for one in found)


def test_start_tokens_suppressed_ones_and_positions_hold_in_both(
    whisper: Family, clips: list[np.ndarray], tmp_path: Path
) -> None:
    found = {}
    for language in ("en", "sw"):
        vocabulary = BYTES.starting(language)
        pack = contents(whisper.backbone, whisper.tensors, vocabulary=vocabulary)
        write_pack(tmp_path / f"{language}.lect", pack)
        runtime = Runtime.open(tmp_path / f"{language}.lect", whisper.backbone.folder, device="cpu")
        found[language] = [one.text for one in runtime.transcribe_batch(clips)]
        assert found[language] == texts(whisper.model, whisper.tensors, vocabulary, clips)
        assert not any("a" in text for text in found[language])
    assert found["en"] != found["sw"]
    assert max(len(BYTES.encode(text)) for text in found["en"]) <= POSITIONS - len(BYTES.start)


def test_a_bare_whisper_takes_a_language(whisper: Family, clips: list[np.ndarray]) -> None:
    runtime = Runtime.open(str(whisper.backbone.folder), device="cpu")
    runtime.set_language("sw")
    assert [one.text for one in runtime.transcribe_batch(clips)] == texts(whisper.model, {}, whisper.vocabulary, clips)
    with pytest.raises(UsageError, match="en, sw"):
        runtime.set_language("tlh")


def test_a_bare_whisper_finds_the_language_out(whisper: Family, clips: list[np.ndarray]) -> None:
    runtime = Runtime.open(str(whisper.backbone.folder), device="cpu")
    for clip, transcript in zip(clips, runtime.transcribe_batch(clips), strict=True):
        scores = {BYTES.tokens[token][2:-2]: score for token, score in first_scores(runtime, clip).items()}
        assert transcript.language is not None and transcript.language.code == max(
            scores, key=lambda code: scores[code]
        )
        share = scores[transcript.language.code] / sum(scores.values())
        assert transcript.language.probability == pytest.approx(share, rel=1e-4)
        assert transcript.text == texts(whisper.model, {}, BYTES.starting(transcript.language.code), [clip])[0]
    with pytest.raises(UsageError, match="--prompt"):
        runtime.set_prompt("ba")


def first_scores(runtime: Runtime, clip: np.ndarray) -> dict[int, float]:
    """The probability of each language's token after the start-of-transcript token."""
    network = Network.open(graph_files(runtime._opened.backbone.folder), device="cpu")  # type: ignore[union-attr]
    adapted = runtime._opened.recogniser.adapted
    decoder = OnnxDecoder(network, network.encode([clip], adapted), adapted)
    scores = np.exp(decoder.step(np.array([BOS]), decoder.start())[0][0])
    return {token: float(scores[token]) for token in (17, 18)}


def test_a_recording_keeps_the_language_of_its_first_speech(whisper: Family, clips: list[np.ndarray]) -> None:
    runtime = Runtime.open(str(whisper.backbone.folder), device="cpu")
    alone = [one.language for one in runtime.transcribe_batch(clips) if one.language]
    recording = runtime.for_recording()
    pieces = [Piece(0, clip) for clip in sorted(clips, key=len)]
    written = [one for half in (pieces[:2], pieces[2:]) for one in recording.written(half)]
    (language,) = {one.language for one in written if isinstance(one, Segment)}
    assert language is not None and language.code == recording.language
    assert any(language.probability == pytest.approx(one.probability, rel=1e-4) for one in alone)
    assert len({one.probability for one in alone}) > 1, "each of them alone has another probability"
    assert runtime.language == "", "another recording is asked anew"


@pytest.mark.parametrize("bits", [8, 16])
def test_a_large_vocabulary_lies_in_a_decoder_of_its_own(bits: Bits, clips: list[np.ndarray], tmp_path: Path) -> None:
    config = replace(TINY, vocab_size=LARGE_VOCABULARY, encoder_layers=1, decoder_layers=1, ctc=False)
    symbols = Vocabulary("phone", tuple(f"p{number}" for number in range(LARGE_VOCABULARY - 4)))
    save_backbone(tmp_path / "b", "b", sharpened(config, 3), symbols, languages=("xx",), licence="CC0-1.0", bits=bits)
    backbone = open_backbone(str(tmp_path / "b"))
    model = load_model(backbone)
    report = build_backbone(backbone, model, Clips(clips))
    assert max(report.encoder_difference, report.decoder_difference) < TOLERANCE / 10
    for tensors in ({}, adaptation(config, vocabulary=len(LETTERS))):  # its own, and a small new one
        float32, int8 = (next_scores(graph_files(backbone.folder, build), tensors, clips) for build in BUILDS)
        assert float32.shape == (len(clips), len(tensors.get("vocabulary.embedding", model.decoder.embedding)))
        assert 0 < np.abs(int8 - float32).max() < 0.05 * np.ptp(float32)
        assert np.corrcoef(int8.ravel(), float32.ravel())[0, 1] > 0.999
    fed = next_scores(graph_files(backbone.folder), own_vocabulary(model), clips)  # by the decoder that takes any
    np.testing.assert_allclose(fed, next_scores(graph_files(backbone.folder), {}, clips), atol=1e-4)


def test_one_file_of_weights_serves_torch_and_both_builds(clips: list[np.ndarray], tmp_path: Path) -> None:
    config = replace(WHISPER, ffn_dim=512)
    save_backbone(tmp_path / "b", "b", sharpened(config, 3), BYTES, languages=("en",), licence="CC0-1.0", bits=8)
    backbone = open_backbone(str(tmp_path / "b"))
    build_backbone(backbone, load_model(backbone), Clips(clips))
    graphs = [onnx.load(path, load_external_data=False).graph for path in backbone.folder.glob("*.onnx")]
    assert len(graphs) == 4
    for graph in graphs:
        inside = [each for each in graph.initializer if each.data_location != onnx.TensorProto.EXTERNAL]
        weights = [tuple(each.dims) for each in inside if each.data_type == onnx.TensorProto.INT8 or len(each.dims) > 1]
        frontend = {(402, 1, 400), (201, 80)}  # Fourier's and the mel filters are no weights
        assert {shape for shape in weights if np.prod(shape) > 256} <= frontend
        outside = {entry.value for each in graph.initializer for entry in each.external_data if entry.key == "location"}
        assert outside == {backbone.weights.name}
    found = Runtime.open(str(backbone.folder), device="cpu", compute_type="int8")
    found.set_language("en")
    assert any(one.text for one in found.transcribe_batch(clips))


def next_scores(files: GraphFiles, tensors: dict[str, Tensor], clips: list[np.ndarray]) -> np.ndarray:
    """What the graphs think of each token after the first: (clips, vocabulary)."""
    network = Network.open(files, device="cpu")
    adapted = network.adapt(tensors)
    decoder = OnnxDecoder(network, network.encode(clips, adapted), adapted)
    return decoder.step(np.full(len(clips), EOS), decoder.start())[0]


@pytest.mark.slow
def test_a_portable_whisper_knows_its_own_limits(whisper: Family, clips: list[np.ndarray], tmp_path: Path) -> None:
    made = contents(whisper.backbone, whisper.tensors, vocabulary=whisper.vocabulary)
    write_portable(tmp_path / "village", made, whisper.model, Clips(clips))
    found = Runtime.open(tmp_path / "village").transcribe_batch(clips)
    assert [one.text for one in found] == texts(whisper.model, whisper.tensors, whisper.vocabulary, clips)
