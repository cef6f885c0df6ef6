"""The journal: answers in small immutable files, written within seconds of their arrival.

A row is never changed. A request that was asked twice has two rows, and readers take the better one,
so nothing can be lost by a writer that dies and nothing needs a lock.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Self

import pyarrow as pa

from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.lake import ObjectStore, read_table, write_table

__all__ = ["AnswerIndex", "IndexedAnswer", "JournalWriter", "Piece", "read_answers"]

_READERS: Final = 16
_INDEX_COLUMNS: Final = ("request_key", "status", "answered_at", "pieces")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a chunk that was split; offsets are code points of the page."""

    start: int
    end: int
    request_key: str


@dataclass(frozen=True, slots=True)
class IndexedAnswer:
    """Where the journal keeps the best row of a request. ``pieces`` is empty unless it was split."""

    status: str
    answered_at: int
    file: str
    pieces: tuple[Piece, ...]

    def is_better_than(self, other: "IndexedAnswer") -> bool:
        """A failure never hides an answer; of two of a kind the later one counts."""
        ranks = (self.status != AnswerStatus.FAILED, other.status != AnswerStatus.FAILED)
        return ranks[0] > ranks[1] or (ranks[0] == ranks[1] and self.answered_at > other.answered_at)


class AnswerIndex:
    """What the journal knows, by request key; texts and answers stay in the files."""

    def __init__(self, answers: Mapping[str, IndexedAnswer]) -> None:
        self._answers = answers

    @classmethod
    def read(cls, store: ObjectStore, folder: str, *, since: int = 0) -> "AnswerIndex":
        """Reads the keys of every row answered at ``since`` (microseconds) or later."""
        best: dict[str, IndexedAnswer] = {}
        for request_key, answer in _read_keys(store, [stat.key for stat in store.list(f"{folder}/")]):
            known = best.get(request_key)
            if answer.answered_at >= since and (known is None or answer.is_better_than(known)):
                best[request_key] = answer
        return cls(best)

    def get(self, request_key: str) -> IndexedAnswer | None:
        """The best row of a request; None where it was never asked."""
        return self._answers.get(request_key)

    def leaves(self, piece: Piece) -> Iterator[tuple[Piece, IndexedAnswer | None]]:
        """The requests that stand for a piece: itself, or what it was split into, in order."""
        answer = self.get(piece.request_key)
        if answer is None or answer.status != AnswerStatus.SPLIT:
            yield piece, answer
            return
        for part in answer.pieces:
            yield from self.leaves(part)

    def unanswered(self, piece: Piece) -> list[Piece]:
        """The requests that must still be made for a piece; failures are made again."""
        return [
            leaf
            for leaf, answer in self.leaves(piece)
            if answer is None or answer.status != AnswerStatus.ANSWERED
        ]


def read_answers(store: ObjectStore, wanted: Mapping[str, str]) -> pa.Table:
    """The rows of the journal for ``wanted``: request key to the file that holds its best row.

    Where a file holds several rows of a key, the latest of the best kind is taken.
    """
    files = sorted(set(wanted.values()))
    with ThreadPoolExecutor(_READERS) as readers:
        tables = readers.map(lambda file: _select(read_table(store, file), file, wanted), files)
        return pa.concat_tables([ANSWERS.empty_table(), *tables])


def _select(table: pa.Table, file: str, wanted: Mapping[str, str]) -> pa.Table:
    best: dict[str, int] = {}
    statuses = table["status"].to_pylist()
    times = table["answered_at"].cast(pa.int64()).to_pylist()
    for row, request_key in enumerate(table["request_key"].to_pylist()):
        if wanted.get(request_key) != file:
            continue
        known = best.get(request_key)
        rank = (statuses[row] != AnswerStatus.FAILED, times[row])
        if known is None or rank > (statuses[known] != AnswerStatus.FAILED, times[known]):
            best[request_key] = row
    return table.take(pa.array(sorted(best.values()), pa.int64()))


def _read_keys(store: ObjectStore, files: Sequence[str]) -> Iterator[tuple[str, IndexedAnswer]]:
    with ThreadPoolExecutor(_READERS) as readers:
        tables = readers.map(lambda file: read_table(store, file, _INDEX_COLUMNS), files)
        for file, table in zip(files, tables, strict=True):
            times = table["answered_at"].cast(pa.int64()).to_pylist()
            for key, status, time, pieces in zip(
                table["request_key"].to_pylist(),
                table["status"].to_pylist(),
                times,
                table["pieces"].to_pylist(),
                strict=True,
            ):
                yield key, IndexedAnswer(status, time, file, tuple(Piece(**piece) for piece in pieces or ()))


class JournalWriter:
    """Writes rows of ANSWERS within ``flush_seconds``, several to a file. An asynchronous context manager.

    Leaving it writes what is left, also when the work around it failed.
    """

    def __init__(self, store: ObjectStore, folder: str, flush_seconds: float) -> None:
        self._store = store
        self._folder = folder
        self._flush_seconds = flush_seconds
        self._rows: list[dict[str, object]] = []
        self._pending = asyncio.Event()
        self._closing = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._flusher = asyncio.create_task(self._flush_regularly())
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._closing.set()
        self._pending.set()
        if self._flusher:
            await self._flusher

    def add(self, row: dict[str, object]) -> None:
        """Takes a row; it is durable within the flush interval.

        Raises:
            StorageError: an earlier flush failed.
        """
        if self._flusher and self._flusher.done():
            self._flusher.result()
        self._rows.append(row)
        self._pending.set()

    async def _flush_regularly(self) -> None:
        while not self._closing.is_set() or self._rows:
            await self._pending.wait()
            # The usual end of this wait is its time-out: the interval is over and the work goes on.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._flush_seconds)
            self._pending.clear()
            rows, self._rows = self._rows, []
            if rows:
                await asyncio.to_thread(self._write, rows)

    def _write(self, rows: Iterable[dict[str, object]]) -> None:
        table = pa.Table.from_pylist(list(rows), schema=ANSWERS)
        write_table(self._store, f"{self._folder}/{uuid.uuid4()}.parquet", table)
