"""Writes a run as one .lect file that transcribes offline wherever its backbone is; verifies or describes such files.

`lect pack RUN [-o FILE]`, `lect pack verify FILE…`, `lect pack info FILE…`
"""

import argparse
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.app.options import add_project, find_run, open_project
from lect.app.output import note, print_json, print_result, size
from lect.engine.contract.errors import LectError, UsageError, os_sentence

if TYPE_CHECKING:
    from lect.engine.data.clips import Run
    from lect.engine.data.store import Project
    from lect.engine.decoding.language_model import LanguageModel
    from lect.exports.pack import PackContents, VerifyReport

SCORED_SPLITS = ("dev", "test")
NETWORK = re.compile(r"network\.|.*\.lora\.")  # what changes the network's own weights, beside an adaptation's tensors


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
        return _look(args, [Path(name) for name in args.what[1:]])
    if len(args.what) > 1:
        raise UsageError("Name one run: lect pack RUN -o FILE.lect")
    project = open_project(args)
    found = find_run(project, args.what[0])
    check_packable(found)
    path = args.out or default_path(project, found)
    report = write(project, found, path, contents(project, found, name=args.name, licence=args.licence))
    value = {"run": found.id, "pack": path, **facts(report)}
    text = f"{path}: {size(report.bytes)}, verified.\nNext: lect transcribe FILE --pack {path}"
    print_result(args, value, text)
    return 0


def default_path(project: "Project", found: "Run") -> Path:
    """Inside the project, so that it travels along."""
    stem = "".join(letter if letter.isalnum() else "-" for letter in project.name).strip("-") or "pack"
    return project.folder / "packs" / f"{stem}-{found.id}.lect"


def write(project: "Project", found: "Run", path: Path, what: "PackContents") -> "VerifyReport":
    """Writes a pack, reads it again as a stranger would, and enters it in the project."""
    from lect.engine.contract.files import sha256_file
    from lect.exports.pack import verify_pack, write_pack

    write_pack(path, what)
    report = verify_pack(path, what.backbone)
    project.add_pack(found.id, path, sha256_file(path))
    return report


def contents(
    project: "Project", found: "Run", *, name: str | None = None, licence: str | None = None
) -> "PackContents":
    """What a pack or a portable export of this run says and holds, without what changed the network's own weights.

    Raises UsageError for a run that has no result.
    """
    from lect.engine.contract.files import read_json
    from lect.engine.model.backbone import open_backbone
    from lect.engine.text.vocabulary import Vocabulary
    from lect.exports.pack import PackContents

    tensors = {name: tensor for name, tensor in result_tensors(found).items() if not NETWORK.match(name)}
    vocabulary = Vocabulary.from_json(read_json(found.folder / "vocabulary.json"))
    settings = read_json(found.folder / "settings.json")
    files = {split: found.folder / f"scores-{split}.json" for split in SCORED_SPLITS}
    scores = {split: {**read_json(file), "rows": []} for split, file in files.items() if file.exists()}
    predictions = found.folder / "predictions-test.tsv"
    optional = {"predictions": predictions.read_text(encoding="utf-8")} if predictions.exists() else {}
    return PackContents(
        name=name or project.name,
        language=project.language,
        backbone=open_backbone(settings["backbone"]),
        method=settings["settings"]["spec"] | {"ctc_weight": settings["settings"]["ctc_weight"]},
        tensors=tensors,
        vocabulary=vocabulary,
        rules=project.rules,
        language_model=_language_model(found, len(vocabulary)),
        scores=scores,
        data=_data(project, found),
        licence=licence or _licence(project),
        **optional,
    )


def _language_model(found: "Run", size: int) -> "LanguageModel | None":
    from lect.engine.decoding.language_model import LanguageModel

    path = found.folder / "language_model.safetensors"
    return LanguageModel.from_bytes(path.read_bytes(), size) if path.exists() else None


def check_packable(found: "Run") -> None:
    """Raises UsageError for a run that has no result, or one that changed its network's own weights."""
    if any(NETWORK.match(name) for name in result_tensors(found)):
        raise UsageError(
            f"Run {found.id} changed its backbone's own weights, so it is no small pack: "
            f"use `lect export --run {found.id} --portable`."
        )


def result_tensors(found: "Run") -> dict[str, Any]:
    """The best tensors of a run. Raises UsageError when there are none yet."""
    from safetensors.numpy import load_file

    path = found.folder / "best.safetensors"
    if not path.exists():
        raise UsageError(f"Run {found.id} has no result yet: go on with it by `lect train --resume {found.id}`.")
    return load_file(path)


def facts(report: "VerifyReport") -> dict[str, Any]:
    """What a verified pack says of itself."""
    counted = {"bytes": report.bytes, "parameters": report.parameters, "fits": report.fits}
    return counted | {"language_model_weight": report.language_model_weight, **asdict(report.manifest)}


def _data(project: "Project", found: "Run") -> dict[str, Any]:
    from lect.engine.contract.files import read_json
    from lect.exports.model_card import SplitFacts

    clips = {clip.sha256: clip for clip in project.clips()}
    data = {}
    for split, hashes in read_json(found.folder / "clips.json").items():
        used = [clips[sha] for sha in hashes if sha in clips]
        voices = {clip.speaker for clip in used} - {""}
        data[split] = SplitFacts(len(used), round(sum(clip.seconds for clip in used), 2), len(voices))
    return data


def _licence(project: "Project") -> str:
    # Speakers who allow different things, or who were not asked, leave the choice to the maker.
    licences = {speaker.licence for speaker in project.speakers()}
    return licences.pop() if len(licences) == 1 and "" not in licences else "other"


def _look(args: argparse.Namespace, paths: list[Path]) -> int:
    from lect.engine.model.backbone import open_backbone
    from lect.exports.pack import verify_pack

    backbone = open_backbone(args.backbone) if args.backbone else None
    found: list[dict[str, Any]] = []
    for path in paths:
        try:
            report = verify_pack(path, backbone)
            found.append({"file": path, "whole": True, **facts(report)})
            if not args.json:
                print(_told(report, path, full=args.what[0] == "info"))
        except (LectError, OSError) as error:
            sentence = os_sentence(error) if isinstance(error, OSError) else str(error)
            found.append({"file": path, "whole": False, "error": sentence})
            note(f"lect: {sentence}")
    if args.json:
        print_json({"packs": found})
    return int(any(not one["whole"] for one in found))


def _told(report: "VerifyReport", path: Path, full: bool) -> str:
    manifest = report.manifest
    if not full:
        fits = f" and fits {manifest.backbone}" if report.fits else ""
        return f"{path} is whole: {report.files} files, {size(report.bytes)}{fits}."
    lines = [f"{path}: {manifest.name}, {size(report.bytes)}"]
    lines += [
        f"  language   {manifest.language}",
        f"  backbone   {manifest.backbone} ({manifest.backbone_sha256[:12]})",
    ]
    learnt = f"{report.parameters:,} numbers in {len(manifest.tensors)} tensors"
    lines += [f"  method     {manifest.method.get('method', '?')}, {learnt}"]
    if weight := report.language_model_weight:
        lines.append(f"  leans on   a language model of its maker's texts, with weight {weight}")
    lines += [f"  text rules {manifest.normalisation}", f"  made by    {manifest.created_by}"]
    for split, rates in manifest.scores.items():
        before = rates.get("baseline")
        told = f", before CER {before['cer']:.1%} WER {before['wer']:.1%}" if before else ""
        lines.append(f"  {split:10} CER {rates['cer']:.1%} WER {rates['wer']:.1%}{told}")
    return "\n".join(lines)
