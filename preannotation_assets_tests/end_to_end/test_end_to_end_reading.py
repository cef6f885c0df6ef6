"""How often a run fetches what is stored: on S3 every fetch is paid for, in time and in money."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from s3_servers.fault_proxy import FaultProxy
from s3_servers.rados_gateway import TEST_ENVIRONMENT

from end_to_end.user_place import DATASET, REPORT, Place, make_place
from preannotation_assets.simulator import RunningSimulator

pytestmark = pytest.mark.spark

PAGES = 260
FIRST_PARTS = 50
# Pages of one text share a request: a part of pages has two texts that no other has.
TEXTS_A_PART = 2


def _page(number: int) -> str:
    return f"{REPORT}{number // FIRST_PARTS} {number % TEXTS_A_PART}"


@pytest.fixture
def place(tmp_path: Path, simulator: RunningSimulator, proxy: FaultProxy, bucket: str) -> Place:
    pages = {f"{number:05}": _page(number) for number in range(PAGES)}
    place = make_place(tmp_path / "user", pages, simulator.url)
    place.environment.update(
        TEST_ENVIRONMENT, PREANNOTATION_ROOT=f"s3://{bucket}", AWS_ENDPOINT_URL=proxy.url
    )
    return place


def _fetches(proxy: FaultProxy, command: Callable[[], tuple[int, str, str]]) -> dict[str, Counter[str]]:
    """How often each object was fetched, by the stage it is of; all are so small that once is one GET."""
    proxy.requests.clear()
    status, _, said = command()
    assert status == 0, said
    counts: dict[str, Counter[str]] = {
        stage: Counter() for stage in ("pages", "chunks", "answers", "raw_model_outputs", "suggestions")
    }
    for request in proxy.requests:
        method, _, path = request.partition(" ")
        stage = path.partition(f"/work/{DATASET}/")[2].partition("/")[0]
        if method == "GET" and path.endswith(".parquet") and stage in counts:
            counts[stage][path] += 1
    return counts


def test_a_run_fetches_pages_four_times_and_chunks_three_times(
    place: Place, proxy: FaultProxy, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    first = _fetches(proxy, lambda: preannotate(place, "run", DATASET))
    # Chunking, grounding, verifying; and the preview.
    assert set(first["pages"].values()) == {4}
    # Planning, asking, and learning of the model's tokens from the first parts.
    assert set(first["chunks"].values()) == {3}
    # Grounding; what the requests came to, for manifest and preview; and the summary.
    assert set(first["raw_model_outputs"].values()) == {3}
    # Publishing, and of the first part the rows that Dagster shows; the preview has the quotes.
    once, twice = (sum(each == times for each in first["suggestions"].values()) for times in (1, 2))
    assert (twice, once) == (1, len(first["suggestions"]) - 1)

    again = _fetches(proxy, lambda: preannotate(place, "run", DATASET))
    # Nothing is new, so the preview is not made anew.
    assert not again["pages"]
    for stage in ("chunks", "answers", "raw_model_outputs"):
        assert set(again[stage].values()) == {1}, stage

    verified = _fetches(proxy, lambda: preannotate(place, "verify", DATASET))
    assert verified["pages"] == dict.fromkeys(first["pages"], 1)
    assert not any(verified[stage] for stage in verified if stage != "pages")
