"""The table of requests: one row an attempt, never in the way, readable with the documented SQL."""

import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from shared.polling import wait_for

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS, REQUESTS, AttemptOutcome
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.simulator import Fault, FaultRule
from preannotation_assets.telemetry import request_log
from preannotation_assets.telemetry.request_log import RequestLog
from preannotation_assets.throttling.permit_messages import PermitReport

DOCUMENT = Path(__file__).parents[2] / "docs" / "telemetry.md"
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
FOLDER = "argilla/work/vessels_ocr_7/requests/run-1"
REPORT = PermitReport(
    AttemptOutcome.ANSWERED, available=True, request_key="k", task=0, attempt=1, status=200, started_at=1.7e9
)


def _rows(folder: Path) -> list[dict[str, Any]]:
    store = open_store(StoreLocation(str(folder)))
    tables = [pa.parquet.read_table(folder / stat.key) for stat in store.list("argilla/")]
    table = pa.concat_tables(tables)
    assert table.schema.equals(REQUESTS)
    return table.to_pylist()


@pytest.fixture
def asked(simulator: Any, new_run: Any, tmp_path: Path) -> tuple[Any, Any]:
    """A run with two attempts in vain and a table of requests; and its server."""
    server = simulator(
        faults=(FaultRule(Fault.SOCKET_RESET, requests=(2,)), FaultRule(Fault.EMPTY_ANSWER, requests=(5,)))
    )
    run = new_run(server, policy=RetryPolicy(first_backoff=0.01))
    with RequestLog(open_store(StoreLocation(str(tmp_path))), FOLDER, "run-1") as log:
        run.observers = (log.observe,)
        run.ask([f"Log {number}: MV OCEAN STAR left Rotterdam for Hamburg." for number in range(12)])
    assert log.dropped == 0
    return run, server


def test_every_attempt_has_a_row_without_any_text(asked: tuple[Any, Any], tmp_path: Path) -> None:
    run, server = asked
    rows = _rows(tmp_path)
    assert Counter((row["outcome"], row["reason"], row["status"]) for row in rows) == {
        ("answered", None, 200): 12,
        ("again", "connection_lost", None): 1,
        ("again", "empty_answer", 200): 1,
    }
    assert len(rows) == len(server.requests())
    answered = {row["request_key"]: row for row in rows if row["outcome"] == "answered"}
    for kept in run.rows:
        row = answered[kept["request_key"]]
        same = ("latency_seconds", "prompt_tokens", "answer_tokens", "endpoint", "estimated_prompt_tokens")
        assert [row[name] for name in same] == [kept[name] for name in same]
        assert row["attempt"] == kept["attempts"]
        assert row["answer_seconds"] > 0
    arrivals = [record.arrived_at for record in server.requests()]
    starts = sorted(row["started_at"].timestamp() for row in rows)
    # By the same clock: a wrong one, or a wrong time zone, is minutes off.
    assert all(0 <= arrived - sent < 60 for sent, arrived in zip(starts, arrivals, strict=True))
    files = [path for path in (tmp_path / FOLDER).iterdir() if path.is_file()]
    assert len(files) == 1
    assert b"OCEAN" not in files[0].read_bytes()


def test_the_documented_queries_run(
    asked: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, server = asked
    page = {"doc_id": "d", "page_num": 1, "chunk_index": 0, "pass_number": 1, "start": 0, "end": 9}
    outputs = pa.Table.from_pylist([{**page, **row} for row in run.rows], schema=RAW_MODEL_OUTPUTS)
    key = "argilla/work/vessels_ocr_7/raw_model_outputs/v/part-00000.parquet"
    write_table(open_store(StoreLocation(str(tmp_path))), key, outputs)
    monkeypatch.chdir(tmp_path)
    by_endpoint, in_vain, slowest, minutes = [duckdb.sql(query).fetchall() for query in QUERIES]
    assert [row[:4] for row in by_endpoint] == [("run-1", server.url, 14, 12)]
    assert {row[2] for row in in_vain} == {"connection_lost", "empty_answer"}
    # The empty answer's text has two rows: each is an attempt at it.
    assert len(slowest) == 14
    assert sum(row[1] for row in minutes) == 14


class _Unwilling:
    """A store that takes nothing for some time."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.refusals = 0
        self.willing = threading.Event()

    def upload(self, key: str, path: Path) -> Any:
        if not self.willing.is_set():
            self.refusals += 1
            raise StorageError("the store takes nothing")
        return self.store.upload(key, path)


def test_rows_wait_while_the_store_takes_nothing_and_keep_their_order(tmp_path: Path) -> None:
    store: Any = _Unwilling(open_store(StoreLocation(str(tmp_path))))
    with RequestLog(store, FOLDER, "run-1", interval_seconds=0.02) as log:
        for number in range(3):
            log.observe("http://x", PermitReport(**{**_plain(REPORT), "attempt": number}))
            wait_for(lambda least=number: store.refusals > least)
        store.willing.set()
    assert log.dropped == 0
    assert [row["attempt"] for row in _rows(tmp_path)] == [0, 1, 2]


def test_what_cannot_be_kept_is_counted_and_memory_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "_MOST_WAITING", 10)
    store: Any = _Unwilling(open_store(StoreLocation(str(tmp_path))))
    with RequestLog(store, FOLDER, "run-1", interval_seconds=60) as log:
        for _ in range(25):
            log.observe("http://x", REPORT)
    assert log.dropped == 25
    assert not (tmp_path / "argilla").exists()


def _plain(report: PermitReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in PermitReport.__slots__}


@pytest.mark.parametrize(
    "odd",
    [
        {"prompt_tokens": 2**31},
        {"latency_seconds": "long"},
        {"request_key": None},
        {"reason": "half of a pair \ud83d"},
        {"started_at": float("inf")},
        {"started_at": 1e300},
    ],
)
def test_a_row_that_no_column_can_hold_is_dropped_and_counted_and_the_others_are_written(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    with RequestLog(open_store(StoreLocation(str(tmp_path))), FOLDER, "run-1", 60.0) as log:
        for number, changes in enumerate(({}, odd, {})):
            log.observe("http://x", PermitReport(**{**_plain(REPORT), "attempt": number, **changes}))
    assert not log._writer.is_alive()
    assert [row["attempt"] for row in _rows(tmp_path)] == [0, 2]
    assert log.dropped == 1


def test_where_no_row_can_be_written_there_is_no_file(tmp_path: Path) -> None:
    with RequestLog(open_store(StoreLocation(str(tmp_path))), FOLDER, "run-1", 60.0) as log:
        log.observe("http://x", PermitReport(**{**_plain(REPORT), "prompt_tokens": 2**31}))
    assert log.dropped == 1
    assert not (tmp_path / "argilla").exists()


class _FullDisk(_Unwilling):
    """A store for which there is no room on the disk for some time."""

    def upload(self, key: str, path: Path) -> Any:
        if not self.willing.is_set():
            self.refusals += 1
            raise OSError(28, "No space left on device")
        return self.store.upload(key, path)


def test_a_full_disk_does_not_end_the_log(tmp_path: Path) -> None:
    store: Any = _FullDisk(open_store(StoreLocation(str(tmp_path))))
    with RequestLog(store, FOLDER, "run-1", interval_seconds=0.02) as log:
        log.observe("http://x", REPORT)
        wait_for(lambda: store.refusals > 1)
        store.willing.set()
    assert log.dropped == 0
    assert len(_rows(tmp_path)) == 1
