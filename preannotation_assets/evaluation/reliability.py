"""Whether confidences keep their word: reliability, and what is risked at which coverage."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import fsum
from typing import Final

from preannotation_assets.evaluation.actions import Decision

__all__ = ["Judged", "Reliability", "ReliabilityBin", "RiskPoint", "judged", "measure_reliability"]

BINS: Final = 10
MOST_POINTS: Final = 200
"""Of the curve of risk; where there are more confidences, the points are spread evenly over them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A confidence in [0, 1], and whether the suggestion was right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The suggestions whose confidence is from ``low`` to below ``high`` (the last bin has 1 too).

    ``mean_confidence`` and ``accuracy`` are None where there are none.
    """

    low: float
    high: float
    count: int
    mean_confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """The suggestions of at least ``confidence``: their share of all, and what share of them is wrong."""

    confidence: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How good confidences are; all figures but the counts are None where no confidence is known.

    ``expected_calibration_error`` is the mean distance of accuracy and mean confidence of the bins, weighted
    by their counts (Naeini et al., 2015). ``brier`` is the mean squared distance of confidence and outcome
    (Brier, 1950). ``area_under_risk`` is the mean risk over all coverages, suggestions of equal confidence
    being taken together (Geifman and El-Yaniv, 2017).
    """

    known: int
    unknown: int
    expected_calibration_error: float | None
    brier: float | None
    area_under_risk: float | None
    bins: tuple[ReliabilityBin, ...]
    risk: tuple[RiskPoint, ...]


def judged(decisions: Iterable[Decision]) -> list[Judged]:
    """What is known of the suggestions that have a confidence: right is what was kept as it stood."""
    return [
        Judged(decision.suggestion.confidence, decision.is_kept)
        for decision in decisions
        if decision.suggestion.confidence is not None
    ]


def measure_reliability(outcomes: Sequence[Judged], unknown: int = 0, bins: int = BINS) -> Reliability:
    """Measures confidences against outcomes; ``unknown`` counts suggestions without a confidence."""
    count = len(outcomes)
    binned = _bins(outcomes, bins)
    if not count:
        return Reliability(0, unknown, None, None, None, binned, ())
    risk = _risk(outcomes)
    return Reliability(
        known=count,
        unknown=unknown,
        expected_calibration_error=fsum(
            each.count / count * abs((each.accuracy or 0.0) - (each.mean_confidence or 0.0))
            for each in binned
        ),
        brier=fsum((each.confidence - each.right) ** 2 for each in outcomes) / count,
        area_under_risk=_area(risk),
        bins=binned,
        risk=_thinned(risk),
    )


def _bins(outcomes: Sequence[Judged], bins: int) -> tuple[ReliabilityBin, ...]:
    held: list[list[Judged]] = [[] for _ in range(bins)]
    for each in outcomes:
        held[min(bins - 1, max(0, int(each.confidence * bins)))].append(each)
    return tuple(
        ReliabilityBin(
            number / bins,
            (number + 1) / bins,
            len(within),
            _mean([each.confidence for each in within]),
            _mean([float(each.right) for each in within]),
        )
        for number, within in enumerate(held)
    )


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None


def _risk(outcomes: Sequence[Judged]) -> tuple[RiskPoint, ...]:
    """A point for each confidence that occurs, from the highest to the lowest."""
    ordered = sorted(outcomes, key=lambda each: -each.confidence)
    points, taken, wrong = [], 0, 0
    for confidence, group in groupby(ordered, lambda each: each.confidence):
        same = list(group)
        taken += len(same)
        wrong += sum(not each.right for each in same)
        points.append(RiskPoint(confidence, taken / len(outcomes), wrong / taken))
    return tuple(points)


def _thinned(points: Sequence[RiskPoint]) -> tuple[RiskPoint, ...]:
    """At most so many of the points, the last one always."""
    step = -(-len(points) // MOST_POINTS)
    return tuple(points[::-1][::step][::-1])


def _area(risk: Sequence[RiskPoint]) -> float:
    before, area = 0.0, 0.0
    for point in risk:
        area += (point.coverage - before) * point.risk
        before = point.coverage
    return area
