"""From a few measured requests to the time of a whole batch. Pure arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Measure", "Projection", "Rates", "project", "rates", "together"]

# Degrees of freedom, and the 95 % quantile of Student's t: two of them bound 90 %.
_STUDENT: Final = (
    (1, 6.314), (2, 2.920), (3, 2.353), (4, 2.132), (5, 2.015), (6, 1.943), (7, 1.895), (8, 1.860),
    (9, 1.833), (10, 1.812), (12, 1.782), (15, 1.753), (20, 1.725), (30, 1.697), (60, 1.671), (120, 1.658),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measure:
    """A page, or one request about it, that was answered: what it costs in the middle of a batch.

    ``page_tokens`` is the estimate for the page's text, the only size known before asking;
    ``answer_tokens`` is the server's count, None where it gives none. Seconds are what the server spent;
    where it does not tell reading from writing, all of it counts as writing.
    """

    page_tokens: int
    answer_tokens: int | None
    reading_seconds: float
    writing_seconds: float

    @property
    def seconds(self) -> float:
        """How long a slot was busy."""
        return self.reading_seconds + self.writing_seconds


@dataclass(frozen=True, slots=True)
class Rates:
    """Speeds of the model with one request in flight; each is None where nothing tells it.

    ``reading`` is estimated tokens of page text a second, ``writing`` answer tokens a second, and
    ``answer_share`` answer tokens for each token of page text.
    """

    reading: float | None
    writing: float | None
    answer_share: float | None


@dataclass(frozen=True, slots=True)
class Projection:
    """Seconds that slots are busy with a batch, all of them together.

    ``lowest`` and ``highest`` bound 90 % of what the same number of random pages would lead to; None
    where fewer than two pages were measured.
    """

    seconds: float
    lowest: float | None
    highest: float | None


def together(measures: Sequence[Measure]) -> Measure:
    """What the requests about one page come to: pages are drawn, and not requests."""
    counts = [measure.answer_tokens for measure in measures]
    return Measure(
        page_tokens=sum(measure.page_tokens for measure in measures),
        answer_tokens=None if None in counts else sum(count or 0 for count in counts),
        reading_seconds=sum(measure.reading_seconds for measure in measures),
        writing_seconds=sum(measure.writing_seconds for measure in measures),
    )


def rates(measures: Sequence[Measure]) -> Rates:
    """The speeds over all requests together, so that long ones count for more."""
    page_tokens = sum(measure.page_tokens for measure in measures)
    counted = [measure for measure in measures if measure.answer_tokens is not None]
    answer_tokens = sum(measure.answer_tokens or 0 for measure in counted)
    return Rates(
        reading=_ratio(page_tokens, sum(measure.reading_seconds for measure in measures)),
        writing=_ratio(answer_tokens, sum(measure.writing_seconds for measure in counted))
        if counted
        else None,
        answer_share=_ratio(answer_tokens, sum(measure.page_tokens for measure in counted)),
    )


def project(measures: Sequence[Measure], page_tokens: int) -> Projection | None:
    """The time of a batch of ``page_tokens`` estimated tokens of text, from measures of single pages.

    None where nothing was measured.

    The ratio estimator of survey sampling (Cochran, Sampling Techniques, 3rd edition, 6.3 and 6.4): seconds
    a token, over all measured pages together, times the tokens of the batch.
    """
    measured_tokens = sum(measure.page_tokens for measure in measures)
    if not measured_tokens:
        return None
    rate = sum(measure.seconds for measure in measures) / measured_tokens
    seconds = rate * page_tokens
    count = len(measures)
    if count <= 1:
        return Projection(seconds, None, None)
    squares = sum((measure.seconds - rate * measure.page_tokens) ** 2 for measure in measures)
    rate_error = math.sqrt(squares / (count - 1) * count) / measured_tokens
    reach = _student(count - 1) * rate_error * page_tokens
    return Projection(seconds, max(0.0, seconds - reach), seconds + reach)


def _student(degrees: int) -> float:
    """The quantile for the nearest number of degrees in the table that is not above."""
    return next(quantile for known, quantile in reversed(_STUDENT) if known <= degrees)


def _ratio(amount: float, divisor: float) -> float | None:
    return amount / divisor if divisor > 0 else None
