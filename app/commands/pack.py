"""Writes a run as one .lect file that transcribes offline wherever its backbone is; verifies or describes such files.

`lect pack RUN [-o FILE]`, `lect pack verify FILE…`, `lect pack info FILE…`
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import LectError, UsageError, os_sentence
from lect.engine.scoring.recommendation import rival

from ..options import add_project, find_run, open_project
from ..output import note, print_json, print_result, shown, size

if TYPE_CHECKING:
    from lect.exports.pack import VerifyReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A run, or a word and files."""
    parser.add_argument("what", nargs="+", metavar="RUN | verify FILE… | info FILE…", help="a run's number, or latest")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="the pack (packs/NAME-RUN.lect in the project)")
    parser.add_argument("--name", help="what the pack is called (the project's name)")
    parser.add_argument("--licence", help="of the pack (that of its speakers' recordings, where they share one)")
    parser.add_argument("--backbone", metavar="NAME", help="with verify: also check that it fits this backbone")
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Packs, verifies or describes."""
    if args.what[0] in ("verify", "info"):
        if len(args.what) == 1:
            raise UsageError(f"Name a pack: lect pack {args.what[0]} FILE")
        return _inspect(args, [Path(name) for name in args.what[1:]])
    if len(args.what) > 1:
        raise UsageError("Name one run: lect pack RUN -o FILE.lect")
    return _pack(args)


def _pack(args: argparse.Namespace) -> int:
    from lect.exports.pack_assembly import check_packable, default_path, pack_contents, pack_run

    project = open_project(args)
    found = find_run(project, args.what[0])
    check_packable(found)
    path = args.out or default_path(project, found)
    report = pack_run(project, found, path, pack_contents(project, found, name=args.name, licence=args.licence))
    value = {"run": found.id, "pack": path, **facts(report)}
    text = f"{path}: {size(report.bytes)}, verified.\nNext: lect transcribe FILE --pack {path}"
    print_result(args, value, text)
    return 0


def facts(report: "VerifyReport") -> dict[str, Any]:
    """What a verified pack says of itself."""
    counted = {"bytes": report.bytes, "parameters": report.parameters, "fits": report.fits}
    return counted | {"language_model_weight": report.language_model_weight, **asdict(report.manifest)}


def _inspect(args: argparse.Namespace, paths: list[Path]) -> int:
    from lect.engine.model.backbone import open_backbone
    from lect.exports.pack import verify_pack

    backbone = open_backbone(args.backbone) if args.backbone else None
    found: list[dict[str, Any]] = []
    for path in paths:
        try:
            report = verify_pack(path, backbone)
            found.append({"file": path, "whole": True, **facts(report)})
            if not args.json:
                print(shown(_described(report, path, full=args.what[0] == "info")))
        except (LectError, OSError) as error:
            sentence = os_sentence(error) if isinstance(error, OSError) else str(error)
            found.append({"file": path, "whole": False, "error": sentence})
            note(f"lect: {sentence}")
    if args.json:
        print_json({"packs": found})
    return int(any(not one["whole"] for one in found))


def _described(report: "VerifyReport", path: Path, full: bool) -> str:
    manifest = report.manifest
    if not full:
        fits = f" and fits {manifest.backbone}" if report.fits else ""
        return f"{path} is whole: {report.files} files, {size(report.bytes)}{fits}."
    trained = f"{report.parameters:,} parameters in {len(manifest.tensors)} tensors"
    facts = [
        ("language", manifest.language),
        ("backbone", f"{manifest.backbone} ({manifest.backbone_sha256[:12]})"),
        ("method", f"{manifest.method.get('method', '?')}, {trained}"),
    ]
    if weight := report.language_model_weight:
        facts.append(("fusion", f"shallow, with an n-gram language model of its maker's texts, weight {weight}"))
    facts += [("text rules", manifest.normalisation), ("made by", manifest.created_by)]
    facts += [(split, _rates(rates)) for split, rates in manifest.scores.items()]
    if other := rival(manifest.scores):
        better = f"{manifest.backbone} alone" if other == "backbone" else "the run that guessed some of its labels"
        facts.append(("advice", f"not recommended: on dev, {better} makes no more errors"))
    lines = [f"{path}: {manifest.name}, {size(report.bytes)}", *(f"  {name:10} {fact}" for name, fact in facts)]
    return "\n".join(lines)


def _rates(rates: dict[str, Any]) -> str:
    before = rates.get("baseline")
    base = f", before CER {before['cer']:.1%} WER {before['wer']:.1%}" if before else ""
    return f"CER {rates['cer']:.1%} WER {rates['wer']:.1%}{base}"
