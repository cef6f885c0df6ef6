"""The answer store: answers in small immutable files, written within seconds of their arrival.

A row is never changed. A request that was asked twice has two rows, and readers take the better one,
so nothing can be lost by a writer that dies and nothing needs a lock. Files lie in a folder for each run
that wrote them, and in ``compacted/`` when small ones were put together.
"""

import contextlib
import itertools
import json
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple, Self, TypeAlias

import pyarrow as pa

from preannotation_assets.contracts import ANSWERS, UNUSABLE_REASONS, AnswerStatus
from preannotation_assets.errors import ObjectNotFoundError
from preannotation_assets.lake import ObjectStore, read_rows_as, read_table_as
from preannotation_assets.lake.local_database import LocalDatabase, Value

__all__ = ["AnswerIndex", "IndexedAnswer", "Leaf", "RequestSpan", "read_answers", "unanswered"]

_READERS: Final = 16
_READINGS: Final = 10
_REREAD_SECONDS: Final = 0.2
# Of files that are read before the rows of the first of them are taken; the keys are some third of a file.
_AHEAD_BYTES: Final = 32 * 1024**2
_ROWS_AT_ONCE: Final = 10_000
_FOUND_AT_ONCE: Final = 1_000
_INDEX_COLUMNS: Final = ("request_key", "status", "reason", "answered_at", "pieces")


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """A text to ask about, and the request that does; offsets are code points, of the page unless said.

    ``unusable_splits`` is how often it was cut out of a text whose answers were none.
    """

    start: int
    end: int
    request_key: str
    unusable_splits: int = 0


@dataclass(frozen=True, slots=True)
class IndexedAnswer:
    """Where the answer store keeps the best row of a request: in which file, and which row of it, from 0.

    ``parts`` is empty unless the request was split; their offsets count from the start of its text, which
    may stand on several pages. ``is_unusable`` says that it was split, or failed, for want of an answer in
    its replies.
    """

    status: str
    answered_at: int
    file: str
    row: int
    parts: tuple[RequestSpan, ...]
    is_unusable: bool = False


_FILES: Final = "CREATE TABLE files (number INTEGER PRIMARY KEY, name TEXT NOT NULL, bytes INTEGER)"
_ANSWERS: Final = """
    CREATE TABLE answers (
        request_key TEXT PRIMARY KEY, status TEXT NOT NULL, answered_at INTEGER NOT NULL,
        file INTEGER NOT NULL, place INTEGER NOT NULL, parts TEXT, is_unusable INTEGER NOT NULL
    ) WITHOUT ROWID
"""
_ADD_FILE: Final = "INSERT INTO files VALUES (?, ?, ?)"
_FILES_BEHIND: Final = "SELECT number, name, bytes FROM files WHERE number > ? ORDER BY number"
# A failure never hides an answer; of two of a kind the later one counts, and of the same one where it was
# seen last: a file that was put together with others is gone.
_KEEP_THE_BETTER: Final = """
    INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_key) DO UPDATE SET
        status = excluded.status, answered_at = excluded.answered_at, file = excluded.file,
        place = excluded.place, parts = excluded.parts, is_unusable = excluded.is_unusable
    WHERE (excluded.status != 'failed', excluded.answered_at) >= (status != 'failed', answered_at)
"""
# The planner must not be left to scan the answers: the keys are the outer loop.
_FIND: Final = """
    SELECT request_key, status, answered_at, name, place, parts, is_unusable
    FROM json_each(?) CROSS JOIN answers ON request_key = value CROSS JOIN files ON number = file
"""
_Row: TypeAlias = tuple[Value, ...]


class _File(NamedTuple):
    number: int
    name: str
    bytes: int


Leaf: TypeAlias = tuple[RequestSpan, IndexedAnswer | None]
"""A request that stands for another, or for itself, and its best row; None where it was never asked."""


