"""Writes answers to the store while the asking goes on."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Self

from preannotation_assets.contracts import ANSWERS, INVALID_ANSWER, AnswerStatus
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, Row, table_of_rows, write_table

__all__ = ["AnswerWriter"]

_ATTEMPTS: Final = 5
_RETRY_SECONDS: Final = 2.0
# What this package says of a request, whatever came back.
_OWN_COLUMNS: Final = (
    "request_key",
    "estimated_prompt_tokens",
    "attempts",
    "endpoint",
    "latency_seconds",
    "answered_at",
    "run_id",
)


class AnswerWriter:
    """Writes rows of ANSWERS within ``flush_seconds``, several to a file. An asynchronous context manager.

    ``approve`` is awaited before each file with the endpoints that answered in it, and may refuse by
    raising: then the rows are dropped, because they cannot be trusted. A row with a value that no column
    holds is written as a failure, and the others as they are. Leaving the block writes what is left, also
    when the work around it failed.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        flush_seconds: float,
        approve: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._folder = folder
        self._flush_seconds = flush_seconds
        self._approve = approve
        self._rows: list[Row] = []
        self._pending = asyncio.Event()
        self._closing = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._flusher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._flusher = asyncio.create_task(self._flush_regularly())
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._closing.set()
        self._pending.set()
        if self._flusher:
            await self._flusher

    async def room(self) -> None:
        """Waits while the store takes nothing, so that no answer is bought that could not be kept.

        Raises:
            PreannotationError: writing has been given up, for what the last flush raised.
        """
        await self._writable.wait()
        self._raise_failure()

    def add(self, row: Row) -> None:
        """Takes a row; it is durable within the flush interval.

        Raises:
            PreannotationError: writing has been given up, for what the last flush raised.
        """
        self._raise_failure()
        self._rows.append(row)
        self._pending.set()

    def _raise_failure(self) -> None:
        if self._flusher and self._flusher.done():
            self._flusher.result()

    async def _flush_regularly(self) -> None:
        try:
            while not self._closing.is_set() or self._rows:
                await self._pending.wait()
                # The usual end of this wait is its time-out: the interval is over and the work goes on.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._flush_seconds)
                self._pending.clear()
                rows, self._rows = self._rows, []
                if rows:
                    await self._flush(rows)
        finally:
            self._writable.set()

    async def _flush(self, rows: list[Row]) -> None:
        """Writes one file; tries for some seconds.

        Nobody asks anything new while the store refuses it, or takes longer over it than the interval.
        """
        await self._approve(sorted({str(row["endpoint"]) for row in rows if row["endpoint"]}))
        # One name for all attempts: one whose reply was lost is not written twice.
        key = f"{self._folder}/{uuid.uuid4()}.parquet"
        for attempt in range(1, _ATTEMPTS + 1):
            late = asyncio.get_running_loop().call_later(self._flush_seconds, self._writable.clear)
            try:
                await asyncio.to_thread(self._write, key, rows)
            except StorageError:
                self._writable.clear()
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(_RETRY_SECONDS * attempt)
            else:
                self._writable.set()
                return
            finally:
                late.cancel()

    def _write(self, key: str, rows: list[Row]) -> None:
        table, unwritable = table_of_rows(rows, ANSWERS)
        if unwritable:
            replaced = [_failed(row) if place in unwritable else row for place, row in enumerate(rows)]
            table, _ = table_of_rows(replaced, ANSWERS)
        write_table(self._store, key, table)


def _failed(row: Row) -> Row:
    """The row without all that a server said: its text is asked about again by the next run."""
    own = {name: row[name] for name in _OWN_COLUMNS}
    return {**dict.fromkeys(ANSWERS.names), **own, "status": AnswerStatus.FAILED, "reason": INVALID_ANSWER}
