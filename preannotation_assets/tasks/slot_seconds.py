"""What requests took of their servers."""

from collections.abc import Iterable

from preannotation_assets.lake import Row

__all__ = ["slot_seconds"]


def slot_seconds(rows: Iterable[Row]) -> float | None:
    """Seconds of slots, without the time in the queue, each request once; None where one has no latency."""
    seconds = 0.0
    for row in {row["request_key"]: row for row in rows}.values():
        if row["latency_seconds"] is None:
            return None
        seconds += max(0.0, row["latency_seconds"] - (row["queue_seconds"] or 0.0))
    return seconds
