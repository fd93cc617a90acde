"""The work of `lect transcribe`: one recording after another, or several at once in processes of their own.

It does not know what is shown of it.
"""

import argparse
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import LectError, UsageError, os_sentence

from .runtimes import open_runtimes, pack_names, speech_options

if TYPE_CHECKING:
    from lect.exports.transcript import Transcript

Places = Mapping[str, Path]  # format -> file


@dataclass(frozen=True)
class Job:
    """One recording and where its texts go: by pack with --all-packs, else under ""."""

    path: Path
    places: Mapping[str, Places]


@dataclass(frozen=True)
class Done:
    """What came of one."""

    results: list[dict[str, Any]]  # as JSON: one, or one a pack; with "error" where it failed
    facts: dict[str, Any] = field(default_factory=dict)  # device, compute_type, unknown_hotwords


class Transcriber:
    """The packs of a call, opened."""

    def __init__(self, args: argparse.Namespace) -> None:
        from lect.exports.pack_selection import PackSelector

        runtimes = dict(zip(pack_names(args), open_runtimes(args), strict=True))
        first = next(iter(runtimes.values()))
        self.facts: dict[str, Any] = {"device": first.device, "compute_type": first.compute_type}
        if args.hotwords:
            words = _lines(args.hotwords)
            unknown = [runtime.set_hotwords(words, args.hotword_boost) for runtime in runtimes.values()]
            self.facts["unknown_hotwords"] = list(dict.fromkeys(word for each in unknown for word in each))
        several = len(runtimes) > 1 and not args.all_packs
        self._runtimes = runtimes if args.all_packs else {"": PackSelector(runtimes) if several else first}
        self._speech = speech_options(args)

    def __call__(self, job: Job) -> Done:
        """Transcribes and writes; an error that a person can cause is a result."""
        return Done([self._one(name, job.path, job.places[name]) for name in self._runtimes], self.facts)

    def _one(self, name: str, path: Path, places: Places) -> dict[str, Any]:
        from lect.engine.audio.reading import notes
        from lect.exports.formats.tables import document

        source = {"file": path, **({"pack": name} if name else {})}
        try:
            transcript = self._runtimes[name].transcribe(path, self._speech)
            _write(transcript, path, places)
            noted = {"notes": list(found)} if (found := notes(path)) else {}
        except (LectError, OSError) as error:
            sentence = os_sentence(error) if isinstance(error, OSError) else str(error)
            return {**source, "error": sentence if path.name in sentence else f"{path.name}: {sentence}"}
        return {**source, **document(transcript), **noted}


def work(args: argparse.Namespace, jobs: Sequence[Job]) -> Iterator[Done]:
    """What came of each, in order, as soon as it is known. Raises LectError as opening a pack does."""
    count = min(args.jobs or 1, len(jobs))
    if count < 2:
        yield from map(Transcriber(args), jobs)
        return
    args = argparse.Namespace(**{**vars(args), "threads": args.threads or max(1, (os.cpu_count() or 1) // count)})
    spawn = multiprocessing.get_context("spawn")  # ONNX Runtime's threads do not survive a fork
    pool = ProcessPoolExecutor(count, spawn, _begin, (args,))
    try:
        yield from pool.map(_work, jobs)
    except BrokenProcessPool as error:
        raise LectError("A worker was ended by the system, perhaps for want of memory: use fewer --jobs.") from error
    finally:
        # After an error or Ctrl-C nobody waits for what the others still transcribe.
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


_args: argparse.Namespace
_transcriber: Transcriber | None = None


def _begin(args: argparse.Namespace) -> None:
    global _args
    _args = args
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers


def _work(job: Job) -> Done:
    # Opened here and not in `_begin`, whose errors do not reach the parent.
    global _transcriber
    _transcriber = _transcriber or Transcriber(_args)
    return _transcriber(job)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is not UTF-8 text: write one word or phrase a line.") from error


def _write(transcript: "Transcript", path: Path, places: Places) -> None:
    from lect.engine.contract.files import write_bytes
    from lect.exports.formats import WRITERS

    for name, place in places.items():
        write_bytes(place, WRITERS[name](transcript, path).encode())
