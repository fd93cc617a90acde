"""`lect export --web`: its options, and what is printed of it."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lect.engine.contract.errors import UsageError

from .options import find_run, open_project
from .output import print_result, remark, size
from .runtimes import pack_path


def add_web(parser: argparse.ArgumentParser) -> None:
    """--web and what goes with it."""
    web = parser.add_argument_group("a folder that transcribes in a browser, on any file host")
    web.add_argument("--web", type=Path, metavar="DIR", help="write it, of --pack, --run or --backbone (whisper-base)")
    web.add_argument("--pack", type=pack_path, metavar="PACK", help="a .lect file, or its name in the project's packs")
    web.add_argument(
        "--onnxruntime-web",
        type=Path,
        metavar="FILE",
        help="what `npm pack` wrote, or a folder; needed once, then kept",
    )


def export_web(args: argparse.Namespace) -> int:
    """Writes the folder. Raises LectError."""
    from lect.engine.contract.run_request import WHISPER
    from lect.engine.model.backbone import open_backbone
    from lect.exports.opening import backbone_of
    from lect.exports.pack import read_pack
    from lect.exports.web_folder import write_web

    if args.portable or args.bundle or args.out or args.layout:
        raise UsageError("--web takes no other form or place: leave --portable, --bundle, --layout and -o out.")
    if args.pack and args.run_id:
        raise UsageError("Name a pack or a run, not both.")
    with _pack(args) as pack:
        of_pack = None if pack is None else backbone_of(read_pack(pack), args.backbone)
        backbone = of_pack or open_backbone(args.backbone or WHISPER)
        report = write_web(args.web, backbone, pack, args.onnxruntime_web, args.build or "int8")
    following = f"lect web {args.web}"
    value = {"folder": args.web, "form": "web", "bytes": report.bytes, "first_load": report.first_load}
    text = (
        f"{args.web}: {size(report.bytes)}, of which a browser loads {size(report.first_load)} before the first text."
    )
    text += f"\nNext: {following}, or copy the folder to any file host with https."
    print_result(args, value | {"next": following}, text)
    return 0


@contextmanager
def _pack(args: argparse.Namespace) -> Iterator[Path | None]:
    if args.run_id is None:
        if args.pack is not None and not args.pack.is_file():
            raise UsageError(f"There is no pack {args.pack}: name a .lect file.")
        yield args.pack
        return
    from lect.exports.pack_assembly import check_packable, pack_contents, pack_run

    project = open_project(args)
    found = find_run(project, args.run_id)
    check_packable(found)
    remark(args, f"Packing run {found.id}.")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "pack.lect"
        pack_run(project, found, path, pack_contents(project, found))
        yield path
