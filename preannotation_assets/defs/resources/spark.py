"""The Spark session of a run, and the one way work is put on it.

A task is coarse: a shard of pages that the task itself reads from and writes to the object store. Only
its short description and its short result pass through Spark, so `run_tasks` maps over an RDD. A
DataFrame with ``mapInArrow`` does the same, but starts Spark's SQL engine first, which made the first
job of a run 4 to 5 seconds slower (8.0 against 3.5 s on 2 cores), and would be needed only for Spark
Connect, which has no master URL.

On a cluster (``spark://``, ``yarn``, ``k8s://``) every executor needs the driver's minor version of
Python, the locked dependencies, this package and what `executors.py` looks for; docs/cluster.md says how it
gets there. Secrets never go into the Spark configuration: executors take them from their own environment.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from socket import socket
from typing import TypeVar
from uuid import uuid4

from dagster import InitResourceContext
from dagster_pyspark import LazyPySparkResource
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from preannotation_assets.defs.resources.executors import check_executors, wait_for_executors
from preannotation_assets.defs.resources.java import find_java_home
from preannotation_assets.errors import PreannotationError, SettingsError
from preannotation_assets.settings.groups import SparkSettings
from preannotation_assets.tasks.engine import PermitPlace, Watch, unwatched

__all__ = ["SparkResource", "run_tasks"]

T = TypeVar("T")
R = TypeVar("R")

_TASK_ATTEMPTS = 4
_LOCAL_MASTER = re.compile(r"local(?:\[(?P<slots>\*|\d+)\])?")
_LOOPBACK = "127.0.0.1"
_CANCEL_SECONDS = 1.0
_EXECUTOR_SECONDS = 120.0

_SETTINGS = {
    "spark.app.name": "preannotation",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Written here, so that no spark-defaults.conf turns it on: it holds every property in clear.
    "spark.eventLog.enabled": "false",
    # A second copy of a slow task would ask the model everything twice.
    "spark.speculation": "false",
    # As log4j2.properties does for the driver.
    "spark.executor.extraJavaOptions": "-Dlog4j2.level=OFF",
}

_QUIET = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').absolute().as_uri()}"
# No rows pass through the JVM: what it costs is its start, which the simple compiler and collector
# shorten by 1 to 2 seconds.
_QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class SparkResource(SparkSettings, LazyPySparkResource):
    """A Spark session that is created when it is first used and stopped when the run ends.

    A session that exists before the run is used as it is and left running. In local mode everything
    listens on the loopback address only, and a task whose Python worker died is tried 4 times. On a cluster
    the executors are waited for and looked at first. ``lake_root`` is where tasks find what they
    work on; without it nobody looks whether they do.
    """

    lake_root: str | None = None

    def parallelism(self) -> int:
        """Return how many tasks run at once: the cores, or those of the executors registered by now."""
        return int(self.spark_session.sparkContext.defaultParallelism)

    def permit_place(self) -> PermitPlace:
        """Return where tasks reach the driver: at the address that Spark's own executors use."""
        conf = self.spark_session.sparkContext.getConf()
        host = conf.get("spark.driver.host") or _LOOPBACK
        return PermitPlace(conf.get("spark.driver.bindAddress") or host, host, self.permit_port)

    def run(self, tasks: Sequence[T], work: Callable[[T], R], watch: Watch = unwatched) -> list[R]:
        """Do ``work`` on every task as `run_tasks` does, with this session."""
        return run_tasks(self.spark_session, tasks, work, watch)

    def settings(self) -> dict[str, str]:
        """Return the Spark properties that the session is created with."""
        local = _LOCAL_MASTER.match(self.master) is not None
        return {
            **_SETTINGS,
            "spark.driver.extraJavaOptions": f"{_QUIET} {_QUICK_START}",
            **(_local_settings() if local else {}),
            "spark.master": _with_task_attempts(self.master),
            "spark.driver.memory": self.driver_memory,
            **self.spark_config,
        }

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator["SparkResource"]:
        """Lend the resource to a run and stop the session afterwards, however the run ended."""
        borrowed = SparkSession.getActiveSession() is not None
        self.setup_for_execution(context)
        try:
            yield self
        finally:
            if self._spark_session is not None and not borrowed:
                self._spark_session.stop()
            self._spark_session = None
            self.teardown_after_execution(context)

    def _init_session(self) -> None:
        """Create the session; `LazyPySparkResource` calls this on every use."""
        if self._spark_session is None:
            self._spark_session = _start(self.settings())
            if not _LOCAL_MASTER.match(str(self._spark_session.sparkContext.master)):
                wait_for_executors(self._spark_session, _EXECUTOR_SECONDS)
                check_executors(self._spark_session, os.environ, self.lake_root)


