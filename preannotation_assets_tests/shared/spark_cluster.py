"""A Spark standalone cluster: a master and workers, each with an environment and a folder of its own."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyspark

from preannotation_assets.defs.resources.java import find_java_home
from shared.network_namespaces import HERE, Machine
from shared.process_table import kill_all

__all__ = ["RunningCluster", "SparkProcess", "running_cluster"]

_START_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.05
_MASTER: Final = re.compile(r"Starting Spark master at (spark://\S+)")
_INTERFACE: Final = re.compile(r"Bound (?:Master|Worker)WebUI to \S+, and started at (http://\S+)")
_REGISTERED: Final = re.compile(r"Successfully registered with master (\S+)")


@dataclass(frozen=True)
class SparkProcess:
    """A master or a worker, and what it writes."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log.txt").read_text("utf-8", "replace")

    @property
    def interface(self) -> str:
        """The address of its web interface."""
        return _wait_for(self, _INTERFACE)

    def kill(self) -> None:
        """SIGKILL for it and for everything that it started, as when its machine is switched off."""
        kill_all(self.process)


class RunningCluster:
    """Its address for Spark, its master, and its workers in the order in which they were started."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], master: Machine, stack: ExitStack
    ) -> None:
        self.folder = folder
        self._environment, self._stack = environment, stack
        self.master = stack.enter_context(
            _started("master.Master", folder / "master", environment, master, ())
        )
        self.url = _wait_for(self.master, _MASTER)
        self.workers: list[SparkProcess] = []

    def start_worker(self, machine: Machine = HERE) -> SparkProcess:
        """One more worker with one core; it may take some seconds until the master knows it."""
        options = ("--cores", "1", "--memory", "1g", self.url)
        folder = self.folder / f"worker-{len(self.workers)}"
        worker = self._stack.enter_context(
            _started("worker.Worker", folder, self._environment, machine, options)
        )
        self.workers.append(worker)
        return worker


@contextmanager
def running_cluster(
    folder: Path, environment: Mapping[str, str], workers: Sequence[Machine], master: Machine = HERE
) -> Iterator[RunningCluster]:
    """A master and workers of one core each, which it knows; all are gone at the end of the block.

    ``environment`` is what a worker's processes find in theirs, beside the PATH.
    """
    with ExitStack() as stack:
        cluster = RunningCluster(folder, environment, master, stack)
        for worker in [cluster.start_worker(machine) for machine in workers]:
            _wait_for(worker, _REGISTERED)
        yield cluster


@contextmanager
def _started(
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    machine: Machine,
    options: Sequence[str],
) -> Iterator[SparkProcess]:
    """A process of Spark's ``deploy`` package for the time of the block."""
    folder.mkdir(parents=True)
    command = [
        *machine.before,
        f"{Path(pyspark.__file__).parent}/bin/spark-class",
        f"org.apache.spark.deploy.{name}",
        *("--host", machine.host, "--port", "0", "--webui-port", "0"),
        *options,
    ]
    own = {
        "PATH": os.environ["PATH"],
        "JAVA_HOME": str(find_java_home(os.environ)),
        "SPARK_LOCAL_IP": machine.host,
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData",
        "TMPDIR": str(folder),
    }
    with (
        (folder / "log.txt").open("wb") as log,
        subprocess.Popen(command, env={**own, **environment}, cwd=folder, stdout=log, stderr=log) as process,
    ):
        running = SparkProcess(process, folder)
        try:
            yield running
        finally:
            running.kill()


def _wait_for(running: SparkProcess, pattern: re.Pattern[str]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while not (found := pattern.search(running.log)):
        assert running.process.poll() is None, running.log
        assert time.monotonic() < deadline, running.log
        time.sleep(_LOOK_SECONDS)
    return found[1]
