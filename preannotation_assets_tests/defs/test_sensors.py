"""Ticks of the sensor on a real DuckDB file, a lake and Dagster's instance."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest
from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    SensorResult,
    SkipReason,
)
from shared.duckdb_rows import insert_rows
from shared.sensor_ticks import Ticks, publication_of, requests_of

from preannotation_assets.defs import sensors
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.defs.sensors import build_sensor
from preannotation_assets.errors import StorageError
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.settings.groups import WatchingSettings
from preannotation_assets.warehouse import Warehouse

TEXT = "ZEBRAQUARTZ"
AT_ONCE = WatchingSettings(still_seconds=0)


class Deployment:
    """A warehouse, a lake, an instance, a sensor and its cursor."""

    def __init__(self, folder: Path, instance: DagsterInstance) -> None:
        self.database = folder / "warehouse.duckdb"
        self.instance = instance
        self.warehouse = WarehouseResource(database=str(self.database))
        self.storage = StorageResource(root=str(folder / "lake"))
        self.settings = AT_ONCE
        self.ticks = Ticks(instance, {"warehouse": self.warehouse, "storage": self.storage})

    def load(self, datasets: Sequence[str], sha256: str = "0") -> None:
        """Fills the warehouse anew, one page a dataset."""
        self.database.unlink(missing_ok=True)
        with duckdb.connect(str(self.database)) as connection:
            connection.execute(
                "CREATE TABLE p(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
            )
            connection.execute("CREATE VIEW vw_argilla_pages AS SELECT * FROM p")
            rows = [(f"{dataset}/1", 1, TEXT, sha256) for dataset in datasets]
            insert_rows(connection, "p", rows)

    def publish(self, dataset: str) -> None:
        """Writes the manifest of a publication of what the warehouse has now."""
        with self.warehouse.open() as source:
            listed = source.find_dataset(dataset)
        manifest = publication_of(dataset, 1, listed.fingerprint if listed else None)
        write_manifest(self.storage.open(), DatasetLayout(dataset).published_manifest, manifest)

    def tick(self) -> SensorResult | SkipReason:
        """One evaluation; the cursor moves as Dagster moves it."""
        return self.ticks.tick(build_sensor(self.settings))

    def requested(self) -> list[str]:
        """The datasets that a tick asks runs for."""
        return [str(request.partition_key) for request in requests_of(self.tick())]

    def said(self) -> str:
        """Why a tick asks for no run."""
        result = self.tick()
        assert isinstance(result, SkipReason)
        return str(result.skip_message)


class Clock:
    """The sensor's time."""

    def __init__(self) -> None:
        self.now = 1e9

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sensors.time, "time", clock.time)
    return clock


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with DagsterInstance.ephemeral() as instance:
        yield Deployment(tmp_path, instance)


@pytest.mark.usefixtures("clock")
def test_what_is_published_is_not_run_and_what_is_not_is(deployment: Deployment) -> None:
    deployment.load(["vessels_ocr_1", "vessels_ocr_2"])
    deployment.publish("vessels_ocr_1")
    result = deployment.tick()
    assert isinstance(result, SensorResult)
    assert [request.partition_key for request in result.run_requests or ()] == ["vessels_ocr_2"]
    assert [request.partition_keys for request in result.dynamic_partitions_requests or ()] == [
        ["vessels_ocr_2"]
    ]
    deployment.publish("vessels_ocr_2")
    assert deployment.said() == "2 datasets: 2 published"


def test_a_run_that_published_nothing_is_asked_for_again_under_another_key(
    deployment: Deployment, clock: Clock
) -> None:
    deployment.load(["vessels_ocr_1"])
    first = deployment.tick()
    assert "vessels_ocr_1 (next run at 01:48 UTC after 1 run(s) that published nothing)" in deployment.said()
    clock.now += 120.0
    second = deployment.tick()
    assert isinstance(first, SensorResult)
    assert isinstance(second, SensorResult)
    keys = {request.run_key for tick in (first, second) for request in tick.run_requests or ()}
    assert len(keys) == 2


def test_pages_that_change_and_change_back_are_three_runs(deployment: Deployment, clock: Clock) -> None:
    for sha256 in ("a", "b", "a"):
        deployment.load(["vessels_ocr_1"], sha256)
        clock.now += 3600.0
        assert deployment.requested() == ["vessels_ocr_1"]
        deployment.publish("vessels_ocr_1")
        assert deployment.requested() == []


