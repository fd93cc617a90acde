"""What commands print: results on stdout, as text or as one JSON object; progress and remarks on stderr.

It does not know any command.
"""

import argparse
import contextlib
import json
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from lect.engine.text.columns import column_width
from lect.engine.text.writable import escaped

SLOW_S = 2.0  # what takes longer shows how far it is, even in a log
WIDEST = 120  # columns of a progress bar
LOG_EVERY_S = 10.0  # a log is not a terminal: a line now and then is enough


def print_result(args: argparse.Namespace, value: dict[str, Any], text: str) -> None:
    """A command's result: the object with --json, else the text."""
    if args.json:
        print_json(value)
    elif text:
        print(shown(text))


def shown(text: str) -> str:
    """Text with what a terminal would obey, or no stream can hold, written out: names and labels come from anywhere."""
    return escaped(text, kept="\n\t")


def print_json(value: dict[str, Any]) -> None:
    """One object on one line of stdout; what JSON has no number for (infinity, NaN) becomes null."""
    print(escaped(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=str)))


def remark(args: argparse.Namespace, text: str) -> None:
    """A line on stderr that --json and --quiet suppress."""
    if not (args.json or args.quiet):
        note(text)


def note(text: str) -> None:
    """A line on stderr."""
    # A reader of stderr who has left must not end the work.
    with contextlib.suppress(BrokenPipeError):
        print(shown(text), file=sys.stderr, flush=True)


def progress(args: argparse.Namespace, total: int | None, what: str, unit: str = "it", initial: int = 0) -> Any:
    """A tqdm bar on stderr with the time left: at once on a terminal, after two seconds in a log."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=initial,
        desc=what,
        unit=unit,
        file=sys.stderr,
        disable=args.json or args.quiet,
        delay=0 if terminal else SLOW_S,
        mininterval=0.1 if terminal else LOG_EVERY_S,
        ncols=min(shutil.get_terminal_size().columns, WIDEST),  # 80 where the terminal's width is not known
        leave=False,
    )


def print_beside(bar: Any, text: str, *, error: bool = False) -> None:
    """A line on stdout, or on stderr, that does not run into a bar, where there is one."""
    stream = sys.stderr if error else sys.stdout
    write = print if bar is None else bar.write
    write(shown(text), file=stream)
    stream.flush()


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """Columns aligned by what a screen shows; those in `right` to the right."""
    cells = [[str(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(map(column_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [" " * (widths[i] - column_width(cell)) for i, cell in enumerate(row)]
        parts = [
            pad + cell if i in right else cell + pad for i, (cell, pad) in enumerate(zip(row, padded, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def percent(rate: float) -> str:
    """A fraction as people read it."""
    return f"{100 * rate:.1f} %" if math.isfinite(rate) else "?"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Bytes as people read them, in powers of ten as file managers do."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def counted(number: int, what: str) -> str:
    """`3 clips`, `1 clip`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def lines(texts: Sequence[str], limit: int, more: str = "more") -> Iterator[str]:
    """The first texts, and how many there are beyond."""
    yield from texts[:limit]
    if len(texts) > limit:
        yield f"… and {len(texts) - limit} {more}"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
