"""Puts small files of the answer store together, without a moment in which an answer is missing.

The new file is durable before the old ones are deleted. Whoever dies in between leaves rows twice, which
changes nothing; whoever reads meanwhile finds a file gone and lists again (`AnswerIndex.read`).

Files are put together in the order in which they were written, and rows lie in the order of their time, which
is about that of the chunks, in groups of 500: who needs the answers of one part of the chunks fetches a few
groups of a few files. The rows of one new file are in memory at a time, and the list of files is on disk.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import pyarrow as pa

from preannotation_assets.lake import ObjectEntry, ObjectStore, read_listed_table, write_table
from preannotation_assets.lake.local_database import LocalDatabase

__all__ = ["compact_answers"]

_FEWEST_FILES: Final = 20
_SMALL_BYTES: Final = 4 * 1024**2
# What is decoded and sorted at a time: of Parquet, and of rows where much of it is little Parquet.
_TOGETHER_BYTES: Final = 8 * 1024**2
_DECODED_BYTES: Final = 64 * 1024**2
_GROUP_ROWS: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_FILES: Final = """
    CREATE TABLE files (
        modified_at INTEGER, key TEXT, size INTEGER NOT NULL, PRIMARY KEY (modified_at, key)
    ) WITHOUT ROWID
"""


def compact_answers(store: ObjectStore, folder: str) -> int:
    """Puts files below 4 MiB together to about 8 MiB each, where there are 20 of them or more.

    Nobody else may compact the same store meanwhile: hold the dataset's lease. Writers and readers do
    not matter. Returns how many files were replaced.

    Raises:
        StorageError: the lake failed, or there is no room for temporary files; nothing is lost.
    """
    with closing(LocalDatabase(_FILES)) as listed:
        small = (entry for entry in store.list(f"{folder}/") if entry.size < _SMALL_BYTES)
        rows = ((_microseconds(entry.modified_at), entry.key, entry.size) for entry in small)
        if listed.execute_each("INSERT INTO files VALUES (?, ?, ?)", rows) < _FEWEST_FILES:
            return 0
        replaced, group = 0, _Group()
        for entry in _in_order(listed):
            group.read(store, entry)
            if group.is_full:
                replaced += group.put_together(store, folder)
        return replaced + group.put_together(store, folder)


def _in_order(listed: LocalDatabase) -> Iterator[ObjectEntry]:
    """As they were written: those of other runs, and of other tasks, have other names and about one time."""
    for moment, key, size in listed.each(
        "SELECT modified_at, key, size FROM files ORDER BY modified_at, key"
    ):
        yield ObjectEntry(key, size, _EPOCH + moment * _MICROSECOND)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


class _Group:
    """Files that are read and not yet put together."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._tables: list[pa.Table] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        decoded = sum(table.nbytes for table in self._tables)
        return self._bytes >= _TOGETHER_BYTES or decoded >= _DECODED_BYTES

    def read(self, store: ObjectStore, entry: ObjectEntry) -> None:
        """Adds a file."""
        self._tables.append(read_listed_table(store, entry))
        self._keys.append(entry.key)
        self._bytes += entry.size

    def put_together(self, store: ObjectStore, folder: str) -> int:
        """Writes one new file in the place of these; returns how many were replaced.

        A file alone is not worth writing again. The group is empty then.
        """
        keys, tables = self._keys, self._tables
        self._keys, self._tables, self._bytes = [], [], 0
        rows = _together(tables) if len(tables) > 1 else None
        if rows is None:
            return 0
        write_table(store, f"{folder}/compacted/{uuid4()}.parquet", rows, row_group_size=_GROUP_ROWS)
        store.delete(keys)
        return len(keys)


def _together(tables: Sequence[pa.Table]) -> pa.Table | None:
    """The rows of files of several releases, with every column that one of them has.

    A column that this code does not know was written by newer code, and paid for. None where a column has
    kinds that do not go together: such files are read one by one all the same, and stay as they are.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive").sort_by("answered_at")
    except pa.ArrowException:
        return None
