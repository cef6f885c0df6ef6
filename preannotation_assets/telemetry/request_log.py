"""The table of requests: telemetry in small immutable files, written by the driver beside the work."""

import threading
import uuid
from collections import deque
from typing import Final, Self

from preannotation_assets.contracts import REQUESTS
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, table_of_rows, write_table
from preannotation_assets.throttling.permit_messages import PermitReport

__all__ = ["RequestLog"]

_INTERVAL_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 60.0
_MOST_WAITING: Final = 200_000
_MICROSECONDS: Final = 1_000_000


class RequestLog:
    """Takes a row an attempt and writes them to ``folder`` every 30 s. A context manager.

    It never stands in the way of the work: rows that the store, or the disk, does not take wait for the next
    time, at most 200,000 of them. After that, and when the run ends meanwhile, the oldest are ``dropped``,
    and so are rows with a value that no column holds.
    """

    def __init__(
        self, store: ObjectStore, folder: str, run_id: str, interval_seconds: float = _INTERVAL_SECONDS
    ) -> None:
        self._store = store
        self._folder = folder
        self._run_id = run_id
        self._interval = interval_seconds
        self._rows: deque[dict[str, object]] = deque()
        self._finished = threading.Event()
        self._writer = threading.Thread(target=self._write_regularly, name="request-log", daemon=True)
        self.dropped = 0

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._finished.set()
        self._writer.join(_STOP_SECONDS)
        self.dropped += len(self._rows)

    def observe(self, endpoint: str, report: PermitReport) -> None:
        """Takes note of an attempt; callable from any thread, and done at once."""
        if report.started_at is None:
            return
        row = {name: getattr(report, name) for name in REQUESTS.names if name in PermitReport.__slots__}
        try:
            started_at = int(report.started_at * _MICROSECONDS)
        except (OverflowError, ValueError):
            self.dropped += 1
            return
        self._rows.append({**row, "endpoint": endpoint, "run_id": self._run_id, "started_at": started_at})

    def _write_regularly(self) -> None:
        while not self._finished.wait(self._interval):
            self._write()
        self._write()

    def _write(self) -> None:
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        if not rows:
            return
        table, unwritable = table_of_rows(rows, REQUESTS)
        self.dropped += len(unwritable)
        rows = [row for place, row in enumerate(rows) if place not in unwritable]
        if not rows:
            return
        try:
            write_table(self._store, f"{self._folder}/{uuid.uuid4()}.parquet", table)
        except (StorageError, OSError):
            self._rows.extendleft(reversed(rows[-_MOST_WAITING:]))
            self.dropped += max(0, len(rows) - _MOST_WAITING)
