"""How many bytes a store has fetched, and in how many requests."""

import threading
from dataclasses import dataclass

__all__ = ["FetchCounter", "FetchedBytes"]


@dataclass(frozen=True, slots=True)
class FetchedBytes:
    """What was fetched of objects so far.

    ``bytes`` counts content that arrived, also of bodies that broke off and were asked for again.
    ``requests`` counts requests for content (GET), without what boto3 repeats by itself; in a folder
    it counts readings of files. Two counts can be subtracted, to tell what one piece of work fetched,
    and added, to sum up the work of several processes.
    """

    bytes: int = 0
    requests: int = 0

    def __add__(self, other: "FetchedBytes") -> "FetchedBytes":
        return FetchedBytes(self.bytes + other.bytes, self.requests + other.requests)

    def __sub__(self, other: "FetchedBytes") -> "FetchedBytes":
        return FetchedBytes(self.bytes - other.bytes, self.requests - other.requests)


class FetchCounter:
    """Counts what a store fetches; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fetched = FetchedBytes()

    @property
    def fetched(self) -> FetchedBytes:
        """What was counted so far."""
        return self._fetched

    def add_request(self) -> None:
        """Count one request."""
        self._add(FetchedBytes(requests=1))

    def add_bytes(self, count: int) -> None:
        """Count bytes that have arrived."""
        self._add(FetchedBytes(bytes=count))

    def _add(self, more: FetchedBytes) -> None:
        with self._lock:
            self._fetched += more
