"""A task that asks: what it keeps when it is killed, and what it does not ask again."""

import gc
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from asking_work import CAP, LIMITS, MODEL, Work
from pyspark.sql import SparkSession
from shared.polling import wait_for
from shared.short_pages import texts

from preannotation_assets.defs.resources.spark import run_tasks
from preannotation_assets.errors import ModelError
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    RunningSimulator,
    SimulatorSettings,
    TimeModel,
)
from preannotation_assets.tasks.ask_model import AskModel, ask_model
from preannotation_assets.throttling.permit_server import PermitServer

NewWork = Callable[..., Work]


@pytest.fixture
def new_work(tmp_path: Path) -> Iterator[NewWork]:
    """Work at a server whose answers take about 50 ms."""
    with ExitStack() as stack:

        def make(count: int, *faults: FaultRule, seconds: float = 0.05) -> Work:
            pace = TimeModel(load_seconds=0, prefill_rate=1e9, decode_rate=50 / seconds, slowdown_per_slot=0)
            settings = SimulatorSettings(slots=8, habits=HabitRates.NONE, speed=1.0, time=pace, faults=faults)
            simulator = stack.enter_context(RunningSimulator(settings))
            return Work(tmp_path, simulator, texts(count))

        yield make


def test_everything_is_asked_once_and_then_nothing(new_work: NewWork) -> None:
    work = new_work(20)
    with PermitServer([work.simulator.url], LIMITS) as server:
        ask_model(work.task(server, "first"))
        assert [status for status, _ in work.answers()] == ["answered"] * 20
        ask_model(work.task(server, "second"))
    assert work.simulator.summary().requests == 20
    assert work.simulator.summary().peak_in_flight <= CAP


def test_what_was_alive_when_a_task_began_is_collected_when_it_is_garbage(new_work: NewWork) -> None:
    class Ring:
        def __init__(self) -> None:
            self.next = self

    ring = Ring()
    gone = weakref.ref(ring)
    work = new_work(2)
    with PermitServer([work.simulator.url], LIMITS) as server:
        ask_model(work.task(server, "run"))
    del ring
    gc.collect()
    assert gone() is None


def test_a_task_that_spark_starts_again_does_not_ask_what_its_run_has_asked(new_work: NewWork) -> None:
    # More empty answers than texts, in whatever order they are asked: some get two, and fail.
    work = new_work(12, FaultRule(Fault.EMPTY_ANSWER, requests=tuple(range(1, 21))))
    with PermitServer([work.simulator.url], LIMITS) as server:
        task = work.task(server, "run", of_all=True)
        ask_model(task)
        before = work.simulator.summary().requests
        ask_model(task)
        assert work.simulator.summary().requests == before
        failed = sum(status == "failed" for status, _ in work.answers())
        assert failed > 0
        ask_model(work.task(server, "next run"))
    assert work.simulator.summary().requests == before + failed
    assert {status for status, _ in work.answers()} == {"answered"}


def test_what_was_split_for_want_of_an_answer_is_split_no_further_by_later_runs(new_work: NewWork) -> None:
    work = new_work(1, FaultRule(Fault.EMPTY_ANSWER, probability=1.0))
    lines = (f"MV STAR {line} left Hull on {line % 28 + 1} March 1999.\n" for line in range(50))
    work = replace(work, texts=["".join(lines)])
    (request,) = work.requests()
    asked = []
    with PermitServer([work.simulator.url], LIMITS) as server:
        for run in range(3):
            ask_model(work.task(server, f"run-{run}"))
            asked.append(work.simulator.summary().requests)
    # 2 for the text, 4 for its halves, 8 for theirs; then 2 for each of those that failed.
    assert asked == [14, 22, 30]
    assert [leaf.unusable_splits for leaf, _ in work.index().leaves(request)] == [2] * 4


def test_a_digest_that_changes_ends_the_run_and_no_answer_is_kept_under_the_wrong_one(
    new_work: NewWork,
) -> None:
    work = new_work(60, FaultRule(Fault.DIGEST_CHANGE, requests=(30,)))
    with (
        PermitServer([work.simulator.url], LIMITS) as server,
        pytest.raises(ModelError, match=r"changed on .* during the run") as raised,
    ):
        ask_model(work.task(server, "run"))
    assert MODEL.digest()[:12] in str(raised.value)
    changed_at = work.simulator.requests()[29].arrived_at
    index = work.index()
    kept = [answer for request in work.requests() if (answer := index.get(request.request_key))]
    assert kept
    assert all(answer.answered_at / 1e6 <= changed_at for answer in kept)
    assert work.simulator.summary().requests < 60


