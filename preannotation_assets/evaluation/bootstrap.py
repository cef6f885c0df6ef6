"""How far a figure could be another with other documents of the same kind: the bootstrap.

Pages of one document resemble each other, so whole documents are drawn (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993: the percentile interval).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "ratio_intervals"]

_LEAST_DOCUMENTS: Final = 2
_DRAWN_AT_ONCE: Final = 50
_PERCENTILES: Final = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Interval:
    """In 95 of 100 samples of documents the figure is from ``low`` to ``high``."""

    low: float
    high: float


def ratio_intervals(
    parts: npt.NDArray[np.float64],
    wholes: npt.NDArray[np.float64],
    samples: int,
    seed: int,
) -> list[Interval | None]:
    """An interval for each ratio of sums over documents.

    Args:
        parts: what is summed above the line: a row a document, a column a ratio.
        wholes: what is summed below it, in the same form.
        samples: how many times documents are drawn, with replacement, as many as there are.
        seed: the same one draws the same documents.

    Returns:
        None for a ratio whose whole is 0, and for all of them where there are fewer than two documents.
        Samples in which the whole is 0 are left out.
    """
    documents, ratios = parts.shape
    if documents < _LEAST_DOCUMENTS or not samples:
        return [None] * ratios
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = []
    for first in range(0, samples, _DRAWN_AT_ONCE):
        count = min(_DRAWN_AT_ONCE, samples - first)
        times = random.multinomial(documents, np.full(documents, 1 / documents), size=count).astype(float)
        whole = times @ wholes
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn.append(np.where(whole > 0, times @ parts / whole, np.nan))
    return _percentiles(np.concatenate(drawn))


def _percentiles(drawn: npt.NDArray[np.float64]) -> list[Interval | None]:
    found: list[Interval | None] = []
    for column in drawn.T:
        known = column[~np.isnan(column)]
        if not known.size:
            found.append(None)
            continue
        low, high = np.quantile(known, _PERCENTILES)
        found.append(Interval(float(low), float(high)))
    return found
