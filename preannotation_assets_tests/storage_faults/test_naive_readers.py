"""Naive readers in a loop against a publisher in a loop: no half batch, mixture, duplicate or gap, ever."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest
from naive_readers import (
    Anomaly,
    Reader,
    duckdb_reader,
    httpfs_extension,
    judge,
    pyarrow_reader,
    read_often,
    whole_reader,
)
from published_batches import BATCHES, expected_table, publish_batch, write_pages
from publisher_process import PublisherProcess, publisher_process

from preannotation_assets.contracts import SUGGESTIONS
from preannotation_assets.lake import StoreLocation, open_store

READS = 300
START = SUGGESTIONS.get_field_index("start")
SMALL, LARGE = (expected_table(batch) for batch in BATCHES.values())


# With each reader, the errors by which it says that the object was replaced while it read.
READERS: dict[str, tuple[Callable[[tuple[str, int], str], Reader], tuple[type[Exception], ...]]] = {
    "whole": (whole_reader, ()),
    "pyarrow": (pyarrow_reader, (OSError, pa.ArrowException)),
    # A message of DuckDB's may quote the bytes it stumbled over, which then are no UTF-8.
    "duckdb": (duckdb_reader, (duckdb.Error, UnicodeDecodeError)),
}


@pytest.fixture(scope="module")
def publisher() -> Iterator[PublisherProcess]:
    with publisher_process() as process:
        yield process


@pytest.mark.parametrize(
    ("planted", "anomaly"),
    [
        (pa.concat_tables([SMALL.slice(0, 100), LARGE.slice(250)]), Anomaly.MIXTURE),
        (pa.concat_tables([SMALL, LARGE]), Anomaly.MIXTURE),
        (pa.concat_tables([SMALL, SMALL.slice(7, 1)]), Anomaly.DUPLICATES),
        (pa.concat_tables([LARGE.slice(0, 500), LARGE.slice(501)]), Anomaly.GAP),
        (LARGE.slice(0, LARGE.num_rows // 2), Anomaly.GAP),
        (SMALL.slice(0, 0), Anomaly.UNKNOWN),
        (SMALL.set_column(START, SMALL.schema.field(START), LARGE[START][: SMALL.num_rows]), Anomaly.ALTERED),
    ],
)  # fmt: skip
def test_the_judge_sees_what_is_planted(planted: pa.Table, anomaly: Anomaly) -> None:
    assert judge(planted) is anomaly


def test_the_judge_takes_both_batches_in_any_order() -> None:
    assert judge(SMALL) is None
    assert judge(LARGE.take(list(reversed(range(LARGE.num_rows))))) is None


@pytest.mark.parametrize("kind", ["s3", "radosgw"])
def test_no_reader_ever_sees_anything_but_one_whole_batch(
    request: pytest.FixtureRequest, publisher: PublisherProcess, kind: str
) -> None:
    location: StoreLocation = request.getfixturevalue(f"{kind}_location")
    address = request.getfixturevalue("moto_address" if kind == "s3" else "radosgw_address")
    store = open_store(location)
    write_pages(store)
    publish_batch(store, BATCHES["small"])
    publisher.start(location.root, "http://{}:{}".format(*address), "loop")
    publisher.line()
    with ThreadPoolExecutor(len(READERS)) as pool:
        running = {
            name: pool.submit(read_often, make_reader(address, location.root), READS, loud)
            for name, (make_reader, loud) in READERS.items()
            if name != "duckdb" or httpfs_extension()
        }
        found = {name: future.result(120) for name, future in running.items()}
    publisher.kill()
    for readings in found.values():
        assert readings.anomalies == {}
        assert readings.seen.keys() == BATCHES.keys()
        assert readings.changes > 4
        assert sum(readings.seen.values()) + sum(readings.refused.values()) == READS
        # What is refused is refused aloud; the object is never out of reach for long.
        assert sum(readings.refused.values()) < READS // 2
    if "duckdb" not in found:
        pytest.skip("DuckDB's reader was left out: the package duckdb-extension-httpfs is not installed")
