"""``raw_model_outputs`` as Dagster runs it: retried, twice at once, killed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance
from pyspark.sql import SparkSession
from shared.page_requests import page_requests
from shared.polling import wait_for
from shared.short_pages import texts

from preannotation_assets.defs.assets.raw_model_outputs import answering as answering_module
from preannotation_assets.defs.assets.raw_model_outputs import asset as asset_module
from preannotation_assets.defs.assets.raw_model_outputs.second_pass import second_pass
from preannotation_assets.extraction.token_kinds import KindFactors
from preannotation_assets.extraction.tokens import calibrated_tokens, estimate_tokens
from preannotation_assets.lake.batch import read_manifest, require_manifest
from preannotation_assets.lake.layout import calibration_key, part_key
from preannotation_assets.lake.lease import DatasetLease
from preannotation_assets.manifests import Calibration, RawModelOutputsManifest
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    RequestRecord,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
    TimeModel,
)
from preannotation_assets.simulator.tokens import split_tokens

from .asking_lake import CAP, FLUSH_SECONDS, LAYOUT, AskingLake

NewLake = Callable[..., tuple[AskingLake, RunningSimulator]]


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def new_lake(tmp_path: Path) -> Iterator[NewLake]:
    """A lake with that many chunks, and a server whose answers take that long."""
    with ExitStack() as stack:

        def make(count: int, *faults: FaultRule, seconds: float = 0.0) -> tuple[AskingLake, RunningSimulator]:
            pace = TimeModel(load_seconds=0, prefill_rate=1e9, decode_rate=50 / max(seconds, 1e-6))
            settings = SimulatorSettings(slots=4, habits=HabitRates.NONE, speed=1.0, time=pace, faults=faults)
            server = stack.enter_context(RunningSimulator(settings))
            lake = AskingLake(tmp_path, server.url)
            lake.fill(texts(count))
            return lake, server

        yield make


def _asked(server: RunningSimulator) -> list[RequestRecord]:
    return page_requests(server)


def _metadata(result: Any) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("raw_model_outputs")
    return {name: value.value for name, value in event.metadata.items()}


def _rows(lake: AskingLake) -> list[dict[str, Any]]:
    key, stage = LAYOUT.stage_manifest("raw_model_outputs"), "raw_model_outputs"
    manifest = require_manifest(lake.store, key, RawModelOutputsManifest, LAYOUT.dataset, stage)
    rows: list[dict[str, Any]] = pq.read_table(
        lake.folder / part_key(LAYOUT.stage(stage, manifest.version), 0)
    ).to_pylist()
    return rows


def _keep_as_an_earlier_release_did(lake: AskingLake, count: int) -> None:
    """Gives so many answers another schema, and forgets what was collected by this release."""
    for file in (lake.folder / LAYOUT.answers).rglob("*.parquet"):
        rows = pq.read_table(file)
        answers = rows["answer"].to_pylist()
        changed = ['{"spans":[{"label":"port","text":"Hamburg"}]}'] * min(count, len(answers))
        column = pa.array([*changed, *answers[len(changed) :]], pa.string())
        pq.write_table(rows.set_column(rows.schema.get_field_index("answer"), "answer", column), file)
        count -= len(changed)
    lake.store.delete([LAYOUT.stage_manifest("raw_model_outputs")])


@pytest.mark.parametrize("unfit", [3, 12])
def test_stored_answers_that_fit_no_label_are_asked_for_again_and_once(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession, unfit: int
) -> None:
    lake, server = new_lake(12)
    assert lake.materialize(instance).success
    _keep_as_an_earlier_release_did(lake, unfit)
    figures = _metadata(lake.materialize(instance))
    assert len(_asked(server)) == 12 + unfit
    assert (figures["answered"], figures["resumed_from_earlier"]) == (12, 12 - unfit)
    assert figures["asked_again"]["answer_tokens"] > 0
    assert not [row for row in _rows(lake) if "label" in row["answer"]]
    assert lake.materialize(instance).success
    assert len(_asked(server)) == 12 + unfit


def test_a_server_that_goes_away_between_the_passes_is_not_waited_for(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, server = new_lake(12)
    with ExitStack() as other_stands:
        other = other_stands.enter_context(RunningSimulator(SimulatorSettings(habits=HabitRates.NONE)))

        def choose(*arguments: Any) -> Any:
            found = second_pass(*arguments)
            other_stands.close()
            return found

        monkeypatch.setattr(answering_module, "second_pass", choose)
        both = AskingLake(lake.folder, server.url, (other.url,))
        figures = _metadata(both.materialize(instance, second_pass_below=1.0))
    assert figures["second_pass"]["answered_by_endpoint"] == {server.url: 12, other.url: 0}
    assert figures["answered"] == 12


def test_a_retry_of_a_refresh_asks_only_what_the_first_attempt_had_not(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    # The requests are numbered through: the login page comes in the second run.
    lake, server = new_lake(20, FaultRule(Fault.LOGIN_REDIRECT, requests=(31,), burst=1000), seconds=0.05)
    assert lake.materialize(instance).success
    assert len(_asked(server)) == 20
    first = lake.materialize(instance, refresh=True)
    assert not first.success
    again = len(_asked(server)) - 20
    assert 11 <= again < 20
    # Those in flight when it came, and a look at whether it is for all.
    lost = sum(record.fault is not None for record in _asked(server))
    assert 2 <= lost <= CAP + 2
    server.set_faults()
    retried = lake.materialize(instance, refresh=True, retry_of=first.run_id)
    assert retried.success
    assert len(_asked(server)) == 40 + lost
    figures = _metadata(retried)
    assert figures["resumed_from_earlier"] == again - lost
    assert figures["answered_in_this_run"] == 20 - again + lost
    # Asked anew by the refresh, and by no run before it.
    assert {row["run_id"] for row in _rows(lake)} == {first.run_id, retried.run_id}
    # Another refresh is no retry.
    assert lake.materialize(instance, refresh=True).success
    assert len(_asked(server)) == 60 + lost


def test_a_run_learns_what_the_models_tokens_are(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    lake, _ = new_lake(30)
    assert lake.materialize(instance).success
    learned = read_manifest(lake.store, calibration_key("llama3.3:70b"), Calibration)
    assert learned is not None
    assert learned.requests == 30
    factors = KindFactors.by_name(learned.kind_factors)
    for text in texts(30):
        estimated = calibrated_tokens(estimate_tokens(text, factors), learned.factor)
        assert 1 <= estimated / len(split_tokens(text)) <= 1.5
    # Nothing was asked, so nothing is learned.
    lake.store.delete([calibration_key("llama3.3:70b")])
    assert lake.materialize(instance).success
    assert read_manifest(lake.store, calibration_key("llama3.3:70b"), Calibration) is None


def test_what_is_presumed_of_a_model_is_believed_until_counts_say_otherwise(
    tmp_path: Path, instance: DagsterInstance, spark: SparkSession
) -> None:
    settings = SimulatorSettings(models=(SimulatedModel("qwen3:4b"),), habits=HabitRates.NONE)
    with RunningSimulator(settings) as server:
        lake = AskingLake(tmp_path, server.url)
        # Two digits a page say little about digits.
        lake.fill(texts(30))
        assert lake.materialize(instance, model="qwen3:4b").success
    learned = read_manifest(lake.store, calibration_key("qwen3:4b"), Calibration)
    assert learned is not None
    assert learned.kind_factors["digits"] > 2


def test_of_two_runs_at_once_the_second_is_refused_with_the_id_of_the_first_and_asks_nothing(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    class QuickLease(DatasetLease):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, lifetime_seconds=2.0)

    monkeypatch.setattr(asset_module, "DatasetLease", QuickLease)
    lake, server = new_lake(24, seconds=0.5)
    refused: list[Any] = []

    def run_as_well() -> None:
        # It never gets as far as Spark, whose session belongs to the first run's thread.
        wait_for(lambda: len(_asked(server)) >= 2, "two requests", 120)
        with DagsterInstance.ephemeral() as other:
            refused.append(lake.materialize(other))

    second = threading.Thread(target=run_as_well)
    second.start()
    first = lake.materialize(instance)
    second.join(60)
    assert first.success
    assert not refused[0].success
    (failure,) = [event for event in refused[0].all_events if event.is_step_failure]
    message = failure.step_failure_data.error.cause.message
    assert f"run {first.run_id} is asking about this dataset" in message
    asked = _asked(server)
    assert len(asked) == len({record.prompt_sha256 for record in asked}) == 24
    assert {row["run_id"] for row in _rows(lake)} == {first.run_id}


def test_after_a_kill_only_what_was_in_flight_or_not_yet_written_is_asked_again(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    lake, server = new_lake(40, seconds=0.25)
    script = Path(__file__).with_name("asking_lake.py")
    command = [sys.executable, str(script), str(lake.folder), server.url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: len(_asked(server)) >= 15 or process.poll() is not None, "15 requests", 120)
        process.kill()
        killed = time.time()
    before = len(_asked(server))
    assert 15 <= before < 40
    result = lake.materialize(instance)
    assert result.success
    asked = _asked(server)
    last = {record.prompt_sha256: record.number for record in asked}
    repaid = [record for record in asked if last[record.prompt_sha256] != record.number]
    # Half a second more than the flush interval, for the write on a busy machine.
    lately = killed - FLUSH_SECONDS - 0.5
    assert all(record.ended_at is None or record.ended_at > lately for record in repaid)
    assert len(repaid) <= CAP + CAP * (FLUSH_SECONDS + 0.5) / 0.25
    assert len(asked) == 40 + len(repaid)
    rows = _rows(lake)
    assert [row["status"] for row in rows] == ["answered"] * 40
    assert _metadata(result)["resumed_from_earlier"] == sum(row["run_id"] != result.run_id for row in rows)
    assert _metadata(result)["resumed_from_earlier"] == before - len(repaid)
    # The plan of the run is gone with it, that of the killed one is marked, to be swept after a day.
    plans = [entry.key.split("/") for entry in lake.store.list(f"{LAYOUT.work}/plans/")]
    killed_runs = {names[4] for names in plans if names[3:4] == ["plans"] and names[-1].endswith(".parquet")}
    assert result.run_id not in killed_runs
    assert {names[5] for names in plans if names[4] == "_superseded"} == killed_runs != set()


def test_what_a_run_came_to_is_in_its_metadata_and_its_table_of_requests(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    faults = (FaultRule(Fault.BUSY, requests=(3,)), FaultRule(Fault.EMPTY_ANSWER, requests=(6,)))
    lake, server = new_lake(12, *faults, seconds=0.05)
    result = lake.materialize(instance)
    figures = _metadata(result)
    assert (figures["answered"], figures["failed"], figures["answered_in_this_run"]) == (12, 0, 12)
    assert figures["repeated_by_endpoint"] == {server.url: {"overloaded": 1, "empty_answer": 1}}
    assert figures["answered_by_endpoint"] == {server.url: 12}
    assert (
        0 < figures["latency_p50_seconds"] <= figures["latency_p95_seconds"] <= figures["latency_p99_seconds"]
    )
    assert {"queue_p50_seconds", "queue_p95_seconds", "queue_p99_seconds"} <= figures.keys()
    spent = [record.output_tokens or 0 for record in _asked(server)]
    assert figures["answer_tokens"] == sum(spent)
    requests = pq.read_table(lake.folder / LAYOUT.requests / result.run_id).to_pylist()
    assert len(requests) == len(_asked(server)) == 14
    assert {row["task"] for row in requests} <= {0, 1}
    assert figures["slot_hours"] == pytest.approx(
        sum(row["latency_seconds"] for row in requests) / 3600, rel=0.5
    )
    # One server, asked all the time.
    assert figures["server_seconds_a_request"] * figures["requests_per_second"] == pytest.approx(1, rel=0.1)
    nothing = lake.materialize(instance)
    assert _metadata(nothing)["resumed_from_earlier"] == 12
    assert _metadata(nothing)["answered_in_this_run"] == 0
    assert len(_asked(server)) == 14


def test_what_is_read_to_find_doubtful_chunks_counts_as_fetched(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    lake, server = new_lake(0)
    lake.fill(texts(2))
    assert lake.materialize(instance).success
    # Nothing is left to ask, and no value is as improbable as that.
    switched_off, none_found = (
        _metadata(lake.materialize(instance, second_pass_below=below)) for below in (None, 1e-9)
    )
    assert none_found["bytes_fetched"] > switched_off["bytes_fetched"]
    assert len(_asked(server)) == 2


def test_doubtful_chunks_are_asked_a_second_time_and_that_once(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    lake, server = new_lake(0)
    lake.fill([*texts(6), *(f"Entry {number}: fair wind, nothing seen." for number in range(4))])
    assert lake.materialize(instance).success
    assert len(_asked(server)) == 10
    # Every value is doubtful by that measure; a page without values has nothing to doubt.
    second = lake.materialize(instance, second_pass_below=1.0)
    assert len(_asked(server)) == 16
    figures = _metadata(second)
    assert (figures["answered"], figures["second_pass_answered"]) == (10, 6)
    assert figures["second_pass"]["answered_by_endpoint"] == {server.url: 6}
    rows = _rows(lake)
    assert [row["pass_number"] for row in rows] == [1] * 10 + [2] * 6
    assert [row["doc_id"] for row in rows[10:]] == [f"d{number}" for number in range(6)]
    assert lake.materialize(instance, second_pass_below=1.0).success
    assert len(_asked(server)) == 16
    # Switched off, the first answers stand alone again.
    assert lake.materialize(instance).success
    assert len(_rows(lake)) == 10
    assert len(_asked(server)) == 16
