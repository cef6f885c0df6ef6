"""Rows of the view by document and page, in bounded memory however many and however long they are.

DuckDB's sort hands on 122,880 rows at a time, a row group of its format, and keeps their texts in memory
meanwhile: 369 MB with pages of 3 kB, more than 1 GB with pages of 12 kB. So rows are read as they come,
sorted 32 MiB at a time, and merged from a temporary file where there are more (external sorting: Knuth, The
Art of Computer Programming, volume 3, 5.4).
"""

from array import array
from collections.abc import Iterator
from heapq import merge
from itertools import pairwise
from os import pread
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from preannotation_assets.errors import WarehouseError
from preannotation_assets.extraction.pages import SourceRow
from preannotation_assets.temporary_folders import nameless_file

__all__ = ["PAGE_COLUMNS", "rows_in_order"]

PAGE_COLUMNS: Final = ("doc_id", "page_num", "text", "text_sha256")

_RUN_BYTES: Final = 32 * 2**20
# Of each run one block is in memory while they are merged: 10 million pages of 3 kB are 900 runs.
_BLOCK_BYTES: Final = 128 * 2**10
_NO_ROWS: Final = pa.record_batch({name: pa.array([], pa.string()) for name in PAGE_COLUMNS})


def rows_in_order(
    batches: Iterator[pa.RecordBatch], run_bytes: int = _RUN_BYTES, block_bytes: int = _BLOCK_BYTES
) -> Iterator[SourceRow]:
    """The rows of ``batches``, which have ``PAGE_COLUMNS``, by doc_id (code points) and page number.

    A missing page number comes last. Rows that are alike in both keep their order. More bytes than
    ``run_bytes`` are sorted through a temporary file.

    Raises:
        WarehouseError: a row has no doc_id.
        StorageError: there is no room for the temporary file.
    """
    run, is_last = _take(batches, run_bytes)
    if is_last:
        for block in _in_order(run, block_bytes):
            yield from _source_rows(block)
        return
    with nameless_file() as file:
        schema, runs = run.schema, [_write(file, _in_order(run, block_bytes))]
        while not is_last:
            run, is_last = _take(batches, run_bytes)
            runs.append(_write(file, _in_order(run, block_bytes)))
        del run
        file.flush()
        yield from merge(*(_read(file, bounds, schema) for bounds in runs), key=_place)


def _take(batches: Iterator[pa.RecordBatch], run_bytes: int) -> tuple[pa.RecordBatch, bool]:
    """The next rows, until they have so many bytes, and whether they are the last ones."""
    taken: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if batch.column("doc_id").null_count:
            raise WarehouseError(
                "the batch has a row without a doc_id", "leave it out of the view or of the batch condition"
            )
        taken.append(batch)
        size += batch.nbytes
        if size >= run_bytes:
            break
    return (pa.concat_batches(taken) if taken else _NO_ROWS), size < run_bytes


def _in_order(run: pa.RecordBatch, block_bytes: int) -> Iterator[pa.RecordBatch]:
    """The rows of a run in order, about so many bytes at a time."""
    keys = [("doc_id", "ascending"), ("page_num", "ascending")]
    order = pc.sort_indices(run, keys)
    rows = max(1, block_bytes * run.num_rows // max(1, run.nbytes))
    for first in range(0, run.num_rows, rows):
        yield run.take(order[first : first + rows])


def _write(file: BinaryIO, blocks: Iterator[pa.RecordBatch]) -> "array[int]":
    """Writes the blocks of a run; returns where each begins and the last one ends."""
    bounds = array("Q", [file.tell()])
    for block in blocks:
        file.write(block.serialize())
        bounds.append(file.tell())
    return bounds


def _read(file: BinaryIO, bounds: "array[int]", schema: pa.Schema) -> Iterator[SourceRow]:
    for begin, end in pairwise(bounds):
        block = pread(file.fileno(), end - begin, begin)
        yield from _source_rows(pa.ipc.read_record_batch(pa.py_buffer(block), schema))


def _source_rows(batch: pa.RecordBatch) -> Iterator[SourceRow]:
    columns = [batch.column(name).to_pylist() for name in PAGE_COLUMNS]
    for doc_id, page_num, text, sha256 in zip(*columns, strict=True):
        # HUGEINT comes as a decimal.
        yield SourceRow(doc_id, None if page_num is None else int(page_num), text, sha256)


def _place(row: SourceRow) -> tuple[str, bool, int]:
    return row.doc_id, row.page_num is None, row.page_num or 0
