"""What to record or to label next: the sentences, or the stretches of untranscribed recordings, that would help most.

lect next                                  of the sentences that the page has for recording
lect next book.txt --add                   of a text, one a line; the chosen ones are put on the page's list
lect next ~/fieldwork --pack mylect.lect   of recordings: where the pack is least sure, from each of them in turn

Sentences are chosen for letters, and neighbours of letters, that were recorded least.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import UsageError

from ..options import add_project, open_project, positive
from ..output import counted, duration, print_result, table
from ..recordings import recordings
from ..runtimes import add_packs, add_runtime, add_speech, open_runtime, speech_options

if TYPE_CHECKING:
    from lect.engine.text.choosing import Choice
    from lect.exports.transcript import Segment

TEXTS = (".txt", ".tsv", ".csv")
SHOWN = 5  # of what a sentence brings
LEAST_SECONDS = 1.0  # of a stretch: a shorter one is soon a noise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What there is to choose from, and how many."""
    parser.add_argument(
        "source", nargs="*", type=Path, metavar="TEXT|RECORDING", help="a text with a sentence a line; or recordings"
    )
    parser.add_argument("--count", type=positive, default=20, metavar="N", help="how many to choose (20)")
    parser.add_argument("--add", action="store_true", help="put the sentences on the page's list")
    add_project(parser)
    add_packs(parser)
    add_runtime(parser)
    add_speech(parser)


def run(args: argparse.Namespace) -> int:
    """Chooses, and tells why."""
    texts = [path for path in args.source if path.suffix.lower() in TEXTS]
    if len(texts) < len(args.source):
        if texts or args.add:
            raise UsageError("Give texts or recordings, not both; --add goes with texts.")
        return _stretches(args)
    from ..page import sentences

    project = open_project(args)
    known = [one.text for one in sentences.read(project) if not one.skipped]
    read = [each for path in texts for each in sentences.parse(sentences.decode(path.read_bytes(), path.name))]
    candidates = read if texts else known
    if not candidates:
        raise UsageError(
            "There is no sentence to choose from: name a text file with one a line, or add some on the page."
        )
    chosen = sentences.helpful(project, candidates, args.count)
    added = sentences.add(project, [candidates[one.index] for one in chosen]) if args.add else 0
    value = {"sentences": [_value(one, candidates[one.index]) for one in chosen], "added": added}
    print_result(args, value, _described(chosen, candidates, added if args.add else None))
    return 0


def _described(chosen: Sequence["Choice"], candidates: Sequence[str], added: int | None) -> str:
    if not chosen:
        return "All of these sentences are recorded."
    rows = [(number, candidates[one.index], _why(one)) for number, one in enumerate(chosen, start=1)]
    text = table(("", "sentence", "brings"), rows, right=(0,))
    return text if added is None else f"{text}\n{counted(added, 'sentence')} added to the list."


def _why(one: "Choice") -> str:
    """Such as `ŋ, _k (never recorded)`; _ is the edge of a word."""
    if one.new:
        return f"{', '.join(one.new[:SHOWN])} (never recorded)"
    return ", ".join(f"{unit} ({times} so far)" for unit, times in one.brings[:SHOWN])


def _value(one: "Choice", sentence: str) -> dict[str, Any]:
    return {"sentence": sentence, "brings": [{"unit": unit, "recorded": times} for unit, times in one.brings[:SHOWN]]}


def _stretches(args: argparse.Namespace) -> int:
    """The least sure stretches of recordings, by turns, so that no single voice is all that is labelled."""
    runtime, speech = open_runtime(args), speech_options(args)
    found = {each.path: list(runtime.segments(each.path, speech)) for each in recordings(args.source)}
    queues = {
        path: sorted((one for one in segments if one.end - one.start >= LEAST_SECONDS), key=lambda one: one.confidence)
        for path, segments in found.items()
    }
    chosen = in_turn(queues, args.count)
    value = [
        {"recording": str(path), "start": one.start, "end": one.end, "text": one.text, "confidence": one.confidence}
        for path, one in chosen
    ]
    rows = [
        (path.name, f"{one.start:.1f} to {one.end:.1f} s", f"{100 * one.confidence:.0f} %", one.text)
        for path, one in chosen
    ]
    length = duration(sum(one.end - one.start for _, one in chosen))
    text = table(("recording", "where", "sure", "written"), rows, right=(2,)) if rows else "No speech was found."
    print_result(args, {"stretches": value}, f"{text}\n{length} in all.")
    return 0


def in_turn(queues: dict[Path, list["Segment"]], count: int) -> list[tuple[Path, "Segment"]]:
    """The first of each queue, then the second of each, and so on, up to so many."""
    rounds = range(max(map(len, queues.values()), default=0))
    dealt = [(path, queue[turn]) for turn in rounds for path, queue in queues.items() if turn < len(queue)]
    return dealt[:count]
