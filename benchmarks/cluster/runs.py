"""A run of ``preannotate`` on a cluster, in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.network_namespaces import HERE, Machine

from benchmarks.cluster.batches import DATASET

__all__ = ["SOURCE", "Place", "account", "at_work", "outcome", "wait"]

SOURCE: Final = Path(__file__).parents[2]
_MAIN: Final = "import sys; from preannotation_assets.cli import main; sys.exit(main())"
_PROPERTIES: Final = {
    "spark.executor.memory": "512m",
    "spark.executor.extraJavaOptions": "-Dlog4j2.level=OFF -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
}


@dataclass(frozen=True)
class Place:
    """Where a run is at work: its folder, what is asked, and the machine of its driver.

    ``cores`` are the most that it takes of the cluster, None for all; ``environment`` are other settings.
    """

    folder: Path
    master: str
    urls: Sequence[str]
    machine: Machine = HERE
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: int | None = None

    @property
    def events(self) -> Path:
        """Spark's event log."""
        return self.folder / "events"

    @property
    def log(self) -> Path:
        """What the run says."""
        return self.folder / "log.txt"


@contextmanager
def at_work(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """A run for the time of the block; it is killed at the end of it if it has not ended."""
    place.events.mkdir(parents=True, exist_ok=True)
    properties = _PROPERTIES | {
        "spark.driver.host": place.machine.host,
        "spark.eventLog.dir": str(place.events),
        **({"spark.cores.max": str(place.cores)} if place.cores else {}),
    }
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ},
        "PYTHONPATH": str(SOURCE),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": place.machine.host,
        "PREANNOTATION_DATABASE": str(place.folder / "pages.duckdb"),
        "PREANNOTATION_ROOT": str(place.folder / "lake"),
        "PREANNOTATION_SPARK_MASTER": place.master,
        "PREANNOTATION_SPARK_CONFIG": json.dumps(properties),
        "PREANNOTATION_OLLAMA_ENDPOINTS": ",".join(place.urls),
        "DAGSTER_HOME": str(place.folder / "dagster"),
        **place.environment,
    }
    command = [*place.machine.before, sys.executable, "-c", _MAIN, "run", DATASET]
    with (
        place.log.open("ab") as log,
        subprocess.Popen(command, env=environment, cwd=place.folder, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def account(place: Place) -> dict[str, Any]:
    """The published manifest."""
    path = place.folder / "lake" / "argilla" / "in" / DATASET / "suggestions" / "_manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return manifest


def outcome(manifest: Mapping[str, Any]) -> str:
    """What a manifest says of the whole."""
    return (
        f"{manifest['pages_processed']:,} pages done, {len(manifest['failed_pages'])} failed, "
        f"{manifest['rows']:,} rows"
    )


def wait(process: subprocess.Popen[bytes], place: Place, seconds: float) -> float:
    """Waits for the end of a run that goes well; returns how long it took from here.

    Raises:
        RuntimeError: it failed.
    """
    began = time.monotonic()
    if process.wait(seconds):
        raise RuntimeError(place.log.read_text("utf-8", "replace")[-2000:])
    return time.monotonic() - began
