"""Whether two sets of suggestions on the same documents differ by more than chance makes them.

The test is approximate randomization (Noreen, Computer-Intensive Methods for Testing Hypotheses, 1989; for F1
Yeh, More accurate tests for the statistical significance of result differences, COLING 2000): if the two were
alike, it would not matter which of them marked a document. So for every document the two are exchanged or
not, and the p-value is the share of such exchanges after which they differ by as much as they do, or more.
Whole documents are exchanged, because pages of one resemble each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from preannotation_assets.evaluation.bootstrap import Interval, Ratios, difference_intervals, quotients

__all__ = ["PairedDifference", "paired_differences"]

_LEAST_DOCUMENTS: Final = 2
_AT_ONCE: Final = 256
# Sums in another order are not the same to the last bit.
_TOLERANCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How far a ratio of the second is above that of the first; what is unknown is None.

    In 95 of 100 samples of documents it is in ``interval``. ``p_value`` is how often chance alone makes a
    difference of this size, of either sign; several of them are not corrected for each other.
    """

    value: float | None
    interval: Interval | None
    p_value: float | None

    @property
    def words(self) -> str:
        """With its sign and three decimals, its interval and p-value behind it."""
        if self.value is None:
            return "-"
        between = f" ({self.interval.low:+.3f} to {self.interval.high:+.3f})" if self.interval else ""
        chance = "" if self.p_value is None else f", p {self.p_value:.3f}"
        return f"{self.value:+.3f}{between}{chance}"


def paired_differences(first: Ratios, second: Ratios, samples: int, seed: int) -> list[PairedDifference]:
    """The difference of each ratio; row by row both are of the same document.

    ``samples`` documents are drawn and exchanged so often. All exchanges are tried where these are not more;
    else (1 + those that differ as much) / (1 + samples) is the p-value. Without samples, or with fewer than
    two documents, there is neither interval nor p-value.
    """
    everything = np.ones((1, first.documents))
    (values,) = second.of(everything) - first.of(everything)
    if first.documents < _LEAST_DOCUMENTS or not samples:
        return [PairedDifference(_known(value), None, None) for value in values]
    intervals = difference_intervals(first, second, samples, seed)
    chances = _p_values(first, second, values, samples, seed)
    return [
        PairedDifference(_known(value), interval, float(chance)) if not np.isnan(value) else _UNKNOWN
        for value, interval, chance in zip(values, intervals, chances, strict=True)
    ]


_UNKNOWN: Final = PairedDifference(None, None, None)


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def _p_values(
    first: Ratios, second: Ratios, values: npt.NDArray[np.float64], samples: int, seed: int
) -> npt.NDArray[np.float64]:
    exchanges = 2**first.documents
    is_exact = exchanges <= samples
    as_far = np.zeros(first.count)
    for exchanged in _all(first.documents) if is_exact else _drawn(first.documents, samples, seed):
        differences = _exchanged(first, second, exchanged)
        # One that cannot be told speaks for chance.
        as_far += (~(np.abs(differences) < np.abs(values) - _TOLERANCE)).sum(axis=0)
    return as_far / exchanges if is_exact else (1 + as_far) / (1 + samples)


def _exchanged(first: Ratios, second: Ratios, exchanged: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The differences after exchanges: a row of 0 and 1 by document for each."""
    parts = exchanged @ (second.parts - first.parts)
    wholes = exchanged @ (second.wholes - first.wholes)
    then_first = quotients(first.parts.sum(axis=0) + parts, first.wholes.sum(axis=0) + wholes)
    then_second = quotients(second.parts.sum(axis=0) - parts, second.wholes.sum(axis=0) - wholes)
    return then_second - then_first


def _all(documents: int) -> Iterator[npt.NDArray[np.float64]]:
    numbers = np.arange(2**documents)
    for begin in range(0, numbers.size, _AT_ONCE):
        some = numbers[begin : begin + _AT_ONCE, np.newaxis]
        yield ((some >> np.arange(documents)) & 1).astype(float)


def _drawn(documents: int, samples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    random = np.random.Generator(np.random.PCG64(seed))
    for begin in range(0, samples, _AT_ONCE):
        count = min(_AT_ONCE, samples - begin)
        yield random.integers(0, 2, size=(count, documents)).astype(float)