def test_a_lost_cursor_runs_nothing_that_is_published(deployment: Deployment, clock: Clock) -> None:
    deployment.load(["vessels_ocr_1"])
    deployment.publish("vessels_ocr_1")
    for cursor in (None, '{"vessels_ocr_1": "1-2-3"}', "nonsense"):
        deployment.ticks.cursor = cursor
        clock.now += 60.0
        assert deployment.requested() == []


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED])
def test_a_dataset_with_a_run_under_way_waits_for_its_end(
    deployment: Deployment, status: DagsterRunStatus
) -> None:
    deployment.load(["vessels_ocr_1"])
    run = DagsterRun("preannotate", status=status, tags={"dagster/partition": "vessels_ocr_1"})
    deployment.instance.add_run(run)
    assert deployment.said() == "1 datasets: 1 in work; vessels_ocr_1 (in work)"


def test_a_dataset_is_left_alone_until_it_has_been_still(deployment: Deployment, clock: Clock) -> None:
    deployment.settings = WatchingSettings(still_seconds=600, sensor_listing_seconds=0)
    for number in range(3):
        deployment.load(["vessels_ocr_1"], str(number))
        assert "still being loaded" in deployment.said()
        clock.now += 400.0
    clock.now += 200.0
    assert deployment.requested() == ["vessels_ocr_1"]


def test_pages_that_changed_since_the_last_listing_are_seen_before_a_run_is_asked_for(
    deployment: Deployment, clock: Clock
) -> None:
    deployment.settings = WatchingSettings(still_seconds=600, sensor_listing_seconds=86_400)
    deployment.load(["vessels_ocr_1"], "a")
    assert "still being loaded" in deployment.said()
    # As many pages as before, so that counting them tells nothing.
    deployment.load(["vessels_ocr_1"], "b")
    clock.now += 600.0
    assert "still being loaded" in deployment.said()
    clock.now += 600.0
    assert deployment.requested() == ["vessels_ocr_1"]


def test_between_listings_the_hashes_of_the_pages_are_not_read(
    deployment: Deployment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = 0
    deployment.load(["vessels_ocr_1"])
    deployment.publish("vessels_ocr_1")
    list_datasets = Warehouse.list_datasets

    def counted(warehouse: Warehouse) -> object:
        nonlocal listings
        listings += 1
        return list_datasets(warehouse)

    monkeypatch.setattr(Warehouse, "list_datasets", counted)
    for _ in range(10):
        deployment.tick()
        clock.now += 60.0
    assert listings == 1
    deployment.tick()
    assert listings == 2
    deployment.load(["vessels_ocr_1", "vessels_ocr_2"])
    deployment.tick()
    assert listings == 3


@pytest.mark.usefixtures("clock")
def test_a_tick_asks_for_no_more_runs_than_it_may(deployment: Deployment) -> None:
    deployment.load([f"vessels_ocr_{number}" for number in range(100, 125)])
    asked = [deployment.requested() for _ in range(4)]
    assert list(map(len, asked)) == [10, 10, 5, 0]
    assert len({dataset for datasets in asked for dataset in datasets}) == 25


def _outage(*_: object) -> None:
    raise StorageError("the lake is out of reach")


def test_what_cannot_be_read_is_not_empty(
    deployment: Deployment, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.load(["vessels_ocr_1"])
    deployment.tick()
    known = deployment.ticks.cursor
    deployment.database.rename(tmp_path / "away")
    assert "there is no DuckDB file" in deployment.said()
    assert deployment.ticks.cursor == known
    (tmp_path / "away").rename(deployment.database)
    clock.now += 3600.0
    monkeypatch.setattr(sensors, "read_manifest", _outage)
    assert deployment.said() == "the lake is out of reach"
    assert deployment.ticks.cursor == known


@pytest.mark.usefixtures("clock")
def test_one_damaged_manifest_keeps_no_other_dataset_waiting(deployment: Deployment) -> None:
    deployment.load(["vessels_ocr_1", "vessels_ocr_2"])
    manifest = Path(deployment.storage.root) / DatasetLayout("vessels_ocr_1").published_manifest
    manifest.parent.mkdir(parents=True)
    manifest.write_text("[1]")
    # Its own run tells what to do about it.
    assert deployment.requested() == ["vessels_ocr_1", "vessels_ocr_2"]


@pytest.mark.usefixtures("clock")
def test_names_that_no_dataset_can_have_are_named_in_every_tick(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.load(["vessels_ocr_größe", "vessels_ocr_船", "vessels_ocr_1"])
    assert deployment.requested() == ["vessels_ocr_1"]
    # In ASCII, so that names that look alike are seen to differ.
    named = "2 left out because of their names: 'vessels_ocr_gr\\xf6\\xdfe', 'vessels_ocr_\\u8239' ("
    assert named in capsys.readouterr().err
    assert named in deployment.said()
    deployment.load([f"vessels_ocr_é{number}" for number in range(25)])
    said = deployment.said()
    assert "25 left out" in said
    assert said.count("vessels_ocr_") == 10
    assert " and 15 more" in said
    assert TEXT not in said
