"""Batches of made-up pages, even and uneven, as a DuckDB file."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

__all__ = ["BATCHES", "DATASET", "write_batch"]

DATASET: Final = "vessels_ocr_cluster"

_SEA: Final = "The sea was calm, the air was clear, and nothing was seen of the other watch that day.\n"
_LARGE_BYTES: Final = 2_000_000
_RICH_SHARE: Final = 0.05
# With so many reports on a rich page and one on each of four others, 95 % of the answers are on 5 %.
_RICH_REPORTS: Final = 72
_POOR_EVERY: Final = 5

_Page = tuple[str, int, str]


def _report(number: int) -> str:
    return f"M/V OCEAN STAR {number}, IMO 9666948, arrived at Hamburg from Antwerp on 14 March 1957.\n"


def _even(pages: int) -> Iterator[_Page]:
    for number in range(pages):
        yield f"{number // 20:06}", number % 20 + 1, _report(number) + 4 * _SEA


def _one_document(pages: int) -> Iterator[_Page]:
    for number in range(pages):
        yield "register", number + 1, _report(number) + 4 * _SEA


def _large_page(pages: int) -> Iterator[_Page]:
    """The last page is large, so that its part is not begun first."""
    yield from list(_even(pages))[:-1]
    lines: list[str] = []
    size = number = 0
    while size < _LARGE_BYTES:
        lines.append(_report(number) + 19 * _SEA)
        size += len(lines[-1])
        number += 1
    yield "large", 1, "".join(lines)


def _uneven_answers(pages: int) -> Iterator[_Page]:
    """The rich pages are neighbours, in one document."""
    rich = round(pages * _RICH_SHARE)
    for number in range(pages - rich):
        told = _report(number) if number % _POOR_EVERY == 0 else ""
        yield f"{number // 20:06}", number % 20 + 1, told + 4 * _SEA
    for number in range(rich):
        reports = "".join(_report(1000 * number + line) for line in range(_RICH_REPORTS))
        yield "rich", number + 1, reports


BATCHES: Final = {
    "even": _even,
    "one document": _one_document,
    "a page of 2 MB": _large_page,
    "95 % of answers on 5 % of pages": _uneven_answers,
}
"""Makes the pages of a batch, by its name: doc_id within the dataset, page number, text."""


def write_batch(path: Path, name: str, pages: int) -> None:
    """Makes ``path`` a DuckDB file with the view of pages."""
    rows = [
        (f"{DATASET}/{document}", page, text, hashlib.sha256(text.encode()).hexdigest())
        for document, page, text in BATCHES[name](pages)
    ]
    names = ("doc_id", "page_num", "text", "text_sha256")
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    with duckdb.connect(str(path)) as connection:
        connection.register("arrived", table)
        connection.execute("CREATE TABLE pages AS SELECT * FROM arrived")
        connection.execute("CREATE VIEW vw_argilla_pages AS SELECT * FROM pages")
