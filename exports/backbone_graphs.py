"""A backbone's graphs on disk, in both builds.

float32 lies beside the backbone's weights, which it points into; int8 in a folder of its own. It does not know
adaptations or packs.
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

from .graph_weights import point_into
from .graphs import Constants, export_decoder, export_encoder
from .onnx_network import BACKBONE_SHA256, BUILD, DECODER, ENCODER, POSITIONS, WINDOW_SECONDS
from .parity import Clips, ParityReport, System, check_parity, probes
from .quantisation import quantized


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
        report = check_parity(system, trial.graphs("float32"), clips or probes(), int8=trial.graphs("int8"))
        backbone.graphs("int8").mkdir(exist_ok=True)
        for build in BUILDS:
            for name in (ENCODER, DECODER):
                os.replace(trial.graphs(build) / name, backbone.graphs(build) / name)
    write_sums(backbone.folder)
    return report


def has_graphs(backbone: Backbone) -> bool:
    """Whether the backbone was exported, in both builds."""
    return all((backbone.graphs(build) / name).is_file() for build in BUILDS for name in (ENCODER, DECODER))


def export_graphs(model: EncoderDecoder, constants: Constants | None = None) -> dict[str, onnx.ModelProto]:
    """Both graphs by file name, float32, weights inside; constants: as for `export_encoder`."""
    return {ENCODER: export_encoder(model, constants), DECODER: export_decoder(model, constants)}


def own_facts(model: EncoderDecoder) -> dict[str, str]:
    """The facts about a network that its graphs carry."""
    return {POSITIONS: str(model.config.decoder_positions), WINDOW_SECONDS: str(model.config.mel_window_seconds)}


def save_graph(graph: onnx.ModelProto, path: Path, facts: Mapping[str, str]) -> None:
    """Writes a graph atomically, with facts about it that any ONNX tool shows."""
    onnx.helper.set_model_props(graph, dict(facts))
    with atomic_path(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))


def _save_graphs(backbone: Backbone, model: EncoderDecoder) -> None:
    facts = {"lect.backbone": backbone.name, BACKBONE_SHA256: backbone.sha256} | own_facts(model)
    for name, graph in export_graphs(model).items():
        save_graph(quantized(graph, model), backbone.graphs("int8") / name, facts | {BUILD: "int8"})
        point_into(graph, backbone.weights)
        save_graph(graph, backbone.graphs("float32") / name, facts | {BUILD: "float32"})
