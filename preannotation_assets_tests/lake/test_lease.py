"""Two runs never ask about one dataset at the same time, and a dead run keeps nobody waiting for long."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from shared.polling import wait_for

from preannotation_assets.errors import BatchError
from preannotation_assets.lake import ObjectStore, read_json
from preannotation_assets.lake.lease import DatasetLease

KEY = "argilla/work/d/lease.json"
# Several requests to a server fit into it.
LIFETIME = 2.0
HOLDER = Path(__file__).with_name("lease_holder.py")


def _lease(store: ObjectStore, run: str, lost: list[str] | None = None) -> DatasetLease:
    return DatasetLease(store, KEY, run, (lost if lost is not None else []).append, lifetime_seconds=LIFETIME)


def test_the_second_run_is_told_which_one_is_asking(store: ObjectStore) -> None:
    with (
        _lease(store, "first"),
        pytest.raises(BatchError, match="run first is asking"),
        _lease(store, "second"),
    ):
        pytest.fail("both hold it")


def test_runs_one_after_the_other_do_not_wait(local_store: ObjectStore) -> None:
    began = time.monotonic()
    for run in ("first", "second", "third"):
        with _lease(local_store, run):
            assert (read_json(local_store, KEY) or {})["run_id"] == run
    assert time.monotonic() - began < LIFETIME


def test_a_run_that_was_killed_here_is_followed_at_once(local_store: ObjectStore, local_root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(HOLDER), str(local_root), KEY], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
    finally:
        process.kill()
        process.communicate(timeout=10)
    assert (read_json(local_store, KEY) or {})["held"] is True
    began = time.monotonic()
    with DatasetLease(local_store, KEY, "next", lambda _: None, lifetime_seconds=60.0):
        assert time.monotonic() - began < 10


def _leave_behind(store: ObjectStore, **changes: object) -> None:
    holder = {"run_id": "elsewhere", "held": True, "renewals": 1, "machine": "another", "pid": 1} | changes
    store.write(KEY, json.dumps(holder).encode())


def test_a_run_that_died_elsewhere_is_followed_after_the_lifetime_of_its_lease(store: ObjectStore) -> None:
    _leave_behind(store)
    began = time.monotonic()
    with _lease(store, "next"):
        assert time.monotonic() - began >= LIFETIME


def test_a_lease_outlives_its_lifetime_by_being_renewed(local_store: ObjectStore) -> None:
    lost: list[str] = []
    with _lease(local_store, "first", lost):
        wait_for(lambda: (read_json(local_store, KEY) or {})["renewals"] >= 6)  # type: ignore[operator]
        with pytest.raises(BatchError), _lease(local_store, "second"):
            pytest.fail("both hold it")
    assert lost == []


def test_a_run_that_lost_its_lease_is_told_and_leaves_the_other_alone(local_store: ObjectStore) -> None:
    told = threading.Event()
    with DatasetLease(local_store, KEY, "first", lambda _: told.set(), lifetime_seconds=0.4):
        _leave_behind(local_store)
        assert told.wait(10)
    assert (read_json(local_store, KEY) or {})["run_id"] == "elsewhere"


def test_of_many_that_start_at_once_one_gets_it(store: ObjectStore) -> None:
    start, end = threading.Barrier(6), threading.Event()
    got: list[str] = []
    refused: list[str] = []

    def run(name: str) -> None:
        start.wait(10)
        try:
            with _lease(store, name):
                got.append(name)
                end.wait(10)
        except BatchError:
            refused.append(name)

    threads = [threading.Thread(target=run, args=(f"run-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(refused) == 5)
    end.set()
    for thread in threads:
        thread.join(10)
    assert len(got) == 1
