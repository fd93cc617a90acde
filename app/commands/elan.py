"""Makes a pack a recogniser of ELAN's: `lect elan install FOLDER --pack PACK`, FOLDER being ELAN's own for extensions.

In ELAN, the tab Recognizers then lists it for a document whose sound is WAV; its result becomes tiers. The folder that
is written names this Lect and this pack by their paths: install it again when either has moved.
"""

import argparse
import shlex
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from lect.engine.contract.errors import LectError, UsageError, os_sentence
from lect.engine.contract.subprocesses import module_command

from ..output import print_result
from ..runtimes import add_packs, add_runtime, open_runtime, pack_names

SOURCE, RESULT = "source", "result"  # the parameters of the description


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which pack."""
    what = "write the recogniser's folder; recognise is what ELAN runs (parameters on stdin, a tier into a file)"
    parser.add_argument("what", choices=("install", "recognise"), help=what)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="install: ELAN's folder for extensions")
    add_packs(parser)
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    """Installs, or recognises."""
    return _install(args) if args.what == "install" else _recognise(args)


def _install(args: argparse.Namespace) -> int:
    from lect.engine.contract.files import write_bytes

    if args.folder is None or not args.folder.is_dir():
        raise UsageError("Which folder? Name the one, which must be there, that ELAN reads extensions from.")
    open_runtime(args)  # what cannot be used must not wait in ELAN to be found out
    name = f"lect-{pack_names(args)[0]}"
    folder = args.folder / name
    command = module_command("lect", "elan", "recognise", *_given(args))
    unix = f"#!/bin/sh\nexec {shlex.join(command)}\n"
    windows = "@echo off\r\n" + " ".join(f'"{part}"' for part in command) + "\r\n"
    write_bytes(folder / "recognise.bat", windows.encode())
    write_bytes(folder / "recognise.sh", unix.encode())
    (folder / "recognise.sh").chmod(0o755)
    write_bytes(folder / f"{name}.cmdi", _description(name).encode())
    print_result(args, {"folder": folder}, f"{folder} is written: start ELAN again to see it under Recognizers.")
    return 0


def _given(args: argparse.Namespace) -> list[str]:
    """The options that say how to recognise, as they were given but for paths, which ELAN would not find."""
    given = ["--phones"] if args.phones else ["--pack", str(args.pack[0].resolve())]
    backbone = args.backbone and (str(Path(args.backbone).resolve()) if Path(args.backbone).exists() else args.backbone)
    values = {"backbone": backbone, "language": args.language, "task": args.task, "device": args.device}
    values |= {"compute-type": args.compute_type, "threads": args.threads, "beam-size": args.beam_size}
    return given + [part for name, value in values.items() if value for part in (f"--{name}", str(value))]


def _description(name: str) -> str:
    """The recogniser in the terms of AVATecH's interface, which is ELAN's."""
    root = ET.Element("CMD", {"CMDVersion": "1.1", "xmlns": "http://www.clarin.eu/cmd/"})
    ET.SubElement(root, "Header")
    resources = ET.SubElement(root, "Resources")
    for each in ("ResourceProxyList", "JournalFileProxyList", "ResourceRelationList"):
        ET.SubElement(resources, each)
    recogniser = ET.SubElement(ET.SubElement(root, "Components"), "RECOGNIZER")
    runs = {"runLinux": "./recognise.sh", "runMac": "./recognise.sh", "runWin": "recognise.bat"}
    facts = {"recognizerType": "local", **runs, "info": f"Lect: {name.removeprefix('lect-')}"}
    ET.SubElement(recogniser, "recognizer", facts).text = name
    basic = {"level": "basic", "optional": "false"}
    sound = {**basic, "type": "audio", "mimetypes": "audio/x-wav audio/*", "info": "The recording"}
    ET.SubElement(recogniser, "input", sound).text = SOURCE
    tier = {**basic, "type": "tier", "mimetypes": "text/xml", "info": "The transcript"}
    ET.SubElement(recogniser, "output", tier).text = RESULT
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _recognise(args: argparse.Namespace) -> int:
    try:
        given = _parameters(sys.stdin.read())
        source, result = (_path(given[name]) for name in (SOURCE, RESULT))
        print("PROGRESS: 0.0 Loading the pack", flush=True)
        _transcribe(args, source, result)
    except (LectError, OSError) as error:
        # ELAN shows what is printed here; it does not look at stderr.
        print(f"{os_sentence(error) if isinstance(error, OSError) else error}\nRESULT: FAILED.", flush=True)
        return 1
    print("RESULT: DONE.", flush=True)
    return 0


def _transcribe(args: argparse.Namespace, source: Path, result: Path) -> None:
    from lect.engine.audio.reading import probe
    from lect.engine.contract.files import write_bytes
    from lect.exports.transcript import Segment

    runtime, seconds = open_runtime(args), probe(source).seconds
    tier = ET.Element("TIER", columns="Lect")
    for found in runtime.listen(source):
        if isinstance(found, Segment):
            span = ET.SubElement(tier, "span", start=f"{found.start:.3f}", end=f"{found.end:.3f}")
            ET.SubElement(span, "v").text = found.text
        print(f"PROGRESS: {min(found.end / max(seconds, 1e-3), 1):.2f} {found.end:.0f} s", flush=True)
    ET.indent(tier)
    write_bytes(result, ('<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(tier, encoding="unicode")).encode())


def _parameters(text: str) -> dict[str, str]:
    """Names and values of ELAN's `<PARAM><param name="...">...</param></PARAM>`."""
    try:
        found = {each.get("name", ""): (each.text or "").strip() for each in ET.fromstring(text.strip()).iter("param")}
    except ET.ParseError as error:
        raise UsageError("Standard input holds no parameters of ELAN's: this command is run by ELAN.") from error
    if missing := {SOURCE, RESULT} - {name for name, value in found.items() if value}:
        raise UsageError(f"ELAN did not say the parameter {min(missing)!r}: choose it in the recogniser's panel.")
    return found


def _path(text: str) -> Path:
    return Path(url2pathname(unquote(urlsplit(text).path))) if text.startswith("file:") else Path(text)
