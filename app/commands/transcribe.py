"""Recordings to text with a pack, offline; without PyTorch.

Recordings may be of any length. A folder stands for all sound and video below it. A bad recording is named on stderr
and the others go on. One file prints its text, several print `file<tab>text`.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.options import fraction, positive
from app.output import counted, duration, percent, print_beside, print_json, progress, remark
from app.recordings import formats, outputs, recordings
from engine.errors import LectError, UsageError, os_sentence

if TYPE_CHECKING:
    from exports.runtime import Runtime, SpeechOptions
    from exports.transcript import Transcript

FORMATS = "txt, srt, vtt, tsv, json, eaf, TextGrid, audacity, ctm, csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, pack, and how; names as Whisper's."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings, or folders of them")
    written_by = parser.add_mutually_exclusive_group(required=True)
    written_by.add_argument("--pack", type=Path, metavar="PACK", help="a .lect file, a bundle or a portable folder")
    written_by.add_argument(
        "--phones", action="store_true", help="no pack: the sounds of any language, roughly, as IPA symbols"
    )
    parser.add_argument(
        "--backbone", metavar="NAME", help="its name or folder (the pack's, found by itself; for phones the starter)"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    parser.add_argument(
        "--compute-type", choices=("float32", "int8"), default="float32", help="int8 is smaller and quicker"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads")
    parser.add_argument("--beam-size", type=positive, metavar="N", help="1 is quickest")
    parser.add_argument("--language", metavar="CODE", help="for a Whisper in its own vocabulary: what it hears")
    parser.add_argument(
        "--task", choices=("transcribe", "translate"), default="transcribe", help="with --language: or into English"
    )
    written = parser.add_argument_group("files of text")
    written.add_argument("--output-dir", type=Path, metavar="DIR", help="also write files for each recording")
    written.add_argument(
        "--format", "--output-format", type=formats, metavar="NAMES", help=f"of those files: {FORMATS}, or all (txt)"
    )
    written.add_argument("--skip-existing", action="store_true", help="leave out recordings whose files are there")
    speech = parser.add_argument_group("where speech is")
    speech.add_argument("--vad", choices=("silero", "energy", "off"), default="silero", help="what tells it (silero)")
    speech.add_argument("--vad-threshold", type=fraction, metavar="P", help="how likely it must be speech (0.5)")
    speech.add_argument("--vad-min-silence-duration-ms", type=positive, metavar="MS", help="that ends a segment (500)")
    speech.add_argument("--vad-speech-pad-ms", type=positive, metavar="MS", help="kept around speech (400)")
    speech.add_argument("--vad-max-speech-duration-s", type=positive, metavar="S", help="of a segment (20, at most 30)")
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
        facts = {"pack": args.pack, "device": runtime.device, "compute_type": runtime.compute_type}
        print_json({**facts, "files": results, "skipped_existing": [each.path for each in done]})
    if len(found) > 1:
        remark(args, summary(results, len(done)))
    return any("error" in result for result in results)


def open_runtime(args: argparse.Namespace) -> "Runtime":
    """The pack with its graphs loaded."""
    from engine.decode import DecodeOptions
    from exports.runtime import Runtime

    if args.pack and not args.pack.exists():
        raise UsageError(f"There is no pack {args.pack}: check the path of --pack.")
    if args.task != "transcribe" and not args.language:
        raise UsageError("--task goes with --language.")
    options = DecodeOptions(beam_size=args.beam_size) if args.beam_size else DecodeOptions()
    runtime = Runtime.open(
        args.pack or phone_backbone(args),
        args.backbone,
        device=args.device,
        compute_type=args.compute_type,
        threads=args.threads,
        options=options,
    )
    if args.language:
        runtime.speak(args.language, args.task)
    return runtime


def phone_backbone(args: argparse.Namespace) -> str:
    """The backbone that writes phones by itself. Raises UsageError when it writes something else."""
    from engine.backbone import STARTER, open_backbone

    backbone = open_backbone(args.backbone or STARTER)
    if backbone.vocabulary.kind != "phone":
        raise UsageError(
            f"The backbone {backbone.name!r} does not write phones: leave --backbone out, or name another."
        )
    remark(args, "Rough phones, by a model that nobody taught this language: check every symbol.")
    return str(backbone.folder)


def speech_options(args: argparse.Namespace) -> "SpeechOptions":
    """How speech is looked for. Raises UsageError when a value makes no sense."""
    from exports.runtime import SpeechOptions
    from exports.segments import CutOptions

    given = {name: value for name, value in vars(args).items() if name.startswith("vad_") and value is not None}
    return SpeechOptions(args.vad, CutOptions(**given))


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
