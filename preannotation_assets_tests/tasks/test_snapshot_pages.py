from collections.abc import Iterator
from itertools import accumulate, islice, takewhile
from pathlib import Path

import pytest

from preannotation_assets.contracts import PAGES
from preannotation_assets.extraction.pages import PageFault, PageRow, TextFault
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, read_table
from preannotation_assets.lake.batch import iterate_rows
from preannotation_assets.tasks.snapshot_pages import Snapshot, part_sizes, write_snapshot

PAGES_A_PART = 1000


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(StoreLocation(str(tmp_path)))


def page(number: int, text: str = "x", sha256: str = "h") -> PageRow:
    return PageRow("doc", number, text, sha256)


def write(store: ObjectStore, *pages: PageRow | PageFault) -> Snapshot:
    return write_snapshot(store, "snap", pages, PAGES_A_PART)


@pytest.mark.parametrize(
    ("count", "parts"),
    [
        (0, []),
        (1, [1]),
        (50, [50]),
        (51, [50, 1]),
        (400, [50] * 8),
        (500, [50] * 8 + [100]),
        (1601, [50] * 8 + [100] * 8 + [200, 200, 1]),
    ],
)
def test_pages_fill_parts_in_order(store: ObjectStore, count: int, parts: list[int]) -> None:
    snapshot = write(store, *(page(number, f"text {number}") for number in range(count)))
    assert snapshot.part_rows == parts
    assert snapshot.pages == count
    rows = list(iterate_rows(store, "snap", len(parts), PAGES))
    assert [(row["page_num"], row["text"]) for row in rows] == [(n, f"text {n}") for n in range(count)]
    assert len(list(store.list("snap/"))) == len(parts)


@pytest.mark.parametrize("most", [1, 50, 60, 1000, 2000, 5000])
def test_parts_grow_to_what_is_allowed_and_no_further(most: int) -> None:
    sizes = list(islice(part_sizes(most), 100))
    assert sizes == sorted(sizes)
    assert max(sizes) == sizes[-1] == most


@pytest.mark.parametrize(("pages", "cores"), [(500, 8), (2000, 16), (10_000, 32)])
def test_a_batch_has_a_part_for_every_core(pages: int, cores: int) -> None:
    ends = list(takewhile(lambda end: end < pages, accumulate(part_sizes(2000))))
    assert len(ends) + 1 >= cores


def test_a_part_has_the_columns_of_the_contract_and_the_texts_as_they_are(store: ObjectStore) -> None:
    texts = ["", " \r\n", "nul\0", "🚢é", "x" * 100_000]
    write(store, *(page(number, text) for number, text in enumerate(texts)))
    table = read_table(store, "snap/part-00000.parquet")
    assert table.schema.equals(PAGES)
    assert table["text"].to_pylist() == texts


def test_what_is_left_out_is_noted(store: ObjectStore) -> None:
    fault = PageFault("doc", None, TextFault.PAGE_NUMBER_MISSING)
    snapshot = write(store, page(1, " \n"), fault, PageRow("doc", 2, "abc", "h", copies=3), fault)
    assert (snapshot.pages, snapshot.empty_pages, snapshot.characters, snapshot.collapsed_duplicates) == (
        2,
        1,
        5,
        2,
    )
    assert [(item.doc_id, item.page_num, item.reason) for item in snapshot.failed_pages] == [
        ("doc", None, "page_number_missing")
    ] * 2
    assert write(store, fault).part_rows == []


def test_the_hash_is_of_ids_and_text_hashes_in_order(store: ObjectStore) -> None:
    hashes = [
        write(store, *pages).content_hash
        for pages in (
            [page(1), page(2)],
            [page(1)],
            [page(2), page(1)],
            [page(1, sha256="other"), page(2)],
            [PageRow("other", 1, "x", "h"), page(2)],
            [],
        )
    ]
    assert len(set(hashes)) == len(hashes)
    assert write(store, page(1), page(2)).content_hash == hashes[0]


def test_one_part_at_a_time_is_read(store: ObjectStore) -> None:
    seen: list[int] = []

    def pages() -> Iterator[PageRow]:
        for number in range(35):
            seen.append(len(list(store.list("snap/"))))
            yield page(number)

    assert write_snapshot(store, "snap", pages(), 10).part_rows == [10, 10, 10, 5]
    assert seen == [number // 10 for number in range(35)]


def test_an_error_of_the_source_passes_through(store: ObjectStore) -> None:
    def pages() -> Iterator[PageRow]:
        yield page(1)
        raise KeyError("source")

    with pytest.raises(KeyError):
        write_snapshot(store, "snap", pages(), PAGES_A_PART)
    assert list(store.list("snap/")) == []
