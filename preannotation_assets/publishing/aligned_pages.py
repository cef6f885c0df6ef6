"""Streams of rows that are sorted by page, walked through beside one another."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from preannotation_assets.lake import Row

__all__ = ["PageKey", "aligned", "page_key"]

PageKey = tuple[str, int]
"""A page by its doc_id and page_num."""


def page_key(row: Row) -> PageKey:
    """The page that a row is of."""
    return row["doc_id"], row["page_num"]


def aligned(*streams: Iterable[Row]) -> Iterator[tuple[PageKey, list[list[Row]]]]:
    """Every page that any of the streams has, in order, with its rows in each; all are read to their ends.

    Each must be sorted by doc_id and page_num; of each, the rows of one page are held. Rows that stand behind
    those of a later page come as a page of their own, which the other streams no longer have.
    """
    groups = [groupby(stream, page_key) for stream in streams]
    heads = [_next(each) for each in groups]
    while keys := [head[0] for head in heads if head]:
        key = min(keys)
        yield key, [head[1] if head and head[0] == key else [] for head in heads]
        heads = [
            _next(each) if head and head[0] == key else head for each, head in zip(groups, heads, strict=True)
        ]


def _next(groups: Iterator[tuple[PageKey, Iterator[Row]]]) -> tuple[PageKey, list[Row]] | None:
    return next(((key, list(rows)) for key, rows in groups), None)
