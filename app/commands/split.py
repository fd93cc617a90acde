"""Divides the clips into train, dev and test: by speaker where there are enough, never with a text on two sides.

A few short texts that are said again and again, such as commands or digits, are on all sides.
"""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..options import add_project, open_project
from ..output import counted, duration, lines, print_result, table

if TYPE_CHECKING:
    from lect.engine.data.splits import SplitReport

SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Seed, and whether to start over."""
    parser.add_argument("--seed", type=int, default=0, help="another seed, another split (0)")
    parser.add_argument("--reassign", action="store_true", help="split anew also what has a split")
    parser.add_argument("--apart", action="store_true", help="also commands: each text on one side")
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Assigns and saves the splits."""
    report = open_project(args).assign_splits(args.seed, args.reassign, args.apart)
    value = asdict(report) | {"dropped": [{"clip": clip, "why": why} for clip, why in report.dropped]}
    print_result(args, value, describe(report))
    return 0


def describe(report: "SplitReport") -> str:
    """A split report for people."""
    rows = [(name, part.clips, duration(part.seconds), part.speakers) for name, part in report.counts.items()]
    text = [table(("split", "clips", "length", "speakers"), rows, right=(1, 2, 3)), report.rule]
    if report.dropped:
        text += [f"{counted(len(report.dropped), 'clip')} in no split:"]
        text += lines([f"  clip {clip}: {why}" for clip, why in report.dropped], SHOWN)
    return "\n".join(filter(None, [*text, *(f"Mind: {leak}" for leak in report.leaks)]))
