"""How many decisions of experts a calibration needs, on planted ones: whose chances are known.

Run from the root of the repository with ``python -m benchmarks.calibration``. Documents have 20
suggestions each and a difficulty of their own. A suggestion's chance of being right is its confidence cubed
("too sure"), or follows agreement as well ("other parts know more"). **This tests the fit and no model.**
"""

import math
from collections.abc import Callable, Sequence
from random import Random
from statistics import fmean
from typing import Final

from preannotation_assets.evaluation.actions import ActionCosts, Fate
from preannotation_assets.evaluation.calibration import DecidedParts, fit_calibration
from preannotation_assets.evaluation.reliability import Judged, measure_reliability
from preannotation_assets.extraction.calibrated import CalibrationMethod, ConfidenceParts

__all__ = ["main"]

SIZES: Final = (300, 600, 1200, 2400)
DRAWS: Final = 20
A_DOCUMENT: Final = 20
NEW: Final = 5000


def main() -> None:
    """Prints a row for each world and number of decisions, over all draws."""
    print("| chances | decisions | stored | isotonic | held-out ECE | ECE, new documents | Brier | without |")
    print("|---|---|---|---|---|---|---|---|")
    for name, chance in (("too sure", _too_sure), ("other parts know more", _other_parts)):
        for size in SIZES:
            print(_row(name, chance, size), flush=True)


def _row(name: str, chance: Callable[[ConfidenceParts], float], size: int) -> str:
    costs, found = ActionCosts(), []
    isotonic = 0
    new = _decisions(chance, NEW, Random(10_000))
    for seed in range(DRAWS):
        fitted = fit_calibration(_decisions(chance, size, Random(seed)), costs, ("planted",))
        if fitted.calibration is None:
            continue
        isotonic += fitted.calibration.method is CalibrationMethod.ISOTONIC
        outcomes = [Judged(fitted.calibration.probability(each.parts), each.is_right) for each in new]
        measured = measure_reliability(outcomes)
        fit = fitted.calibration.fit
        found.append(
            (
                fit.expected_calibration_error,
                measured.expected_calibration_error or 0.0,
                measured.brier or 0.0,
                fit.brier_before,
            )
        )
    means = [f"{fmean(column):.3f}" for column in zip(*found, strict=True)] or ["-"] * 4
    return f"| {name} | {size:,} | {len(found)} of {DRAWS} | {isotonic} | {' | '.join(means)} |"


def _decisions(
    chance: Callable[[ConfidenceParts], float], count: int, random: Random
) -> Sequence[DecidedParts]:
    decided = []
    for number in range(count):
        if number % A_DOCUMENT == 0:
            difficulty = random.gauss(0, 0.3)
        parts = _parts(random)
        fate = Fate.KEPT if random.random() < _shifted(chance(parts), difficulty) else Fate.DELETED
        decided.append(DecidedParts(f"d/{number // A_DOCUMENT}", parts, fate))
    return decided


def _parts(random: Random) -> ConfidenceParts:
    probability, similarity = 1 - random.random() ** 2 * 0.8, random.choice([1.0, 1.0, 1.0, 0.9])
    return ConfidenceParts(
        random.choice(["port", "vessel_name", "owner"]),
        probability * similarity,
        probability,
        probability**2,
        similarity,
        random.choice([1.0, 1.0, 0.5, 0.0]),
        None,
    )


def _too_sure(parts: ConfidenceParts) -> float:
    return parts.confidence**3


def _other_parts(parts: ConfidenceParts) -> float:
    return parts.confidence * (0.2 + 0.75 * (parts.agreement or 0.0))


def _shifted(chance: float, odds: float) -> float:
    kept = min(0.999, max(0.001, chance))
    return 1 / (1 + (1 - kept) / kept * math.exp(-odds))


if __name__ == "__main__":
    main()
