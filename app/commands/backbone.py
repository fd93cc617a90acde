"""The frozen speech models that adaptations stand on: those that ship with Lect, and the user's own.

`add` takes a Whisper in any form that people have (Hugging Face's folder or, with --hub, its name there; OpenAI's .pt;
faster-whisper's, whisper.cpp's or MLX's files), a Wav2Seq checkpoint of fairseq, or a backbone that was pretrained
elsewhere. `find` lists the Whispers that other programs keep on this computer, and adds one by its number; `get`
downloads a published one by its size. Nothing in a foreign file is ever run.
"""

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.builds import BUILDS

from ..options import positive
from ..output import counted, print_result, progress, size, table

if TYPE_CHECKING:
    from lect.engine.model.backbone import Backbone

MOST_LANGUAGES = 4  # in one row
_HEADINGS = ("backbone", "weights", "languages", "licence", "runs offline as", "folder")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which."""
    parser.add_argument(
        "what",
        choices=("list", "info", "verify", "add", "find", "get"),
        help="all, one in full, its files' checksums; a new one from a file or folder, from what other programs keep "
        "here, or from the hub",
    )
    parser.add_argument(
        "which",
        nargs="?",
        metavar="NAME|SOURCE|NUMBER|SIZE",
        help="a name from the list, or a folder (starter); what to add; which of those found; tiny to large-v3-turbo",
    )
    parser.add_argument("--hub", action="store_true", help="add: SOURCE is a Whisper's name on the Hugging Face hub")
    parser.add_argument("--name", help="add, find, get: what to call it here (the source's name)")
    parser.add_argument("--licence", help="add, find, get: of its weights, where it is not that of the published ones")
    parser.add_argument(
        "--window-seconds",
        type=positive,
        metavar="N",
        help="add, find, get: how long a Whisper listens at least, silence included (30); less is quicker, and it was "
        "not trained on less",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        help="add, find, get: of each weight as it is kept (16); 8 takes half of the disk",
    )


def run(args: argparse.Namespace) -> int:
    """Lists, describes, verifies, adds, finds or gets."""
    from lect.engine.contract.errors import UsageError

    adding = (args.hub, args.name, args.licence, args.window_seconds, args.bits)
    if args.what not in ("add", "find", "get") and any(adding):
        raise UsageError("--hub, --name, --licence, --window-seconds and --bits go with `lect backbone add`.")
    commands = {"list": _list, "info": _info, "verify": _verify, "add": _add, "find": _find, "get": _get}
    return commands[args.what](args)


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
    from lect.engine.model.foreign.hub import fetch

    if args.which is None:
        raise UsageError("Say what to add: a Whisper's file or folder, a Wav2Seq .pt file or a backbone folder.")
    source, name = Path(args.which), args.name
    if args.hub:
        source, name = fetch(args.which), name or args.which.rpartition("/")[2]
    return _added(args, source, name)


def _find(args: argparse.Namespace) -> int:
    from lect.engine.contract.errors import UsageError
    from lect.engine.model.foreign.found import find_whispers

    found = find_whispers()
    if args.which is not None:
        if not args.which.isdecimal() or not 1 <= int(args.which) <= len(found):
            raise UsageError(f"Give a number of the {len(found)} that `lect backbone find` lists.")
        chosen = found[int(args.which) - 1]
        return _added(args, chosen.path, args.name or chosen.name)
    rows = [(number, one.name, one.kind, size(one.size), one.path) for number, one in enumerate(found, start=1)]
    text = table(("", "whisper", "format", "size", "where"), rows, right=(0, 3))
    text += "\nTo add one: lect backbone find NUMBER" if found else ""
    print_result(args, {"found": [asdict(one) for one in found]}, text if found else "There is no Whisper here.")
    return 0


def _get(args: argparse.Namespace) -> int:
    from lect.engine.contract.errors import UsageError
    from lect.engine.model.foreign.published import PUBLISHED, fetch_published, published_name

    if args.which is None:
        raise UsageError(f"Say which to get: {', '.join(PUBLISHED)}.")
    name = published_name(args.which)
    with progress(args, None, name, "B") as bar:

        def report(here: int, whole: int) -> None:
            bar.total = whole
            bar.update(here - bar.n)

        folder = fetch_published(name, report)
    code = _added(args, folder, args.name or name)
    shutil.rmtree(folder)
    return code


def _added(args: argparse.Namespace, source: Path, name: str | None) -> int:
    from lect.engine.model.backbone import open_backbone
    from lect.engine.model.foreign import add_backbone

    folder = add_backbone(source, name, args.licence, args.window_seconds, args.bits or 16)
    facts = _facts(open_backbone(str(folder)))
    text = f"Backbone {facts['name']} is added, {size(facts['bytes'])} of weights under licence {facts['licence']}."
    if not facts["graphs"]:
        text += f"\nNext, once: lect export --backbone {facts['name']}"
    text += f"\nThen: {transcribing(open_backbone(str(folder)))}"
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


def transcribing(backbone: "Backbone") -> str:
    """The command that transcribes with a backbone alone, by its name."""
    return (
        f"lect transcribe FILE {'--phones ' if backbone.vocabulary.kind == 'phone' else ''}--backbone {backbone.name}"
    )


def exported_builds(backbone: "Backbone") -> list[str]:
    """The builds whose graphs are there."""
    from lect.exports.graph_files import graph_files

    return [build for build in BUILDS if graph_files(backbone.folder, build).are_there]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)
