"""A task that asks: what it keeps when it is killed, and what it does not ask again."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from preannotation_assets.contracts import CHUNKS
from preannotation_assets.errors import ModelError
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.inference.asking import Asking
from preannotation_assets.inference.board import Limits
from preannotation_assets.inference.client import Timeouts
from preannotation_assets.inference.journal import AnswerIndex, Piece, read_answers
from preannotation_assets.inference.outcomes import RetryPolicy
from preannotation_assets.inference.permit_server import PermitServer
from preannotation_assets.inference.protocol import ModelOptions, RequestTemplate, request_key
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.resources.spark import run_tasks
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    RequestRecord,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
    TimeModel,
)
from preannotation_assets.tasks.ask_model import AskModel, ChunksToAsk, ask_model

SCHEME = """
name: short
version: 1
labels:
  - {name: vessel_name, definition: The name of a vessel.}
  - {name: port, definition: A port.}
"""
MODEL = SimulatedModel("llama3.3:70b")
CHUNKS_KEY = "argilla/work/d/chunks/v/part-00000.parquet"
JOURNAL = "argilla/work/d/answers"
CAP = 3


def _texts(count: int) -> list[str]:
    return [f"Log {number}: MV OCEAN STAR left Rotterdam for Hamburg." for number in range(count)]


@dataclass
class Work:
    """Chunks in a lake, and tasks that ask about what has no answer yet."""

    folder: Path
    simulator: RunningSimulator
    texts: list[str]
    flush_seconds: float = 0.1
    template: RequestTemplate = field(init=False)

    def __post_init__(self) -> None:
        prompt = build_prompt(parse_label_scheme(SCHEME, "test"))
        options = ModelOptions(num_ctx=4096, num_predict=400)
        self.template = RequestTemplate(MODEL.name, MODEL.digest(), prompt, options)
        rows = [
            {
                "doc_id": f"d{number}",
                "page_num": 1,
                "chunk_index": 0,
                "start": 0,
                "end": len(text),
                "text": text,
                "chunk_sha256": text_sha256(text),
                "estimated_tokens": len(text) // 4,
            }
            for number, text in enumerate(self.texts)
        ]
        write_table(self.store, CHUNKS_KEY, pa.Table.from_pylist(rows, schema=CHUNKS))

    @property
    def location(self) -> StoreLocation:
        return StoreLocation(str(self.folder))

    @property
    def store(self) -> ObjectStore:
        return open_store(self.location)

    def pieces(self) -> list[Piece]:
        keys = [request_key(self.template.fingerprint, text_sha256(text)) for text in self.texts]
        return [Piece(0, len(text), key) for text, key in zip(self.texts, keys, strict=True)]

    def index(self) -> AnswerIndex:
        return AnswerIndex.read(self.store, JOURNAL)

    def task(self, server: PermitServer, run_id: str, *, of_all: bool = False) -> AskModel:
        """The task for what is unanswered, or for everything."""
        index = self.index()
        wanted = {
            row: [piece] if of_all else index.unanswered(piece) for row, piece in enumerate(self.pieces())
        }
        policy = RetryPolicy(first_backoff=0.01)
        asking = Asking(self.template, policy, Timeouts(), server.address, CAP, 5, run_id)
        parts = [ChunksToAsk(CHUNKS_KEY, {row: pieces for row, pieces in wanted.items() if pieces})]
        return AskModel(self.location, f"{JOURNAL}/{run_id}", parts, asking, "never", self.flush_seconds)

    def answers(self) -> list[tuple[str, str]]:
        """Status and answer of every text, in order."""
        index = self.index()
        known = {piece.request_key: index.get(piece.request_key) for piece in self.pieces()}
        rows = read_answers(self.store, {key: answer for key, answer in known.items() if answer}).to_pylist()
        by_key = {row["request_key"]: (row["status"], row["answer"]) for row in rows}
        return [by_key[piece.request_key] for piece in self.pieces()]

    def repaid(self) -> list[RequestRecord]:
        """The requests whose question was asked again later."""
        asked = [record for record in self.simulator.requests() if not record.is_load_only]
        last = {record.prompt_sha256: record.number for record in asked}
        return [record for record in asked if last[record.prompt_sha256] != record.number]


NewWork = Callable[..., Work]


@pytest.fixture
def new_work(tmp_path: Path) -> Iterator[NewWork]:
    """Work at a server whose answers take about 50 ms."""
    with ExitStack() as stack:

        def make(count: int, *faults: FaultRule, seconds: float = 0.05) -> Work:
            pace = TimeModel(load_seconds=0, prefill_rate=1e9, decode_rate=50 / seconds, slowdown_per_slot=0)
            settings = SimulatorSettings(slots=8, habits=HabitRates.NONE, speed=1.0, time=pace, faults=faults)
            simulator = stack.enter_context(RunningSimulator(settings))
            return Work(tmp_path, simulator, _texts(count))

        yield make


def _limits() -> Limits:
    return Limits(max_in_flight=CAP, linger_seconds=0.2, first_rest_seconds=0.05)


def test_everything_is_asked_once_and_then_nothing(new_work: NewWork) -> None:
    work = new_work(20)
    with PermitServer([work.simulator.url], _limits()) as server:
        ask_model(work.task(server, "first"))
        assert [status for status, _ in work.answers()] == ["answered"] * 20
        ask_model(work.task(server, "second"))
    assert work.simulator.summary().requests == 20
    assert work.simulator.summary().peak_in_flight <= CAP


def test_a_task_that_spark_starts_again_does_not_ask_what_its_run_has_asked(new_work: NewWork) -> None:
    # More empty answers than texts, in whatever order they are asked: some get two, and fail.
    work = new_work(12, FaultRule(Fault.EMPTY_ANSWER, requests=tuple(range(1, 21))))
    with PermitServer([work.simulator.url], _limits()) as server:
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


def test_a_digest_that_changes_ends_the_run_and_no_answer_is_kept_under_the_wrong_one(
    new_work: NewWork,
) -> None:
    work = new_work(60, FaultRule(Fault.DIGEST_CHANGE, requests=(30,)))
    with (
        PermitServer([work.simulator.url], _limits()) as server,
        pytest.raises(ModelError, match=r"changed on .* during the run") as raised,
    ):
        ask_model(work.task(server, "run"))
    assert MODEL.digest()[:12] in str(raised.value)
    changed_at = work.simulator.requests()[29].arrived_at
    index = work.index()
    kept = [answer for piece in work.pieces() if (answer := index.get(piece.request_key))]
    assert kept
    assert all(answer.answered_at / 1e6 <= changed_at for answer in kept)
    assert work.simulator.summary().requests < 60


def _run_and_kill(work: Work, run_id: str, after: float) -> float | None:
    """Asks in a process of its own and kills it; returns when, or None if it had ended before."""
    path = work.folder / f"{run_id}.pickle"
    with PermitServer([work.simulator.url], _limits()) as server:
        path.write_bytes(pickle.dumps(work.task(server, run_id)))
        script = Path(__file__).with_name("asking_process.py")
        before = work.simulator.summary().requests
        process = subprocess.Popen([sys.executable, str(script), str(path)])
        deadline = time.monotonic() + 30
        while work.simulator.summary().requests < before + 2 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
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
    assert len(work.repaid()) < 60
    assert work.simulator.summary().peak_in_flight <= CAP
    undisturbed = replace(work, folder=tmp_path / "undisturbed")
    with PermitServer([work.simulator.url], _limits()) as server:
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
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            if work.simulator.summary().requests >= 15:
                killed.append(time.time())
                os.kill(int(next(pids.iterdir()).stem), signal.SIGKILL)
            time.sleep(0.005)

    with PermitServer([work.simulator.url], _limits()) as server:
        task = work.task(server, "run")
        chunks = task.parts[0].pieces
        halves = [
            replace(task, parts=[ChunksToAsk(CHUNKS_KEY, {row: chunks[row] for row in rows})])
            for rows in (range(20), range(20, 40))
        ]
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
