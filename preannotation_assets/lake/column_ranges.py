"""Where the columns of a Parquet file lie in it."""

from collections.abc import Collection

import pyarrow.parquet as pq

__all__ = ["column_ranges"]


def column_ranges(
    metadata: pq.FileMetaData, columns: Collection[str], groups: Collection[int]
) -> list[tuple[int, int]]:
    """Return the ranges of bytes, start and end, of the named columns in the row groups of these numbers.

    As the file says, which may be damaged. A column chunk begins with its dictionary, if it has one, and has
    ``total_compressed_size`` bytes (Parquet's `ColumnMetaData`).
    """
    ranges = []
    for group in map(metadata.row_group, sorted(groups)):
        for chunk in map(group.column, range(group.num_columns)):
            # A column of lists or structs is more than one, named `column.list.element`.
            if chunk.path_in_schema in columns or chunk.path_in_schema.partition(".")[0] in columns:
                start = chunk.data_page_offset
                if chunk.has_dictionary_page:
                    start = min(start, chunk.dictionary_page_offset)
                ranges.append((start, start + chunk.total_compressed_size))
    return ranges
