"""What happened to every request, and what it says about load: for tests, benchmarks and the demo.

No text of a prompt or an answer is kept; a prompt is known by the start of its SHA-256.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Journal", "RequestRecord", "Summary", "prompt_hash"]

_HASH_DIGITS = 16


@dataclass(slots=True)
class RequestRecord:
    """One request for an answer or a load.

    ``arrived_at``, ``slot_taken_at``, ``slot_left_at`` and ``ended_at`` are real seconds since the Unix
    epoch, None where it has not happened; ``queue_seconds`` is the real wait for a slot. Counts are tokens.
    ``status`` is None while in flight and where the connection ended without an answer.
    """

    number: int
    endpoint: str
    model: str
    arrived_at: float
    is_load_only: bool = False
    is_stream: bool = False
    has_loaded: bool = False
    prompt_sha256: str | None = None
    queue_seconds: float | None = None
    slot: int | None = None
    slot_taken_at: float | None = None
    slot_left_at: float | None = None
    ended_at: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    is_truncated: bool = False
    is_shifted: bool = False
    status: int | None = None
    done_reason: str | None = None
    fault: str | None = None
    is_disconnected: bool = False

    @property
    def slot_seconds(self) -> float:
        """Real seconds in a slot, 0 without one or while it is held."""
        if self.slot_taken_at is None or self.slot_left_at is None:
            return 0.0
        return self.slot_left_at - self.slot_taken_at


@dataclass(frozen=True, slots=True)
class Summary:
    """The load of a server since its start or its last reset.

    ``busy_slot_seconds`` and ``window_seconds`` (first arrival to last end) are real seconds of the
    requests that ended; ``occupancy`` is their ratio over all slots, None before the first end.
    """

    requests: int
    loads: int
    in_flight: int
    peak_in_flight: int
    peak_busy_slots: int
    slots: int
    statuses: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    disconnected: int = 0
    truncated: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    busy_slot_seconds: float = 0.0
    window_seconds: float = 0.0
    occupancy: float | None = None


def prompt_hash(text: str) -> str:
    """The first 16 hex digits of the SHA-256 of a rendered prompt."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]


class Journal:
    """The records of one server; used from its event loop only."""

    def __init__(self, slots: int) -> None:
        """Start without records."""
        self._slots = slots
        self.reset()

    def reset(self) -> None:
        """Forget all records; what is in flight is counted on."""
        running = [record for record in getattr(self, "_records", ()) if record.ended_at is None]
        self._records: list[RequestRecord] = running
        self._count = len(running)
        self._in_flight = len(running)
        self._busy = sum(1 for record in running if record.slot_taken_at and not record.slot_left_at)
        self._peak_in_flight = self._in_flight
        self._peak_busy = self._busy

    @property
    def records(self) -> tuple[RequestRecord, ...]:
        """All records in order of arrival."""
        return tuple(self._records)

    def arrived(self, endpoint: str) -> RequestRecord:
        """Open a record."""
        self._count += 1
        self._in_flight += 1
        self._peak_in_flight = max(self._peak_in_flight, self._in_flight)
        record = RequestRecord(number=self._count, endpoint=endpoint, model="", arrived_at=time.time())
        self._records.append(record)
        return record

    def took_slot(self, record: RequestRecord, slot: int, queue_seconds: float) -> None:
        """A request has its slot after ``queue_seconds`` (real)."""
        record.slot, record.slot_taken_at, record.queue_seconds = slot, time.time(), queue_seconds
        self._busy += 1
        self._peak_busy = max(self._peak_busy, self._busy)

    def left_slot(self, record: RequestRecord) -> None:
        """A request has given its slot back, or had none."""
        if record.slot_taken_at is not None and record.slot_left_at is None:
            record.slot_left_at = time.time()
            self._busy -= 1

    def ended(self, record: RequestRecord) -> None:
        """Close a record."""
        self.left_slot(record)
        record.ended_at = time.time()
        self._in_flight -= 1

    def summary(self) -> Summary:
        """Counts over all records."""
        asked = [record for record in self._records if not record.is_load_only]
        ended = [record for record in asked if record.ended_at is not None]
        busy = sum(record.slot_seconds for record in ended)
        window = max((record.ended_at or 0.0 for record in ended), default=0.0) - min(
            (record.arrived_at for record in ended), default=0.0
        )
        return Summary(
            requests=len(asked),
            loads=sum(record.has_loaded for record in self._records),
            in_flight=self._in_flight,
            peak_in_flight=self._peak_in_flight,
            peak_busy_slots=self._peak_busy,
            slots=self._slots,
            statuses=_counts(str(record.status) for record in ended if record.status is not None),
            faults=_counts(record.fault for record in asked if record.fault is not None),
            disconnected=sum(record.is_disconnected for record in asked),
            truncated=sum(record.is_truncated for record in asked),
            prompt_tokens=sum(record.prompt_tokens or 0 for record in asked),
            cached_tokens=sum(record.cached_tokens or 0 for record in asked),
            output_tokens=sum(record.output_tokens or 0 for record in asked),
            busy_slot_seconds=busy,
            window_seconds=window,
            occupancy=busy / (self._slots * window) if window > 0 else None,
        )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
