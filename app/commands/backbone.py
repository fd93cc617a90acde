"""The frozen speech models that adaptations stand on: those that ship with Lect, and the user's own."""

import argparse
from typing import TYPE_CHECKING, Any

from app.output import counted, print_result, table

if TYPE_CHECKING:
    from engine.backbone import Backbone

BUILDS = ("float32", "int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which."""
    parser.add_argument("what", choices=("list", "info", "verify"), help="all, one in full, or its files' checksums")
    parser.add_argument(
        "name", nargs="?", default=None, metavar="NAME", help="a name from the list, or a folder (starter)"
    )


def run(args: argparse.Namespace) -> int:
    """Lists, describes or verifies."""
    return {"list": _list, "info": _info, "verify": _verify}[args.what](args)


def _list(args: argparse.Namespace) -> int:
    from engine.backbone import backbone_folders, open_backbone
    from engine.errors import LectError

    found, failed = [], 0
    for folder in backbone_folders():
        try:
            found.append(_facts(open_backbone(str(folder))))
        except LectError as error:
            found.append({"name": folder.name, "folder": folder, "error": str(error)})
            failed = 1
    rows = [(one["name"], one.get("error") or " ".join(one["graphs"]) or "no graphs", one["folder"]) for one in found]
    text = table(("backbone", "runs offline as", "folder"), rows) if rows else "There is no backbone."
    print_result(args, {"backbones": found}, text)
    return failed


def _info(args: argparse.Namespace) -> int:
    from engine.backbone import STARTER, open_backbone

    facts = _facts(open_backbone(args.name or STARTER))
    print_result(args, facts, "\n".join(f"{key:11} {_plain(value)}" for key, value in facts.items()))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from engine.backbone import STARTER, open_backbone, verify_backbone

    backbone = open_backbone(args.name or STARTER)
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
        "model": backbone.model,
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