def test_what_another_server_has_in_flight_when_a_model_is_found_changed_is_kept(
    new_work: NewWork,
) -> None:
    changed = new_work(60, FaultRule(Fault.DIGEST_CHANGE, requests=(1,)))
    work = new_work(60, seconds=1.0)
    with PermitServer([changed.simulator.url, work.simulator.url], LIMITS) as server:
        task = work.task(server, "run")
        with pytest.raises(ModelError, match="changed on"):
            ask_model(replace(task, asking=replace(task.asking, askers=2 * CAP)))
    asked = work.simulator.summary().requests
    kept = [request for request in work.requests() if work.index().get(request.request_key)]
    assert 0 < len(kept) == asked


def _run_and_kill(work: Work, run_id: str, after: float) -> float | None:
    """Asks in a process of its own and kills it; returns when, or None if it had ended before."""
    path = work.folder / f"{run_id}.pickle"
    with PermitServer([work.simulator.url], LIMITS) as server:
        path.write_bytes(pickle.dumps(work.task(server, run_id)))
        script = Path(__file__).with_name("asking_process.py")
        before = work.simulator.summary().requests
        process = subprocess.Popen([sys.executable, str(script), str(path)])
        wait_for(lambda: work.simulator.summary().requests >= before + 2 or process.poll() is not None)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            killed = time.time()
            process.wait(10)
            return killed
        assert process.returncode == 0
        return None


def test_killed_again_and_again_it_repays_only_what_was_in_flight_or_not_yet_written(
    new_work: NewWork, tmp_path: Path
) -> None:
    chance = random.Random(4)
    work = new_work(60)
    kills: list[float] = []
    while len(kills) < 6:
        killed = _run_and_kill(work, f"run-{len(kills)}", 0.05 + 0.4 * chance.random())
        if killed is None:
            break
        kills.append(killed)
    else:
        assert _run_and_kill(work, "last", 60) is None
    assert len(kills) >= 3
    # The flush interval, and as much again for the write on a busy machine.
    written = 0.1 + 0.5
    for record in work.repaid():
        assert any(record.ended_at is None or k - written < record.ended_at < k + 2 for k in kills)
    for kill in kills:
        in_flight = [
            record
            for record in work.repaid()
            if record.arrived_at < kill and (record.ended_at is None or record.ended_at >= kill)
        ]
        assert len(in_flight) <= CAP
    assert work.simulator.summary().peak_in_flight <= CAP
    undisturbed = replace(work, folder=tmp_path / "undisturbed")
    with PermitServer([work.simulator.url], LIMITS) as server:
        ask_model(undisturbed.task(server, "run"))
    assert work.answers() == undisturbed.answers()
    assert {status for status, _ in work.answers()} == {"answered"}


def _tell_pid_and_ask(folder: str, task: AskModel) -> None:
    (Path(folder) / f"{os.getpid()}.pid").touch()
    ask_model(task)


def test_a_spark_worker_that_is_killed_is_replaced_and_its_answers_are_not_bought_again(
    new_work: NewWork, tmp_path: Path, spark: SparkSession
) -> None:
    work = new_work(40, seconds=0.3)
    pids = tmp_path / "pids"
    pids.mkdir()
    killed: list[float] = []

    def kill_one() -> None:
        wait_for(lambda: work.simulator.summary().requests >= 15, "15 requests")
        killed.append(time.time())
        os.kill(int(next(pids.iterdir()).stem), signal.SIGKILL)

    with PermitServer([work.simulator.url], LIMITS) as server:
        halves = [work.task(server, "run", rows=rows) for rows in (range(20), range(20, 40))]
        killer = threading.Thread(target=kill_one)
        killer.start()
        run_tasks(spark, halves, partial(_tell_pid_and_ask, str(pids)))
        killer.join(60)
    assert len(killed) == 1
    assert len(list(pids.iterdir())) >= 3
    assert {status for status, _ in work.answers()} == {"answered"}
    for record in work.repaid():
        assert record.ended_at is None or killed[0] - 0.6 < record.ended_at < killed[0] + 2
    assert work.simulator.summary().peak_in_flight <= CAP
