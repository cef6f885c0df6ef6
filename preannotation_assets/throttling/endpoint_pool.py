"""Which endpoint the next request goes to, and how many it is given. Pure; the time is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.model_servers.retry_policy import LONGEST_RETRY_AFTER
from preannotation_assets.throttling.adaptive_limit import AdaptiveLimit, Answer

__all__ = ["EndpointPool", "EndpointState", "Feedback"]

_FAILURES_BEFORE_REST: Final = 3
_LONGEST_REST_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a request told about its endpoint.

    ``available`` says whether it was served, ``overloaded`` whether it was refused for load (429, 503).
    ``retry_after``, ``latency`` and the ``queue`` time in it are seconds, None where unknown. ``work`` is
    what the endpoint did for the request, in a unit that is the same for all.
    """

    available: bool
    overloaded: bool = False
    retry_after: float | None = None
    latency: float | None = None
    queue: float | None = None
    work: float = 1.0


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint as the run's metadata shows it; ``limit`` is what was found best by now.

    ``wished_wait`` is how many seconds more it asked to be left alone, 0 where it did not.
    ``failing_seconds`` is how long it has served nothing, 0 where it does; ``is_overloaded`` whether it said
    that it is, and ``next_try_seconds`` when it is asked again.
    """

    in_flight: int
    most_in_flight: int
    limit: int
    lowest_limit: int
    rests: int
    wished_wait: float = 0.0
    failing_seconds: float = 0.0
    next_try_seconds: float = 0.0
    is_overloaded: bool = False


@dataclass(slots=True)
class _Endpoint:
    address: str
    limit: AdaptiveLimit
    in_flight: int = 0
    most_in_flight: int = 0
    failures_in_a_row: int = 0
    failing_since: float = 0.0
    is_overloaded: bool = False
    rests: int = 0
    rests_in_a_row: int = 0
    rests_until: float = 0.0
    wished_until: float = 0.0


@dataclass(slots=True)
class EndpointPool:
    """Counts the requests in flight at every endpoint and never allows more than the cap.

    Within the cap every endpoint has an adaptive limit of its own. An endpoint that failed three times in a
    row rests, twice as long each time; then one request probes it, and one success brings it back. What was
    sent before a rest and fails in it does not make it longer: where one engine dies, hundreds fail at once.
    An endpoint that names a Retry-After rests until then, or until ``LONGEST_RETRY_AFTER`` is over.
    """

    addresses: Sequence[str]
    max_in_flight: int
    min_in_flight: int = 1
    first_rest_seconds: float = 2.0
    _endpoints: dict[str, _Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        most = self.max_in_flight
        least = min(self.min_in_flight, most)
        self._endpoints = {
            address: _Endpoint(address, AdaptiveLimit(least, most)) for address in self.addresses
        }

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
        chosen = min(free, key=lambda endpoint: (endpoint.in_flight, endpoint.limit.latency or 0.0))
        chosen.in_flight += 1
        chosen.limit.note_in_flight(chosen.in_flight, now)
        chosen.most_in_flight = max(chosen.most_in_flight, chosen.in_flight)
        return chosen.address

    def release(self, address: str) -> None:
        """One request less is in flight there."""
        self._endpoints[address].in_flight -= 1

    def has_kept_up(self, address: str, now: float) -> bool:
        """Whether the last request was served there, and no more are in flight than it is given."""
        endpoint = self._endpoints[address]
        return (
            endpoint.rests_until <= now
            and not endpoint.failures_in_a_row
            and endpoint.in_flight <= endpoint.limit.value
        )

    def record(self, address: str, feedback: Feedback, now: float) -> None:
        """Takes note of what a request told about the endpoint."""
        endpoint = self._endpoints[address]
        if feedback.retry_after:
            wished_until = now + min(feedback.retry_after, LONGEST_RETRY_AFTER)
            endpoint.wished_until = max(endpoint.wished_until, wished_until)
            endpoint.rests_until = max(endpoint.rests_until, wished_until)
        if feedback.available:
            endpoint.failures_in_a_row = endpoint.rests_in_a_row = 0
            if feedback.latency:
                answer = Answer(feedback.latency, feedback.queue, feedback.work)
                endpoint.limit.observe(answer, endpoint.in_flight, now)
            return
        if not endpoint.failures_in_a_row:
            endpoint.failing_since = now
        endpoint.failures_in_a_row += 1
        endpoint.is_overloaded = feedback.overloaded
        if feedback.overloaded:
            endpoint.limit.halve(endpoint.in_flight, now)
        if endpoint.failures_in_a_row >= _FAILURES_BEFORE_REST and endpoint.rests_until <= now:
            rest = min(
                _LONGEST_REST_SECONDS, self.first_rest_seconds * 2.0 ** min(endpoint.rests_in_a_row, 10)
            )
            endpoint.rests += 1
            endpoint.rests_in_a_row += 1
            endpoint.rests_until = now + rest

    def record_load(self, address: str, running: int, waiting: int, now: float) -> None:
        """Takes note of how many requests the endpoint works on, and how many wait there."""
        endpoint = self._endpoints[address]
        endpoint.limit.observe_load(running, waiting, endpoint.in_flight, now)

    def next_return(self, now: float) -> float | None:
        """Seconds until the next resting endpoint may be probed; None where none rests."""
        rests = [
            endpoint.rests_until - now for endpoint in self._endpoints.values() if endpoint.rests_until > now
        ]
        return min(rests) if rests else None

    def states(self, now: float) -> dict[str, EndpointState]:
        """Every endpoint, by address."""
        return {
            endpoint.address: EndpointState(
                in_flight=endpoint.in_flight,
                most_in_flight=endpoint.most_in_flight,
                limit=endpoint.limit.value,
                lowest_limit=endpoint.limit.lowest,
                rests=endpoint.rests,
                wished_wait=max(0.0, endpoint.wished_until - now),
                failing_seconds=_failing_seconds(endpoint, now),
                next_try_seconds=max(0.0, endpoint.rests_until - now),
                is_overloaded=endpoint.is_overloaded,
            )
            for endpoint in self._endpoints.values()
        }

    def _has_room(self, endpoint: _Endpoint, now: float) -> bool:
        if endpoint.rests_until > now:
            return False
        probing = endpoint.failures_in_a_row >= _FAILURES_BEFORE_REST
        return endpoint.in_flight < (1 if probing else endpoint.limit.value)


def _failing_seconds(endpoint: _Endpoint, now: float) -> float:
    """One failure or two are no outage."""
    is_failing = endpoint.failures_in_a_row >= _FAILURES_BEFORE_REST
    return max(0.0, now - endpoint.failing_since) if is_failing else 0.0
