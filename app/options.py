"""Options that several commands share, and what they name: a project, a run."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_request import DEVICES

if TYPE_CHECKING:
    from lect.engine.data.clips import Run
    from lect.engine.data.store import Project

LATEST = "latest"


def add_output(parser: argparse._ActionsContainer) -> None:
    """--json and --quiet, which every command takes."""
    # Suppressed, for a sub-command's default would undo what was given before its name.
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object on stdout, nothing else"
    )
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress on stderr")


def add_project(parser: argparse.ArgumentParser) -> None:
    """--project, the current folder by default."""
    parser.add_argument("--project", type=Path, default=Path(), metavar="DIR", help="the project (the current folder)")


def add_device(parser: argparse._ActionsContainer) -> None:
    """--device for what runs on PyTorch."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where to compute")


def add_run(parser: argparse.ArgumentParser) -> None:
    """RUN, the number of a run or `latest`."""
    parser.add_argument("run_id", metavar="RUN", help=f"a run's number, or {LATEST}")


def open_project(args: argparse.Namespace) -> "Project":
    """The project of --project. Raises StoreError when there is none."""
    from lect.engine.data.store import Project

    return Project.open(args.project)


def find_run(project: "Project", name: str) -> "Run":
    """A run by number or `latest`. Raises StoreError or UsageError when there is none."""
    if name != LATEST:
        return project.run(name)
    runs = project.runs()
    if not runs:
        raise UsageError("This project has no run yet: start one with `lect train`.")
    return runs[-1]


def positive(text: str) -> int:
    """An argument that counts something."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return number


def whole(text: str) -> int:
    """An argument that is any whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from error


def fraction(text: str) -> float:
    """An argument between 0 and 1."""
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} does not lie between 0 and 1")
    return number


def rate(text: str) -> float:
    """A learning rate: 0 or more, and finite."""
    number = _number(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: write for example 0.003 or 3e-3")
    return number


def minutes(text: str) -> float:
    """A length in minutes: more than 0, and finite."""
    number = _number(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no length: write for example 10 or 2.5")
    return number


def json_object(text: str) -> dict[str, Any]:
    """An argument that is a JSON object."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'{text!r} is no JSON object: write for example {{"dim": 256}}')
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
