"""Writes what ONNX Runtime or another program needs: a backbone's graphs, or a run as a folder for another machine.

lect export --backbone NAME         float32 and int8 graphs into the backbone's folder; all of its packs share them
lect export --run RUN --portable    graphs with the adaptation inside, for any ONNX runtime
lect export --run RUN --bundle      the run's pack beside its backbone
lect export --run RUN --layout ctranslate2    a Whisper's run for a program that runs Whispers
lect export --web DIR               a page that transcribes in a browser, of --pack, --run or a bare backbone

Every export is a gate: it fails, and leaves nothing, where what was written is not what PyTorch computes with.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_request import STARTER

from ..options import add_project, find_run, open_project
from ..output import counted, duration, percent, print_result, remark, size
from ..web_export import add_web, export_web
from .backbone import transcribing

if TYPE_CHECKING:
    from lect.exports.parity import ParityReport
    from lect.exports.plain_whisper import RunnerReport

ONNX_LAYOUTS = ("whisper", "sherpa")
LAYOUTS = (*ONNX_LAYOUTS, "huggingface", "ctranslate2", "ggml", "openai")
WEIGHTS = ("float16", "float32", "q8_0", "q5_1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A backbone, or a run and its form."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--backbone", metavar="NAME", help="whose graphs to write (starter), or to write with --layout")
    what.add_argument("--run", dest="run_id", metavar="RUN", help="a run's number, or latest")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--portable", action="store_true", help="one pair of graphs with everything inside")
    form.add_argument("--bundle", action="store_true", help="the pack and its backbone")
    form.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="a Whisper for transformers (huggingface), faster-whisper (ctranslate2), whisper.cpp (ggml) or OpenAI's "
        "program (openai), where nothing but its weights was trained; whisper and sherpa: graphs for onnx-asr and "
        "sherpa-onnx, of any run",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="where (packs/RUN-FORM in the project)")
    parser.add_argument("--build", choices=BUILDS, help="of a portable export (float32) or a page (int8)")
    parser.add_argument("--weights", choices=WEIGHTS, help="with --layout, float16; q8_0 and q5_1 are whisper.cpp's")
    add_web(parser)
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Exports, and reports how near the export is to PyTorch."""
    from lect.engine.model.backbone import open_backbone

    if args.web:
        return export_web(args)
    check(args)
    remark(args, "Exporting, and comparing with PyTorch: this can take a minute or two.")
    if args.layout:
        return _whisper(args) if args.layout in ONNX_LAYOUTS else _for_runner(args)
    form = "portable" if args.portable else "bundle" if args.bundle else "backbone"
    folder, report = _backbone(args) if form == "backbone" else _run(args, form)
    value = {"folder": folder, "form": form, "bytes": _bytes(folder), "parity": report.to_json()}
    text = [f"{folder}: {size(_bytes(folder))}.", describe(report)]
    if form == "backbone":
        value["next"] = transcribing(open_backbone(str(folder)))
        text.append(f"Next: {value['next']}")
    else:
        value["next"] = f"lect transcribe FILE --pack {folder}"
        text.append(f"Next, on any machine: {value['next']}")
    print_result(args, value, "\n".join(text))
    return 0


def check(args: argparse.Namespace) -> None:
    """Raises UsageError for options that do not go together."""
    if args.pack or args.onnxruntime_web:
        raise UsageError("--pack and --onnxruntime-web go with --web DIR.")
    if args.run_id and not (args.portable or args.bundle or args.layout):
        raise UsageError(
            "Say how the run is to leave: --portable (any ONNX runtime), --bundle (its pack and backbone) or --layout "
            "(another program)."
        )
    if not args.run_id and (args.portable or args.bundle or args.layout in ONNX_LAYOUTS):
        raise UsageError("Name the run, as in --run latest.")
    if not args.run_id and bool(args.out) != bool(args.layout):
        raise UsageError(
            "Graphs of a backbone go into its own folder, without --out; with --layout, name a folder: --out DIR."
        )
    if args.build and not args.portable:
        raise UsageError("--build is for --portable: a backbone and a bundle have both builds.")
    if args.weights and args.layout in (None, *ONNX_LAYOUTS):
        raise UsageError("--weights goes with --layout huggingface, ctranslate2, ggml or openai.")


def describe(report: "ParityReport") -> str:
    """The gate's figures for people."""
    text = f"The graphs write the same text as PyTorch on {counted(report.clips, 'clip')} ({duration(report.seconds)})"
    text += f"; encoder within {report.encoder_difference:.0e}, decoder within {report.decoder_difference:.0e}."
    for build, rates in zip(BUILDS, (report.float32, report.int8), strict=True):
        text += f"\n{build}: CER {percent(rates.cer)}, WER {percent(rates.wer)}." if rates else ""
    if report.int8_agreement is not None:
        text += f"\nint8 writes the float32 text for {percent(report.int8_agreement)} of them."
    return text


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _backbone(args: argparse.Namespace) -> "tuple[Path, ParityReport]":
    from lect.engine.model.backbone import open_backbone
    from lect.engine.model.weights import load_model
    from lect.exports.backbone_graphs import build_backbone

    backbone = open_backbone(args.backbone or STARTER)
    return backbone.folder, build_backbone(backbone, load_model(backbone))


def _run(args: argparse.Namespace, form: str) -> "tuple[Path, ParityReport]":
    from lect.exports.run_export import default_folder, export_bundle, export_portable

    project = open_project(args)
    run = find_run(project, args.run_id)
    folder = args.out or default_folder(project, run, form)
    if form == "bundle":
        return folder, export_bundle(project, run, folder)
    return folder, export_portable(project, run, folder, args.build or BUILDS[0])


def _whisper(args: argparse.Namespace) -> int:
    from lect.exports.run_export import default_folder, export_whisper

    project = open_project(args)
    run = find_run(project, args.run_id)
    folder = args.out or default_folder(project, run, args.layout)
    difference = export_whisper(project, run, folder, args.layout)
    value = {"folder": folder, "form": args.layout, "difference": difference}
    text = f"{folder}: the graphs differ from PyTorch by {difference:.0e} at most; its README.md says how to open it."
    print_result(args, value, text)
    return 0


def _for_runner(args: argparse.Namespace) -> int:
    from lect.engine.model.backbone import open_backbone
    from lect.engine.model.weights import load_model
    from lect.exports.plain_whisper import write_backbone
    from lect.exports.run_export import default_folder, export_for_runner

    if args.run_id:
        project = open_project(args)
        run = find_run(project, args.run_id)
        folder = args.out or default_folder(project, run, args.layout)
        report = export_for_runner(project, run, folder, args.layout, args.weights)
    else:
        backbone, folder = open_backbone(args.backbone or STARTER), args.out
        report = write_backbone(folder, backbone, load_model(backbone), args.layout, args.weights)
    value = {"folder": folder, "form": args.layout, "bytes": _bytes(folder), "parity": report.to_json()}
    print_result(args, value, f"{folder}: {size(_bytes(folder))}.\n{_described(report)}")
    return 0


def _described(report: "RunnerReport") -> str:
    text = f"Read back, its {report.tensors} tensors in {report.weights} are those of PyTorch"
    text += f", rounded by {report.rounding:.0e} of their spread at most." if report.rounding else "."
    if report.agreement is not None:
        text += f"\nIt writes the same text for {percent(report.agreement)} of {counted(report.clips, 'dev clip')}"
        text += (
            f": CER {percent(report.after.cer)}, before {percent(report.before.cer)}."
            if report.after and report.before
            else "."
        )
    return text + "\nIts README.md says how to open it."
