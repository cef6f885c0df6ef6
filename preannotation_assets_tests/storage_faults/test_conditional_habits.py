"""A server that keeps the conditions of writes serves a run; on others it is refused before it begins."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from dagster import AssetsDefinition, DagsterInstance, materialize
from published_batches import BATCHES, LAYOUT, expected_table, publish_batch, write_pages
from s3_servers.conditional_habits import HABITS, ConditionalHabit
from s3_servers.fault_proxy import FaultProxy, HangPoint, Moment
from s3_servers.limits import QUICK

from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.assets.raw_model_outputs.asset import raw_model_outputs
from preannotation_assets.defs.assets.suggestions.asset import suggestions
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.ollama import OllamaResource
from preannotation_assets.defs.resources.publishing import PublishingResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import BatchError, ConditionalWritesError, ConflictError, StorageError
from preannotation_assets.lake import (
    ObjectStore,
    StoreLocation,
    open_for_publishing,
    open_store,
    read_table,
    write_table,
)
from preannotation_assets.lake.lease import DatasetLease
from preannotation_assets.lake.probes import PROBE_AREA
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings
from preannotation_assets.telemetry.stage_progress import LogAlone

FIT = [habit for habit in HABITS if habit.said is None]
UNFIT = [habit for habit in HABITS if habit.said is not None]
# Those that say at once that they do not know a header: also an operation without a preflight says so.
SPEAKING = [habit for habit in UNFIT if " to If-" in habit.name]


def name(habit: ConditionalHabit) -> str:
    return habit.name


@pytest.fixture
def habit(request: pytest.FixtureRequest, proxy: FaultProxy) -> ConditionalHabit:
    chosen: ConditionalHabit = request.param
    proxy.habit = chosen.make()
    return chosen


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"new content")
    return path


def lease(store: ObjectStore, run: str) -> DatasetLease:
    return DatasetLease(store, LAYOUT.lease, run, pytest.fail, lifetime_seconds=1.0)


def keep_answers(store: ObjectStore, count: int) -> None:
    for number in range(count):
        row = {
            **dict.fromkeys(ANSWERS.names),
            "request_key": f"key-{number}", "status": AnswerStatus.ANSWERED, "answer": "a",
            "estimated_prompt_tokens": 1, "attempts": 1, "answered_at": number + 1, "run_id": "run",
        }  # fmt: skip
        write_table(
            store, f"{LAYOUT.answers}/run/{number}.parquet", pa.Table.from_pylist([row], schema=ANSWERS)
        )


@pytest.mark.parametrize("habit", FIT, ids=name, indirect=True)
def test_a_server_that_keeps_conditions_serves_a_run(
    habit: ConditionalHabit, s3_location: StoreLocation, source: Path
) -> None:
    store = open_for_publishing(s3_location)
    assert list(store.list("")) == []
    write_pages(store)
    with lease(store, "first"):
        with pytest.raises(BatchError, match="run first is asking"), lease(store, "second"):
            pytest.fail("both hold it")
        keep_answers(store, 20)
        assert compact_answers(store, LAYOUT.answers) == 20
    index = AnswerIndex.read(store, LAYOUT.answers)
    assert all(index.get(f"key-{number}") for number in range(20))
    first = publish_batch(store, BATCHES["small"])
    assert publish_batch(store, BATCHES["large"]).changed
    with pytest.raises(ConflictError):
        store.upload_if(LAYOUT.published_suggestions, source, first.manifest.parquet_etag)
    with pytest.raises(ConflictError):
        store.upload_if(LAYOUT.published_suggestions, source, None)
    assert read_table(store, LAYOUT.published_suggestions).equals(expected_table(BATCHES["large"]))


@pytest.mark.parametrize("habit", FIT, ids=name, indirect=True)
def test_what_was_deleted_is_not_written_anew_as_a_replacement(
    habit: ConditionalHabit, s3_store: ObjectStore, source: Path
) -> None:
    etag = s3_store.write("k", b"old")
    s3_store.delete(["k"])
    with pytest.raises(ConflictError):
        s3_store.upload_if("k", source, etag)
    assert s3_store.stat("k") is None


@pytest.mark.parametrize("habit", UNFIT, ids=name, indirect=True)
def test_a_server_that_does_not_is_refused_in_one_line_that_says_what_lacks(
    habit: ConditionalHabit, s3_location: StoreLocation, proxy: FaultProxy
) -> None:
    with pytest.raises(ConditionalWritesError) as caught:
        open_for_publishing(s3_location)
    line = str(caught.value)
    assert line.startswith(f"the storage root {s3_location.root} cannot be used: the store")
    assert str(habit.said) in line
    assert "use a server that has both" in line
    assert "\n" not in line
    assert not [each for each in proxy.requests if PROBE_AREA not in each and not each.startswith("GET")]
    assert list(open_store(s3_location).list("")) == []


@pytest.mark.parametrize("habit", SPEAKING, ids=name, indirect=True)
def test_without_a_preflight_such_a_server_is_named_as_well(
    habit: ConditionalHabit, s3_store: ObjectStore, source: Path
) -> None:
    etag = s3_store.write("k", b"old")
    expected = None if "If-None-Match" in habit.name else etag
    with pytest.raises(ConditionalWritesError, match="takes no write with If-") as caught:
        s3_store.upload_if("k", source, expected)
    assert "docs/storage.md" in caught.value.cure
    assert s3_store.read("k") == b"old"


def probe_writes(proxy: FaultProxy) -> int:
    return sum(line.startswith("PUT") and PROBE_AREA in line for line in proxy.requests)


def test_a_store_is_probed_once_in_a_process_and_a_refusal_is_not_remembered(
    s3_location: StoreLocation, proxy: FaultProxy
) -> None:
    proxy.habit = next(habit for habit in HABITS if habit.name == "both ignored").make()
    for _ in range(2):
        with pytest.raises(ConditionalWritesError):
            open_for_publishing(s3_location)
    proxy.habit = None
    before = probe_writes(proxy)
    open_for_publishing(s3_location)
    # The check of the rights writes one.
    assert probe_writes(proxy) == before + 1 + 13
    open_for_publishing(s3_location)
    assert probe_writes(proxy) == before + 1 + 13 + 1


PROBING = """
import sys
from preannotation_assets.telemetry.stage_progress import LogAlone
from preannotation_assets.lake import StoreLocation, open_store
open_store(StoreLocation(sys.argv[1], sys.argv[2])).check_conditional_writes()
"""


@pytest.fixture
def killed_prober(s3_location: StoreLocation, proxy: FaultProxy) -> None:
    """A process that died between two steps of its probing."""
    proxy.hang_at(HangPoint("PUT", "", Moment.BEFORE), spared=2)
    process = subprocess.Popen(
        [sys.executable, "-c", PROBING, s3_location.root, str(s3_location.endpoint_url)]
    )
    try:
        assert proxy.hanging.wait(60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        proxy.release()


@pytest.mark.usefixtures("killed_prober")
def test_what_a_killed_probing_left_is_swept_later(
    s3_location: StoreLocation, s3_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(list(s3_store.list(PROBE_AREA))) == 1
    open_for_publishing(s3_location)
    assert len(list(s3_store.list(PROBE_AREA))) == 1, "a young one may be at work"
    monkeypatch.setattr("preannotation_assets.lake.probes._PROBE_LIFETIME", timedelta(seconds=-10))
    open_for_publishing(s3_location)
    assert list(s3_store.list("")) == []


def test_a_store_that_fails_while_it_is_probed_is_no_store_without_conditions(
    s3_location: StoreLocation, s3_store: ObjectStore, proxy: FaultProxy
) -> None:
    proxy.refuse = lambda command, headers: (503, "SlowDown") if "If-Match" in headers else None
    with pytest.raises(StorageError, match=r"the store failed on .* \(SlowDown\)") as caught:
        open_store(s3_location, QUICK).check_conditional_writes()
    assert not isinstance(caught.value, ConditionalWritesError)
    assert list(s3_store.list("")) == []


@pytest.mark.parametrize(
    "asset", [pages, raw_model_outputs, suggestions], ids=lambda asset: asset.key.path[-1]
)
def test_an_asset_alone_is_refused_before_it_asks_or_reads(
    asset: AssetsDefinition, s3_location: StoreLocation, proxy: FaultProxy
) -> None:
    """As the sensor's runs begin with ``pages``, and as one asset is materialized in the web interface."""
    proxy.habit = next(habit for habit in HABITS if habit.name == "400 to If-Match").make()
    with RunningSimulator(SimulatorSettings()) as server, DagsterInstance.ephemeral() as instance:
        add_dataset(instance, LAYOUT.dataset)
        result = materialize(
            [asset],
            partition_key=LAYOUT.dataset,
            instance=instance,
            raise_on_error=False,
            resources={
                "warehouse": WarehouseResource(database="nowhere.duckdb"),
                "storage": StorageResource(root=s3_location.root, endpoint_url=s3_location.endpoint_url),
                "spark": SparkResource(),
                "label_scheme": LabelSchemeResource(),
                "model_server": OllamaResource(endpoints=[server.url]),
                "publishing": PublishingResource(),
                "cascade": CascadeResource(),
                "progress": LogAlone(),
            },
        )
        (failure,) = result.get_step_failure_events()
        assert server.requests() == ()
    error = failure.step_failure_data.error
    assert error is not None
    assert error.cause is not None
    assert error.cause.cls_name == "ConditionalWritesError"
    assert "takes no write with If-Match" in error.cause.message
