"""Puts small files of the answer store together, without a moment in which an answer is missing.

The new file is durable before the old ones are deleted. Whoever dies in between leaves rows twice, which
changes nothing; whoever reads meanwhile finds a file gone and lists again (`AnswerIndex.read`).

Rows lie in the order of their time, which is about that of the chunks, in groups of 500: who needs the
answers of one part of the chunks fetches a few groups and not the file.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import uuid4

import pyarrow as pa

from preannotation_assets.lake import ObjectEntry, ObjectStore, read_listed_table, write_table

__all__ = ["compact_answers"]

_FEWEST_FILES: Final = 20
_SMALL_BYTES: Final = 4 * 1024**2
_TOGETHER_BYTES: Final = 32 * 1024**2
_GROUP_ROWS: Final = 500


def compact_answers(store: ObjectStore, folder: str) -> int:
    """Puts files below 4 MiB together to about 32 MiB each, where there are 20 of them or more.

    Nobody else may compact the same store meanwhile: hold the dataset's lease. Writers and readers do
    not matter. Returns how many files were replaced.

    Raises:
        StorageError: the lake failed; nothing is lost.
    """
    small = [stat for stat in store.list(f"{folder}/") if stat.size < _SMALL_BYTES]
    if len(small) < _FEWEST_FILES:
        return 0
    replaced = 0
    for group in _groups(small):
        rows = _together([read_listed_table(store, stat) for stat in group])
        if rows is None:
            continue
        key = f"{folder}/compacted/{uuid4()}.parquet"
        write_table(store, key, rows, row_group_size=_GROUP_ROWS)
        store.delete([stat.key for stat in group])
        replaced += len(group)
    return replaced


def _together(tables: Sequence[pa.Table]) -> pa.Table | None:
    """The rows of files of several releases, with every column that one of them has.

    A column that this code does not know was written by newer code, and paid for. None where a column has
    kinds that do not go together: such files are read one by one all the same, and stay as they are.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive").sort_by("answered_at")
    except pa.ArrowException:
        return None


def _groups(files: list[ObjectEntry]) -> Iterator[list[ObjectEntry]]:
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
