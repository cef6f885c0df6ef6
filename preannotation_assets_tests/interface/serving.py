"""Dagster's web server and daemon as ``preannotate dev`` starts them, and what its interface asks them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from shared.polling import wait_for
from shared.process_table import processes_of

from interface.warehouse_file import WarehouseFile
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings

__all__ = [
    "ENDED",
    "Interface",
    "Run",
    "Tick",
    "serve_dev",
    "serve_interface",
]

ENDED: Final = frozenset(("SUCCESS", "FAILURE", "CANCELED"))

_PROJECT: Final = Path(__file__).parents[2]
_START_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 60.0
_RUN_SECONDS: Final = 300.0
# 24 answers of about 150 tokens, two at a time, take some 10 s.
_SPEED: Final = 12.0
_DEV: Final = "import sys; from preannotation_assets.cli import main; sys.exit(main(['dev', '--port', '0']))"
_LOCATION: Final = {"repositoryLocationName": "preannotation_assets", "repositoryName": "__repository__"}
_NEW_DATASETS: Final = {**_LOCATION, "sensorName": "new_datasets"}
_LOADED: Final = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
_OF_A_RUN: Final = "runId status parentRunId startTime endTime tags { key value }"
_RUNS: Final = f"{{ runsOrError {{ ... on Runs {{ results {{ {_OF_A_RUN} }} }} }} }}"
_RUN: Final = f"query($run: ID!) {{ runOrError(runId: $run) {{ ... on Run {{ {_OF_A_RUN} }} }} }}"
_MESSAGES: Final = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
    ... on MessageEvent { message } ... on ErrorEvent { error { message } } } } } }"""
_PARTITIONS: Final = (
    '{ assetNodeOrError(assetKey: {path: ["pages"]}) { ... on AssetNode { partitionKeys } } }'
)
_POOLS: Final = "{ instance { concurrencyLimits { concurrencyKey slotCount } } }"
_ADD_PARTITION: Final = """mutation($location: RepositorySelector!, $key: String!) { addDynamicPartition(
    repositorySelector: $location, partitionsDefName: "datasets", partitionKey: $key) { __typename } }"""
_TICKS: Final = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
    sensorState { ticks(limit: 20) { tickId status timestamp runIds skipReason cursor } } } } }"""
_SENSOR: Final = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
    sensorState { id } } } }"""
_STOP_SENSOR: Final = """mutation($id: String!) { stopSensor(id: $id) { __typename
    ... on StopSensorMutationResult { instigationState { status } } } }"""
_LAUNCH: Final = """mutation($run: ExecutionParams!) { launchRun(executionParams: $run) {
    __typename ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } } } }"""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the list of runs has it; times are seconds since the Unix epoch."""

    run_id: str
    status: str
    parent: str | None
    started_at: float | None
    ended_at: float | None
    tags: Mapping[str, str]

    @property
    def dataset(self) -> str:
        """Its partition."""
        return self.tags.get("dagster/partition", "")


@dataclass(frozen=True, slots=True)
class Tick:
    """An evaluation of the sensor; ``timestamp`` is in seconds since the Unix epoch."""

    number: str
    status: str
    timestamp: float
    run_ids: Sequence[str]
    skip_reason: str | None
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Interface:
    """A running web interface."""

    url: str
    home: Path
    root: Path
    output: Path
    warehouse: WarehouseFile
    simulator: RunningSimulator

    def graphql(self, query: str, **variables: object) -> Any:
        """Asks as the browser does."""
        body = {"query": query, "variables": variables}
        # Plain http: certificates would take longer to read than the request takes.
        with httpx.Client(timeout=60, verify=False) as client:
            reply = client.post(f"{self.url}/graphql", json=body).raise_for_status().json()
        assert "errors" not in reply, reply["errors"]
        return reply["data"]

    def runs(self) -> list[Run]:
        """All runs, the latest first."""
        return [_run(found) for found in self.graphql(_RUNS)["runsOrError"]["results"]]

    def run_ids(self) -> set[str]:
        """The ids of all runs."""
        return {run.run_id for run in self.runs()}

    def retry_of(self, run_id: str) -> Run | None:
        """The run that was started because that one failed."""
        return next((run for run in self.runs() if run.parent == run_id), None)

    def wait_for_end(self, run_id: str) -> Run:
        """A run, when it has ended."""

        def ended() -> Run | None:
            run = _run(self.graphql(_RUN, run=run_id)["runOrError"])
            return run if run.status in ENDED else None

        return wait_for(ended, f"the end of run {run_id}", _RUN_SECONDS)

    def launch(self, assets: Sequence[str], dataset: str, resources: Mapping[str, object]) -> str:
        """Starts a run with other resources, as the launchpad does; returns its id."""
        config = {"resources": {name: {"config": config} for name, config in resources.items()}}
        launched = self.launch_with(assets, dataset, config)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def launch_with(self, assets: Sequence[str], dataset: str, config: Mapping[str, object]) -> Any:
        """Asks for a run with this configuration; what came of it."""
        selector = {
            **_LOCATION,
            "jobName": "preannotate",
            "assetSelection": [{"path": [name]} for name in assets],
            "assetCheckSelection": [],
        }
        run = {
            "selector": selector,
            "runConfigData": config,
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": dataset}]},
        }
        return self.graphql(_LAUNCH, run=run)["launchRun"]

    def launch_job(self, job: str, dataset: str) -> str:
        """Starts a job as it is, with its checks; returns the id of the run."""
        run = {
            "selector": {**_LOCATION, "jobName": job},
            "runConfigData": {},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": dataset}]},
        }
        launched = self.graphql(_LAUNCH, run=run)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def messages(self, run_id: str) -> list[str]:
        """What the events of a run say."""
        events = self.graphql(_MESSAGES, run=run_id)["logsForRun"]["events"]
        return [event["message"] for event in events if event.get("message")]

    def partitions(self) -> list[str]:
        """The datasets Dagster knows."""
        return list(self.graphql(_PARTITIONS)["assetNodeOrError"]["partitionKeys"])

    def add_partition(self, dataset: str) -> None:
        """Makes a dataset a partition."""
        added = self.graphql(_ADD_PARTITION, location=_LOCATION, key=dataset)["addDynamicPartition"]
        assert added["__typename"] == "AddDynamicPartitionSuccess", added

    def pool_limits(self) -> dict[str, int]:
        """How many runs of a pool may go on at once."""
        limits = self.graphql(_POOLS)["instance"]["concurrencyLimits"]
        return {limit["concurrencyKey"]: limit["slotCount"] for limit in limits}

    def ticks(self) -> list[Tick]:
        """The sensor's evaluations that have ended, the latest first."""
        found = self.graphql(_TICKS, sensor=_NEW_DATASETS)["sensorOrError"]["sensorState"]["ticks"]
        return [
            Tick(
                tick["tickId"],
                tick["status"],
                tick["timestamp"],
                tick["runIds"],
                tick["skipReason"],
                tick["cursor"],
            )
            for tick in found
            if tick["status"] != "STARTED"
        ]

    def stop_sensor(self) -> None:
        """Switches the sensor off."""
        state = self.graphql(_SENSOR, sensor=_NEW_DATASETS)["sensorOrError"]["sensorState"]
        stopped = self.graphql(_STOP_SENSOR, id=state["id"])["stopSensor"]
        assert stopped["instigationState"]["status"] == "STOPPED", stopped


