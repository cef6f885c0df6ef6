"""Puts small files of the answer store together, without a moment in which an answer is missing.

The new file is durable before the old ones are deleted. Whoever dies in between leaves rows twice, which
changes nothing; whoever reads meanwhile finds a file gone and lists again (`AnswerIndex.read`).

Files are put together in the order in which they were written, and rows lie in the order of their time, which
is about that of the chunks, in groups of 500: who needs the answers of one part of the chunks fetches a few
groups of a few files. The rows of one new file are in memory at a time.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import uuid4

import pyarrow as pa

from preannotation_assets.lake import ObjectEntry, ObjectStore, read_listed_table, write_table

__all__ = ["compact_answers"]

_FEWEST_FILES: Final = 20
_SMALL_BYTES: Final = 4 * 1024**2
# What is decoded and sorted at a time.
_TOGETHER_BYTES: Final = 8 * 1024**2
_GROUP_ROWS: Final = 500


def compact_answers(store: ObjectStore, folder: str) -> int:
    """Puts files below 4 MiB together to about 8 MiB each, where there are 20 of them or more.

    Nobody else may compact the same store meanwhile: hold the dataset's lease. Writers and readers do
    not matter. Returns how many files were replaced.

    Raises:
        StorageError: the lake failed; nothing is lost.
    """
    small = [stat for stat in store.list(f"{folder}/") if stat.size < _SMALL_BYTES]
    if len(small) < _FEWEST_FILES:
        return 0
    # Those of other runs, and of other tasks, have other names and about the same time.
    small.sort(key=lambda stat: (stat.modified_at, stat.key))
    return sum(_put_together(store, folder, group) for group in _groups(small))


def _put_together(store: ObjectStore, folder: str, group: Sequence[ObjectEntry]) -> int:
    """Writes one new file in the place of several; returns how many were replaced."""
    rows = _together([read_listed_table(store, stat) for stat in group])
    if rows is None:
        return 0
    write_table(store, f"{folder}/compacted/{uuid4()}.parquet", rows, row_group_size=_GROUP_ROWS)
    store.delete([stat.key for stat in group])
    return len(group)


def _together(tables: Sequence[pa.Table]) -> pa.Table | None:
    """The rows of files of several releases, with every column that one of them has.

    A column that this code does not know was written by newer code, and paid for. None where a column has
    kinds that do not go together: such files are read one by one all the same, and stay as they are.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive").sort_by("answered_at")
    except pa.ArrowException:
        return None


def _groups(files: Sequence[ObjectEntry]) -> Iterator[list[ObjectEntry]]:
    """Runs of files that are large enough together; a file alone is not worth writing again."""
    group: list[ObjectEntry] = []
    size = 0
    for stat in files:
        group.append(stat)
        size += stat.size
        if size >= _TOGETHER_BYTES:
            yield group
            group, size = [], 0
    if len(group) > 1:
        yield group
