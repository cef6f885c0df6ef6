"""Streams that are sorted by page, beside one another."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.publishing.aligned_pages import aligned, page_key

PAGES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=9).map(sorted)


def rows(keys: list[tuple[str, int]], stream: int) -> list[dict[str, Any]]:
    return [
        {"doc_id": doc_id, "page_num": page_num, "name": (stream, number)}
        for number, (doc_id, page_num) in enumerate(keys)
    ]


@given(st.lists(PAGES, min_size=1, max_size=3))
def test_every_page_comes_once_with_its_rows_of_every_stream(keys: list[list[tuple[str, int]]]) -> None:
    streams = [rows(each, number) for number, each in enumerate(keys)]
    expected = [
        (key, [[row for row in stream if page_key(row) == key] for stream in streams])
        for key in sorted({key for each in keys for key in each})
    ]
    assert list(aligned(*streams)) == expected


def test_rows_out_of_order_do_not_take_the_pages_of_others() -> None:
    pages, found = rows([("a", 1), ("b", 1)], 0), rows([("b", 1), ("a", 1)], 1)
    assert list(aligned(pages, found)) == [
        (("a", 1), [pages[:1], []]),
        (("b", 1), [pages[1:], found[:1]]),
        (("a", 1), [[], found[1:]]),
    ]
