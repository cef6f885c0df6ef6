"""How far a figure could be another with other documents of the same kind: the bootstrap.

Pages of one document resemble each other, so whole documents are drawn (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993: the percentile interval).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "Ratios", "difference_intervals", "quotients", "ratio_intervals"]

_LEAST_DOCUMENTS: Final = 2
_DRAWN_AT_ONCE: Final = 50
_PERCENTILES: Final = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Interval:
    """In 95 of 100 samples of documents the figure is from ``low`` to ``high``."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratios:
    """Ratios of sums over documents: ``parts`` above the line, ``wholes`` below; a row a document."""

    parts: npt.NDArray[np.float64]
    wholes: npt.NDArray[np.float64]

    @property
    def documents(self) -> int:
        """How many there are."""
        return int(self.parts.shape[0])

    @property
    def count(self) -> int:
        """How many ratios."""
        return int(self.parts.shape[1])

    def of(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The ratios with so much of each document, a row for each row of weights; nan of a whole of 0."""
        return quotients(weights @ self.parts, weights @ self.wholes)


def quotients(parts: npt.NDArray[np.float64], wholes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Parts by wholes; nan where a whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(wholes > 0, parts / wholes, np.nan)


def ratio_intervals(ratios: Ratios, samples: int, seed: int) -> list[Interval | None]:
    """An interval for each ratio.

    Args:
        ratios: what is summed over the documents.
        samples: how many times documents are drawn, with replacement, as many as there are.
        seed: the same one draws the same documents.

    Returns:
        None for a ratio whose whole is 0, and for all of them where there are fewer than two documents.
        Samples in which the whole is 0 are left out.
    """
    if ratios.documents < _LEAST_DOCUMENTS or not samples:
        return [None] * ratios.count
    return _percentiles(np.concatenate([ratios.of(drawn) for drawn in _draw(ratios, samples, seed)]))


def difference_intervals(first: Ratios, second: Ratios, samples: int, seed: int) -> list[Interval | None]:
    """As ``ratio_intervals``, for how far the second ratios are above the first on the same documents.

    Both are drawn together: what makes a document hard is the same for both.
    """
    if first.documents < _LEAST_DOCUMENTS or not samples:
        return [None] * first.count
    drawn = [second.of(times) - first.of(times) for times in _draw(first, samples, seed)]
    return _percentiles(np.concatenate(drawn))


def _draw(ratios: Ratios, samples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    """How often each document was drawn, a row a sample, some samples at a time."""
    documents = ratios.documents
    random = np.random.Generator(np.random.PCG64(seed))
    for first in range(0, samples, _DRAWN_AT_ONCE):
        count = min(_DRAWN_AT_ONCE, samples - first)
        yield random.multinomial(documents, np.full(documents, 1 / documents), size=count).astype(float)


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