class AnswerIndex:
    """What the answer store holds, by request key; texts and answers stay in the files.

    It is on disk, in TMPDIR, until it is closed or dropped: what is in memory does not grow with it. One
    thread may use it at a time. A context manager.
    """

    def __init__(self) -> None:
        """Makes one that knows of nothing.

        Raises:
            StorageError: there is no room for temporary files.
        """
        self._database = LocalDatabase(_FILES, _ANSWERS)
        self._numbers = itertools.count()

    @classmethod
    def read(cls, store: ObjectStore, folder: str, *, since: int = 0) -> Self:
        """Reads the keys of every row answered at ``since`` (microseconds) or later.

        Raises:
            StorageError: the answer store cannot be read, or there is no room for temporary files.
        """
        index = cls()
        index.add_folder(store, folder, since=since)
        return index

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes it from the disk; a second time does nothing."""
        self._database.close()

    def add_folder(self, store: ObjectStore, folder: str, *, since: int = 0) -> None:
        """Adds what a folder holds by now, which is all that is read.

        Raises:
            StorageError: the folder cannot be read, or there is no room for temporary files.
        """
        for reading in range(1, _READINGS):
            # A file that is gone was put together with others, whose file the next listing shows.
            with contextlib.suppress(ObjectNotFoundError):
                return self._add_listed(store, folder, since)
            time.sleep(_REREAD_SECONDS * reading)
        return self._add_listed(store, folder, since)

    def add(self, request_key: str, answer: IndexedAnswer) -> None:
        """Adds one row of the answer store, where none that is better is known.

        Raises:
            StorageError: there is no room for temporary files.
        """
        number = self._number_of(answer.file)
        self._database.execute_each(_KEEP_THE_BETTER, [_row(number, request_key, answer)])

    def forget(self, unfit: Mapping[str, int]) -> None:
        """Leaves out rows that are no answers after all: by request key, when each came.

        Times are microseconds; a row that came later stays.
        """
        self._database.execute_each(
            "DELETE FROM answers WHERE request_key = ? AND answered_at = ?", unfit.items()
        )

    def _add_listed(self, store: ObjectStore, folder: str, since: int) -> None:
        for number, table in _read_keys(store, self._list(store, folder)):
            self._database.execute_each(_KEEP_THE_BETTER, _rows_since(since, number, table))

    def _list(self, store: ObjectStore, folder: str) -> Iterator[_File]:
        """The files of a folder as of now, listed to the end before the first is passed on."""
        before = next(self._numbers)
        listed = ((next(self._numbers), entry.key, entry.size) for entry in store.list(f"{folder}/"))
        self._database.execute_each(_ADD_FILE, listed)
        return map(_File._make, self._database.each(_FILES_BEHIND, [before]))

    def _number_of(self, file: str) -> int:
        number = next(self._numbers)
        self._database.execute_each(_ADD_FILE, [(number, file, None)])
        return number

    def get(self, request_key: str) -> IndexedAnswer | None:
        """The best row of a request; None where it was never asked."""
        return self._find([request_key]).get(request_key)

    def leaves(self, request: RequestSpan) -> Iterator[Leaf]:
        """The requests that stand for a request: itself, or what it was split into, in order.

        Their offsets are in the same text as those of the request. One whose parts are none of its text was
        not asked: what was kept of it is damaged, and a part that is as long as the whole would have no end.
        """
        (leaves,) = self.leaves_of_each([request])
        yield from leaves

    def leaves_of_each(self, requests: Iterable[RequestSpan]) -> Iterator[list[Leaf]]:
        """The same for each of many requests, which are looked up together."""
        waiting = iter(requests)
        while together := list(itertools.islice(waiting, _FOUND_AT_ONCE)):
            known = self._find([request.request_key for request in together])
            for request in together:
                yield [
                    (whole, None if answer and answer.status == AnswerStatus.SPLIT else answer)
                    for whole, answer, parts in self._walk(request, known.get(request.request_key))
                    if not parts
                ]

    def rows(self, request: RequestSpan) -> Iterator[tuple[str, IndexedAnswer]]:
        """All that was paid for a request: its own row and those of the parts it was split into, by key."""
        for whole, answer, _ in self._walk(request, self.get(request.request_key)):
            if answer is not None:
                yield whole.request_key, answer

    def _walk(
        self, request: RequestSpan, best: IndexedAnswer | None
    ) -> Iterator[tuple[RequestSpan, IndexedAnswer | None, Sequence[RequestSpan]]]:
        """A request, whose row is known, and in its place the parts that it was split into; in order."""
        waiting = [request]
        while waiting:
            whole = waiting.pop()
            answer = best if whole is request else self.get(whole.request_key)
            parts = [] if answer is None else _sound_parts(whole, answer)
            waiting += reversed(parts)
            yield whole, answer, parts

    def _find(self, request_keys: Sequence[str]) -> dict[str, IndexedAnswer]:
        found = self._database.rows(_FIND, (json.dumps(request_keys),))
        return {request_key: _indexed(*answer) for request_key, *answer in found}

    def unanswered(self, request: RequestSpan) -> list[RequestSpan]:
        """The requests that must still be made for a request; failures are made again."""
        return unanswered(self.leaves(request))


def unanswered(leaves: Iterable[Leaf]) -> list[RequestSpan]:
    """Those of the requests that have no answer: not asked, or failed."""
    return [leaf for leaf, answer in leaves if answer is None or answer.status != AnswerStatus.ANSWERED]


def _sound_parts(whole: RequestSpan, answer: IndexedAnswer) -> list[RequestSpan]:
    """The parts that stand for a request; none where it was not split, or one of them is none of its text."""
    is_split = answer.status == AnswerStatus.SPLIT
    if not is_split or not all(_is_part(part, whole.end - whole.start) for part in answer.parts):
        return []
    return [_part_of(whole, part, answer) for part in answer.parts]


def _part_of(whole: RequestSpan, part: RequestSpan, answer: IndexedAnswer) -> RequestSpan:
    return RequestSpan(
        whole.start + part.start,
        whole.start + part.end,
        part.request_key,
        whole.unusable_splits + answer.is_unusable,
    )


def _is_part(part: RequestSpan, length: int) -> bool:
    return 0 <= part.start < part.end <= length and part.end - part.start < length


def read_answers(store: ObjectStore, wanted: Mapping[str, IndexedAnswer]) -> pa.Table:
    """The rows of the answer store for ``wanted``, by request key; exactly those that were indexed.

    Raises:
        StorageError: a file cannot be read, or is gone.
    """
    rows: dict[str, set[int]] = defaultdict(set)
    for answer in wanted.values():
        rows[answer.file].add(answer.row)

    def read(file: str) -> pa.Table:
        return _select(read_rows_as(store, file, ANSWERS, sorted(rows[file])), file, wanted)

    with ThreadPoolExecutor(_READERS) as readers:
        return pa.concat_tables([ANSWERS.empty_table(), *readers.map(read, sorted(rows))])


def _select(table: pa.Table, file: str, wanted: Mapping[str, IndexedAnswer]) -> pa.Table:
    rows: dict[str, int] = {}
    times = table["answered_at"].cast(pa.int64()).to_pylist()
    keys, statuses = table["request_key"].to_pylist(), table["status"].to_pylist()
    for row, (request_key, status, answered_at) in enumerate(zip(keys, statuses, times, strict=True)):
        answer = wanted.get(request_key)
        if answer and (answer.file, answer.status, answer.answered_at) == (file, status, answered_at):
            rows[request_key] = row
    return table.take(pa.array(sorted(rows.values()), pa.int64()))


def _read_keys(store: ObjectStore, files: Iterable[_File]) -> Iterator[tuple[int, pa.Table]]:
    """The numbers of the files with their columns of the index, in order; a few are read ahead."""

    def read(file: str) -> pa.Table:
        return read_table_as(store, file, ANSWERS, _INDEX_COLUMNS)

    waiting: deque[tuple[_File, Future[pa.Table]]] = deque()
    with ThreadPoolExecutor(_READERS) as readers:
        for file in files:
            waiting.append((file, readers.submit(read, file.name)))
            while len(waiting) > _READERS or sum(each.bytes for each, _ in waiting) > _AHEAD_BYTES:
                first, reading = waiting.popleft()
                yield first.number, reading.result()
        while waiting:
            first, reading = waiting.popleft()
            yield first.number, reading.result()


def _rows_since(since: int, number: int, table: pa.Table) -> Iterator[_Row]:
    """The rows of a file for the index, of those answered at ``since`` or later."""
    places = itertools.count()
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        keys, statuses, reasons, times, pieces = (batch.column(name) for name in _INDEX_COLUMNS)
        columns = (keys, statuses, reasons, times.cast(pa.int64()), pieces)
        for key, status, reason, came, parts in zip(*(column.to_pylist() for column in columns), strict=True):
            place = next(places)
            if came >= since:
                spans = [(part["start"], part["end"], part["request_key"]) for part in parts or ()]
                yield key, status, came, number, place, _text(spans), reason in UNUSABLE_REASONS


def _row(number: int, request_key: str, answer: IndexedAnswer) -> _Row:
    spans = [(part.start, part.end, part.request_key) for part in answer.parts]
    return (
        request_key,
        answer.status,
        answer.answered_at,
        number,
        answer.row,
        _text(spans),
        answer.is_unusable,
    )


def _text(spans: Sequence[tuple[int, int, str]]) -> str | None:
    return json.dumps(spans) if spans else None


def _indexed(
    status: str, answered_at: int, file: str, row: int, parts: str | None, is_unusable: int
) -> IndexedAnswer:
    spans = tuple(RequestSpan(*part) for part in json.loads(parts)) if parts else ()
    return IndexedAnswer(status, answered_at, file, row, spans, bool(is_unusable))
