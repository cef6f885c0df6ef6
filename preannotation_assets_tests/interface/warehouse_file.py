"""A DuckDB file with pages of the test's own, each with a word that must never leave the lake."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

__all__ = ["MARKER", "WarehouseFile"]

MARKER: Final = "Quartzwick"
"""In the name of the vessel, so that it is in the pages, in the answers and in the suggestions."""

_VIEW: Final = "CREATE VIEW main.vw_argilla_pages AS SELECT * FROM main.ocr_pages"
_PAGE: Final = """CERTIFICATE OF REGISTRY                                        No. {number}

  Name of vessel      {marker} Maid
  IMO number          9354923
  Call sign           GKQW
  Home port           Leith
  Owner               {marker} Shipping Ltd., Dundee
  Master              Capt. J. {marker}
  When built          1984 by Forth Yard, Burntisland

  The m.v. "{marker} Maid" arrived at Rotterdam on {day} March 2009 with wood pulp. {remark}
"""


class WarehouseFile:
    """The database the pipeline reads; no connection is kept, as the pipeline could not open it then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with duckdb.connect(str(path)) as connection:
            connection.execute(
                "CREATE TABLE main.ocr_pages("
                "doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
            )
            connection.execute(_VIEW)

    def add(self, dataset: str, pages: int) -> None:
        """Adds a dataset of one document."""
        with duckdb.connect(str(self.path)) as connection:
            for number in range(1, pages + 1):
                connection.execute(
                    "INSERT INTO main.ocr_pages VALUES (?, ?, ?, ?)",
                    [f"{dataset}/registry", number, *_text_and_hash(dataset, number, "")],
                )

    def change(self, dataset: str, page_num: int) -> None:
        """Gives a page another text."""
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(
                "UPDATE main.ocr_pages SET text = ?, text_sha256 = ? WHERE doc_id = ? AND page_num = ?",
                [*_text_and_hash(dataset, page_num, "Corrected."), f"{dataset}/registry", page_num],
            )

    def remove(self, dataset: str) -> None:
        """Takes a dataset out again."""
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("DELETE FROM main.ocr_pages WHERE doc_id = ?", [f"{dataset}/registry"])

    @contextmanager
    def without_view(self) -> Iterator[None]:
        """The view is not there, for a while."""
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("DROP VIEW main.vw_argilla_pages")
        try:
            yield
        finally:
            with duckdb.connect(str(self.path)) as connection:
                connection.execute(_VIEW)

    @contextmanager
    def missing(self) -> Iterator[None]:
        """The file is not where it was, for a while."""
        elsewhere = self.path.with_suffix(".elsewhere")
        self.path.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self.path)


def _text_and_hash(dataset: str, number: int, remark: str) -> tuple[str, str]:
    text = _PAGE.format(number=f"{dataset}-{number}", marker=MARKER, day=1 + number % 28, remark=remark)
    return text, hashlib.sha256(text.encode()).hexdigest()
