"""Many channels to one: their mean, but of those that hold sound, and not where they cancel each other out.

Knows no files. A channel is silent when it is far below the loudest; channels cancel out when their mean has much less
power than that of sounds that have nothing in common, as where one wire of a pair was swapped.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sources import Block

SILENT = 1e-4  # of the loudest channel's power: 40 dB below it
CANCELLED = 0.4  # of the power of a mean of unrelated channels
CERTAIN, CERTAIN_S = 0.8, 10.0  # when so much of it is there after these seconds, the rest need not be looked at
AUDIBLE = 1e-7  # power, full scale being 1


@dataclass(frozen=True)
class Mix:
    """Which channels count."""

    channels: tuple[int, ...] = ()  # their mean is taken; () is all
    note: str = ""  # for people, where it is not the mean of all

    def __call__(self, block: Block) -> NDArray[np.float32]:
        """(frames, channels) -> (frames,)."""
        mixed: NDArray[np.float32] = (block[:, self.channels] if self.channels else block).mean(
            axis=1, dtype=np.float32
        )
        return mixed


def mix_of(blocks: Iterator[Block], rate: int) -> Mix:
    """The mix for a recording, from as many of its blocks as it takes to be certain."""
    frames, sums, products = 0, np.zeros(1), np.zeros((1, 1))
    for block in blocks:
        samples = np.nan_to_num(block.astype(np.float64), posinf=0.0, neginf=0.0)
        frames, sums, products = frames + len(samples), sums + samples.sum(axis=0), products + samples.T @ samples
        if frames > CERTAIN_S * rate and _is_plain(_covariance(frames, sums, products)):
            return Mix()
    return _chosen(_covariance(frames, sums, products)) if frames else Mix()


def _covariance(frames: int, sums: NDArray[np.float64], products: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = sums / frames
    covariance: NDArray[np.float64] = products / frames - np.outer(mean, mean)
    return covariance


def _is_plain(covariance: NDArray[np.float64]) -> bool:
    powers = covariance.diagonal()
    return bool(powers.min() > max(AUDIBLE, SILENT * powers.max())) and _kept(covariance) > CERTAIN


def _kept(covariance: NDArray[np.float64]) -> float:
    """The power of the mean of channels, as a share of what unrelated ones of their powers would have."""
    return float(covariance.sum() / max(covariance.trace(), np.finfo(float).tiny))


def _chosen(covariance: NDArray[np.float64]) -> Mix:
    powers = covariance.diagonal()
    if powers.max() <= 0:
        return Mix()
    heard = np.flatnonzero(powers > SILENT * powers.max())
    if _kept(covariance[np.ix_(heard, heard)]) < CANCELLED:
        loudest = int(powers.argmax())
        return Mix((loudest,), f"Its channels cancel each other out: only channel {loudest + 1} was read.")
    if len(heard) == len(powers):
        return Mix()
    named = " and ".join(str(channel + 1) for channel in heard)
    some = f"channel {named}" if len(heard) == 1 else f"channels {named}"
    return Mix(tuple(map(int, heard)), f"Of its {len(powers)} channels only {some} had sound: the rest was left out.")
