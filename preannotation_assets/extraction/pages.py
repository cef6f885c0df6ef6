"""Checks the pages of a batch as they stream in: hashes, gaps and duplicates."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

__all__ = ["PageFault", "PageRow", "SourceRow", "TextFault", "check_pages", "text_sha256"]

_INT32_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of the view, of which any value may be missing."""

    doc_id: str
    page_num: int | None
    text: str | None
    text_sha256: str | None


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page whose text hash is right. ``copies`` counts identical rows that the view holds."""

    doc_id: str
    page_num: int
    text: str
    text_sha256: str
    copies: int = 1


class TextFault(StrEnum):
    """Why a page cannot be worked on."""

    PAGE_NUMBER_MISSING = "page_number_missing"
    PAGE_NUMBER_OUT_OF_RANGE = "page_number_out_of_range"
    TEXT_MISSING = "text_missing"
    HASH_MISSING = "hash_missing"
    HASH_MISMATCH = "hash_mismatch"
    CONFLICTING_VERSIONS = "conflicting_versions"


@dataclass(frozen=True, slots=True)
class PageFault:
    """A page that is left out, and why."""

    doc_id: str
    page_num: int | None
    fault: TextFault


def text_sha256(text: str) -> str:
    """The lower-case hexadecimal SHA-256 of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def check_pages(rows: Iterable[SourceRow]) -> Iterator[PageRow | PageFault]:
    """Passes the good pages on and names the faults of the others, one result a page.

    ``rows`` must be sorted by doc_id and page_num. Identical rows become one page; rows of one page
    that differ are a fault, because nobody can say which of them the experts see.
    """
    for (doc_id, page_num), group in groupby(rows, key=lambda row: (row.doc_id, row.page_num)):
        versions = list(group)
        if page_num is not None and any(version != versions[0] for version in versions):
            yield PageFault(doc_id, page_num, TextFault.CONFLICTING_VERSIONS)
        else:
            yield _check_page(versions[0], copies=len(versions))


def _check_page(row: SourceRow, copies: int) -> PageRow | PageFault:
    if row.page_num is None:
        return PageFault(row.doc_id, None, TextFault.PAGE_NUMBER_MISSING)
    if not 0 <= row.page_num <= _INT32_MAX:
        return PageFault(row.doc_id, row.page_num, TextFault.PAGE_NUMBER_OUT_OF_RANGE)
    if row.text is None:
        return PageFault(row.doc_id, row.page_num, TextFault.TEXT_MISSING)
    if not row.text_sha256:
        return PageFault(row.doc_id, row.page_num, TextFault.HASH_MISSING)
    if text_sha256(row.text) != row.text_sha256.lower():
        return PageFault(row.doc_id, row.page_num, TextFault.HASH_MISMATCH)
    return PageRow(row.doc_id, row.page_num, row.text, row.text_sha256, copies)