def run_tasks(
    spark: SparkSession, tasks: Sequence[T], work: Callable[[T], R], watch: Watch = unwatched
) -> list[R]:
    """Do ``work`` on every task, one Spark task each, and return the results in the order of ``tasks``.

    ``work`` is a module-level function, or a `functools.partial` of one over plain values; it, the tasks
    and the results are pickled. Its module is imported in every Python worker, so it should not import
    Dagster. A worker that dies, and an exception of any other kind than ours, is tried again by Spark;
    ``work`` must bear being done twice.

    When this call is interrupted, the tasks are cancelled before the interruption goes on; Spark ends
    their Python workers within 2 to 3 seconds, without running their ``finally``.

    Raises:
        PreannotationError: What ``work`` raised, for the first task in order that did; it is not tried
            again, and the other tasks are done before it is raised.
        pyspark.errors.PySparkException: A task failed in another way, as often as Spark tries; it tells the
            kind and the place of the exception, and not its message.
        py4j.protocol.Py4JError: The same, seen from the JVM.
    """

    # Pickled by value, so that the workers need not import this module and Dagster with it, which takes a
    # second each. The annotations are quoted because they are pickled too, and T belongs to this module.
    def attempt(task: "T") -> "R | PreannotationError":
        try:
            return work(task)
        except PreannotationError as error:
            return error
        except Exception as error:  # noqa: BLE001
            # Its message may quote a page, and Dagster stores what the driver is told.
            place = error.__traceback__
            while place and place.tb_next:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
            raise RuntimeError(f"{type(error).__name__} at {where}") from None

    def collect() -> list[R | PreannotationError]:
        spark.sparkContext.setJobGroup(group, f"{len(tasks)} tasks", interruptOnCancel=True)
        # The last ones are the largest: begun last, one of them would be waited for alone.
        outcomes = spark.sparkContext.parallelize(tasks[::-1], len(tasks)).map(attempt).collect()
        return outcomes[::-1]

    if not tasks:
        return []
    group = f"preannotation-{uuid4()}"
    with watch(len(tasks), partial(_tasks_done, spark, group)):
        outcomes = _cancelled_when_interrupted(spark, group, collect)
    return _results(outcomes)


def _results(outcomes: Sequence[R | PreannotationError]) -> list[R]:
    results: list[R] = []
    for outcome in outcomes:
        if isinstance(outcome, PreannotationError):
            raise outcome
        results.append(outcome)
    return results


def _tasks_done(spark: SparkSession, group: str) -> int:
    """How many tasks of that job group are done; 0 where the JVM does not say."""
    tracker = spark.sparkContext.statusTracker()
    try:
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    except Py4JError:
        return 0
    return sum(stage.numCompletedTasks for stage in stages if stage)


def _cancelled_when_interrupted(spark: SparkSession, group: str, job: Callable[[], list[R]]) -> list[R]:
    """Run a job of that job group in a thread of its own, and cancel it when the wait is interrupted.

    An interruption in the middle of a call to the JVM leaves the connection of the calling thread with
    half an answer: the job goes on, and every later call reads the wrong reply.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="spark-job") as pool:
        running: Future[list[R]] = pool.submit(job)
        try:
            return running.result()
        finally:
            # Again and again: the job may not have reached Spark when it is cancelled first.
            while not running.done():
                spark.sparkContext.cancelJobGroup(group)
                wait([running], timeout=_CANCEL_SECONDS)


def _local_settings() -> dict[str, str]:
    return {
        "spark.driver.host": _LOOPBACK,
        "spark.driver.bindAddress": _LOOPBACK,
        # Every user of this machine can connect to loopback. Spark makes the secret by itself, in the JVM.
        "spark.authenticate": "true",
        "spark.pyspark.python": sys.executable,
    }


def _with_task_attempts(master: str) -> str:
    """Let local mode retry tasks, which it does only when the master URL says how often."""
    local = _LOCAL_MASTER.fullmatch(master)
    return f"local[{local['slots'] or 1},{_TASK_ATTEMPTS}]" if local else master


def _start(settings: Mapping[str, str]) -> SparkSession:
    """Start the JVM and the session.

    Raises:
        RuntimeMissingError: There is no Java.
        SettingsError: Spark refuses the settings.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        with _launch_environment(settings):
            session = SparkSession.builder.config(map=dict(settings)).getOrCreate()
    except (PySparkException, Py4JError) as error:
        master, memory = settings["spark.master"], settings["spark.driver.memory"]
        # Alone: what the JVM says may repeat any of its settings.
        SettingsError(
            f"Spark does not start with master {master} and driver memory {memory} ({type(error).__name__})",
            "check both, and that the master can be reached",
        ).raise_alone()
    if threading.current_thread() is threading.main_thread() and on_interrupt is not None:
        # Spark has put its own handler in the place of Dagster's.
        signal.signal(signal.SIGINT, on_interrupt)
    _expect_the_end_of_the_jvm(session)
    return session


def _expect_the_end_of_the_jvm(session: SparkSession) -> None:
    """Keeps PySpark's thread for accumulators from writing a traceback when the JVM has ended.

    A signal to the whole process group, as `timeout` and service managers send it, ends the JVM first. A JVM
    that ends when it should not fails the call that waits for it.
    """
    server = session.sparkContext._accumulatorServer
    say = server.handle_error

    def handle_error(request: socket | tuple[bytes, socket], client_address: object) -> None:
        if not isinstance(sys.exception(), EOFError | ConnectionError):
            say(request, client_address)

    server.handle_error = handle_error  # type: ignore[method-assign]


@contextmanager
def _launch_environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set the variables that Spark's scripts read while they start the JVM, then put back the old ones."""
    wanted = {
        "JAVA_HOME": str(find_java_home(os.environ)),
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    if python := settings.get("spark.pyspark.python"):
        wanted["PYSPARK_PYTHON"] = python
    if settings.get("spark.driver.bindAddress") == _LOOPBACK:
        wanted["SPARK_LOCAL_IP"] = _LOOPBACK
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
