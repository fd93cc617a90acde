"""Recordings to text with a pack, offline; without PyTorch.

A bad recording is named on stderr and the others go on. One file prints its text, several print `file<tab>text`.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.options import positive
from app.output import print_beside, print_json, progress
from engine.errors import LectError, UsageError, os_sentence

if TYPE_CHECKING:
    from exports.runtime import Runtime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, pack, and how; names as Whisper's."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings of any kind")
    parser.add_argument(
        "--pack", type=Path, required=True, metavar="PACK", help="a .lect file, a bundle or a portable folder"
    )
    parser.add_argument("--backbone", metavar="NAME", help="its backbone's name or folder (found by itself)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    parser.add_argument(
        "--compute-type", choices=("float32", "int8"), default="float32", help="int8 is smaller and quicker"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads")
    parser.add_argument("--beam-size", type=positive, metavar="N", help="1 is quickest")
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="also write a file for each recording")
    parser.add_argument("--output-format", choices=("txt", "json"), default="txt", help="of those files")


def run(args: argparse.Namespace) -> int:
    """Transcribes file by file."""
    outputs = output_paths(args)
    runtime = open_runtime(args)
    results, failed = [], 0
    with progress(args, len(args.files), "transcribing", "file") as bar:
        for file in args.files:
            result = transcribe(args, runtime, file, bar)
            failed |= "error" in result
            if file in outputs and "error" not in result:
                write(outputs[file], result)
            results.append(result)
            bar.update()
    if args.json:
        facts = {"pack": args.pack, "device": runtime.device, "compute_type": runtime.compute_type}
        print_json({**facts, "files": results})
    return failed


def open_runtime(args: argparse.Namespace) -> "Runtime":
    """The pack with its graphs loaded."""
    from engine.decode import DecodeOptions
    from exports.runtime import Runtime

    if not args.pack.exists():
        raise UsageError(f"There is no pack {args.pack}: check the path of --pack.")
    options = DecodeOptions(beam_size=args.beam_size) if args.beam_size else DecodeOptions()
    return Runtime.open(
        args.pack,
        args.backbone,
        device=args.device,
        compute_type=args.compute_type,
        threads=args.threads,
        options=options,
    )


def transcribe(args: argparse.Namespace, runtime: "Runtime", file: Path, bar: Any) -> dict[str, Any]:
    """One file's result, shown as soon as it is there; an error is part of it."""
    try:
        transcript = runtime.transcribe(file)
    except (LectError, OSError) as error:
        sentence = os_sentence(error) if isinstance(error, OSError) else str(error)
        told = sentence if file.name in sentence else f"{file.name}: {sentence}"
        print_beside(bar, f"lect: {told}", error=True)
        return {"file": file, "error": told}
    if not transcript.text and not (args.json or args.quiet):
        print_beside(bar, f"{file.name}: no speech found.", error=True)
    if not args.json:
        print_beside(bar, transcript.text if len(args.files) == 1 else f"{file}\t{transcript.text}")
    words = [{"text": word.text, "confidence": round(word.confidence, 4)} for word in transcript.words]
    return {"file": file, **asdict(transcript), "words": words}


def output_paths(args: argparse.Namespace) -> dict[Path, Path]:
    """Where each file's text goes; empty without --output-dir. Raises UsageError when two would share a file."""
    if args.output_dir is None:
        return {}
    outputs = {file: args.output_dir / f"{file.stem}.{args.output_format}" for file in args.files}
    if len(set(outputs.values())) < len(args.files):
        raise UsageError("Two of these recordings would be written to one file: give each call names that differ.")
    args.output_dir.mkdir(parents=True, exist_ok=True)
    return outputs


def write(path: Path, result: dict[str, Any]) -> None:
    """Writes one transcript."""
    from engine.files import write_bytes

    text = result["text"] if path.suffix == ".txt" else json.dumps(result, ensure_ascii=False, indent=2, default=str)
    write_bytes(path, f"{text}\n".encode())
