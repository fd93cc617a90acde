"""Portable exports: one folder that needs no backbone, for prompts, adapters and whole networks alike.

What was learnt is constant in the graphs, which take audio, lengths, token, position and cache and nothing else. A
decoder prompt stands in front of the cache inside the graph: the cache starts empty, as without a prompt. Beside the
graphs lie vocabulary, text rules, scores, a model card and a manifest. `Runtime.open` runs such a folder.
"""

import os
import tempfile
from pathlib import Path

import torch
from onnx.external_data_helper import load_external_data_for_model

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.files import write_bytes
from lect.engine.model.network import EncoderDecoder

from .backbone_graphs import export_graphs, own_facts, save_graph
from .export_folders import whole_folder
from .graph_files import DECODER, ENCODER, graph_files
from .graph_weights import WeightsFile, halve, point_into
from .graphs import Constants
from .model_card import PORTABLE
from .onnx_network import BUILD
from .pack import (
    CARD,
    MANIFEST,
    PREDICTIONS,
    RULES,
    SCORES,
    VOCABULARY,
    PackContents,
    card_of,
    describe,
    dumped,
    language_model_file,
)
from .parity import Clips, ParityReport, System, check_parity, own_vocabulary
from .quantisation import quantized


def write_portable(
    folder: Path, contents: PackContents, model: EncoderDecoder, clips: Clips, build: str = "float32"
) -> ParityReport:
    """Writes a portable export atomically, once its graphs have passed the gate on `clips`.

    contents: as for a pack; its tensors are the adaptation's, without a network's own weights. model: the network
    that they were trained on, or that was trained. build: float32 or int8. Raises ParityError or UsageError.
    """
    assert build in BUILDS
    weight = contents.method.get("ctc_weight")
    system = System(model, own_vocabulary(model) | dict(contents.tensors), contents.vocabulary, weight)
    with whole_folder(folder, MANIFEST) as made, tempfile.TemporaryDirectory(dir=made) as trials:
        builds: dict[str, Path] = {name: Path(trials) / name for name in ("float32", build)}
        _save_graphs(system, builds, contents.backbone.weights)
        files = {name: graph_files(folder) for name, folder in builds.items()}
        report = check_parity(system, files["float32"], clips, int8=files.get("int8"))
        for name in (ENCODER, DECODER):
            os.replace(builds[build] / name, made / name)
        for name, data in _files(contents, build, report).items():
            write_bytes(made / name, data)
    return report


def _save_graphs(system: System, builds: dict[str, Path], weights: Path) -> None:
    """weights: the backbone's, in whose types what is unchanged is stored."""
    constants: Constants = {name: torch.from_numpy(tensor).float() for name, tensor in system.tensors.items()}
    facts = own_facts(system.model)
    for name, graph in export_graphs(system.model, constants).items():
        if "int8" in builds:
            save_graph(quantized(graph, system.model), builds["int8"] / name, facts | {BUILD: "int8"})
        point_into(graph, WeightsFile(weights))
        load_external_data_for_model(graph, str(weights.parent))
        halve(graph)
        save_graph(graph, builds["float32"] / name, facts | {BUILD: "float32"})


def _files(contents: PackContents, build: str, report: ParityReport) -> dict[str, bytes]:
    manifest = describe(contents) | {"build": build, "parity": report.to_json()}
    return {
        MANIFEST: dumped(manifest),
        VOCABULARY: dumped(contents.vocabulary.to_json()),
        RULES: dumped(contents.rules.to_json()),
        SCORES: dumped(dict(contents.scores)),
        PREDICTIONS: contents.predictions.encode(),
        CARD: card_of(contents, manifest, PORTABLE).encode(),
        **language_model_file(contents),
    }
