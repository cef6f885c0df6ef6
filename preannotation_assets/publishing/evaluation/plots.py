"""Where the points of an evaluation's plots stand, in pixels; the template draws them as SVG. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.evaluation.empty_pages import ALLOWANCES, SavedAt
from preannotation_assets.evaluation.reliability import ReliabilityBin, RiskPoint

__all__ = ["SIDE", "BinBar", "reliability_bars", "risk_line", "savings_line"]

SIDE: Final = 240
"""Of a square from 0 to 1 in both directions."""

_GAP: Final = 1.0


@dataclass(frozen=True, slots=True)
class BinBar:
    """A bin of confidences: a bar as high as its accuracy, and a line at its mean confidence."""

    x: float
    y: float
    width: float
    height: float
    line: float
    words: str


def reliability_bars(bins: Sequence[ReliabilityBin]) -> list[BinBar]:
    """A bar for each bin that has a suggestion; on the diagonal, confidences keep their word."""
    bars = []
    for each in bins:
        if each.accuracy is None or each.mean_confidence is None:
            continue
        height = SIDE * each.accuracy
        bars.append(
            BinBar(
                x=round(SIDE * each.low + _GAP, 2),
                y=round(SIDE - height, 2),
                width=round(SIDE * (each.high - each.low) - 2 * _GAP, 2),
                height=round(height, 2),
                line=round(SIDE * (1 - each.mean_confidence), 2),
                words=f"confidence {each.low:.1f} to {each.high:.1f}: {each.count} suggestions, "
                f"{each.accuracy:.0%} right, mean confidence {each.mean_confidence:.2f}",
            )
        )
    return bars


def risk_line(points: Sequence[RiskPoint]) -> str:
    """Risk (upwards) against coverage as an SVG path; empty of nothing."""
    places = [f"{SIDE * point.coverage:.1f} {SIDE * (1 - point.risk):.1f}" for point in points]
    return f"M{'L'.join(places)}" if places else ""


def savings_line(points: Sequence[SavedAt]) -> str:
    """Pages saved (upwards) against spans lost, up to what may be lost at most, as an SVG path."""
    widest = max(ALLOWANCES)
    places = [
        f"{SIDE * min(1.0, point.spans_lost / widest):.1f} {SIDE * (1 - point.pages_saved):.1f}"
        for point in points
    ]
    return f"M{'L'.join(places)}" if places else ""
