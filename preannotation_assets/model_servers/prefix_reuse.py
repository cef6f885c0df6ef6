"""How much of what all prompts begin with a server really reuses, from its own figures. Pure.

Some servers tell the tokens that they had cached. Ollama counts them among those of the prompt, but the
seconds are for the others alone (since 0.30.1): then the share is that with which all prompts were read
equally fast.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Final

__all__ = ["PrefixReadings", "Reading"]

_LATEST: Final = 200
_SHARES: Final = tuple(step / 20 for step in range(21))
# Attention makes late tokens dearer: what a token costs more for each one before it. From none to that of a
# model of 0.1 B parameters; of one with 8 B it is 2e-5, of one with 70 B 1e-5.
_CURVATURES: Final = (0.0, 1e-5, 1e-4)
# Beyond a factor of e a reading is an outlier, such as a page that was cached as a whole.
_OUTLIER: Final = 1.0
_LEAST_SCATTER: Final = 1e-3
_WIDEST_INTERVAL: Final = 0.5
# A warm-up that was quicker than this beside the pages, token for token, was cached itself.
_COLD: Final = 0.5
_OF_BOTH: Final = 2
# Degrees of freedom, and the 95 % quantile of Student's t.
_STUDENT: Final = (
    (1, 6.314), (2, 2.920), (3, 2.353), (4, 2.132), (5, 2.015), (6, 1.943), (8, 1.860), (10, 1.812),
    (15, 1.753), (30, 1.697), (100, 1.660),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server tells of reading one prompt: tokens with cached ones, seconds without.

    ``estimated_tokens`` are those of the prompt before it was sent. None is what the server leaves out.
    """

    prompt_tokens: int | None
    prompt_seconds: float | None
    cached_tokens: int | None = None
    estimated_tokens: int | None = None


@dataclass(slots=True)
class PrefixReadings:
    """The latest 200 prompts of one endpoint, and its warm-ups: prompts of the constant part alone.

    ``estimated_tokens`` is the estimate of the constant part.
    """

    estimated_tokens: int
    pages: deque[Reading] = field(default_factory=lambda: deque(maxlen=_LATEST))
    warm_ups: list[Reading] = field(default_factory=list)

    @property
    def constant_tokens(self) -> float:
        """Tokens of the constant part: the server's count of a warm-up, or the estimate at its rate."""
        told = max((reading.prompt_tokens or 0 for reading in self.warm_ups), default=0)
        if told:
            return float(told)
        both = [
            (reading.prompt_tokens, reading.estimated_tokens)
            for reading in self.pages
            if reading.prompt_tokens and reading.estimated_tokens
        ]
        rate = sum(count for count, _ in both) / sum(estimate for _, estimate in both) if both else 1.0
        return rate * self.estimated_tokens

    def reused(self) -> float | None:
        """The share of the constant part that is not read anew, from 0 to 1; None where it is not known.

        Without counts of cached tokens it is known where a 90 % interval is at most 0.5 wide.
        """
        constant = self.constant_tokens
        if constant <= 0:
            return None
        told = [reading.cached_tokens for reading in self.pages if reading.cached_tokens is not None]
        if told:
            return fmean(min(1.0, count / constant) for count in told)
        pages = _timed(self.pages)
        return _estimate(pages, _cold(_timed(self.warm_ups), pages), constant)


def _timed(readings: Sequence[Reading]) -> list[tuple[int, float]]:
    return [
        (reading.prompt_tokens, reading.prompt_seconds)
        for reading in readings
        if reading.prompt_tokens and reading.prompt_seconds
    ]


def _cold(
    warm_ups: Sequence[tuple[int, float]], pages: Sequence[tuple[int, float]]
) -> list[tuple[int, float]]:
    """The quickest warm-up that was read as a whole: the others had to share the server."""
    if not pages:
        return []
    usual = median(seconds / tokens for tokens, seconds in pages)
    whole = [(tokens, seconds) for tokens, seconds in warm_ups if seconds / tokens >= _COLD * usual]
    return sorted(whole, key=lambda reading: reading[1] / reading[0])[:1]


def _estimate(
    pages: Sequence[tuple[int, float]], cold: Sequence[tuple[int, float]], constant: float
) -> float | None:
    """The middle of the shares under which seconds a token scatter little, if they are close together.

    Scatter is the mean absolute deviation of logarithms: noise is a factor, its distribution Laplace's. The
    interval is twice as deep as that of the ratio of likelihoods: servers' noise has other shapes too.
    """
    degrees = len(pages) + len(cold) - _OF_BOTH
    # A server whose counts leave cached tokens out has pages shorter than what they begin with.
    if degrees < 1 or median(tokens for tokens, _ in pages) <= constant:
        return None
    scatter = {
        share: min(_scatter(pages, cold, share * constant, curvature) for curvature in _CURVATURES)
        for share in _SHARES
    }
    least = max(_LEAST_SCATTER, min(scatter.values()))
    quantile = next(value for known, value in reversed(_STUDENT) if known <= degrees)
    limit = least * math.exp(quantile**2 / degrees)
    inside = [share for share in _SHARES if scatter[share] <= limit]
    lowest, highest = inside[0], inside[-1]
    return (lowest + highest) / 2 if highest - lowest <= _WIDEST_INTERVAL else None


def _scatter(
    pages: Sequence[tuple[int, float]], cold: Sequence[tuple[int, float]], reused: float, curvature: float
) -> float:
    def work(tokens: float) -> float:
        return tokens + curvature * tokens * tokens

    saved = work(reused)
    rates = [math.log(seconds / max(1.0, work(tokens) - saved)) for tokens, seconds in pages]
    rates += [math.log(seconds / work(tokens)) for tokens, seconds in cold]
    middle = median(rates)
    return fmean(min(_OUTLIER, abs(rate - middle)) for rate in rates)
