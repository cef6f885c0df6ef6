"""Runs on a Spark standalone cluster: a master and two workers, with a secret for who may talk to whom."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from shared.network_namespaces import HERE
from shared.page_requests import page_requests
from shared.polling import wait_for
from shared.process_table import descendants
from shared.spark_cluster import RunningCluster, running_cluster

from end_to_end.user_place import DATASET, REPORT, SOURCE, Place, make_place
from preannotation_assets.demo.sample import SAMPLE_DATASET, write_sample_database
from preannotation_assets.simulator import AccessCredentials, RunningSimulator, SimulatorSettings

LONGEST_SECONDS = 300.0
# So many that a worker is lost while they are asked about.
PAGES = 72
SECRETS = {
    "PREANNOTATION_SERVER_API_KEY": "HIDDENserverkey",
    "CF_ACCESS_CLIENT_ID": "HIDDENclientid",
    "CF_ACCESS_CLIENT_SECRET": "HIDDENclientsecret",
    "AWS_ACCESS_KEY_ID": "HIDDENaccesskey",
    "AWS_SECRET_ACCESS_KEY": "HIDDENsecretkey",
    "motherduck_token": "HIDDENtoken",
}
SPARK_SECRET = "HIDDENsparksecret"
PROPERTIES = {
    "spark.driver.host": "127.0.0.1",
    "spark.executor.memory": "512m",
    "spark.executor.extraJavaOptions": "-Dlog4j2.level=OFF -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds processes in Linux's /proc"
)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[RunningSimulator, RunningSimulator]]:
    """Two with the same model, one of them four times as fast as the other; both want the service token."""
    access = AccessCredentials(SECRETS["CF_ACCESS_CLIENT_ID"], SECRETS["CF_ACCESS_CLIENT_SECRET"])
    with (
        RunningSimulator(SimulatorSettings(slots=2, speed=40, access=access)) as fast,
        RunningSimulator(SimulatorSettings(slots=2, speed=10, access=access)) as slow,
    ):
        yield fast, slow


@pytest.fixture(scope="module")
def environment(
    servers: tuple[RunningSimulator, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What driver and executors both have: where the servers are, secrets, and Spark's in a file."""
    folder = tmp_path_factory.mktemp("spark")
    defaults = folder / "spark-defaults.conf"
    defaults.write_text(
        "spark.authenticate true\nspark.network.crypto.enabled true\n"
        f"spark.authenticate.secret {SPARK_SECRET}\n"
    )
    defaults.chmod(0o600)
    return {
        "SPARK_CONF_DIR": str(folder),
        "PREANNOTATION_OLLAMA_ENDPOINTS": ",".join(server.url for server in servers),
        **SECRETS,
    }


@pytest.fixture(scope="module")
def cluster(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningCluster]:
    own = {"PYTHONPATH": str(SOURCE), **environment}
    with running_cluster(tmp_path_factory.mktemp("cluster"), own, [HERE, HERE]) as running:
        yield running


@pytest.fixture
def place(
    cluster: RunningCluster,
    environment: dict[str, str],
    servers: tuple[RunningSimulator, ...],
    tmp_path: Path,
) -> Place:
    """A user's folder, whose runs are on the cluster."""
    for server in servers:
        server.reset()
    pages = {f"page {index}": f"Page {index}.\n{REPORT * 3}" for index in range(PAGES)}
    found = make_place(tmp_path / "user", pages, "")
    found.environment.update(
        environment,
        PREANNOTATION_MAX_IN_FLIGHT="2",
        PREANNOTATION_FLUSH_SECONDS="0.2",
        PREANNOTATION_SPARK_MASTER=cluster.url,
        PREANNOTATION_SPARK_CONFIG=json.dumps(PROPERTIES),
        PYSPARK_PYTHON=sys.executable,
    )
    return found


