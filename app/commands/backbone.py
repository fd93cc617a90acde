"""The frozen speech models that adaptations stand on: those that ship with Lect, and the user's own.

`add` takes a Wav2Seq checkpoint (a .pt file of fairseq), a Whisper folder as Hugging Face lays it out (or, with --hub,
its name there), or a backbone that was pretrained elsewhere. Nothing in a foreign file is ever run.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import positive
from ..output import counted, print_result, size, table

if TYPE_CHECKING:
    from lect.engine.model.backbone import Backbone

BUILDS = ("float32", "int8")
MOST_LANGUAGES = 4  # in one row
_HEADINGS = ("backbone", "weights", "languages", "licence", "runs offline as", "folder")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which."""
    parser.add_argument(
        "what",
        choices=("list", "info", "verify", "add"),
        help="all, one in full, its files' checksums, or a new one from a file or folder",
    )
    parser.add_argument(
        "which", nargs="?", metavar="NAME|SOURCE", help="a name from the list, or a folder (starter); what to add"
    )
    parser.add_argument("--hub", action="store_true", help="add: SOURCE is a Whisper's name on the Hugging Face hub")
    parser.add_argument("--name", help="add: what to call it here (the source's name)")
    parser.add_argument("--licence", help="add: of its weights, where it is not that of the published ones")
    parser.add_argument(
        "--window-seconds",
        type=positive,
        metavar="N",
        help="add: how long a Whisper listens at least, silence included (30); less is quicker, and it was not "
        "trained on less",
    )


def run(args: argparse.Namespace) -> int:
    """Lists, describes, verifies or adds."""
    from lect.engine.contract.errors import UsageError

    if args.what != "add" and (args.hub or args.name or args.licence or args.window_seconds):
        raise UsageError("--hub, --name, --licence and --window-seconds go with `lect backbone add`.")
    return {"list": _list, "info": _info, "verify": _verify, "add": _add}[args.what](args)


def _list(args: argparse.Namespace) -> int:
    from lect.engine.contract.errors import LectError
    from lect.engine.model.backbone import backbone_folders, open_backbone

    found, failed = [], 0
    for folder in backbone_folders():
        try:
            found.append(_facts(open_backbone(str(folder))))
        except LectError as error:
            found.append({"name": folder.name, "folder": folder, "error": str(error)})
            failed = 1
    text = table(_HEADINGS, [_row(one) for one in found], right=(1,)) if found else "There is no backbone."
    print_result(args, {"backbones": found}, text)
    return failed


def _row(facts: dict[str, Any]) -> tuple[Any, ...]:
    if "error" in facts:
        return facts["name"], "", "", "", facts["error"], facts["folder"]
    languages, graphs = _plain(facts["languages"][:MOST_LANGUAGES]), " ".join(facts["graphs"]) or "no graphs"
    more = len(facts["languages"]) - MOST_LANGUAGES
    languages += f" and {more} more" if more > 0 else ""
    return facts["name"], size(facts["bytes"]), languages, facts["licence"], graphs, facts["folder"]


def _add(args: argparse.Namespace) -> int:
    from lect.engine.contract.errors import UsageError
    from lect.engine.model.backbone import open_backbone
    from lect.engine.model.foreign import add_backbone
    from lect.engine.model.foreign.hub import fetch

    if args.which is None:
        raise UsageError("Say what to add: a Wav2Seq .pt file, a Whisper folder or a backbone folder.")
    source, name = Path(args.which), args.name
    if args.hub:
        source, name = fetch(args.which), name or args.which.rpartition("/")[2]
    folder = add_backbone(source, name, args.licence, args.window_seconds)
    facts = _facts(open_backbone(str(folder)))
    text = f"Backbone {facts['name']} is added, {size(facts['bytes'])} of weights under licence {facts['licence']}."
    if not facts["graphs"]:
        text += f" To transcribe with it: lect export --backbone {facts['name']}"
    print_result(args, facts, text)
    return 0


def _info(args: argparse.Namespace) -> int:
    from lect.engine.contract.run_request import STARTER
    from lect.engine.model.backbone import open_backbone

    facts = _facts(open_backbone(args.which or STARTER))
    print_result(args, facts, "\n".join(f"{key:11} {_plain(value)}" for key, value in facts.items()))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from lect.engine.contract.run_request import STARTER
    from lect.engine.model.backbone import open_backbone, verify_backbone

    backbone = open_backbone(args.which or STARTER)
    wrong = verify_backbone(backbone.folder)
    text = f"Backbone {backbone.name} is whole."
    if wrong:
        text = f"Backbone {backbone.name} is damaged, install it again: {', '.join(wrong)} missing or changed."
    print_result(args, {"name": backbone.name, "whole": not wrong, "wrong": wrong}, text)
    return int(bool(wrong))


def _facts(backbone: "Backbone") -> dict[str, Any]:
    return {
        "name": backbone.name,
        "folder": backbone.folder,
        "languages": list(backbone.languages),
        "licence": backbone.licence,
        "vocabulary": f"{counted(len(backbone.vocabulary), 'symbol')} ({backbone.vocabulary.kind})",
        "model": backbone.config.to_json(),
        "bytes": backbone.weights.stat().st_size,
        "graphs": exported_builds(backbone),
        "sha256": backbone.sha256,
    }


def exported_builds(backbone: "Backbone") -> list[str]:
    """The builds whose graphs are there."""
    return [build for build in BUILDS if any(backbone.graphs(build).glob("*.onnx"))]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)
