"""Finds the fewest requests in flight with nearly all the throughput, by trying more and fewer. Pure."""

import math
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.throttling.throughput import Throughput

__all__ = ["ThroughputSearch"]

# The start-up ends when twice as many in flight bring less than 1.07 times the throughput.
_LEAST_RETURN: Final = 0.1
# Two rounds are compared when that much more was in flight.
_COMPARABLE: Final = 1.1
_NEARLY_ALL: Final = 0.97
_STEP: Final = 1.25
_LARGEST_STEP: Final = 2.0
# More in flight must bring more than that; fewer may cost that, or twice as much where it is noisy.
_MARGIN: Final = 0.01
_CLEARLY: Final = 3.0
_FEWEST_ANSWERS: Final = 16
_SMALL_ERROR: Final = 0.01
# A measurement ends with an error of 1 %, or with so many answers.
_MANY_ANSWERS: Final = 200
_MOST_ROUNDS: Final = 2
_SHORTEST_REST: Final = 4
_LONGEST_REST: Final = 64
_DRIFT: Final = 0.15
_DIRECTIONS: Final = 2


@dataclass(slots=True)
class _Fastest:
    """The fastest that a single request was, and with how many in flight."""

    speed: float = 0.0
    in_flight: float = 0.0

    def note(self, measured: Throughput) -> None:
        speed = measured.rate / measured.in_flight if measured.in_flight else 0.0
        if speed > self.speed:
            self.speed, self.in_flight = speed, measured.in_flight

    def fewest_for(self, rate: float) -> float:
        """With fewer the rate cannot be had, as no request is faster; 0 where that is not known."""
        fewest = rate / self.speed if self.speed else 0.0
        return fewest if fewest > _COMPARABLE * self.in_flight else 0.0


@dataclass(slots=True)
class ThroughputSearch:
    """A hill climb over the number in flight, by measured throughput.

    In the start-up (``is_starting``) the limit grows with every answer; it ends at the fewest that had 97 %
    of the best throughput of its rounds. After that a quarter more or fewer are tried in turn, larger steps
    while they succeed. More stay where the throughput grows by 1 % and the errors of both measurements,
    fewer where it falls by 1 or 2 % at most; too few even for requests as fast as the fastest are not tried.
    When neither helps, the search rests for 4 measurements, twice as many each time, up to 64; it begins
    anew where the throughput has changed by itself. ``ceiling`` is what was refused, less a tenth.
    """

    least: int
    most: int
    is_starting: bool = True
    ceiling: int | None = None
    _rounds: list[tuple[float, float]] = field(default_factory=list)
    _fastest: _Fastest = field(default_factory=_Fastest)
    _base: Throughput | None = None
    _base_value: int = 0
    # 1 while more are tried, -1 while fewer are, 0 while the base is measured.
    _trying: int = 0
    _next_trial: int = -1
    _step: float = _STEP
    _fruitless: int = 0
    _resting: int = 0
    _next_rest: int = _SHORTEST_REST

    def after_round(self, measured: Throughput, value: int) -> int:
        """The limit after a round of the start-up; it goes on unless ``is_starting`` is false now."""
        self._rounds.append((measured.in_flight, measured.rate))
        self._fastest.note(measured)
        if len(self._rounds) == 1:
            return value
        (fewer, slow), (more, fast) = self._rounds[-2:]
        if more < _COMPARABLE * fewer:
            self._rounds.pop()
            if value < self.most:
                return value
        elif fast > slow > 0 and math.log(fast / slow) >= _LEAST_RETURN * math.log(more / fewer):
            return value
        self.is_starting = False
        best = max(rate for _, rate in self._rounds)
        return self._bounded(min(n for n, rate in self._rounds if rate >= _NEARLY_ALL * best))

    def restart(self, ceiling: int) -> None:
        """After the limit was lowered from outside: begins anew, with more, up to ``ceiling``."""
        self.is_starting = False
        self.ceiling = max(self.least, ceiling)
        self._base, self._trying, self._next_trial, self._step = None, 0, 1, _STEP
        self._wake()

    def lift_ceiling(self) -> None:
        """As nothing waits any more, more may be tried again, and at once."""
        if self.ceiling is not None:
            self.ceiling = None
            self._next_trial = 1
            self._wake()

    def is_enough(self, measured: Throughput, value: int) -> bool:
        """Whether so many answers decide."""
        whole_round = max(_FEWEST_ANSWERS, value)
        if self._base and self._trying and measured.answers >= _FEWEST_ANSWERS // 2:
            noise = math.hypot(measured.error, self._base.error)
            if self._gain(measured) < -_MARGIN - _CLEARLY * noise:
                return True
        if measured.answers < whole_round:
            return False
        return measured.error < _SMALL_ERROR or measured.answers >= max(_MANY_ANSWERS, _MOST_ROUNDS * value)

    def next_value(self, measured: Throughput, value: int) -> int:
        """The limit to measure next, now that ``value`` is measured."""
        if not self._trying or self._base is None:
            return self._at_base(measured, value)
        noise = math.hypot(self._base.error, measured.error)
        needed = _MARGIN + noise if self._trying > 0 else -_MARGIN - min(noise, _MARGIN)
        if self._gain(measured) >= needed:
            self._step = min(_LARGEST_STEP, self._step * _STEP)
            self._base, self._base_value = measured, value
            self._fastest.note(measured)
            self._wake()
            return self._try(value)
        self._next_trial, self._step, self._trying = -self._trying, _STEP, 0
        self._fruitless += 1
        return self._base_value

    def _at_base(self, measured: Throughput, value: int) -> int:
        before, self._base, self._base_value = self._base, measured, value
        if before and abs(measured.rate / before.rate - 1) > _DRIFT + measured.error + before.error:
            self._wake()
            self._fastest = _Fastest()
        self._fastest.note(measured)
        if self._fruitless >= _DIRECTIONS:
            self._fruitless, self._resting = 0, self._next_rest
            self._next_rest = min(_LONGEST_REST, 2 * self._next_rest)
        if self._resting:
            self._resting -= 1
            return value
        return self._try(value)

    def _try(self, value: int) -> int:
        """A value beside this one, or the same where there is none."""
        wanted = self._bounded(self._beside(value))
        self._trying = self._next_trial
        if wanted == value:
            self._next_trial, self._trying = -self._next_trial, 0
            self._fruitless += 1
        return wanted

    def _beside(self, value: int) -> int:
        if self._next_trial < 0:
            fewest = self._fastest.fewest_for(self._base.rate) if self._base else 0.0
            # What is needed lies between the fewest possible and this value.
            between = math.ceil(math.sqrt(fewest * value))
            return min(value, max(between, min(value - 1, math.ceil(value / self._step))))
        more = max(value + 1, math.floor(value * self._step))
        return more if self.ceiling is None else max(value, min(more, self.ceiling))

    def _gain(self, measured: Throughput) -> float:
        before = self._base.rate if self._base else 0.0
        return measured.rate / before - 1 if before > 0 else 0.0

    def _wake(self) -> None:
        self._fruitless, self._resting, self._next_rest = 0, 0, _SHORTEST_REST

    def _bounded(self, value: float) -> int:
        return max(self.least, min(self.most, round(value)))
