"""A DuckDB file with the view of pages, filled from plain rows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from shared.duckdb_rows import insert_rows

__all__ = ["write_warehouse"]

_COLUMNS = ("doc_id", "page_num", "text", "text_sha256")


def write_warehouse(path: Path, pages: Iterable[Mapping[str, Any]]) -> None:
    """Writes the file anew, with a page for each row."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE p(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
        )
        connection.execute("CREATE VIEW vw_argilla_pages AS SELECT * FROM p")
        insert_rows(connection, "p", [[page[name] for name in _COLUMNS] for page in pages])
