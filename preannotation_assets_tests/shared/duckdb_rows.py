"""Rows of a test, put into a table of DuckDB by one statement: each alone would take a millisecond."""

from collections.abc import Sequence

import duckdb

__all__ = ["insert_rows"]


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Adds rows, which may be none, with a value for every column of the table."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        values = ", ".join("unnest(?)" for _ in columns)
        connection.execute(f"INSERT INTO {table} SELECT {values}", columns)
