"""Where the bars of a plot stand; the template draws them as SVG. Pure. Lengths are in pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.publishing.distribution import Distribution

__all__ = ["Bar", "Histogram", "Tick", "histogram", "histogram_of_values"]

_WIDTH: Final = 264
_HEIGHT: Final = 64
_GAP: Final = 1
_LEAST_BAR: Final = 1.5
_TICK_ROOM: Final = 14
_VALUE_BINS: Final = 24
# What is above it goes into the last bar: one answer that took minutes must not squeeze all others.
_SHARE_SHOWN: Final = 0.98
# What is smaller is nothing: neither seconds nor tokens are.
_LEAST_POWER: Final = -9
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar, what it counts, and the range that it stands for in words and, from 0 to 1, in place."""

    x: float
    y: float
    width: float
    height: float
    count: int
    words: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A word below the bars; ``anchor`` is SVG's text-anchor."""

    x: float
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars above their ticks."""

    width: int
    height: int
    baseline: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


def histogram(counts: Sequence[int], edges: Sequence[str]) -> Histogram:
    """Bars as high as their counts; ``edges`` are the words for the borders, one more than counts."""
    step = _WIDTH / len(counts)
    most = max(counts) or 1
    bars = [
        Bar(
            x=round(index * step, 2),
            y=round(_HEIGHT - (height := _bar_height(count, most)), 2),
            width=round(step - _GAP, 2),
            height=round(height, 2),
            count=count,
            words=f"{edges[index]} to {edges[index + 1]}",
            low=index / len(counts),
            high=(index + 1) / len(counts),
        )
        for index, count in enumerate(counts)
    ]
    half = len(counts) // 2
    ticks = (
        Tick(0, edges[0], "start"),
        Tick(round(half * step, 2), edges[half], "middle"),
        Tick(_WIDTH, edges[-1], "end"),
    )
    return Histogram(_WIDTH, _HEIGHT + _TICK_ROOM, _HEIGHT, tuple(bars), ticks)


def _bar_height(count: int, most: int) -> float:
    """In proportion, and never nothing where something was counted."""
    return max(_LEAST_BAR, _HEIGHT * count / most) if count else 0.0


def histogram_of_values(values: Distribution, unit: str) -> Histogram | None:
    """A histogram from 0 to a round number; what is above it is in the last bar. None of nothing."""
    shown = values.percentile(_SHARE_SHOWN)
    if shown is None:
        return None
    end = _round_above(shown)
    counts = [0] * _VALUE_BINS
    for value, count in values.counts.items():
        counts[min(_VALUE_BINS - 1, max(0, int(value / end * _VALUE_BINS)))] += count
    edges = [f"{end * index / _VALUE_BINS:.4g}{unit}" for index in range(_VALUE_BINS + 1)]
    if max(values.counts) > end:
        edges[-1] += " and more"
    return histogram(counts, edges)


def _round_above(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** max(_LEAST_POWER, math.floor(math.log10(value)))
    return float(next((step * power for step in _STEPS if step * power >= value), 10 * power))
