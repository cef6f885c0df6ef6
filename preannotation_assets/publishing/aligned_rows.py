"""Rows of several tables that are in the order of their pages, page by page."""

from collections.abc import Iterator
from itertools import groupby

from preannotation_assets.lake import Row

__all__ = ["AlignedRows"]

_PageKey = tuple[str, int]


class AlignedRows:
    """Rows in the order of their pages, handed out page by page to whoever asks in the same order."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._groups = groupby(rows, lambda row: (row["doc_id"], row["page_num"]))
        self._advance()

    def _advance(self) -> None:
        key, rows = next(self._groups, (None, iter(())))
        self._key: _PageKey | None = key
        self._held = list(rows)

    def of(self, key: _PageKey) -> list[Row]:
        """The rows of a page; those of pages before it are passed over."""
        while self._key is not None and self._key < key:
            self._advance()
        return self._held if self._key == key else []
