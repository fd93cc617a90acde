"""Rows of experiments as a Markdown table, as CSV, as JSON, and as a plot. It does not know where they come from."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from ..scoring.bootstrap import Interval
from ..scoring.scores import Scores
from ..scoring.slot_scores import RATES as SLOT_RATES
from .experiments import Row

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666", "#000000")  # Okabe and Ito
HEADINGS = (
    "set", "minutes", "system", "trainable parameters", "of them vocabulary", "seeds", "dev CER", "test CER",
    "test WER", "against the first system", "training",
)  # fmt: skip
SLOTS = "slot type F1, edit F1, value CER"
WIDTH, HEIGHT, MARGIN, LEGEND_LINE = 360, 260, 48, 18  # of a panel, in pixels


def markdown(rows: Sequence[Row], title: str, conditions: str) -> str:
    """A title, what was measured under which conditions, and a row a system."""
    slots = any(row.test.slots for row in rows)
    headings = [*HEADINGS, *([SLOTS] if slots else [])]
    lines = [f"# {title}", "", conditions, "", f"| {' | '.join(headings)} |", "| --- " * len(headings) + "|"]
    lines += [f"| {' | '.join([*_cells(row), *([_slots(row)] if slots else [])])} |" for row in rows]
    return "\n".join([*lines, "", *_notes(rows), ""])


def _cells(row: Row) -> list[str]:
    spread = f" (seeds {min(row.test_cers):.1%} to {max(row.test_cers):.1%})" if len(row.seeds) > 1 else ""
    return [
        row.data,
        f"{row.minutes:.1f}",
        row.system.replace("|", "\\|"),
        f"{row.trained:,}",
        f"{row.vocabulary:,}",
        str(len(row.seeds)),
        f"{row.dev.cer:.1%}",
        _rate(row.test.cer, row.test.cer_interval) + spread,
        _rate(row.test.wer, row.test.wer_interval),
        _difference(row),
        f"{row.seconds / 60:.1f} min",
    ]


def _rate(rate: float, interval: Interval | None) -> str:
    return f"{rate:.1%}" + (f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else "")


def _difference(row: Row) -> str:
    if row.against is None:
        return "–"
    at = row.against.cer_interval
    interval = f" [{100 * at[0]:+.1f}, {100 * at[1]:+.1f}]" if at else ""
    return f"CER {100 * row.against.cer_difference:+.1f}{interval}: {row.against.outcome}"


def _slots(row: Row) -> str:
    found = row.test.slots
    return f"{found.type_f1:.1%}, {found.edit_f1_full:.1%}, {found.value_cer:.1%}" if found else "–"


def _notes(rows: Sequence[Row]) -> list[str]:
    """What the bare backbone wrote, and what each set was scored on."""
    notes = dict[str, str]()
    for row in rows:
        notes.setdefault(row.data, f"- {row.data}: the bare backbone's {row.base.describe()}.")
    return list(notes.values())


def figures(row: Row) -> dict[str, Any]:
    """A row for machines: rates are fractions."""
    names = ("data", "system", "asked_minutes", "minutes", "clips", "trained", "vocabulary", "seconds")
    value: dict[str, Any] = {name: getattr(row, name) for name in names}
    value |= {"seeds": list(row.seeds), "cells": list(row.cells), "test_cers": list(row.test_cers)}
    for name in ("base", "dev", "test"):
        value[name] = _flat(getattr(row, name))
    return value | {"against": asdict(row.against) if row.against else None}


def _flat(scores: Scores) -> dict[str, Any]:
    return {key: value for key, value in scores.to_json(rows=False).items() if key not in ("rows", "baseline")}


def table_csv(rows: Sequence[Row]) -> str:
    """One line a row, with a header; seeds and cells apart by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("data", "system", "minutes", "clips", "trained", "vocabulary")
    heads = ["base_cer", "dev_cer", *_spread("test_cer"), *_spread("test_wer")]
    writer.writerow([*names, "seeds", "cells", *heads, *(f"test_slot_{rate}" for rate in SLOT_RATES)])
    for row in rows:
        given = [getattr(row, name) for name in names]
        lists = [" ".join(map(str, row.seeds)), " ".join(row.cells)]
        rates: list[Any] = [row.base.cer, row.dev.cer, row.test.cer, *(row.test.cer_interval or ("", ""))]
        rates += [row.test.wer, *(row.test.wer_interval or ("", ""))]
        slots = [getattr(row.test.slots, rate) if row.test.slots else "" for rate in SLOT_RATES]
        writer.writerow([*given, *lists, *rates, *slots])
    return text.getvalue()


