"""Which endpoint the next request goes to. Pure; the time is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["EndpointPool"]

_FAILURES_BEFORE_REST = 3
_FIRST_REST_SECONDS = 2.0
_LONGEST_REST_SECONDS = 60.0


@dataclass(slots=True)
class _Endpoint:
    address: str
    in_flight: int = 0
    failures_in_a_row: int = 0
    rests_until: float = 0.0


@dataclass(slots=True)
class EndpointPool:
    """Counts the requests in flight at every endpoint and never allows more than the cap.

    An endpoint that failed three times in a row rests, twice as long each time; afterwards one request
    probes it, and one success brings it back.
    """

    addresses: Sequence[str]
    max_in_flight: int
    _endpoints: dict[str, _Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        self._endpoints = {address: _Endpoint(address) for address in self.addresses}

    def acquire(self, now: float) -> str | None:
        """The endpoint with the most free room, now one request fuller; None where none has any."""
        free = [endpoint for endpoint in self._endpoints.values() if self._has_room(endpoint, now)]
        if not free:
            return None
        chosen = min(free, key=lambda endpoint: endpoint.in_flight)
        chosen.in_flight += 1
        return chosen.address

    def release(self, address: str) -> None:
        """One request less is in flight there."""
        self._endpoints[address].in_flight -= 1

    def record(self, address: str, available: bool, now: float) -> None:
        """Takes note of whether the endpoint served a request."""
        endpoint = self._endpoints[address]
        endpoint.failures_in_a_row = 0 if available else endpoint.failures_in_a_row + 1
        rests = endpoint.failures_in_a_row - _FAILURES_BEFORE_REST
        if rests >= 0:
            endpoint.rests_until = now + min(
                _LONGEST_REST_SECONDS, _FIRST_REST_SECONDS * 2.0 ** min(rests, 10)
            )

    def next_return(self, now: float) -> float | None:
        """Seconds until the next resting endpoint may be probed; None where none rests."""
        rests = [
            endpoint.rests_until - now for endpoint in self._endpoints.values() if endpoint.rests_until > now
        ]
        return min(rests) if rests else None

    def in_flight(self) -> dict[str, int]:
        """Requests in flight, by endpoint."""
        return {endpoint.address: endpoint.in_flight for endpoint in self._endpoints.values()}

    def _has_room(self, endpoint: _Endpoint, now: float) -> bool:
        if endpoint.rests_until > now:
            return False
        probing = endpoint.failures_in_a_row >= _FAILURES_BEFORE_REST
        return endpoint.in_flight < (1 if probing else self.max_in_flight)
