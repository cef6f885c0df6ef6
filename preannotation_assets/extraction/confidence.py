"""Confidence from token log-probabilities, over the tokens of a value only.

Ollama reports the raw softmax before the grammar is applied, so the forced tokens of the JSON around a
value score very low and say nothing; only tokens that overlap the value's own characters count.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

__all__ = ["TokenScores", "ValueProbability", "value_confidence", "value_probability"]


class TokenScores:
    """The log-probabilities of an answer's tokens, by place in the answer.

    ``lengths`` are code points, ``logprobs`` natural logarithms; the lengths must add up to the
    answer's length, which the caller has made sure of when they were recorded.
    """

    __slots__ = ("_ends", "_logprobs")

    def __init__(self, lengths: Sequence[int], logprobs: Sequence[float]) -> None:
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

    ``lowest`` is the least likely token's probability, ``tokens`` how many there are.
    """

    mean: float
    lowest: float
    tokens: int


def value_probability(scores: TokenScores | None, start: int, end: int) -> ValueProbability | None:
    """The probability of the tokens of ``answer[start:end]``; None where the server gave none."""
    logprobs = scores.between(start, end) if scores else []
    if not logprobs or not all(math.isfinite(logprob) for logprob in logprobs):
        return None
    return ValueProbability(
        mean=math.exp(min(0.0, sum(logprobs) / len(logprobs))),
        lowest=math.exp(min(0.0, *logprobs)),
        tokens=len(logprobs),
    )


def value_confidence(probability: ValueProbability | None, similarity: float) -> float | None:
    """The mean probability of the value's tokens, times how well the quote matched the page.

    None where the probability is unknown. The result is in [0, 1].
    """
    if probability is None:
        return None
    return min(1.0, max(0.0, probability.mean * similarity))
