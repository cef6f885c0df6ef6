"""What single pages took, by the rows of their requests."""

from pathlib import Path
from typing import Any

import pytest
from shared.published_dataset import LAYOUT, Dataset, good_rows
from shared.raw_outputs import write_raw_outputs

from preannotation_assets.contracts import SALVAGED
from preannotation_assets.evaluation.empty_pages import PageRequests
from preannotation_assets.evaluation.pages import PageKey
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.publishing.evaluation.page_requests import read_page_requests
from preannotation_assets.publishing.report.reading import read_batch

A, B = ("a", 1), ("b", 1)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset(tmp_path)
    dataset.publish(good_rows())
    return dataset


def taken(dataset: Dataset, *parts: list[dict[str, Any]]) -> dict[PageKey, PageRequests] | None:
    store = dataset.plain_store
    outputs = write_raw_outputs(store, LAYOUT, *parts)
    write_manifest(store, LAYOUT.stage_manifest("raw_model_outputs"), outputs)
    return read_page_requests(store, read_batch(store, LAYOUT.dataset), {A, B})


def row(page: PageKey, key: str, **changes: Any) -> dict[str, Any]:
    return {"doc_id": page[0], "page_num": page[1], "request_key": key, **changes}


def test_a_page_took_its_chunks_passes_and_parts(dataset: Dataset) -> None:
    found = taken(
        dataset,
        [row(A, "1"), row(A, "2", queue_seconds=0.5), row(A, "3", pass_number=2)],
        [
            row(B, "4", reason=SALVAGED, prompt_tokens=None, latency_seconds=None),
            row(B, "5"),
            row(("c", 1), "6"),
        ],
    )
    assert found == {A: PageRequests(3, 360, 5.5), B: PageRequests(1, 120, 2.0)}


def test_a_request_of_two_pages_is_that_of_the_first(dataset: Dataset) -> None:
    """Not only of the wanted ones: without the page it had been made all the same."""
    found = taken(dataset, [row(("0", 1), "0"), row(A, "0"), row(A, "1"), row(B, "1"), row(B, "2")])
    assert found == {A: PageRequests(1, 120, 2.0), B: PageRequests(1, 120, 2.0)}


def test_what_no_server_told_is_unknown(dataset: Dataset) -> None:
    found = taken(dataset, [row(A, "1", prompt_tokens=None, latency_seconds=None)])
    assert found == {A: PageRequests(1, None, None)}


def test_without_answers_nothing_is_known(dataset: Dataset) -> None:
    store = dataset.plain_store
    assert read_page_requests(store, read_batch(store, LAYOUT.dataset), {A}) is None
