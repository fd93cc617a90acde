"""Looks for words in recordings with a pack: ranked places, also where the error rate allows no transcript.

What names a file or a folder is searched, all else is looked for; quote a phrase. A score of 1 means that nothing was
more probable there. What a pack heard is kept in the user's folder for Lect (LECT_HOME), so that a second search in the
same recordings takes no longer than a blink.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lect.engine.contract.errors import LectError, UsageError, os_sentence

from ..options import fraction, positive
from ..output import counted, print_beside, print_result, progress, table
from ..recordings import Recording, formats, outputs, recordings
from ..runtimes import add_packs, add_runtime, add_speech, open_runtime, phones_source, speech_options

if TYPE_CHECKING:
    from lect.exports.finding import Hit
    from lect.exports.posterior_index import Entry, Heard, PosteriorIndex
    from lect.exports.runtime import Runtime

FORMATS = "csv, tsv, eaf, TextGrid, audacity and the other formats of lect transcribe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Words, recordings, pack, and how many finds."""
    parser.add_argument(
        "what", nargs="*", metavar="WORD|FILE", help="words to look for; recordings, or folders of them"
    )
    parser.add_argument(
        "--example", type=Path, action="append", default=[], metavar="FILE", help="look for what is spoken in this file"
    )
    parser.add_argument("--top", type=positive, default=20, metavar="N", help="places to show (20)")
    parser.add_argument("--threshold", type=fraction, default=0.3, metavar="SCORE", help="the lowest score (0.3)")
    parser.add_argument("--inside", action="store_true", help="inside of longer words as well")
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="also write the finds in each recording")
    parser.add_argument("--format", type=formats, metavar="NAMES", help=f"of those files: {FORMATS} (csv)")
    add_packs(parser)
    add_runtime(parser)
    add_speech(parser)


def run(args: argparse.Namespace) -> int:
    """Searches, and prints the best places."""
    from lect.exports.finding import find, spelled
    from lect.exports.opening import spelling
    from lect.exports.posterior_index import PosteriorIndex, model_key

    words, found = _sorted(args)
    source = _source(args)
    vocabulary, rules = spelling(source)
    index = PosteriorIndex(f"{model_key(source)} {args.compute_type} {speech_options(args)}")
    queries = {word: spelled(word, rules, vocabulary) for word in words}
    hear = _hearing(args, source)
    entries, failed = _entries(args, index, found, hear)
    for path in args.example:
        queries[path.stem] = _spoken(index.entry(path, hear), path)
    index.save()
    hits = find(
        {each.path: entry for each, entry in entries.items()}, queries, vocabulary, args.threshold, not args.inside
    )
    _write(args, list(entries), hits)
    shown = hits[: args.top]
    rows = [[f"{hit.score:.2f}", f"{hit.start:.1f}", f"{hit.end:.1f}", hit.word, hit.recording] for hit in shown]
    text = table(["score", "from", "to", "word", "recording"], rows, right=(0, 1, 2))
    text += f"\n{counted(len(hits), 'place')} in {counted(len(entries), 'recording')}"
    text += f", the best {len(shown)} of which are shown." if len(hits) > len(shown) else "."
    value = {"hits": [vars(hit) for hit in hits[: args.top]], "places": len(hits), "recordings": len(entries)}
    print_result(args, value, text if hits else f"Nothing in {counted(len(entries), 'recording')}: lower --threshold.")
    return int(failed)


def _sorted(args: argparse.Namespace) -> tuple[list[str], list[Recording]]:
    """The words, and the recordings. Raises UsageError where one of them is missing."""
    from lect.engine.data.layouts import SOUND_SUFFIXES

    paths = [Path(text) for text in args.what if Path(text).exists()]
    words = [text for text in args.what if not Path(text).exists()]
    if lost := [word for word in words if Path(word).suffix.lower() in SOUND_SUFFIXES]:
        raise UsageError(f"{lost[0]} is not there: check the path.")
    if not words and not args.example:
        raise UsageError("Say what to look for: lect find WORD RECORDING.")
    if not paths:
        raise UsageError("Say where to look: name recordings, or folders of them.")
    return list(dict.fromkeys(words)), recordings(paths)


def _source(args: argparse.Namespace) -> Path:
    if args.phones:
        return phones_source(args)
    if not args.pack:
        raise UsageError("Words are found with a pack (--pack), or by their sounds (--phones).")
    if not args.pack[0].exists():
        raise UsageError(
            f"There is no pack {args.pack[0]}: check the path of --pack, or the name in the project's packs."
        )
    return Path(args.pack[0])


def _hearing(args: argparse.Namespace, source: Path) -> "Callable[[Path], Heard]":
    """What hears a recording; the network is loaded for the first one that was never heard."""
    opened = list["Runtime"]()
    if args.phones:  # whose source was found already, and its warning said
        args = argparse.Namespace(**vars(args) | {"pack": [source], "phones": False})

    def hear(path: Path) -> "Heard":
        if not opened:
            opened.append(open_runtime(args))
        return opened[0].heard(path, speech_options(args))

    return hear


def _entries(
    args: argparse.Namespace, index: "PosteriorIndex", found: list[Recording], hear: "Callable[[Path], Heard]"
) -> "tuple[dict[Recording, Entry], bool]":
    """What was heard in each recording, and whether one could not be read, which is said and left out."""
    entries, failed = dict[Recording, "Entry"](), False
    with progress(args, len(found), "listening", "file") as bar:
        for each in found:
            try:
                entries[each] = index.entry(each.path, hear)
            except UsageError:
                raise  # of the pack, and so of every recording
            except (LectError, OSError) as error:
                failed = True
                sentence = os_sentence(error) if isinstance(error, OSError) else str(error)
                print_beside(bar, f"lect: {sentence}", error=True)
            bar.update()
    return entries, failed


def _spoken(entry: "Entry", path: Path) -> tuple[int, ...]:
    """The tokens of an example. Raises UsageError where nothing was heard in it."""
    from lect.engine.decoding.spotting import heard_tokens

    tokens = heard_tokens(entry.pieces)
    if not tokens:
        raise UsageError(f"Nothing was heard in {path.name}: record the word again, alone and close.")
    return tokens


def _write(args: argparse.Namespace, found: list[Recording], hits: "list[Hit]") -> None:
    from lect.engine.contract.files import write_bytes
    from lect.exports.finding import as_transcript
    from lect.exports.formats import WRITERS

    if args.format and args.output_dir is None:
        raise UsageError("--format goes with --output-dir.")
    for each, places in outputs(found, args.output_dir, args.format or ["csv"]).items():
        own = [hit for hit in hits if hit.recording == each.path]
        for name, place in places[""].items():
            write_bytes(place, WRITERS[name](as_transcript(own), each.path).encode())