def _run(told: Mapping[str, Any]) -> Run:
    return Run(
        told["runId"],
        told["status"],
        told["parentRunId"],
        told["startTime"],
        told["endTime"],
        {tag["key"]: tag["value"] for tag in told["tags"]},
    )


@contextmanager
def serve_interface(folder: Path) -> Iterator[Interface]:
    """Starts everything in ``folder``, and ends it by its process group."""
    with RunningSimulator(SimulatorSettings(slots=4, speed=_SPEED)) as simulator:
        warehouse = WarehouseFile(folder / "pages.duckdb")
        with serve_dev(folder, warehouse, simulator) as (_, interface):
            yield interface


@contextmanager
def serve_dev(
    folder: Path, warehouse: WarehouseFile, simulator: RunningSimulator, *before: str
) -> Iterator[tuple[subprocess.Popen[bytes], Interface]]:
    """Starts ``preannotate dev``, by what stands ``before`` it; its process, and the interface."""
    home, output = folder / "home", folder / "output.txt"
    with output.open("wb") as log:
        environment = os.environ | {
            "DAGSTER_HOME": str(home),
            "PREANNOTATION_DATABASE": str(warehouse.path),
            "PREANNOTATION_ROOT": str(folder / "lake"),
            "PREANNOTATION_STILL_SECONDS": "0",
            "PREANNOTATION_SENSOR_LISTING_SECONDS": "0",
            "PREANNOTATION_SENSOR_SECONDS": "5",
            "PREANNOTATION_OLLAMA_ENDPOINTS": simulator.url,
            # A run has one Python worker to start.
            "PREANNOTATION_SPARK_MASTER": "local[1]",
            "PYTHONUNBUFFERED": "1",
        }
        with subprocess.Popen(
            [*before, sys.executable, "-c", _DEV],
            cwd=_PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                url = wait_for(lambda: _address(process, output), "the address", _START_SECONDS)
                interface = Interface(url, home, folder / "lake", output, warehouse, simulator)
                wait_for(lambda: _is_loaded(interface), "the code location", _START_SECONDS)
                yield process, interface
            finally:
                _end(process)


def _address(process: subprocess.Popen[bytes], output: Path) -> str | None:
    written = output.read_text("utf-8", "replace")
    assert process.poll() is None, written[-4000:]
    match = re.search(r"Dagster will be on (http://127\.0\.0\.1:\d+)", written)
    return match.group(1) if match else None


def _is_loaded(interface: Interface) -> bool:
    try:
        entries = interface.graphql(_LOADED)["workspaceOrError"]["locationEntries"]
    except httpx.TransportError:
        return False
    return [(entry["name"], entry["loadStatus"]) for entry in entries] == [("preannotation_assets", "LOADED")]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Tells the command to end, as Ctrl-C or a service manager would; nothing of it may be left."""
    process.terminate()
    try:
        wait_for(lambda: not processes_of(process.pid), "the end of Dagster's processes", _STOP_SECONDS)
    finally:
        if processes_of(process.pid):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
