"""Bundles: a folder with a pack and a copy of its backbone, graphs included; all that a machine without torch needs."""

import shutil
from dataclasses import replace
from pathlib import Path

from lect.engine.contract.errors import BackboneError
from lect.engine.model.backbone import Backbone, verify_backbone
from lect.engine.model.weights import load_model

from .backbone_graphs import build_backbone, has_graphs
from .export_folders import whole_folder
from .graph_files import graph_files
from .opening import BUNDLED_BACKBONE, BUNDLED_PACK
from .pack import check_fits, read_pack
from .parity import Clips, ParityReport, System, check_parity


def write_bundle(folder: Path, pack: Path, backbone: Backbone, clips: Clips) -> ParityReport:
    """Writes a bundle atomically, once its graphs have passed the gate with the pack on `clips`.

    A backbone without graphs gets them in the bundle. Raises PackError, BackboneError, ParityError or UsageError.
    """
    opened = read_pack(pack)
    check_fits(opened, backbone)
    method = opened.manifest.method
    model = load_model(backbone, method.get("window_seconds"))
    with whole_folder(folder, BUNDLED_PACK) as made:
        shutil.copyfile(pack, made / BUNDLED_PACK)
        copy = replace(backbone, folder=made / BUNDLED_BACKBONE)
        shutil.copytree(backbone.folder, copy.folder, ignore=shutil.ignore_patterns(".*"))
        if changed := verify_backbone(copy.folder):
            raise BackboneError(f"Backbone {backbone.name!r} is damaged ({', '.join(changed)}): install it again.")
        if not has_graphs(copy):
            build_backbone(copy, load_model(backbone))
        system = System(model, opened.tensors, opened.vocabulary, method.get("ctc_weight"))
        report = check_parity(system, graph_files(copy.folder), clips, int8=graph_files(copy.folder, "int8"))
    return report
