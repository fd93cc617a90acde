"""A backbone's graphs on disk, in both builds.

They lie beside the backbone's weights, which they point into. It does not know adaptations or packs.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.files import atomic_path
from lect.engine.model.backbone import Backbone, write_sums
from lect.engine.model.network import EncoderDecoder

from .graph_files import DECODER, ENCODER, OWN_DECODER, graph_files, graph_name
from .graph_weights import WeightsFile, point_into
from .graphs import Constants, export_decoder, export_encoder, export_own_decoder
from .onnx_network import BACKBONE, BACKBONE_SHA256, BUILD, CTC_STRIDE, POSITIONS, WINDOW_SECONDS
from .parity import Clips, ParityReport, System, check_parity, probes
from .quantisation import LARGE_VOCABULARY, quantized


def build_backbone(backbone: Backbone, model: EncoderDecoder, clips: Clips | None = None) -> ParityReport:
    """Exports `model` (the backbone's network, as `load_model` gives it) into the backbone's folder; renews its sums.

    The graphs take their place only once they have passed the gate, on `clips` or on `probes`. Raises ParityError.
    """
    # Beside the backbone's folder, whose sums must not name it, and on the same disk, so that renaming is all it takes.
    with tempfile.TemporaryDirectory(prefix=f".{backbone.folder.name}.", dir=backbone.folder.parent) as folder:
        trial = replace(backbone, folder=Path(folder))
        shutil.copyfile(backbone.weights, trial.weights)
        _save_graphs(trial, model)
        system = System(model, {}, backbone.vocabulary)
        float32, int8 = (graph_files(trial.folder, build) for build in BUILDS)
        report = check_parity(system, float32, clips or probes(), int8=int8)
        for path in trial.folder.glob("*.onnx"):
            os.replace(path, backbone.folder / path.name)
    write_sums(backbone.folder)
    return report


def has_graphs(backbone: Backbone) -> bool:
    """Whether the backbone was exported, in both builds."""
    return all(graph_files(backbone.folder, build).are_there for build in BUILDS)


def export_graphs(model: EncoderDecoder, constants: Constants | None = None) -> dict[str, onnx.ModelProto]:
    """Both graphs by file name, float32, weights inside; constants: as for `export_encoder`."""
    return {ENCODER: export_encoder(model, constants), DECODER: export_decoder(model, constants)}


def own_facts(model: EncoderDecoder) -> dict[str, str]:
    """The facts about a network that its graphs carry."""
    config = model.config
    return {
        POSITIONS: str(config.decoder_positions),
        WINDOW_SECONDS: str(config.mel_window_seconds),
        CTC_STRIDE: str(config.ctc_stride),
    }


def save_graph(graph: onnx.ModelProto, path: Path, facts: Mapping[str, str]) -> None:
    """Writes a graph atomically, with facts about it that any ONNX tool shows."""
    onnx.helper.set_model_props(graph, dict(facts))
    with atomic_path(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))


def _save_graphs(backbone: Backbone, model: EncoderDecoder) -> None:
    facts = {BACKBONE: backbone.name, BACKBONE_SHA256: backbone.sha256} | own_facts(model)
    graphs, weights = export_graphs(model), WeightsFile(backbone.weights)
    if model.config.vocab_size >= LARGE_VOCABULARY:
        graphs[OWN_DECODER] = export_own_decoder(model)
    for name, graph in graphs.items():
        int8 = quantized(graph, model, weights)
        point_into(graph, weights)
        for build, made in zip(BUILDS, (graph, int8), strict=True):
            save_graph(made, backbone.folder / graph_name(name, build), facts | {BUILD: build})
