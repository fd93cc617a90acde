"""Recordings to text with a pack, or without one by a Whisper; offline, without PyTorch.

Recordings may be of any length. A folder stands for all sound and video below it. A bad recording is named on stderr
and the others go on. One file prints its text, several print `file<tab>text`. With more than one --pack each stretch of
speech is written by the pack that is surest of it, or with --all-packs by every one. A Whisper finds out which of its
languages a recording is in.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lect.engine.contract.errors import UsageError

from ..options import positive
from ..output import counted, duration, lines, percent, print_beside, print_json, progress, remark
from ..recordings import formats, others, outputs, recordings
from ..runtimes import add_packs, add_runtime, add_speech, pack_names
from ..transcribing import Done, Job, Transcriber, work

ENGINES = ("local", "ray")
SHOWN_NAMES = 4  # of files that are no recordings
FORMATS = "txt, srt, vtt, tsv, json, eaf, TextGrid, flextext, saymore, audacity, ctm, trn, csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, pack, and how; names as Whisper's."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings, or folders of them")
    add_packs(parser)
    parser.add_argument("--all-packs", action="store_true", help="a text by every --pack, in files named after it")
    add_runtime(parser)
    parser.add_argument("--jobs", type=positive, metavar="N", help="recordings at once (1; with Ray its cores)")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="ray: over a Ray cluster that is running")
    parser.add_argument("--hotwords", type=Path, metavar="FILE", help="words or phrases to prefer, one a line")
    parser.add_argument("--hotword-boost", type=float, default=1.0, metavar="X", help="how much, a token (1.0)")
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
    if left := others(args.files):
        names = ", ".join(lines([path.name for path in left], SHOWN_NAMES))
        remark(args, f"Left alone, {counted(len(left), 'file')} of no kind that is read here: {names}")
    if not found:
        raise UsageError("There is no recording in these folders: name files, or other folders.")
    places = outputs(found, args.output_dir, args.format or ["txt"], pack_names(args) if args.all_packs else [""])
    jobs = [Job(each.path, places[each]) for each in found]
    done = [job for job in jobs if args.skip_existing and _is_done(job)]
    todo = [job for job in jobs if job not in done]
    results, facts = list[dict[str, Any]](), {} if todo else Transcriber(args).facts
    with progress(args, len(todo), "transcribing", "file") as bar:
        for one in _workers(args)(args, todo):
            facts = facts or _shown_facts(args, one.facts)
            for result in one.results:
                results.append(result)
                _show(args, result, bar, alone=len(found) == 1)
            bar.update()
    if args.json:
        print_json({**_source(args), **facts, "files": results, "skipped_existing": [job.path for job in done]})
    if len(found) > 1:
        remark(args, summary(results, len(done)))
    return any("error" in result for result in results)


def _source(args: argparse.Namespace) -> dict[str, Any]:
    """What wrote the texts."""
    packs = args.pack or [None]
    backbone = {} if args.pack or args.phones else {"backbone": pack_names(args)[0]}
    return {"pack": packs[0], **backbone} if len(packs) == 1 else {"packs": packs}


def _workers(args: argparse.Namespace) -> Callable[[argparse.Namespace, Sequence[Job]], Iterator[Done]]:
    if args.engine == "local":
        return work
    from .. import cluster

    return cluster.work


def _is_done(job: Job) -> bool:
    return all(path.exists() for places in job.places.values() for path in places.values())


def _shown_facts(args: argparse.Namespace, facts: dict[str, Any]) -> dict[str, Any]:
    if unknown := facts.get("unknown_hotwords"):
        remark(args, f"Letters that the pack does not know, so not preferred: {', '.join(unknown)}.")
    return facts


def _show(args: argparse.Namespace, result: dict[str, Any], bar: Any, alone: bool) -> None:
    """One result, as soon as it is there."""
    file = result["file"]
    if "error" in result:
        print_beside(bar, f"lect: {result['error']}", error=True)
        return
    for line in stretches(result) if args.verbose else ():
        print_beside(bar, line, error=True)
    if result.get("language_probability") and not (args.json or args.quiet):
        spoken = f"{result['language']}, found with {percent(result['language_probability'])}"
        print_beside(bar, f"{file.name}: language {spoken} (--language CODE names another).", error=True)
    for each in () if args.json or args.quiet else result.get("notes", ()):
        print_beside(bar, f"{file.name}: {each}", error=True)
    if not result["text"] and not (args.json or args.quiet):
        print_beside(bar, f"{file.name}: no speech found.", error=True)
    if not args.json:
        named = ([] if alone else [str(file)]) + ([result["pack"]] if "pack" in result else [])
        print_beside(bar, "\t".join([*named, result["text"]]))


def stretches(result: dict[str, Any]) -> list[str]:
    """A line for each segment, and for each stretch in which nothing was written down."""
    lines = [(one["start"], one["end"], _segment(one)) for one in result["segments"]]
    lines += [(one["start"], one["end"], f"({one['reason']})") for one in result["skipped"]]
    return [f"[{start:9.2f} {end:9.2f}] {text}" for start, end, text in sorted(lines)]


def _segment(one: dict[str, Any]) -> str:
    pack = f"{one['pack']}  " if "pack" in one else ""
    doubt = f"({one['doubt']})  " if "doubt" in one else ""
    return f"{percent(one['confidence'])}  {pack}{doubt}{one['text']}"


def summary(results: list[dict[str, Any]], skipped: int) -> str:
    """How many recordings came to what."""
    failed = sum("error" in result for result in results)
    silent = sum(result.get("text") == "" for result in results)
    seconds = sum(result.get("seconds", 0.0) for result in results)
    counts = {"transcribed": len(results) - failed - silent, "without speech": silent}
    counts |= {"skipped, their files are there": skipped, "failed": failed}
    outcomes = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{counted(len(results) + skipped, 'recording')}, {duration(seconds)} of sound: {outcomes}."
