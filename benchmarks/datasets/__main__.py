"""300 datasets under one sensor: ``python -m benchmarks.datasets [--datasets N] [--runs N]``.

A DuckDB file, a lake in a folder and a Dagster instance on disk, all temporary. All datasets but ``--runs``
get the manifest of a publication; these are published by real runs that the sensor asks for, while another
process holds the database for 15 s of every 45, and the stand-in model is away for the first minute.
Prints what a tick, ``preannotate datasets`` and ``status`` take, and what became of each run.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import duckdb
from dagster import DagsterInstance, SensorResult, SkipReason

from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.definitions import build_definitions, build_resources
from preannotation_assets.defs.jobs import preannotate
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.defs.sensors import build_sensor
from preannotation_assets.instance import ensure_dagster_home
from preannotation_assets.lake.batch import read_manifest, write_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.settings import Settings
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings
from preannotation_assets_tests.shared.sensor_ticks import Ticks, publication_of, requests_of

_PAGES = 20
_PORTS = ("Hamburg", "Antwerp", "Bergen", "Singapore", "Rotterdam")
_AWAY_SECONDS = 60.0
_LOCKER = """
import duckdb, sys, time
while True:
    try:
        with duckdb.connect(sys.argv[1]):
            time.sleep(15)
    except duckdb.Error:
        time.sleep(0.2)
        continue
    time.sleep(30)
"""


def main() -> None:
    """Measures, then runs until everything is published."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.datasets")
    parser.add_argument("--datasets", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    names = [f"vessels_ocr_{number:03}" for number in range(asked.datasets)]
    with tempfile.TemporaryDirectory(prefix="datasets-") as folder, _simulator_port() as port:
        environment = _environment(Path(folder), port)
        os.environ.update(environment)
        os.chdir(folder)
        _fill(Path(folder) / "pages.duckdb", names)
        settings = Settings.from_environment(os.environ)
        home = ensure_dagster_home(os.environ, Path(folder))
        with open_instance(home) as instance:
            deployment = Deployment(settings, instance)
            deployment.measure(names, names[asked.runs :])
            for command in (["datasets", "--plain"], ["status", names[-1]]):
                _measure_command(command)
            deployment.publish_all(names[: asked.runs], Path(folder) / "pages.duckdb", port)


class Deployment:
    """A sensor with its cursor, and the job it asks for."""

    def __init__(self, settings: Settings, instance: DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.resources = build_resources(settings)
        self.sensor = build_sensor(settings.watching)
        self.job = build_definitions(settings).resolve_job_def(preannotate.name)
        resources = {name: self.resources[name] for name in ("warehouse", "storage")}
        self.ticks = Ticks(instance, resources)

    def tick(self) -> SensorResult | SkipReason:
        """One evaluation; the cursor moves as Dagster moves it."""
        return self.ticks.tick(self.sensor)

    def measure(self, names: list[str], published: list[str]) -> None:
        """Ticks: all new, none published; most published; nothing has changed."""
        first = _measured(f"first tick, {len(names)} datasets, none published", self.tick)
        print(f"  asks for {len(requests_of(first))} runs")
        self.ticks.cursor = None
        with self.resources["warehouse"].open() as source:
            summaries = source.list_datasets()
        store = self.resources["storage"].open()
        for summary in summaries:
            if summary.dataset in published:
                manifest = publication_of(summary.dataset, _PAGES, summary.fingerprint)
                write_manifest(store, DatasetLayout(summary.dataset).published_manifest, manifest)
        _measured(f"tick with a new cursor, {len(published)} published", self.tick)
        for _ in range(3):
            _measured("tick when nothing has changed", self.tick)
        print(f"  the cursor has {len(self.ticks.cursor or ''):,} characters")
        self.ticks.cursor = None

    def publish_all(self, wanted: list[str], database: Path, port: int) -> None:
        """Ticks and runs until every dataset is published."""
        began, ended = time.monotonic(), Counter[str]()
        skips = Counter[str]()
        with _locked_now_and_then(database), _away_at_first(port):
            while not all(map(self._is_published, wanted)):
                result = self.tick()
                requests = requests_of(result)
                if isinstance(result, SkipReason):
                    skips[str(result.skip_message).split(":", 1)[0][:60]] += 1
                for request in requests:
                    ended[self._run(str(request.partition_key))] += 1
                if not requests:
                    time.sleep(5)
        print(f"{len(wanted)} datasets published after {time.monotonic() - began:.0f} s")
        print(f"  runs: {dict(ended)}; ticks that asked for nothing: {dict(skips)}")

    def _run(self, dataset: str) -> str:
        add_dataset(self.instance, dataset)
        result = self.job.execute_in_process(
            instance=self.instance, partition_key=dataset, raise_on_error=False
        )
        return "success" if result.success else "failure"

    def _is_published(self, dataset: str) -> bool:
        layout = DatasetLayout(dataset)
        store = self.resources["storage"].open()
        return read_manifest(store, layout.published_manifest, SuggestionsManifest) is not None


def _measured(what: str, work: Callable[[], SensorResult | SkipReason]) -> SensorResult | SkipReason:
    wall, cpu = time.monotonic(), time.process_time()
    result = work()
    print(f"{what}: {time.monotonic() - wall:.2f} s, {time.process_time() - cpu:.2f} s of CPU")
    return result


def _measure_command(arguments: list[str]) -> None:
    wall, before = time.monotonic(), os.times()
    main = "import sys; from preannotation_assets.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", main, *arguments], capture_output=True, text=True, check=True
    )
    after = os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    seconds, lines = time.monotonic() - wall, len(done.stdout.splitlines())
    print(f"preannotate {' '.join(arguments)}: {seconds:.2f} s, {cpu:.2f} s of CPU, {lines} lines")