def _spread(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def plot(rows: Sequence[Row]) -> str:
    """An SVG: a panel a set, test CER with its interval over minutes of speech, or over the trainable parameters."""
    sets = list(dict.fromkeys(row.data for row in rows))
    by_minutes = len({row.asked_minutes for row in rows}) > 1
    systems = list(dict.fromkeys(_line(row, by_minutes) for row in rows))
    colors = {system: COLORS[number % len(COLORS)] for number, system in enumerate(systems)}
    parts = [_panel([r for r in rows if r.data == name], at, by_minutes, colors) for at, name in enumerate(sets)]
    legend = [
        f'<circle cx="{MARGIN}" cy="{HEIGHT + LEGEND_LINE * number}" r="4" fill="{colors[system]}"/>'
        f'<text x="{MARGIN + 10}" y="{HEIGHT + LEGEND_LINE * number + 4}">{escape(system)}</text>'
        for number, system in enumerate(systems)
    ]
    width, height = WIDTH * max(1, len(sets)), HEIGHT + LEGEND_LINE * len(systems)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    style = 'font-family="sans-serif" font-size="11" fill="#222"><rect width="100%" height="100%" fill="#fff"/>'
    return f"{head} {style}{''.join([*parts, *legend])}</svg>\n"


def _line(row: Row, by_minutes: bool) -> str:
    """What is drawn in one colour: a system; or, where sizes are compared, its method."""
    return row.system if by_minutes else row.system.partition(" ")[0]


def _panel(rows: Sequence[Row], place: int, by_minutes: bool, colors: dict[str, str]) -> str:
    def across(row: Row) -> float:
        return math.log10(max(row.minutes if by_minutes else row.trained, 1e-3))

    highs = [row.test.cer_interval[1] if row.test.cer_interval else row.test.cer for row in rows]
    x = _scale([across(row) for row in rows], place * WIDTH + MARGIN, (place + 1) * WIDTH - 16)
    y = _scale([0.0, max(highs) or 1.0], HEIGHT - MARGIN, 24)
    what = "minutes of speech" if by_minutes else "trainable parameters"
    parts = [_text(place * WIDTH + WIDTH / 2, 14, f"{rows[0].data}: test CER over {what}", "middle")]
    parts += [_grid(place, y, share * max(highs)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    shown = {(row.minutes if by_minutes else row.trained): x(across(row)) for row in rows}
    parts += [_text(at, HEIGHT - MARGIN + 16, f"{value:,.4g}" if by_minutes else _short(value), "middle")
              for value, at in _apart(shown)]  # fmt: skip
    for line, color in colors.items():
        points = sorted((row for row in rows if _line(row, by_minutes) == line), key=across)
        track = " ".join(f"{x(across(row)):.1f},{y(row.test.cer):.1f}" for row in points)
        parts.append(f'<polyline points="{track}" fill="none" stroke="{color}"/>' if len(points) > 1 else "")
        parts += [_point(row, x(across(row)), y, color) for row in points]
    return "".join(parts)


def _point(row: Row, at: float, y: Callable[[float], float], color: str) -> str:
    title = f"<title>{escape(row.system)}, {row.minutes:.1f} min: {row.test.cer:.1%}</title>"
    mark = f'<circle cx="{at:.1f}" cy="{y(row.test.cer):.1f}" r="4" fill="{color}">{title}</circle>'
    if row.test.cer_interval is None:
        return mark
    low, high = (y(rate) for rate in row.test.cer_interval)
    return mark + f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{color}"/>'


def _grid(place: int, y: Callable[[float], float], rate: float) -> str:
    left, right = place * WIDTH + MARGIN, (place + 1) * WIDTH - 16
    line = f'<line x1="{left}" x2="{right}" y1="{y(rate):.1f}" y2="{y(rate):.1f}" stroke="#ddd"/>'
    return line + _text(left - 4, y(rate) + 4, f"{rate:.0%}", "end")


def _apart(shown: dict[float, float]) -> list[tuple[float, float]]:
    """Labels that do not run into each other."""
    kept = list[tuple[float, float]]()
    for value, at in sorted(shown.items()):
        if not kept or at - kept[-1][1] > MARGIN:
            kept.append((value, at))
    return kept


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = min(values), max(values)
    if high == low:
        return lambda value: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _short(number: float) -> str:
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number / 1e3:.0f} k"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
