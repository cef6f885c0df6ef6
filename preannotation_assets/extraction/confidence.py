"""Confidence from token log-probabilities, over the tokens of a value only.

Whether a server scores tokens before its grammar is applied (Ollama, llama-server) or after (vLLM), the
forced tokens of the JSON around a value say nothing; only tokens that overlap the value's own characters
count. After the grammar 0.0 may mean that it left one choice: a value of such tokens only has no known
probability. Where nothing is known of the tokens, the digit by which the model rated its own answer is taken,
if it was asked.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from preannotation_assets.extraction.answers import SELF_REPORTED_DIGITS

__all__ = [
    "ConfidenceSource",
    "TokenScores",
    "ValueProbability",
    "confidence_source",
    "value_confidence",
    "value_probability",
]


class ConfidenceSource(StrEnum):
    """What a confidence was made of."""

    LOG_PROBABILITIES = "log_probabilities"
    MASKED_LOG_PROBABILITIES = "masked_log_probabilities"
    SELF_REPORTED = "self_reported"
    UNKNOWN = "unknown"


class TokenScores:
    """The log-probabilities of an answer's tokens, by place in the answer.

    ``lengths`` are code points, ``logprobs`` natural logarithms; the lengths must add up to the
    answer's length, which the caller has made sure of when they were recorded. ``masked`` says that they
    are those of the tokens that the server's grammar had left.
    """

    __slots__ = ("_ends", "_logprobs", "masked")

    def __init__(self, lengths: Sequence[int], logprobs: Sequence[float], *, masked: bool = False) -> None:
        self.masked = masked
        self._ends = list(accumulate(lengths))
        self._logprobs = list(logprobs)

    def between(self, start: int, end: int) -> list[float]:
        """The log-probabilities of the tokens that have a character in ``answer[start:end]``."""
        first = bisect_right(self._ends, start)
        scores = []
        for index in range(first, len(self._ends)):
            token_start = self._ends[index - 1] if index else 0
            if token_start >= end:
                break
            scores.append(self._logprobs[index])
        return scores


@dataclass(frozen=True, slots=True)
class ValueProbability:
    """What the tokens of a value say: ``mean`` is the geometric mean of their probabilities.

    ``lowest`` is the least likely token's probability, ``tokens`` how many there are. ``masked`` is as in
    ``TokenScores``.
    """

    mean: float
    lowest: float
    tokens: int
    masked: bool = False


def value_probability(scores: TokenScores | None, start: int, end: int) -> ValueProbability | None:
    """The probability of the tokens of ``answer[start:end]``; None for none, or forced ones only."""
    if scores is None:
        return None
    logprobs = scores.between(start, end)
    if not logprobs or not all(math.isfinite(logprob) for logprob in logprobs):
        return None
    if scores.masked and not any(logprobs):
        return None
    return ValueProbability(
        mean=math.exp(min(0.0, sum(logprobs) / len(logprobs))),
        lowest=math.exp(min(0.0, *logprobs)),
        tokens=len(logprobs),
        masked=scores.masked,
    )


def confidence_source(probability: ValueProbability | None, self_reported: int | None) -> ConfidenceSource:
    """Which of the two says how sure a value is: what the tokens say goes before the model's own word."""
    if probability is not None and probability.masked:
        return ConfidenceSource.MASKED_LOG_PROBABILITIES
    if probability is not None:
        return ConfidenceSource.LOG_PROBABILITIES
    return ConfidenceSource.UNKNOWN if self_reported is None else ConfidenceSource.SELF_REPORTED


def value_confidence(
    probability: ValueProbability | None, self_reported: int | None, similarity: float
) -> float | None:
    """The mean probability of the value's tokens, times how well the quote matched the page.

    Where the probability is unknown, the middle of the tenth that the digit ``self_reported`` (0 to 9) stands
    for is taken in its place; None where that is unknown too. The result is in [0, 1].
    """
    if probability is not None:
        return _bounded(probability.mean * similarity)
    if self_reported is not None:
        return _bounded((self_reported + 0.5) / len(SELF_REPORTED_DIGITS) * similarity)
    return None


def _bounded(confidence: float) -> float:
    return min(1.0, max(0.0, confidence))
