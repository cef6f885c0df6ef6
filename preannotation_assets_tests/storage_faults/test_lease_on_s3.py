"""The lease and the compaction of the answers on servers that lose replies or are out of reach."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from s3_servers.fault_proxy import FaultProxy, HangPoint, Moment
from shared.polling import wait_for

from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.lake import (
    ObjectStore,
    RequestLimits,
    StoreLocation,
    open_store,
    read_json,
    write_table,
)
from preannotation_assets.lake import lease as lease_module
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.lake.lease import DatasetLease

LAYOUT = DatasetLayout("vessels_ocr_1")
QUICK = RequestLimits(connect_timeout=1.0, read_timeout=2.0, max_attempts=1)
LIFETIME = 2.0

Servers = tuple[ObjectStore, FaultProxy]


@pytest.fixture(params=["s3", "radosgw"])
def location(request: pytest.FixtureRequest) -> StoreLocation:
    found: StoreLocation = request.getfixturevalue(f"{request.param}_location")
    return found


@pytest.fixture
def server(location: StoreLocation, request: pytest.FixtureRequest) -> Servers:
    is_moto = request.node.callspec.params["location"] == "s3"
    return open_store(location, QUICK), request.getfixturevalue("proxy" if is_moto else "radosgw_proxy")


def lease(store: ObjectStore, run: str, on_lost: Callable[[str], None]) -> DatasetLease:
    return DatasetLease(store, LAYOUT.lease, run, on_lost, lifetime_seconds=LIFETIME)


@pytest.fixture
def renewed_often(server: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetLease]:
    """A lease that a busy machine does not lose for want of time; it must not be lost at all."""
    monkeypatch.setattr(lease_module, "_RENEWALS", 120)
    lost: list[str] = []
    with DatasetLease(server[0], LAYOUT.lease, "first", lost.append, lifetime_seconds=60) as held:
        yield held
    assert lost == []
    assert holder(server[0])["held"] is False


def holder(store: ObjectStore) -> dict[str, Any]:
    return read_json(store, LAYOUT.lease) or {}


@pytest.mark.usefixtures("renewed_often")
def test_a_renewal_whose_reply_was_lost_keeps_the_lease(server: Servers) -> None:
    store, proxy = server
    proxy.lost_replies = 1
    wait_for(lambda: proxy.lost_replies == 0)
    renewals = holder(store)["renewals"]
    wait_for(lambda: holder(store)["renewals"] >= renewals + 2)


@pytest.mark.usefixtures("renewed_often")
def test_a_renewal_that_seemed_to_fail_and_was_done_is_not_taken_for_another_run(server: Servers) -> None:
    store, proxy = server
    refused = threading.Event()

    def refuse_head(command: str, headers: dict[str, str]) -> tuple[int, str] | None:
        if command == "HEAD" and proxy.errors_after_work == 0:
            proxy.refuse = None
            refused.set()
            return 503, "SlowDown"
        return None

    proxy.refuse = refuse_head
    proxy.errors_after_work = 1
    assert refused.wait(30)
    renewals = holder(store)["renewals"]
    wait_for(lambda: holder(store)["renewals"] >= renewals + 2)


def test_a_store_out_of_reach_for_the_lifetime_ends_the_lease(server: Servers) -> None:
    store, proxy = server
    lost: list[str] = []
    with lease(store, "first", lost.append):
        proxy.refuse = lambda command, headers: (503, "SlowDown")
        wait_for(lambda: bool(lost))
        proxy.refuse = None
    assert lost == ["the lake was out of reach for as long as this run may hold the dataset"]


def test_a_renewal_that_is_not_answered_ends_the_lease_in_its_time(
    s3_location: StoreLocation, proxy: FaultProxy
) -> None:
    lost: list[str] = []
    # Which would wait for a minute, and then try again.
    with lease(open_store(s3_location), "first", lost.append):
        proxy.hang_at(HangPoint("HEAD", "lease.json", Moment.BEFORE))
        wait_for(lambda: bool(lost), seconds=30)
        assert proxy.hanging.is_set()
        proxy.release()
    assert lost == ["the lake was out of reach for as long as this run may hold the dataset"]


def _answer(key: str, at: int) -> dict[str, Any]:
    return {
        **dict.fromkeys(ANSWERS.names),
        "request_key": key,
        "status": AnswerStatus.ANSWERED,
        "answer": key,
        "estimated_prompt_tokens": 1,
        "attempts": 1,
        "answered_at": at,
        "run_id": "run",
    }


def test_no_answer_is_missing_to_a_reader_while_the_journal_is_compacted(location: StoreLocation) -> None:
    store = open_store(location)
    keys = [f"key-{number}" for number in range(24)]
    for number, key in enumerate(keys):
        table = pa.Table.from_pylist([_answer(key, number + 1)], schema=ANSWERS)
        write_table(store, f"{LAYOUT.answers}/run/{number}.parquet", table)
    done, readings = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            index = AnswerIndex.read(store, LAYOUT.answers)
            readings.append(sum(index.get(key) is not None for key in keys))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_for(lambda: bool(readings))
        assert compact_answers(store, LAYOUT.answers) == len(keys)
        count = len(readings)
        wait_for(lambda: len(readings) > count + 1)
    finally:
        done.set()
        reader.join(30)
    assert set(readings) == {len(keys)}
    assert len(list(store.list(f"{LAYOUT.answers}/"))) == 1
