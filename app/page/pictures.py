"""Pictures of sound and of training, as SVG that takes the page's colours."""

import base64
import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lect.engine.audio.reading import Samples

from .markup import text

BARS = 240
SPECTRUM_ROWS, WINDOW = 96, 512  # WINDOW: samples
FLOOR_DB = 70.0  # below the loudest, black
WIDTH, HEIGHT, MARGIN, RIGHT, TOP, BOTTOM = 640, 200, 60, 8, 16, 174  # of a chart
HIGHEST_RATE = 1.5  # what a chart of error rates shows; a base that invents much lies beyond


def waveform(samples: Samples, name: str) -> str:
    """The peaks of (samples,), mirrored; full scale is the frame's height."""
    edges = np.linspace(0, len(samples), BARS + 1).astype(int)
    peaks = [float(np.abs(samples[a:b]).max()) if b > a else 0.0 for a, b in pairwise(edges)]
    bars = "".join(
        f"M{i + 0.5} {50 - max(0.5, 48 * peak):.1f}V{50 + max(0.5, 48 * peak):.1f}" for i, peak in enumerate(peaks)
    )
    return (
        f'<svg class="wave" viewBox="0 0 {BARS} 100" preserveAspectRatio="none" role="img" aria-label="{text(name)}">'
        f'<path d="M0 2H{BARS}M0 98H{BARS}" class="limit"/><path d="{bars}" class="bars"/></svg>'
    )


def spectrogram(samples: Samples, name: str) -> str:
    """Level by time and frequency (0 to 8 kHz, upwards), as an image."""
    from PIL import Image

    hop = max(64, len(samples) // 600)
    padded = np.pad(samples, (0, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop] * np.hanning(WINDOW).astype(np.float32)
    level = 20 * np.log10(np.abs(np.fft.rfft(frames)) + 1e-6)  # (frames, 257)
    rows = np.array_split(level[:, 1:], SPECTRUM_ROWS, axis=1)
    grid = np.stack([row.max(axis=1) for row in rows])[::-1]
    shade = np.clip(1 - (grid.max() - grid) / FLOOR_DB, 0, 1)
    file = io.BytesIO()
    # The level is the picture's opacity, so that it takes the ink of light and dark pages.
    alpha = (255 * shade**1.6).astype(np.uint8)
    ink = np.full((*alpha.shape, 3), (20, 130, 125), np.uint8)
    Image.fromarray(np.dstack([ink, alpha]), "RGBA").save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img class="spectrum" alt="{text(name)}" src="data:image/png;base64,{data}">'


def chart(
    points: Sequence[tuple[float, float]], steps: int, name: str, *, base: float | None = None, percent: bool = False
) -> str:
    """A curve over training steps; base: a dashed level to compare with; percent: rates, a dot each."""
    axes = _Axes(points, steps, base, percent)
    level = f'<path class="base" d="M{axes.at(0, base)} L{axes.at(steps, base)}"/>' if base is not None else ""
    line = "M" + " L".join(axes.at(x, y) for x, y in _thinned(points)) if points else ""
    dots = "".join(axes.dot(x, y) for x, y in points if percent)
    described = f"{name}: {axes.written(points[-1][1])}" if points else name
    return (
        f'<figure class="chart"><figcaption>{text(name)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(described)}">'
        f'{axes.drawn()}{level}<path class="line" d="{line}"/>{dots}</svg></figure>'
    )


class _Axes:
    """Where a chart's values lie, and its lines and figures."""

    def __init__(self, points: Sequence[tuple[float, float]], steps: int, base: float | None, percent: bool):
        highest = max([y for _, y in points] + ([base] if base is not None else []), default=1.0)
        self.top = _round_up(min(highest, HIGHEST_RATE) if percent else highest)
        self.steps, self.percent = max(steps, 1), percent

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = MARGIN + (WIDTH - MARGIN - RIGHT) * x / self.steps
        return round(across, 1), round(BOTTOM - (BOTTOM - TOP) * min(y, self.top) / self.top, 1)

    def at(self, x: float, y: float) -> str:
        return "{} {}".format(*self.place(x, y))

    def dot(self, x: float, y: float) -> str:
        return '<circle cx="{}" cy="{}" r="3"/>'.format(*self.place(x, y))

    def written(self, value: float) -> str:
        return f"{100 * value:.0f} %" if self.percent else f"{value:.3g}"

    def drawn(self) -> str:
        parts = [f'<text x="{MARGIN}" y="{HEIGHT - 6}">0</text>']
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{self.steps}</text>')
        for level in (0.0, self.top / 2, self.top):
            _, y = self.place(0, level)
            parts.append(f'<path class="grid" d="M{self.at(0, level)} L{self.at(self.steps, level)}"/>')
            parts.append(f'<text x="{MARGIN - 5}" y="{y + 3.5}" text-anchor="end">{self.written(level)}</text>')
        return "".join(parts)


def _thinned(points: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """At most about `most` points: the means of stretches."""
    if len(points) <= most:
        return list(points)
    parts = np.array_split(np.array(points), most)
    return [(float(x), float(y)) for x, y in (part.mean(axis=0) for part in parts)]


def _round_up(value: float) -> float:
    value = max(value, 1e-9)
    magnitude = 10 ** np.floor(np.log10(value))
    return float(magnitude * next(step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * magnitude >= value * 0.999))