def _environment(folder: Path, port: int) -> dict[str, str]:
    return {
        "DAGSTER_HOME": str(folder / "dagster"),
        "PREANNOTATION_DATABASE": str(folder / "pages.duckdb"),
        "PREANNOTATION_ROOT": str(folder / "lake"),
        "PREANNOTATION_STILL_SECONDS": "0",
        "PREANNOTATION_SENSOR_LISTING_SECONDS": "0",
        "PREANNOTATION_OLLAMA_ENDPOINTS": f"http://127.0.0.1:{port}",
        "PREANNOTATION_SPARK_MASTER": "local[2]",
    }


def _fill(database: Path, names: list[str]) -> None:
    chance = random.Random(1)
    rows = []
    for name in names:
        for page in range(1, _PAGES + 1):
            text = "".join(
                f"M/V OCEAN STAR {name} IMO 9666948 left {chance.choice(_PORTS)} on {line} March 1957.\n"
                for line in range(1, chance.randrange(3, 12))
            )
            rows.append((f"{name}/log", page, text, sha256(text.encode()).hexdigest()))
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "CREATE TABLE p(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
        )
        connection.execute("CREATE VIEW vw_argilla_pages AS SELECT * FROM p")
        connection.executemany("INSERT INTO p VALUES (?, ?, ?, ?)", rows)


@contextmanager
def _simulator_port() -> Iterator[int]:
    """A port that the stand-in can come back to."""
    with RunningSimulator(SimulatorSettings(slots=4)) as simulator:
        port = int(simulator.url.rsplit(":", 1)[1])
    yield port


@contextmanager
def _locked_now_and_then(database: Path) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", _LOCKER, str(database)]) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def _away_at_first(port: int) -> Iterator[None]:
    finished = threading.Event()

    def serve() -> None:
        if not finished.wait(_AWAY_SECONDS):
            with RunningSimulator(SimulatorSettings(slots=4, port=port)):
                finished.wait()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


if __name__ == "__main__":
    main()
