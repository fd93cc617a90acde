"""The graphs compute what the model computes, at every size they are meant for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lect.engine.contract.tensor_names import ATTENTION, DOWN_UP, LORA, STACKS, TensorName, network_weight
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, open_backbone, verify_backbone
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model, save_backbone
from lect.exports.backbone_graphs import build_backbone, export_graphs, has_graphs, own_facts, save_graph
from lect.exports.graph_files import graph_files
from lect.exports.onnx_decoder import OnnxDecoder
from lect.exports.onnx_export import OPSET
from lect.exports.onnx_network import Network
from lect.exports.parity import TOLERANCE, Clips, ParityError, System, check_parity, own_vocabulary
from lect.exports.quantisation import quantized
from tests.conftest import PHONES, TINY
from tests.exports.conftest import LETTERS, WAVEFORM, adaptation, in_torch, sharpened, texts

INT8_AGREEMENT = 0.4  # of random clips of a random network; it is no speech


@pytest.mark.parametrize("length, rank", [(0, 0), (1, 0), (3, 2), (0, 3), (17, 1)])
def test_numbers_and_tokens_are_those_of_torch_at_every_size(
    backbone: Backbone, model: EncoderDecoder, clips: list[np.ndarray], length: int, rank: int
) -> None:
    tensors = adaptation(TINY, length=length, rank=rank)
    assert any(texts(model, tensors, LETTERS, clips))
    labels = ["ba da"] * len(clips)
    report = check_parity(
        System(model, tensors, LETTERS),
        graph_files(backbone.folder),
        Clips(clips, labels),
        int8=graph_files(backbone.folder, "int8"),
    )
    assert report.clips == len(clips)
    assert 0 < report.encoder_difference < TOLERANCE / 10
    assert 0 < report.decoder_difference < TOLERANCE / 10
    assert report.float32 is not None and report.int8 is not None
    assert report.int8_agreement is not None and report.int8_agreement >= INT8_AGREEMENT


def test_a_bare_backbone_passes(backbone: Backbone, model: EncoderDecoder, clips: list[np.ndarray]) -> None:
    report = check_parity(System(model, {}, PHONES), graph_files(backbone.folder), Clips(clips))
    assert report.float32 is None and report.int8_agreement is None


@pytest.mark.parametrize(
    "options", [DecodeOptions(beam_size=1), DecodeOptions(ctc_weight=1.0), DecodeOptions(ctc_weight=0)]
)
def test_every_search_gives_the_same_tokens(
    backbone: Backbone, model: EncoderDecoder, clips: list[np.ndarray], options: DecodeOptions
) -> None:
    system = System(model, adaptation(TINY), LETTERS)
    check_parity(system, graph_files(backbone.folder), Clips(clips), options=options)


@pytest.mark.slow
def test_a_network_with_a_waveform_frontend_post_norm_and_no_ctc_head(tmp_path: Path, clips: list[np.ndarray]) -> None:
    folder = tmp_path / "waveform"
    save_backbone(folder, "waveform", sharpened(WAVEFORM, 3), PHONES, languages=("xx",), licence="CC0-1.0")
    backbone = open_backbone(str(folder))
    assert not has_graphs(backbone)
    model = load_model(backbone)
    assert build_backbone(backbone, model).clips == 3
    assert has_graphs(backbone) and verify_backbone(folder) == []
    assert list(tmp_path.iterdir()) == [folder]
    report = check_parity(System(model, adaptation(WAVEFORM), LETTERS), graph_files(folder), Clips(clips))
    assert report.encoder_difference < TOLERANCE / 10


@pytest.mark.parametrize("length", [0, 3, 17])
def test_positions_count_tokens_and_not_the_prompt(backbone: Backbone, clips: list[np.ndarray], length: int) -> None:
    network = Network.open(graph_files(backbone.folder), "cpu")
    adapted = network.adapt(adaptation(TINY, length=length))
    decoder = OnnxDecoder(network, network.encode(clips[:2], adapted), adapted)
    _, state = decoder.step(np.array([2, 2]), decoder.start())
    assert state.position == 1
    assert state.past["past_key_values.0.decoder.key"].shape[2] == length + 1
    here, _ = decoder.step(np.array([5, 6]), state)
    elsewhere, _ = decoder.step(np.array([5, 6]), replace(state, position=length + 20))
    assert np.abs(here - elsewhere).max() > 100 * TOLERANCE


def test_quantising_leaves_a_matrix_to_all_who_read_it() -> None:
    """The tied vocabulary of a portable export is both looked up and multiplied by."""
    table = np.random.default_rng(0).standard_normal((40, 32)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Gather", ["table", "ids"], ["row"], name="look up"),
        onnx.helper.make_node("Gemm", ["row", "table"], ["logits"], transB=1, name="multiply"),
    ]
    ids = onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch"])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 40])
    graph = onnx.helper.make_graph(nodes, "tied", [ids], [logits], [onnx.numpy_helper.from_array(table, "table")])
    whole = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    small = quantized(whole, sharpened(WAVEFORM, 1))
    session = onnxruntime.InferenceSession(small.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"ids": np.array([3, 7])})
    assert found.argmax(axis=1).tolist() == [3, 7]
    assert np.abs(found - table[[3, 7]] @ table.T).max() < 1
    assert whole.graph == graph


def test_the_gate_stops_graphs_of_other_weights(backbone: Backbone, clips: list[np.ndarray]) -> None:
    other = sharpened(TINY, 2)
    with pytest.raises(ParityError, match=r"differ from the model by .* nothing was exported"):
        check_parity(System(other, adaptation(TINY), LETTERS), graph_files(backbone.folder), Clips(clips))


def swap_two_heads(model: EncoderDecoder) -> None:
    weight, size = model.encoder.layers[1].attention.value.weight, model.config.head_dim
    weight[: 2 * size] = weight[: 2 * size].roll(size, 0)


def drop_a_bias(model: EncoderDecoder) -> None:
    model.decoder.layers[0].feed_forward.down.bias.zero_()


def shift_positions(model: EncoderDecoder) -> None:
    assert model.decoder.positions is not None
    model.decoder.positions.copy_(model.decoder.positions.roll(1, 0))


@pytest.mark.parametrize("plant", [swap_two_heads, drop_a_bias, shift_positions])
@torch.no_grad()
def test_the_gate_stops_a_planted_fault_and_no_large_numbers(
    tmp_path: Path, clips: list[np.ndarray], plant: Callable[[EncoderDecoder], None]
) -> None:
    model = sharpened(replace(TINY, decoder_positions=64), 1)
    for layer in model.decoder.layers:  # as large as those of a real Whisper, and larger
        for projection in (layer.cross_attention.value, layer.cross_attention.key):
            projection.weight *= 300
    for name, graph in export_graphs(model).items():
        save_graph(graph, tmp_path / name, own_facts(model))
    system = System(model, own_vocabulary(model), PHONES)
    assert check_parity(system, graph_files(tmp_path), Clips(clips)).encoder_difference < TOLERANCE / 10
    plant(model)
    with pytest.raises(ParityError, match="differ from the model"):
        check_parity(system, graph_files(tmp_path), Clips(clips))


def test_the_gate_stops_other_text(backbone: Backbone, clips: list[np.ndarray]) -> None:
    system, folder = System(sharpened(TINY, 2), {}, PHONES), graph_files(backbone.folder)
    with pytest.raises(ParityError, match=r"write other text than the model for [1-5] of 5 clips"):
        check_parity(system, folder, Clips(clips), tolerance=np.inf)


def test_each_layer_has_a_cross_prompt_of_its_own_length(
    backbone: Backbone, model: EncoderDecoder, clips: list[np.ndarray]
) -> None:
    tensors = adaptation(TINY, same_cross=False)
    assert len(tensors["cross.0.prompt.key"]) != len(tensors["cross.1.prompt.key"])
    report = check_parity(System(model, tensors, LETTERS), graph_files(backbone.folder), Clips(clips))
    assert max(report.encoder_difference, report.decoder_difference) < TOLERANCE / 10


def test_low_rank_updates_are_in_the_graphs(clips: list[np.ndarray], tmp_path: Path) -> None:
    config = replace(TINY, encoder_layers=1, decoder_layers=1)
    tensors, rng = adaptation(config), np.random.default_rng(0)
    for stack in STACKS:
        for kind in (LORA[projection] for projection in ATTENTION):
            for part in DOWN_UP:
                update = rng.standard_normal((2, config.dim) if part == "down" else (config.dim, 2)) / 2
                tensors[str(TensorName(stack, 0, kind, part))] = update.astype(np.float32)
    model = sharpened(config, 1)
    for name, graph in export_graphs(model, in_torch(tensors)).items():
        save_graph(graph, tmp_path / name, own_facts(model))
    report = check_parity(System(model, tensors, LETTERS), graph_files(tmp_path), Clips(clips))
    assert max(report.encoder_difference, report.decoder_difference) < TOLERANCE / 10
    plain = adaptation(config)
    with pytest.raises(ParityError, match="differ from the model"):
        check_parity(System(model, plain, LETTERS), graph_files(tmp_path), Clips(clips))


def test_a_networks_own_weight_is_not_taken_for_an_adaptation() -> None:
    with pytest.raises(AssertionError, match="own weights"):
        export_graphs(sharpened(WAVEFORM, 1), {network_weight("decoder.embedding"): torch.zeros(1)})
