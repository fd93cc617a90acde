"""Runs a table of experiments: many trainings on the same sets, compared with intervals; Markdown, CSV, JSON and SVG.

One line starts it; the same line goes on with it after Ctrl-C or worse, and trains nothing twice. TABLE is one of those
below, or any name when --system says what is compared. A system is a method with options of `lect train`:

  lect lab mine --data ~/set --system prompt --system "adapter --rank 8" --minutes 5 10 --seeds 0 1

All are on the starter, and none is fused with a language model, unless its options say otherwise.
"""

import argparse
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import LectError, UsageError
from lect.engine.contract.run_request import STARTER

from ..lab_tables import TABLES, Table
from ..options import minutes
from ..output import counted, note, print_result, progress, remark, table

if TYPE_CHECKING:
    from lect.engine.contract.run_request import RunRequest
    from lect.engine.data.layouts import Item
    from lect.engine.data.store import Project
    from lect.engine.lab.experiments import Cell, Data, Row

INTERRUPTED = 130
# Adaptations are compared by their own texts, as in the paper; the tables' sizes and placements are for the starter.
ALONE = f"--backbone {STARTER} --language-model-weight 0"
TRAIN_ONLY = ("--project", "--resume", "--detach", "--minutes", "--seed")  # the lab sets these


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The table, its data, and what of it differs."""
    names = "; ".join(f"{name}: {each.about}" for name, each in TABLES.items())
    parser.add_argument("table", metavar="TABLE", help=names)
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="[NAME=]DIR",
        help="labelled sets as `lect import` reads them; for the mls tables also one folder that holds mls_german, …",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for projects, runs and tables (lab/TABLE)")
    what = parser.add_argument_group("what is compared (the table's own, unless given)")
    what.add_argument("--system", action="append", metavar="OPTIONS", help="a method and its options; may be repeated")
    what.add_argument(
        "--equal", action="store_true", help="sizes with as many trainable parameters as the first system's"
    )
    what.add_argument("--minutes", nargs="+", type=minutes, metavar="M", help="learn from so much of each set")
    what.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N", help="each system once for each (0)")
    what.add_argument(
        "--resplit", action="store_true", help="split the sets anew for each seed, whose tests count together"
    )
    what.add_argument("--options", metavar="OPTIONS", help="of `lect train`, for every system")
    what.add_argument("--layout", help="of the sets, as for `lect import`")
    parser.add_argument("--dry-run", action="store_true", help="only list the trainings, and which are done")


def run(args: argparse.Namespace) -> int:
    """Trains what is not trained yet; the table is written after each training."""
    chosen, folder = _chosen(args), args.out or Path("lab") / args.table
    cells = _cells(args, chosen, [_data(args, chosen, folder, *each) for each in _sources(args.data, chosen)])
    if args.dry_run:
        return _list(args, cells)
    failed, interrupted = dict[str, str](), False
    for number, cell in enumerate(cells, start=1):
        try:
            interrupted = _train(args, cell, f"{number} of {len(cells)}")
        except LectError as error:
            failed[cell.name] = f"{_named(cell)}: {error}"
            note(f"lect: {failed[cell.name]}")
        found = _write(args.table, chosen, folder, cells)
        if interrupted:
            break
    value = {"table": args.table, "folder": folder, "cells": len(cells), "failed": failed, "rows": found}
    print_result(args, value, (folder / "table.md").read_text(encoding="utf-8") + f"\nAll of it: {folder}")
    return INTERRUPTED if interrupted else int(bool(failed))


def _chosen(args: argparse.Namespace) -> Table:
    """The named table with what the arguments change. Raises UsageError when there is nothing to compare."""
    if args.table not in TABLES and not args.system:
        raise UsageError(f"There is no table {args.table!r}: choose {', '.join(TABLES)}, or say what with --system.")
    found = TABLES.get(args.table, Table("", ()))
    return replace(
        found,
        systems=tuple(args.system or found.systems),
        minutes=tuple(args.minutes or found.minutes),
        options=args.options or found.options,
        layout=args.layout or found.layout,
        equal=args.equal or found.equal,
    )


def _sources(named: list[str], chosen: Table) -> list[tuple[str, Path]]:
    """Name and folder of each set. Raises UsageError when two have one name or one is not there."""
    found = list[tuple[str, Path]]()
    for text in named:
        name, equals, path = text.rpartition("=")
        folder = Path(path if equals else text)
        below = sorted(folder.glob(chosen.folders)) if chosen.folders and not equals else []
        found += [(each.name, each) for each in below] or [(name or folder.resolve().name, folder)]
    for name, folder in found:
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder}: check the path of --data.")
        if sum(name == other for other, _ in found) > 1 or "/" in name:
            raise UsageError(f"Give each set a name of its own, without a slash, as in {name}-2={folder}.")
    return found


def _data(args: argparse.Namespace, chosen: Table, folder: Path, name: str, source: Path) -> "list[Data]":
    """A set in a project of its own, imported unless it is there, as each seed has it split."""
    from lect.engine.contract.files import read_json, write_json
    from lect.engine.data.store import DATABASE, Project
    from lect.engine.lab.experiments import Data

    place = folder / "data" / name
    marker = place / "imported.json"
    project = Project.open(place) if (place / DATABASE).exists() else Project.create(place, name, "und")
    made = {"source": str(source.resolve()), "layout": chosen.layout, "only": [*chosen.only], "train": chosen.train}
    if marker.exists() and read_json(marker) != made:
        raise UsageError(f"{place} holds another set: give this one another name, or name another --out.")
    if not marker.exists():
        _import(args, project, chosen, source)
    data = [Data.of(name, project, seed if args.resplit else None) for seed in args.seeds]
    write_json(marker, made)
    return data


def _import(args: argparse.Namespace, project: "Project", chosen: Table, source: Path) -> None:
    """What the table takes of a set; again, where it was cut off."""
    from lect.engine.data.importers import Progress, import_into

    for folder in dict.fromkeys((source / chosen.train, source)):

        def wanted(item: "Item", whole: bool = folder == source) -> bool:
            part_of = not chosen.only or not {*chosen.only}.isdisjoint(item.path.parts)
            return part_of and not (whole and chosen.train and item.split == "train")

        with progress(args, None, f"importing {project.name}", "clip") as bar:

            def show(at: Progress, bar: Any = bar) -> None:
                bar.total = at.total
                bar.update(at.done - bar.n)

            report = import_into(project, folder, chosen.layout, select=wanted, progress=show)
        if report.skipped:
            left = counted(len(report.skipped), "recording")
            remark(args, f"{project.name}: {left} not taken; the first: {report.skipped[0][1]}")
    if len(languages := {clip.language for clip in project.clips()}) == 1:
        project.set_language(languages.pop())


def _cells(args: argparse.Namespace, chosen: Table, sets: "list[list[Data]]") -> "list[Cell]":
    """Every training of the table, those of one row together."""
    from lect.engine.lab.experiments import Cell, sized_alike

    requests = [_request(chosen, system) for system in chosen.systems]
    if chosen.equal:
        requests = sized_alike(requests)
    return [
        Cell(data, system, replace(asked, minutes=length, settings=replace(asked.settings, seed=seed)))
        for splits in sets
        for length in chosen.minutes or (0.0,)
        for system, asked in zip(chosen.systems, requests, strict=True)
        for data, seed in zip(splits, args.seeds, strict=True)
    ]


def _request(chosen: Table, system: str) -> "RunRequest":
    """What `lect train` would do with these options. Raises UsageError, as it would."""
    from ..cli import parser_for, plain_options
    from ..train_options import request_of

    try:
        words = plain_options(shlex.split(f"{ALONE} {chosen.options} --method {system}"))  # the later option holds
    except ValueError as error:
        raise UsageError(f"{system!r} cannot be read ({error}): check its quotes.") from error
    if fixed := [word for word in words if word.partition("=")[0] in TRAIN_ONLY]:
        raise UsageError(f"{fixed[0]} is not for a system: give --minutes and --seeds to `lect lab` itself.")
    return request_of(parser_for("train").parse_args(words))


def _train(args: argparse.Namespace, cell: "Cell", place: str) -> bool:
    """Trains a cell that is not finished; whether a person ended it. Raises LectError when it failed."""
    from lect.engine.lab.experiments import finished

    from ..training_watch import watch

    if finished(cell.find()):
        return False
    remark(args, f"Training {place}: {_named(cell)}.")
    return watch(args, cell.data.project, cell.run().id)


def _named(cell: "Cell") -> str:
    length = f", {cell.request.minutes:g} min" if cell.request.minutes else ""
    return f"{cell.data.name}{length}, {cell.system}, seed {cell.request.settings.seed}"


def _list(args: argparse.Namespace, cells: "list[Cell]") -> int:
    """The trainings that there are to do."""
    from lect.engine.lab.experiments import SIZES, finished

    rows, values = [], []
    for cell in cells:
        spec, done = cell.request.settings.spec, finished(cell.find())
        size = getattr(spec, SIZES[spec.method]) if spec.method in SIZES else None
        rows.append((cell.name, cell.data.name, _named(cell), size or "–", spec.placement, "done" if done else "to do"))
        values.append({"cell": cell.name, "data": cell.data.name, "system": cell.system, "size": size, "done": done})
    text = table(("cell", "set", "training", "size", "placement", ""), rows, right=(3,))
    print_result(args, {"cells": values}, text)
    return 0


def _write(name: str, chosen: Table, folder: Path, cells: "list[Cell]") -> list[dict[str, Any]]:
    """Writes the table in every form; its rows for machines."""
    from lect.engine.contract.files import write_bytes
    from lect.engine.lab.experiments import rows
    from lect.engine.lab.report import figures, markdown, plot, table_csv

    found = rows(cells)
    values = [figures(row) for row in found]
    texts = {
        "table.md": markdown(found, chosen.about or name, _conditions(chosen, cells, found)),
        "table.csv": table_csv(found),
        "table.json": json.dumps(values, ensure_ascii=False, indent=2) + "\n",
    }
    if found:
        texts["plot.svg"] = plot(found)
    for file, text in texts.items():
        write_bytes(folder / file, text.encode())
    return values


def _conditions(chosen: Table, cells: "list[Cell]", found: "list[Row]") -> str:
    request, resplit = cells[0].request, cells[0].data.resplit is not None
    done = sum(len(row.cells) for row in found)
    return (
        f"{done} of {counted(len(cells), 'training')} done, on the backbone {request.backbone}"
        f"{f', each with {chosen.options}' if chosen.options else ''}. Rates are of the best step by dev CER; brackets "
        "are 95% bootstrap intervals over "
        + ("the tests of all trainings, each on a split of its own." if resplit else "utterances, not over trainings.")
    )
