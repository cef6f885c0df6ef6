"""Rows of a test, put into a table of DuckDB at once: one by one they take a millisecond and more each."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

__all__ = ["insert_rows"]


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Adds rows, which may be none, with a value for every column of the table."""
    if not rows:
        return
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    connection.register("given_rows", pa.table(columns, names=[str(place) for place in range(len(columns))]))
    connection.execute(f"INSERT INTO {table} SELECT * FROM given_rows")
    connection.unregister("given_rows")
