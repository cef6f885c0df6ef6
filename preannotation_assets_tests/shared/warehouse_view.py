"""A DuckDB file with the statements and rows of a test, and what is read of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb

from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.extraction.pages import SourceRow
from shared.duckdb_rows import insert_rows

__all__ = ["DATASET", "TABLE", "VIEW", "Row", "database", "read"]

TABLE = "CREATE TABLE t(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
VIEW = "CREATE VIEW vw_argilla_pages AS SELECT * FROM t"
DATASET = "vessels_ocr_1"

Row = tuple[Any, Any, Any, Any]


def database(folder: Path, statements: Iterable[str], rows: Sequence[Row] = ()) -> Path:
    """Writes the file anew; rows are of the table ``t``."""
    path = folder / "it's a warehouse.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        insert_rows(connection, "t", rows)
    return path


def read(path: Path | str, dataset: str = DATASET, condition: str = "") -> list[SourceRow]:
    """The pages of a dataset in the order of reading."""
    with WarehouseResource(database=str(path), batch_condition=condition).open() as source:
        return list(source.read_pages(dataset))
