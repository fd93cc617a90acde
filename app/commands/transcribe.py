"""Recordings to text with a pack, offline; without PyTorch.

Recordings may be of any length. A folder stands for all sound and video below it. A bad recording is named on stderr
and the others go on. One file prints its text, several print `file<tab>text`.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.output import counted, duration, percent, print_beside, print_json, progress, remark
from app.recordings import formats, outputs, recordings
from app.runtimes import add_packs, add_runtime, add_speech, open_runtime, speech_options
from engine.errors import LectError, UsageError, os_sentence

if TYPE_CHECKING:
    from exports.runtime import Runtime, SpeechOptions
    from exports.transcript import Transcript

FORMATS = "txt, srt, vtt, tsv, json, eaf, TextGrid, audacity, ctm, csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, pack, and how; names as Whisper's."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings, or folders of them")
    add_packs(parser)
    add_runtime(parser)
    written = parser.add_argument_group("files of text")
    written.add_argument("--output-dir", type=Path, metavar="DIR", help="also write files for each recording")
    written.add_argument(
        "--format", "--output-format", type=formats, metavar="NAMES", help=f"of those files: {FORMATS}, or all (txt)"
    )
    written.add_argument("--skip-existing", action="store_true", help="leave out recordings whose files are there")
    add_speech(parser)
    parser.add_argument("--verbose", action="store_true", help="also each segment and each skipped stretch, on stderr")


def run(args: argparse.Namespace) -> int:
    """Transcribes file by file."""
    if args.output_dir is None and (args.format or args.skip_existing):
        raise UsageError("--format and --skip-existing go with --output-dir.")
    found = recordings(args.files)
    if not found:
        raise UsageError("There is no recording in these folders: name files, or other folders.")
    places = outputs(found, args.output_dir, args.format or ["txt"])
    done = [each for each in found if args.skip_existing and all(path.exists() for path in places[each].values())]
    runtime, results = open_runtime(args), list[dict[str, Any]]()
    speech = speech_options(args)
    with progress(args, len(found) - len(done), "transcribing", "file") as bar:
        for each in found:
            if each not in done:
                results.append(transcribe(args, runtime, speech, each.path, places[each], bar, len(found) == 1))
                bar.update()
    if args.json:
        pack = args.pack[0] if args.pack else None
        facts = {"pack": pack, "device": runtime.device, "compute_type": runtime.compute_type}
        print_json({**facts, "files": results, "skipped_existing": [each.path for each in done]})
    if len(found) > 1:
        remark(args, summary(results, len(done)))
    return any("error" in result for result in results)


def transcribe(
    args: argparse.Namespace,
    runtime: "Runtime",
    speech: "SpeechOptions",
    file: Path,
    places: dict[str, Path],
    bar: Any,
    alone: bool,
) -> dict[str, Any]:
    """One file's result, shown and written as soon as it is there; an error is part of it."""
    from exports.formats.tables import document

    try:
        transcript = runtime.transcribe(file, speech)
        write(transcript, file, places)
    except (LectError, OSError) as error:
        sentence = os_sentence(error) if isinstance(error, OSError) else str(error)
        told = sentence if file.name in sentence else f"{file.name}: {sentence}"
        print_beside(bar, f"lect: {told}", error=True)
        return {"file": file, "error": told}
    if args.verbose:
        for line in stretches(transcript):
            print_beside(bar, line, error=True)
    if not transcript.text and not (args.json or args.quiet):
        print_beside(bar, f"{file.name}: no speech found.", error=True)
    if not args.json:
        print_beside(bar, transcript.text if alone else f"{file}\t{transcript.text}")
    return {"file": file, **document(transcript)}


def write(transcript: "Transcript", file: Path, places: dict[str, Path]) -> None:
    """Writes a transcript in each format."""
    from engine.files import write_bytes
    from exports.formats import WRITERS

    for name, path in places.items():
        write_bytes(path, WRITERS[name](transcript, file).encode())


def stretches(transcript: "Transcript") -> list[str]:
    """A line for each segment, and for each stretch in which nothing was written down."""
    lines = [(one.start, one.end, f"{percent(one.confidence)}  {one.text}") for one in transcript.segments]
    lines += [(one.start, one.end, f"({one.reason})") for one in transcript.skipped]
    return [f"[{start:9.2f} {end:9.2f}] {told}" for start, end, told in sorted(lines)]


def summary(results: list[dict[str, Any]], skipped: int) -> str:
    """How many recordings came to what."""
    failed = sum("error" in result for result in results)
    silent = sum(result.get("text") == "" for result in results)
    seconds = sum(result.get("seconds", 0.0) for result in results)
    counts = {"transcribed": len(results) - failed - silent, "without speech": silent}
    counts |= {"skipped, their files are there": skipped, "failed": failed}
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{counted(len(results) + skipped, 'recording')}, {duration(seconds)} heard: {told}."
