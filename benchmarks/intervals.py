"""How often the interval of an evaluation holds the truth, on planted documents: whose share is known.

Run from the root of the repository with ``python -m benchmarks.intervals``. Documents have 10 to 60
suggestions, and a share of their own that is right, drawn from Beta(8, 2).
"""

from typing import Final

import numpy as np

from preannotation_assets.evaluation.bootstrap import Interval, Ratios, ratio_intervals

__all__ = ["main"]

SIZES: Final = (5, 10, 20, 50)
DRAWS: Final = 600
SAMPLES: Final = 1000
ALPHA, BETA = 8, 2


def main() -> None:
    """Prints a row for each number of documents, over all draws."""
    print("| documents | holds the truth |")
    print("|---|---|")
    for documents in SIZES:
        random = np.random.default_rng(1)
        held = sum(_holds(_interval(documents, random)) for _ in range(DRAWS))
        print(f"| {documents} | {held / DRAWS:.0%} |", flush=True)


def _interval(documents: int, random: np.random.Generator) -> Interval | None:
    suggestions = random.integers(10, 61, size=(documents, 1))
    right = random.binomial(suggestions, random.beta(ALPHA, BETA, size=(documents, 1)))
    return ratio_intervals(Ratios(right.astype(float), suggestions.astype(float)), SAMPLES, seed=1)[0]


def _holds(interval: Interval | None) -> bool:
    return interval is not None and interval.low <= ALPHA / (ALPHA + BETA) <= interval.high


if __name__ == "__main__":
    main()
