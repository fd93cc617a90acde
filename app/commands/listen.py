"""Writes what is spoken into the microphone, while it is spoken; offline, without PyTorch.

On a terminal the last line grows, its dimmed end still open; each phrase that ended is a line of stdout. With --json
every event is a line: {"event": "partial", "settled": ..., "open": ...} and {"event": "final", "text": ...}. Ctrl-C
ends it. It keeps no sound.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from lect.engine.contract.errors import UsageError

from ..output import note, print_json
from ..runtimes import add_packs, add_runtime, open_runtime

if TYPE_CHECKING:
    from lect.engine.audio.reading import Samples
    from lect.exports.live import Event, Partial

CLEAR, DIM, PLAIN = "\r\x1b[2K", "\x1b[2m", "\x1b[0m"


class _ListMicrophones(argparse.Action):
    """--list-microphones needs no pack, as --help does not."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        from ..microphone import devices

        for number, name in devices():
            print(f"{number}  {name}")
        parser.exit()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pack, and where the sound comes from."""
    add_packs(parser)
    parser.add_argument("--microphone", metavar="NAME", help="its number or a part of its name (the system's)")
    parser.add_argument("--list-microphones", action=_ListMicrophones, nargs=0, help="which there are")
    parser.add_argument(
        "--input", type=Path, metavar="FILE", help="a recording instead, taken as fast as it was spoken"
    )
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    """Listens until Ctrl-C, or to the recording's end."""
    from lect.exports.live import live

    if args.input and args.microphone:
        raise UsageError("--input stands for the microphone: leave one of the two out.")
    runtime = open_runtime(args)
    shown = _Screen(args)
    if args.input:
        blocks = _paced(args.input)
    else:
        from ..microphone import blocks as microphone

        name = args.microphone
        blocks = microphone(int(name) if name and name.isdecimal() else name, shown.tell)
    with _until_ctrl_c() as ended:
        for event in live(runtime, takewhile(lambda _: not ended.is_set(), blocks)):
            shown.event(event)
    shown.clear()
    return 0


@contextlib.contextmanager
def _until_ctrl_c() -> Iterator[threading.Event]:
    """Ctrl-C ends what is inside, at once or, where Python drops its exception (in a finaliser), by the event."""
    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, end)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield ended
    finally:
        signal.signal(signal.SIGINT, before)


class _Screen:
    """Phrases on stdout; the one that is being spoken on stderr, where that is a terminal."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._json, self._quiet = args.json, args.quiet
        self._terminal = sys.stderr.isatty() and not (args.json or args.quiet)

    def event(self, event: "Event") -> None:
        """Shows one."""
        from lect.exports.live import Partial
        from lect.exports.transcript import Segment

        if self._json:
            self._line(_object(event))
        elif isinstance(event, Partial):
            self._grow(event)
        else:
            self.clear()
            if isinstance(event, Segment):
                print(event.text, flush=True)

    def tell(self, sentence: str) -> None:
        """A remark about the microphone."""
        self.clear()
        if self._json:
            self._line({"event": "remark", "text": sentence})
        elif not self._quiet:
            note(sentence)

    def clear(self) -> None:
        """Takes the growing line away."""
        if self._terminal:
            print(CLEAR, end="", file=sys.stderr, flush=True)

    def _line(self, value: dict[str, object]) -> None:
        print_json(value)
        sys.stdout.flush()

    def _grow(self, event: "Partial") -> None:
        if not self._terminal:
            return
        room = shutil.get_terminal_size().columns - 1
        settled, opened = event.settled, f" {event.open}" if event.settled else event.open
        # The end is what a reader follows; a line that wraps could not be cleared.
        opened = opened[-room:]
        settled = settled[max(0, len(settled) + len(opened) - room) :]
        print(f"{CLEAR}{settled}{DIM}{opened}{PLAIN}", end="", file=sys.stderr, flush=True)


def _object(event: "Event") -> dict[str, object]:
    from lect.exports.live import Partial
    from lect.exports.transcript import Segment

    times = {"start": round(event.start, 3), "end": round(event.end, 3)}
    if isinstance(event, Partial):
        return {"event": "partial", **times, "settled": event.settled, "open": event.open}
    if isinstance(event, Segment):
        return {"event": "final", **times, "text": event.text, "confidence": round(event.confidence, 4)}
    return {"event": "nothing", **times}


def _paced(path: Path) -> "Iterator[Samples]":
    """A recording's samples, none before its time."""
    from lect.engine.audio.reading import SAMPLE_RATE, stream
    from lect.exports.live import short

    started, given = time.monotonic(), 0
    for block in short(stream(path)):
        given += len(block)
        time.sleep(max(0.0, started + given / SAMPLE_RATE - time.monotonic()))
        yield block
