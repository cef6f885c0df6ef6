"""Writes answers to the store while the asking goes on."""

import asyncio
import contextlib
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, Self

import pyarrow as pa

from preannotation_assets.contracts import ANSWERS, INVALID_ANSWER, AnswerStatus
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, Row, table_of_rows, write_table

__all__ = ["AnswerWriter"]

_ATTEMPTS: Final = 5
_RETRY_SECONDS: Final = 2.0
# What is approved within that shares a file; a digest takes milliseconds, or half a second from far away.
_SHARED_SECONDS: Final = 1.0
_LOG: Final = logging.getLogger(__name__)
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

    ``approve`` is awaited with each endpoint before rows that it gave are written, and may refuse by
    raising: then they are dropped, and so is what it gives later, because they cannot be trusted. Where it
    takes long, these rows wait and no others. A row with a value that no column holds is written without all
    that a server said, as a failure or as the split that it is, and the others as they are; a warning has the
    counts. Leaving the block writes what is left, also when the work around it failed.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        flush_seconds: float,
        approve: Callable[[str], Coroutine[Any, Any, None]],
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
        self._writing = asyncio.Lock()
        self._flusher: asyncio.Task[None] | None = None
        # What writes rows that were not approved soon, and whose they are; those that failed stay here.
        self._late: dict[asyncio.Task[None], str] = {}
        # Nothing of theirs is written any more: they may have given it before they were put right again.
        self._refused: set[str] = set()

    async def __aenter__(self) -> Self:
        self._flusher = asyncio.create_task(self._flush_regularly())
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._closing.set()
        self._pending.set()
        if self._flusher:
            await asyncio.wait({self._flusher})
        if self._late:
            await asyncio.wait(self._late)
        self._raise_failure()

    async def room(self) -> None:
        """Waits while the store takes nothing, so that no answer is bought that could not be kept.

        Raises:
            PreannotationError: the asking is to end, for what writing some of the rows raised.
        """
        await self._writable.wait()
        self._raise_failure()

    def add(self, row: Row) -> None:
        """Takes a row; it is durable within the flush interval, once its endpoint is approved.

        Also where another endpoint was refused: what was in flight elsewhere has been paid for.

        Raises:
            PreannotationError: writing has been given up, for what a flush raised.
        """
        self._raise_given_up()
        self._rows.append(row)
        self._pending.set()

    def _raise_given_up(self) -> None:
        if self._flusher and self._flusher.done():
            self._flusher.result()

    def _raise_failure(self) -> None:
        self._raise_given_up()
        for task in self._late:
            if task.done():
                task.result()

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
        """Writes one file of what is approved soon, and has others written of what is approved late."""
        by_endpoint = _by_endpoint(row for row in rows if row["endpoint"] not in self._refused)
        slow = set(self._late.values())
        approvals = {endpoint: asyncio.create_task(self._approve(endpoint)) for endpoint in by_endpoint}
        if usual := [approval for endpoint, approval in approvals.items() if endpoint not in slow]:
            await asyncio.wait(usual, timeout=_SHARED_SECONDS)
        approved: list[Row] = []
        for endpoint, approval in approvals.items():
            if approval.done() and not approval.exception() and endpoint not in self._refused:
                approved += by_endpoint[endpoint]
            else:
                # Where it is a refusal, that ends the asking, and not the writing of what others gave.
                task = asyncio.create_task(self._write_late(endpoint, approval, by_endpoint[endpoint]))
                self._late[task] = endpoint
                task.add_done_callback(self._end_late)
        if approved:
            await self._write(approved)

    async def _write_late(self, endpoint: str, approval: asyncio.Task[None], rows: list[Row]) -> None:
        """Writes a file of the rows of one endpoint once it is approved; raises what refuses it."""
        await asyncio.wait({approval})
        if approval.exception():
            self._refused.add(endpoint)
        await approval
        if endpoint not in self._refused:
            await self._write(rows)

    def _end_late(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception():
            # Whoever waits for room hears of it.
            self._writable.set()
        else:
            del self._late[task]

    async def _write(self, rows: list[Row]) -> None:
        """Writes one file; tries for some seconds.

        Nobody asks anything new while the store refuses it, or takes longer over it than the interval.
        """
        async with self._writing:
            await self._write_file(rows)

    async def _write_file(self, rows: list[Row]) -> None:
        # One name for all attempts: one whose reply was lost is not written twice.
        key = f"{self._folder}/{uuid.uuid4()}.parquet"
        table = await asyncio.to_thread(_as_table, rows)
        if not table.num_rows:
            return
        for attempt in range(1, _ATTEMPTS + 1):
            late = asyncio.get_running_loop().call_later(self._flush_seconds, self._writable.clear)
            try:
                await asyncio.to_thread(write_table, self._store, key, table)
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


def _by_endpoint(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    """The rows of each endpoint."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row["endpoint"])].append(row)
    return found


def _as_table(rows: list[Row]) -> pa.Table:
    """The rows, those that cannot be kept as they came without what a server said."""
    table, unwritable = table_of_rows(rows, ANSWERS)
    if unwritable:
        replaced = [_own(row) if place in unwritable else row for place, row in enumerate(rows)]
        table, dropped = table_of_rows(replaced, ANSWERS)
        _LOG.warning(
            "%d of %d rows hold what the answer store cannot: %d are kept without it, %d not at all",
            len(unwritable),
            len(rows),
            len(unwritable) - len(dropped),
            len(dropped),
        )
    return table


def _own(row: Row) -> Row:
    """What this package says of a request. A text that was not split is asked about again by the next run."""
    own = {**dict.fromkeys(ANSWERS.names), **{name: row[name] for name in _OWN_COLUMNS}}
    if row["status"] == AnswerStatus.SPLIT:
        return {**own, "status": AnswerStatus.SPLIT, "reason": row["reason"], "pieces": row["pieces"]}
    return {**own, "status": AnswerStatus.FAILED, "reason": INVALID_ANSWER}