@contextmanager
def running(place: Place, dataset: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own; its output is in ``log.txt``."""
    command, whole = place.command("run", dataset)
    with (
        (place.folder / "log.txt").open("wb") as log,
        subprocess.Popen(
            command, env=whole | environment, cwd=place.folder, stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def said(place: Place) -> str:
    return (place.folder / "log.txt").read_text("utf-8", "replace")


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], place: Place) -> None:
    """Polls while the run is at work."""

    def ended_or_met() -> bool:
        return condition() or process.poll() is not None

    wait_for(ended_or_met, "what the run is to do", LONGEST_SECONDS)
    assert process.poll() is None, said(place)


def work_area(place: Place, dataset: str = DATASET) -> Path:
    return place.lake / "argilla" / "work" / dataset


def command_lines(*processes: int) -> list[str]:
    """Those of the processes and of all that they have started."""
    found = []
    for number in (each for process in processes for each in (process, *descendants(process))):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(Path(f"/proc/{number}/cmdline").read_text("utf-8", "replace"))
    return found


def published(parquet: Path) -> list[dict[str, object]]:
    """The rows, without the times of the answers."""
    table = pq.read_table(parquet)
    found: list[dict[str, object]] = table.drop_columns(["generated_at"]).to_pylist()
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def pages_of_interfaces(cluster: RunningCluster, port: int) -> dict[str, str]:
    """What the web interfaces of master, workers and driver show of the run, by address."""
    api = f"http://127.0.0.1:{port}/api/v1/applications"
    application = httpx.get(api, timeout=60).json()[0]["id"]
    addresses = [
        *(
            f"{process.interface}{path}"
            for process in (cluster.master, *cluster.workers)
            for path in ("/", "/json/")
        ),
        *(
            f"http://127.0.0.1:{port}{path}"
            for path in ("/environment/", "/executors/", "/jobs/", "/stages/")
        ),
        *(f"{api}/{application}/{name}" for name in ("environment", "allexecutors", "stages", "jobs")),
    ]
    shown = {address: httpx.get(address, timeout=60, follow_redirects=True) for address in addresses}
    assert {address for address, page in shown.items() if page.status_code != httpx.codes.OK} == set()
    return {address: page.text for address, page in shown.items()}


def test_the_demo_batch_comes_out_as_on_one_machine_and_no_secret_is_seen(
    place: Place,
    cluster: RunningCluster,
    servers: tuple[RunningSimulator, ...],
    preannotate: Callable[..., tuple[int, str, str]],
) -> None:
    place.environment["PREANNOTATION_DATABASE"] = "demo.duckdb"
    write_sample_database(place.folder / "demo.duckdb")
    port = free_port()
    interface = {"spark.ui.enabled": "true", "spark.ui.port": str(port)}
    with running(
        place, SAMPLE_DATASET, PREANNOTATION_SPARK_CONFIG=json.dumps(PROPERTIES | interface)
    ) as process:
        wait_until(lambda: all(page_requests(server) for server in servers), process, place)
        # Its JVM goes on, and shows its pages as long as it takes to read them.
        process.send_signal(signal.SIGSTOP)
        workers = [worker.process.pid for worker in cluster.workers]
        pythons = [sum("pyspark.daemon" in line for line in command_lines(pid)) for pid in workers]
        lines = command_lines(process.pid, cluster.master.process.pid, *workers)
        shown = pages_of_interfaces(cluster, port)
        process.send_signal(signal.SIGCONT)
        assert process.wait(LONGEST_SECONDS) == 0, said(place)
    assert min(pythons) >= 1, "both workers ask"
    assert [server.summary().peak_in_flight for server in servers] == [2, 2]
    assert sum(len(page_requests(server)) for server in servers) == 60
    fast, slow = (len(page_requests(server)) for server in servers)
    assert fast > slow, "a server gets what it can do"
    assert "spark.authenticate" in shown[f"http://127.0.0.1:{port}/environment/"]
    logs = [file.read_text("utf-8", "replace") for file in cluster.folder.rglob("std*") if file.is_file()]
    assert len(logs) >= 2
    for text in (*lines, *shown.values(), *logs, said(place)):
        assert "HIDDEN" not in text
    on_cluster = published(
        place.lake / "argilla" / "in" / SAMPLE_DATASET / "suggestions" / "suggestions.parquet"
    )
    alone = {"PREANNOTATION_ROOT": "alone", "PREANNOTATION_SPARK_MASTER": "local[2]"}
    # Its workers have no service token.
    with RunningSimulator(SimulatorSettings(slots=4)) as open_to_all:
        alone["PREANNOTATION_OLLAMA_ENDPOINTS"] = open_to_all.url
        status, _, log = preannotate(place, "run", SAMPLE_DATASET, **alone)
    assert status == 0, log
    assert on_cluster == published(
        place.folder / "alone" / "argilla" / "in" / SAMPLE_DATASET / "suggestions" / "suggestions.parquet"
    )


def test_a_run_that_loses_a_worker_in_every_stage_is_complete_and_asks_again_only_what_was_in_flight(
    place: Place, cluster: RunningCluster, servers: tuple[RunningSimulator, ...]
) -> None:
    area = work_area(place)

    def kept() -> int:
        files = (area / "answers").rglob("*.parquet")
        return sum(pq.read_metadata(file).num_rows for file in files)

    def asked() -> int:
        return sum(len(page_requests(server)) for server in servers)

    first, second, *_ = cluster.workers
    with running(place, DATASET) as process:
        wait_until((area / "pages").is_dir, process, place)
        first.kill()
        third = cluster.start_worker()
        wait_until(lambda: kept() >= 10, process, place)
        durable = kept()
        second.kill()
        sent = asked()
        cluster.start_worker()
        wait_until((area / "raw_model_outputs" / "manifest.json").is_file, process, place)
        assert not place.parquet.exists()
        third.kill()
        assert process.wait(LONGEST_SECONDS) == 0, said(place)
    assert durable < PAGES
    assert asked() <= PAGES + sent - durable
    assert [server.summary().peak_in_flight for server in servers] == [2, 2]
    manifest = place.manifest()
    assert manifest["pages_with_spans"] == PAGES
    assert manifest["failed_pages"] == [
        {"doc_id": f"{DATASET}/broken", "page_num": 1, "reason": "hash_mismatch"}
    ]
