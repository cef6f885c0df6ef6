"""How many llama-3 tokens a text costs, estimated from above without a tokenizer.

Llama 3 first cuts a text into words (with the one character before them), groups of up to three
digits, runs of punctuation and runs of white space, and then splits each of these into tokens of its
vocabulary. A word of common letter pairs is one token, a word the OCR garbled is many. So every code
point is given the expected number of tokens that begin with it, which depends on its class and on the
class of the code point before it: rare letter pairs, accents, capitals, digits and foreign scripts
cost more. The sum over a text is the estimate, and a running sum gives the estimate of every slice of
it. The costs were measured with the real vocabulary; docs/chunking.md says how and how well. For another
tokenizer the costs of a kind of character are multiplied by what was learned of it (``token_learning``).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors, TokenKind
from preannotation_assets.extraction.token_table import (
    BREAK,
    CLASS_OF_CODE_POINT,
    CLASSES,
    COST_OF_PAIR,
    DIGIT,
    FUSED_UNITS,
    IN_LONG_RUNS,
    KIND_OF_PAIR,
    LONG_WORD,
    OTHER_RUN_UNITS,
    RETURN,
    RUN_UNITS,
    UNITS,
)

__all__ = [
    "MAX_CALIBRATION",
    "MIN_CALIBRATION",
    "SliceEstimates",
    "calibrated_tokens",
    "estimate_tokens",
    "tokens_by_kind",
]

# Of the factor of a whole estimate: below, a page denser than those it was learned from would pass the
# limit by more than a quarter; above, it is no estimate of this model any more.
MIN_CALIBRATION: Final = 0.8
MAX_CALIBRATION: Final = 4.0

_PLACES: Final = {kind: place for place, kind in enumerate(TokenKind)}


@dataclass(frozen=True, slots=True)
class _Scale:
    """The costs in 1/1024 token, multiplied by the factors of their kinds and rounded to whole numbers."""

    pairs: NDArray[np.int32]
    long_run: int
    other_run: int
    fused: int

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, factors: KindFactors) -> Self:
        by_kind = np.array(factors.factors)
        runs, letters = (factors.factors[_PLACES[kind]] for kind in (TokenKind.RUNS, TokenKind.LETTERS))
        return cls(
            pairs=np.rint(COST_OF_PAIR * by_kind[KIND_OF_PAIR]).astype(np.int32),
            long_run=round(RUN_UNITS * runs),
            other_run=round(OTHER_RUN_UNITS * runs),
            fused=round(FUSED_UNITS * letters),
        )


@dataclass(frozen=True, slots=True)
class _Classes:
    """The classes of a text's code points, and with those before them as places in ``COST_OF_PAIR``.

    ``runs`` are the places in the text of signs that repeat the two before them, ``in_long_runs`` tells which
    of them come in long runs, ``fused`` which letters follow a whole long word of letters.
    """

    classes: NDArray[np.uint16]
    pairs: NDArray[np.uint16]
    runs: NDArray[np.intp]
    in_long_runs: NDArray[np.bool_]
    fused: NDArray[np.bool_]

    @classmethod
    def of(cls, text: str) -> Self:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        classes = CLASS_OF_CODE_POINT.take(points, mode="clip")
        before = np.empty_like(classes)
        before[:1] = BREAK
        before[1:] = classes[:-1]
        runs = _runs(points, classes)
        return cls(
            classes,
            before * np.uint16(CLASSES) + classes,
            runs,
            IN_LONG_RUNS[points[runs]],
            _fused(classes),
        )


def _runs(points: NDArray[np.uint32], classes: NDArray[np.uint16]) -> NDArray[np.intp]:
    """Returns the places of the third and later of equal signs in a row."""
    same = points[1:] == points[:-1]
    third = np.flatnonzero(same[1:] & same[:-1]) + 2
    repeated = (points[third] < len(IN_LONG_RUNS)) & (classes[third] > DIGIT) & (classes[third] != RETURN)
    found: NDArray[np.intp] = third[repeated]
    return found


def _fused(classes: NDArray[np.uint16]) -> NDArray[np.bool_]:
    letters = np.zeros(len(classes) + 1, dtype=np.int32)
    np.cumsum(classes < DIGIT, out=letters[1:])
    fused = np.zeros(len(classes), dtype=np.bool_)
    fused[LONG_WORD:] = letters[LONG_WORD + 1 :] - letters[: -LONG_WORD - 1] == LONG_WORD + 1
    return fused


@dataclass(frozen=True, slots=True)
class _Costs:
    """What every code point of a text costs, in 1/1024 token, so that sums are exact.

    ``pairs`` is the cost after the code point before it, ``runs`` the same with the discount of long runs,
    ``fused`` what letters of fused words cost more.
    """

    pairs: NDArray[np.int32]
    runs: NDArray[np.int32]
    fused: NDArray[np.int32]

    @classmethod
    def of(cls, text: _Classes, scale: _Scale) -> Self:
        pairs = scale.pairs[text.pairs]
        runs = pairs.copy()
        runs[text.runs] = np.where(text.in_long_runs, scale.long_run, scale.other_run)
        return cls(pairs, runs, text.fused * np.int32(scale.fused))


def estimate_tokens(text: str, factors: KindFactors = LLAMA_3) -> int:
    """Estimates from above how many tokens a text is: those of Llama 3, without factors.

    Args:
        text: Any string, lone surrogates included.
        factors: What was learned of another tokenizer.

    Returns:
        Tokens, 0 for the empty string, without the tokens that open and close a prompt.
    """
    costs = _Costs.of(_Classes.of(text), _Scale.of(factors))
    return _tokens(int(costs.runs.sum(dtype=np.int64) + costs.fused.sum(dtype=np.int64)))


def tokens_by_kind(text: str) -> tuple[float, ...]:
    """The estimate of llama-3 tokens by kind of character, in the order of ``TokenKind``.

    Their sum, rounded up, is ``estimate_tokens(text)``.
    """
    classes = _Classes.of(text)
    costs = _Costs.of(classes, _Scale.of(LLAMA_3))
    kinds = KIND_OF_PAIR[classes.pairs]
    kinds[classes.runs] = _PLACES[TokenKind.RUNS]
    units = np.bincount(kinds, weights=costs.runs + costs.fused, minlength=len(TokenKind))
    return tuple((units / UNITS).tolist())


def _tokens(units: int) -> int:
    """Rounds units up to tokens."""
    return -(-units // UNITS)


def _running_sum(units: NDArray[np.int32]) -> NDArray[np.int64]:
    """Returns the sums of the first 0, 1, 2 ... entries."""
    running = np.zeros(len(units) + 1, dtype=np.int64)
    np.cumsum(units, out=running[1:])
    return running


class SliceEstimates:
    """The estimates of all slices of one text, each in constant time."""

    __slots__ = ("_first", "_fused", "_running", "_second")

    def __init__(self, text: str, factors: KindFactors = LLAMA_3) -> None:
        """Measures a text once, in linear time.

        Args:
            text: Any string.
            factors: What was learned of another tokenizer than Llama 3's.
        """
        classes, scale = _Classes.of(text), _Scale.of(factors)
        costs = _Costs.of(classes, scale)
        self._running = _running_sum(costs.runs + costs.fused)
        self._fused = _running_sum(costs.fused)
        # What the first two code points of a slice cost more for want of the ones before them: the
        # first has lost its pair, and a run begins anew.
        self._first = scale.pairs[BREAK * CLASSES + classes.classes] - costs.runs
        self._second = np.zeros(len(text), dtype=np.int32)
        self._second[:-1] = (costs.pairs - costs.runs)[1:]

    def estimate(self, start: int, end: int) -> int:
        """Returns ``estimate_tokens(text[start:end], factors)``.

        Args:
            start: Offset of the first code point.
            end: Offset behind the last code point, not before ``start``.

        Returns:
            Tokens.
        """
        if start == end:
            return 0
        # No letter is fused to a word that began before the slice.
        fused = self._fused[min(end, start + LONG_WORD)] - self._fused[start]
        units = self._running[end] - self._running[start] + self._first[start] - fused
        if end - start > 1:
            units += self._second[start]
        return _tokens(int(units))

    def furthest_end(self, start: int, tokens: int) -> int:
        """Returns the largest ``end`` for which ``text[start:end]`` is estimated within ``tokens``.

        Args:
            start: Offset of the first code point, below the length of the text.
            tokens: Limit, at least 0.

        Returns:
            An offset; ``start`` itself if not one code point fits.
        """
        fused = self._fused[min(len(self._fused) - 1, start + LONG_WORD)] - self._fused[start]
        extra = self._first[start] + self._second[start] - fused
        rest = tokens * UNITS + int(self._running[start] - extra)
        end = max(start + 1, int(np.searchsorted(self._running, rest, side="right")) - 1)
        while end > start and self.estimate(start, end) > tokens:
            end -= 1
        return end

    def latest_start(self, end: int, tokens: int) -> int:
        """Returns the largest ``start`` for which ``text[start:end]`` weighs at least ``tokens``.

        The first code point counts as it does within the whole text.

        Args:
            end: Offset behind the last code point.
            tokens: Wanted size, at least 0.

        Returns:
            An offset; 0 if the text before ``end`` is smaller.
        """
        rest = int(self._running[end]) - tokens * UNITS
        return max(0, int(np.searchsorted(self._running[: end + 1], rest, side="right")) - 1)


def calibrated_tokens(estimate: int, factor: float) -> int:
    """Corrects an estimate by a factor learned from the server, rounding up.

    Args:
        estimate: Tokens, from :func:`estimate_tokens`.
        factor: From ``token_learning``, or 1.

    Returns:
        Tokens.
    """
    return math.ceil(estimate * factor)
