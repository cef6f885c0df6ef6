"""The sample batch as pages, and as a DuckDB file that looks like the warehouse."""

import hashlib
import re
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb

from preannotation_assets.demo.long_page import LONG_PAGE_DOCUMENT, long_page_text
from preannotation_assets.errors import WarehouseError

__all__ = ["SAMPLE_DATASET", "SamplePage", "sample_pages", "write_sample_database"]

SAMPLE_DATASET: Final = "vessels_ocr_demo"

_PAGE_FILE: Final = re.compile(r"(?P<document>\w+)__p(?P<page_num>\d{3})\.txt")
_PAGES_TABLE: Final = """
    CREATE TABLE main.ocr_pages(
        doc_id VARCHAR NOT NULL, page_num INTEGER NOT NULL,
        text VARCHAR NOT NULL, text_sha256 VARCHAR NOT NULL
    )"""
# No catalog's name in the view's body: the file is attached under a name it does not know.
_PAGES_VIEW: Final = """
    CREATE VIEW main.vw_argilla_pages AS SELECT doc_id, page_num, text, text_sha256 FROM main.ocr_pages"""
_READ_VIEW: Final = """
    SELECT doc_id, page_num, text, text_sha256 FROM main.vw_argilla_pages ORDER BY doc_id, page_num"""
_TABLES_AND_VIEWS: Final = """
    SELECT table_name FROM information_schema.tables
    WHERE table_catalog = current_database() ORDER BY table_name"""

_Row = tuple[str, int, str, str]


@dataclass(frozen=True, slots=True)
class SamplePage:
    """A page of the sample batch. ``page_num`` counts from 1; ``text`` is as scanned, line ends included."""

    doc_id: str
    page_num: int
    text: str

    @property
    def text_sha256(self) -> str:
        """SHA-256 of the text in UTF-8, lower-case hexadecimal, as in the warehouse's view."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def sample_pages() -> list[SamplePage]:
    """The pages of the sample batch, sorted by doc_id and page number."""
    pages = [SamplePage(f"{SAMPLE_DATASET}/{LONG_PAGE_DOCUMENT}", 1, long_page_text())]
    for file in resources.files("preannotation_assets.demo").joinpath("pages").iterdir():
        name = _PAGE_FILE.fullmatch(file.name)
        if name:
            # Bytes, not read_text: that would turn CRLF into LF and shift every offset.
            text = file.read_bytes().decode("utf-8")
            pages.append(SamplePage(f"{SAMPLE_DATASET}/{name['document']}", int(name["page_num"]), text))
    return sorted(pages, key=lambda page: (page.doc_id, page.page_num))


def write_sample_database(path: Path) -> int:
    """Makes ``path`` a DuckDB file with the sample batch; returns the number of its pages.

    The pages are in ``main.ocr_pages`` and, as the pipeline reads them, in ``main.vw_argilla_pages``.
    A file that already holds exactly these pages is left untouched; an older sample database is
    replaced in one step; a file that is anything else is never overwritten.

    Raises:
        WarehouseError: the file at ``path`` is not a sample database, or is in use.
    """
    rows: list[_Row] = [(page.doc_id, page.page_num, page.text, page.text_sha256) for page in sample_pages()]
    if _rows_of_sample_database(path) != rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            fresh = Path(folder) / path.name
            _write_database(fresh, rows)
            fresh.replace(path)
    return len(rows)


def _rows_of_sample_database(path: Path) -> list[_Row] | None:
    """What the sample database at ``path`` holds; None where there is no file, or an empty one."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            names = [name for (name,) in connection.execute(_TABLES_AND_VIEWS).fetchall()]
            if names != ["ocr_pages", "vw_argilla_pages"]:
                raise WarehouseError(
                    f"{path.name} is not a sample database", "name a file that does not exist"
                )
            rows: list[_Row] = connection.execute(_READ_VIEW).fetchall()
    except duckdb.Error:
        # Not chained: DuckDB may quote what it could not read.
        raise WarehouseError(
            f"{path.name} cannot be read as a sample database", "close or remove it"
        ) from None
    if not all(doc_id.startswith(f"{SAMPLE_DATASET}/") for doc_id, *_ in rows):
        raise WarehouseError(f"{path.name} holds pages of other datasets", "name a file that does not exist")
    return rows


def _write_database(path: Path, rows: list[_Row]) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(_PAGES_TABLE)
        connection.executemany("INSERT INTO main.ocr_pages VALUES (?, ?, ?, ?)", rows)
        connection.execute(_PAGES_VIEW)
