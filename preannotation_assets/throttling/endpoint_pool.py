"""Which endpoint the next request goes to, and how many it is given. Pure; the time is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["EndpointPool", "EndpointState", "Feedback"]

_FAILURES_BEFORE_REST: Final = 3
_LONGEST_REST_SECONDS: Final = 60.0
# Kept waiting in the server's queue: one request, so that a slot that becomes free is taken at once.
_WAITING: Final = 1.0
_MUCH_WAITING: Final = 1.5
_LITTLE_WAITING: Final = 0.5
# Below it what looks like waiting may be the server's own work on a request.
_QUEUE_SHARE: Final = 0.2
_SAMPLES_TO_RAISE: Final = 4
_SAMPLES_TO_LOWER: Final = 8
_SMOOTHING: Final = 0.3


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a request told about its endpoint.

    ``available`` says whether it was served, ``overloaded`` whether it was refused for load (429, 503).
    ``retry_after``, ``latency`` and the ``queue`` time in it are seconds, None where unknown.
    """

    available: bool
    overloaded: bool = False
    retry_after: float | None = None
    latency: float | None = None
    queue: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint as the run's metadata shows it; ``limit`` is what was found best by now."""

    in_flight: int
    most_in_flight: int
    limit: int
    lowest_limit: int
    rests: int


@dataclass(slots=True)
class _Endpoint:
    address: str
    limit: int
    lowest_limit: int
    in_flight: int = 0
    most_in_flight: int = 0
    failures_in_a_row: int = 0
    rests: int = 0
    rests_until: float = 0.0
    adjusted_at: float = 0.0
    latency: float | None = None
    # Of the requests looked at since the last change: those sent before it (below 0) are passed over.
    samples: int = 0
    queued_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class EndpointPool:
    """Counts the requests in flight at every endpoint and never allows more than the cap.

    Within the cap every endpoint has a limit of its own. By Little's law, of L requests in flight that
    spend a share q of their time in the server's queue, q L wait and the others have slots: beyond that,
    more requests bring no more throughput. So the limit goes to the number of slots so found and one
    waiting request; where none waits it rises by one. Looked at are requests that were sent after the last
    change, as many as the limit, and at least 4 to raise it and 8 to lower it. A refusal for load halves
    it. An endpoint that failed three times in a row rests, twice as long each time; then one request probes
    it, and one success brings it back. An endpoint that names a Retry-After rests until then.
    """

    addresses: Sequence[str]
    max_in_flight: int
    min_in_flight: int = 1
    first_rest_seconds: float = 2.0
    _endpoints: dict[str, _Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        cap = self.max_in_flight
        self._endpoints = {address: _Endpoint(address, cap, cap) for address in self.addresses}

    def acquire(self, now: float, taken: Sequence[str] = ()) -> str | None:
        """The endpoint with the fewest requests, now one fuller; None where none has room.

        Of equals it is the quicker one. ``taken`` are endpoints that have no room for another reason.
        """
        free = [
            endpoint
            for endpoint in self._endpoints.values()
            if endpoint.address not in taken and self._has_room(endpoint, now)
        ]
        if not free:
            return None
        chosen = min(free, key=lambda endpoint: (endpoint.in_flight, endpoint.latency or 0.0))
        chosen.in_flight += 1
        chosen.most_in_flight = max(chosen.most_in_flight, chosen.in_flight)
        return chosen.address

    def release(self, address: str) -> None:
        """One request less is in flight there."""
        self._endpoints[address].in_flight -= 1

    def record(self, address: str, feedback: Feedback, now: float) -> None:
        """Takes note of what a request told about the endpoint."""
        endpoint = self._endpoints[address]
        if feedback.retry_after:
            endpoint.rests_until = max(endpoint.rests_until, now + feedback.retry_after)
        if feedback.available:
            endpoint.failures_in_a_row = 0
            self._take_measure(endpoint, feedback, now)
            return
        endpoint.failures_in_a_row += 1
        # Requests that were sent together are refused together: that is one sign, not several.
        if feedback.overloaded and now - endpoint.adjusted_at >= (endpoint.latency or 0.0):
            self._set_limit(endpoint, endpoint.limit / 2, now)
        again = endpoint.failures_in_a_row - _FAILURES_BEFORE_REST
        if again >= 0:
            endpoint.rests += 1
            rest = min(_LONGEST_REST_SECONDS, self.first_rest_seconds * 2.0 ** min(again, 10))
            endpoint.rests_until = max(endpoint.rests_until, now + rest)

    def next_return(self, now: float) -> float | None:
        """Seconds until the next resting endpoint may be probed; None where none rests."""
        rests = [
            endpoint.rests_until - now for endpoint in self._endpoints.values() if endpoint.rests_until > now
        ]
        return min(rests) if rests else None

    def states(self) -> dict[str, EndpointState]:
        """Every endpoint, by address."""
        return {
            endpoint.address: EndpointState(
                in_flight=endpoint.in_flight,
                most_in_flight=endpoint.most_in_flight,
                limit=endpoint.limit,
                lowest_limit=endpoint.lowest_limit,
                rests=endpoint.rests,
            )
            for endpoint in self._endpoints.values()
        }

    def _has_room(self, endpoint: _Endpoint, now: float) -> bool:
        if endpoint.rests_until > now:
            return False
        probing = endpoint.failures_in_a_row >= _FAILURES_BEFORE_REST
        return endpoint.in_flight < (1 if probing else endpoint.limit)

    def _take_measure(self, endpoint: _Endpoint, feedback: Feedback, now: float) -> None:
        if not feedback.latency:
            return
        known = endpoint.latency
        endpoint.latency = (
            feedback.latency if known is None else known + _SMOOTHING * (feedback.latency - known)
        )
        endpoint.samples += 1
        if endpoint.samples <= 0:
            return
        endpoint.queued_seconds += min(feedback.queue or 0.0, feedback.latency)
        endpoint.seconds += feedback.latency
        self._adjust(endpoint, now)

    def _adjust(self, endpoint: _Endpoint, now: float) -> None:
        share = endpoint.queued_seconds / endpoint.seconds
        waiting = share * endpoint.limit
        can_rise = waiting < _LITTLE_WAITING and endpoint.limit < self.max_in_flight
        if can_rise and endpoint.samples >= max(_SAMPLES_TO_RAISE, endpoint.limit):
            self._set_limit(endpoint, endpoint.limit + 1, now)
        elif endpoint.samples >= max(_SAMPLES_TO_LOWER, endpoint.limit):
            if waiting > _MUCH_WAITING and share > _QUEUE_SHARE:
                self._set_limit(endpoint, endpoint.limit - waiting + _WAITING, now)
            else:
                _forget_samples(endpoint)

    def _set_limit(self, endpoint: _Endpoint, limit: float, now: float) -> None:
        least = min(self.min_in_flight, self.max_in_flight)
        endpoint.limit = max(least, min(self.max_in_flight, round(limit)))
        endpoint.lowest_limit = min(endpoint.lowest_limit, endpoint.limit)
        endpoint.adjusted_at = now
        _forget_samples(endpoint)
        # What is in flight now was sent under the old limit.
        endpoint.samples = -endpoint.in_flight


def _forget_samples(endpoint: _Endpoint) -> None:
    endpoint.samples, endpoint.queued_seconds, endpoint.seconds = 0, 0.0, 0.0
