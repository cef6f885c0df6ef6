"""A cascade, asked over HTTP: who is asked about what, what is kept, what a change of mind costs."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance
from pyspark.sql import SparkSession
from shared.page_requests import page_requests
from shared.polling import wait_for
from shared.short_pages import texts

from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import RawModelOutputsManifest
from preannotation_assets.settings.cascade import CascadeDoubt
from preannotation_assets.simulator import (
    Ability,
    Fault,
    FaultRule,
    HabitRates,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
    TimeModel,
)

from .asking_lake import LAYOUT, SMALL, AskingLake

LARGE = "llama3.3:70b"
PAGES = 12
# Half of its quotes look sure and half do not, and none is wrong: what is asked depends on nothing else.
UNSURE = Ability(HabitRates.NONE, HabitRates.NONE, hard_pages=0, seed=3, information=0.5)
NewLake = Callable[..., tuple[AskingLake, RunningSimulator]]


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def new_lake(tmp_path: Path) -> Iterator[NewLake]:
    """A lake with pages of one chunk, and a server that has both models."""
    with ExitStack() as stack:

        def make(
            *faults: FaultRule, pages: list[str] | None = None, seconds: float = 0.0
        ) -> tuple[AskingLake, RunningSimulator]:
            settings = SimulatorSettings(
                models=(SimulatedModel(LARGE), SimulatedModel(SMALL, ability=UNSURE)),
                slots=4,
                habits=HabitRates.NONE,
                speed=1.0,
                time=TimeModel(load_seconds=0, prefill_rate=1e9, decode_rate=50 / max(seconds, 1e-6)),
                faults=faults,
            )
            server = stack.enter_context(RunningSimulator(settings))
            lake = AskingLake(tmp_path, server.url)
            lake.fill(texts(PAGES) if pages is None else pages)
            return lake, server

        yield make


def cascade(threshold: float, *doubts: CascadeDoubt) -> CascadeResource:
    return CascadeResource(
        model=SMALL, threshold=threshold, doubts=[doubt.value for doubt in doubts or CascadeDoubt]
    )


def asked(server: RunningSimulator) -> Counter[str]:
    """Requests about pages, by model."""
    return Counter(record.model for record in page_requests(server))


def manifest_of(lake: AskingLake) -> RawModelOutputsManifest:
    key, stage = LAYOUT.stage_manifest("raw_model_outputs"), "raw_model_outputs"
    return require_manifest(lake.store, key, RawModelOutputsManifest, LAYOUT.dataset, stage)


def rows_of(lake: AskingLake) -> list[dict[str, Any]]:
    folder = LAYOUT.stage("raw_model_outputs", manifest_of(lake).version)
    rows: list[dict[str, Any]] = pq.read_table(lake.folder / part_key(folder, 0)).to_pylist()
    return rows


def metadata(result: Any) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("raw_model_outputs")
    return {name: value.value for name, value in event.metadata.items()}


def test_the_large_model_is_asked_about_what_is_doubtful_and_nothing_is_ever_paid_twice(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    lake, server = new_lake()
    low, high = cascade(0.7), cascade(0.85)

    first = lake.materialize(instance, cascade=low)
    assert first.success
    few = asked(server)[LARGE]
    assert asked(server)[SMALL] == PAGES
    assert 0 < few < PAGES
    account = manifest_of(lake).cascade
    assert account is not None
    assert account.chunks_by_model == {SMALL: PAGES - few, LARGE: few}
    assert account.doubted == {"below_threshold": few}
    assert Counter(row["model"] for row in rows_of(lake)) == {SMALL: PAGES - few, LARGE: few}
    assert account.small_seconds is not None
    assert account.saved_seconds is not None
    figures = metadata(first)
    assert figures["small_model"]["answered_by_endpoint"] == {server.url: PAGES}
    assert figures["answered_by_endpoint"] == {server.url: few}
    assert manifest_of(lake).model == LARGE
    assert f"/cas-{SMALL}-0.7-" in manifest_of(lake).model_version
    content = manifest_of(lake)

    # Again: nothing.
    assert lake.materialize(instance, cascade=low).success
    assert asked(server) == {SMALL: PAGES, LARGE: few}
    assert manifest_of(lake) == content

    # A higher threshold asks what is new, a lower one nothing.
    assert lake.materialize(instance, cascade=high).success
    more = asked(server)[LARGE]
    assert few < more < PAGES
    assert asked(server)[SMALL] == PAGES
    assert lake.materialize(instance, cascade=low).success
    assert asked(server) == {SMALL: PAGES, LARGE: more}
    assert manifest_of(lake).version == content.version

    # Switched off, the rest is asked, and it is as if there had never been one.
    assert lake.materialize(instance).success
    assert asked(server) == {SMALL: PAGES, LARGE: PAGES}
    alone = manifest_of(lake)
    assert alone.cascade is None
    assert "/cas-" not in alone.model_version
    assert {row["model"] for row in rows_of(lake)} == {None}


def test_what_the_small_model_fails_at_or_leaves_empty_is_asked_of_the_large_one(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    empty = [f"Entry {number}: fair wind, nothing seen." for number in range(3)]
    # Two warm-ups at most, and a page fails after two: one of the five at least, and not all of them.
    fault = FaultRule(Fault.INVALID_JSON, requests=(1,), burst=8)
    lake, server = new_lake(fault, pages=[*texts(2), *empty])
    assert lake.materialize(instance, cascade=cascade(0.0)).success
    account = manifest_of(lake).cascade
    assert account is not None
    failed = account.doubted.pop("not_answered", 0)
    assert failed > 0
    assert set(account.doubted) <= {"empty", "cut_off"}
    assert manifest_of(lake).failed == 0
    assert asked(server)[LARGE] == account.chunks_by_model[LARGE] == failed + sum(account.doubted.values())

    # Believed, an empty answer stands; what has an answer is asked of nobody.
    before = asked(server)[LARGE]
    server.set_faults()
    others = [each for each in CascadeDoubt if each is not CascadeDoubt.empty]
    assert lake.materialize(instance, cascade=cascade(0.0, *others)).success
    assert asked(server)[LARGE] == before
    assert "empty" not in (manifest_of(lake).cascade or account).doubted


def test_a_second_pass_of_either_model_is_about_its_own_chunks(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    lake, server = new_lake()
    result = lake.materialize(instance, cascade=cascade(0.8), second_pass_below=1.0)
    assert result.success
    account = manifest_of(lake).cascade
    assert account is not None
    few = account.chunks_by_model[LARGE]
    assert asked(server) == {SMALL: 2 * PAGES, LARGE: 2 * few}
    rows = rows_of(lake)
    assert Counter((row["pass_number"], row["model"]) for row in rows) == {
        (number, model): count for number in (1, 2) for model, count in account.chunks_by_model.items()
    }
    assert metadata(result)["small_model_second_pass"]["answered_by_endpoint"] == {server.url: PAGES}


def test_a_killed_run_goes_on_with_what_both_models_have_answered(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession
) -> None:
    lake, server = new_lake(seconds=0.25)
    script = Path(__file__).with_name("asking_lake.py")
    command = [sys.executable, str(script), str(lake.folder), server.url, "1.0"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: asked(server)[LARGE] >= 6 or process.poll() is not None, "6 requests", 120)
        process.kill()
    at_kill = asked(server)
    assert 6 <= at_kill[LARGE] < PAGES
    assert at_kill[SMALL] == PAGES
    assert lake.materialize(instance, cascade=cascade(1.0)).success
    after = asked(server)
    # The small one's answers were all kept before the large one was asked.
    assert after[SMALL] == PAGES
    assert PAGES <= after[LARGE] < PAGES + at_kill[LARGE]
    assert [row["status"] for row in rows_of(lake)] == ["answered"] * PAGES
    assert len({row["run_id"] for row in rows_of(lake)}) == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (CascadeResource(model=LARGE, threshold=0.5), "and so is the one to ask after it"),
        (CascadeResource(model="nowhere:1b", threshold=0.5), "the model to ask first, nowhere:1b: "),
        (
            CascadeResource(model=SMALL, threshold=0.5, endpoints=["http://127.0.0.1:9"]),
            "look at PREANNOTATION_CASCADE_MODEL and PREANNOTATION_CASCADE_URLS; ",
        ),
        (
            CascadeResource(model=SMALL, threshold=0.5, calibration="0123456789abcdef"),
            "PREANNOTATION_CASCADE_CALIBRATION names 0123456789abcdef",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line_before_anything_is_asked(
    new_lake: NewLake, instance: DagsterInstance, spark: SparkSession, wrong: CascadeResource, said: str
) -> None:
    lake, server = new_lake()
    result = lake.materialize(instance, cascade=wrong)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    message = failure.step_failure_data.error.cause.message
    assert said in message
    assert message.strip().count("\n") == 0
    assert asked(server) == {}
