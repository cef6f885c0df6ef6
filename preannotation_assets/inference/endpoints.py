"""Which endpoint the next request goes to, and how many it is given. Pure; the time is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["EndpointPool", "EndpointState", "Feedback"]

_FAILURES_BEFORE_REST: Final = 3
_LONGEST_REST_SECONDS: Final = 60.0
# With more requests than the server has slots, the others wait in its queue: L requests at S slots wait
# for (L - S) / L of their time. 0.3 keeps one request waiting for each two slots or more.
_QUEUE_SHARE: Final = 0.3
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
    limit: float
    in_flight: int = 0
    most_in_flight: int = 0
    lowest_limit: float = 0.0
    failures_in_a_row: int = 0
    rests: int = 0
    rests_until: float = 0.0
    adjusted_at: float = 0.0
    latency: float | None = None
    queue_share: float = 0.0
    samples: int = 0


@dataclass(slots=True)
class EndpointPool:
    """Counts the requests in flight at every endpoint and never allows more than the cap.

    Within the cap every endpoint has a limit of its own: a refusal for load halves it, requests that
    wait in the server's queue lower it by one, and requests that do not raise it by one for as many as
    it allows (additive increase, multiplicative decrease). An endpoint that failed three times in a row
    rests, twice as long each time; then one request probes it, and one success brings it back. An
    endpoint that names a Retry-After rests until then.
    """

    addresses: Sequence[str]
    max_in_flight: int
    min_in_flight: int = 1
    first_rest_seconds: float = 2.0
    _endpoints: dict[str, _Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        cap = float(self.max_in_flight)
        self._endpoints = {address: _Endpoint(address, cap, lowest_limit=cap) for address in self.addresses}

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
        if feedback.overloaded:
            self._lower(endpoint, endpoint.limit / 2, now)
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
                limit=int(endpoint.limit),
                lowest_limit=int(endpoint.lowest_limit),
                rests=endpoint.rests,
            )
            for endpoint in self._endpoints.values()
        }

    def _has_room(self, endpoint: _Endpoint, now: float) -> bool:
        if endpoint.rests_until > now:
            return False
        probing = endpoint.failures_in_a_row >= _FAILURES_BEFORE_REST
        return endpoint.in_flight < (1 if probing else int(endpoint.limit))

    def _take_measure(self, endpoint: _Endpoint, feedback: Feedback, now: float) -> None:
        if not feedback.latency:
            return
        known = endpoint.latency
        endpoint.latency = (
            feedback.latency if known is None else known + _SMOOTHING * (feedback.latency - known)
        )
        share = min(1.0, (feedback.queue or 0.0) / feedback.latency)
        endpoint.queue_share += _SMOOTHING * (share - endpoint.queue_share)
        endpoint.samples += 1
        # As many samples as requests, so that the effect of the last change is seen first.
        if endpoint.samples < 2 * endpoint.limit:
            return
        if endpoint.queue_share > _QUEUE_SHARE:
            self._lower(endpoint, endpoint.limit - 1, now)
        else:
            endpoint.limit = min(float(self.max_in_flight), endpoint.limit + 1.0 / max(1.0, endpoint.limit))

    def _lower(self, endpoint: _Endpoint, limit: float, now: float) -> None:
        # Requests that were sent together are refused together: that is one sign, not several.
        if now - endpoint.adjusted_at < (endpoint.latency or 0.0):
            return
        endpoint.limit = max(float(min(self.min_in_flight, self.max_in_flight)), limit)
        endpoint.lowest_limit = min(endpoint.lowest_limit, endpoint.limit)
        endpoint.adjusted_at, endpoint.samples = now, 0
