"""The simulation beside measured runs: the pipeline's asking, over HTTP, at stand-ins of programmed speed."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.inference.asking import (
    Batch,
    answered_rows,
    ask_what_is_open,
    prepare,
)
from benchmarks.inference.pages import load_pages
from benchmarks.inference.servers import Speed, reset, serve, serve_batch
from benchmarks.simulation.pipeline import Client, Failure, Faults, Outcome, no_failures, simulate
from benchmarks.simulation.servers import Batch as BatchSpeed
from benchmarks.simulation.servers import ServerSpeed, Slots, Work
from preannotation_assets.asking.planning import chunk_request
from preannotation_assets.asking.work_queue import WorkItem, expected_length
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.simulator.faults import Fault, FaultRule, FaultSchedule
from preannotation_assets.simulator.openai.settings import BatchTimes
from preannotation_assets.simulator.settings import TimeModel
from preannotation_assets.tasks.ask_model import AskModel, ask_model

__all__ = ["validate"]

_SLOTS = 4
_SLOWDOWN = 1 + TimeModel().slowdown_per_slot * (_SLOTS - 1)
_READ_AT_ONCE = 1_000_000.0
_SHARE_OF_FAILURES = 0.05
_FULL = 64
_STEP_SECONDS = 0.1
_CAP_OF_BATCHES = 256
_LETTERS = 300


@dataclass(frozen=True, slots=True)
class _Scenario:
    """Pages and servers; ``serves`` starts each, ``speeds`` are the same for the simulation."""

    name: str
    texts: Sequence[str]
    kind: ModelServer
    serves: Sequence[Callable[[], AbstractContextManager[str]]]
    speeds: Sequence[ServerSpeed]
    cap: int
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class _Measured:
    seconds: float
    requests: int
    refused: int
    answered: int
    by_server: Sequence[int]
    load: float


def validate(folder: Path, repeats: int) -> None:
    """Prints measured and simulated seconds and counts of each scenario, ``repeats`` times."""
    texts, source = load_pages(300)
    counted = _Tokens(folder)
    rate = counted.mean_answer(texts[:100]) * _SLOWDOWN
    print(f"{source}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    print("measured / simulated; gap: beside the server's time, from 40 other pages of 1 s before each run")
    print(f"\n{'':46}{'seconds':>20}{'':>9}{'requests':>16}{'refused':>12}", end="")
    print(f"{'by server':>22}{'load':>7}{'gap':>8}", flush=True)
    for scenario in _scenarios(texts, rate):
        works = counted.works(scenario.texts, scenario.kind)
        for _ in range(repeats):
            gap = _gap_seconds(_slots("to calibrate", texts[160:200], [rate]), counted, folder)
            measured = _measure(scenario, folder)
            client = _client(scenario, gap)
            _print(
                scenario.name,
                measured,
                simulate(scenario.speeds, works, client, _faults(scenario.fault)),
                gap,
            )


def _gap_seconds(scenario: _Scenario, counted: "_Tokens", folder: Path) -> float:
    """What a request takes here beside the time of the server's model: client, HTTP, late wake-ups.

    From a run of other pages: what it took longer than the simulation says without a gap.
    """
    works = counted.works(scenario.texts, scenario.kind)
    without = simulate(scenario.speeds, works, _client(scenario, 0.0))
    longer = _measure(scenario, folder).seconds - without.seconds
    return max(0.0, longer * _SLOTS / len(works))


def _scenarios(texts: Sequence[str], rate: float) -> Iterator[_Scenario]:
    yield _slots("a: 4 slots, 2 s, 100 pages", texts[:100], [rate / 2])
    yield _batch(f"b: batches, full with {_FULL}, 600 texts", texts)
    yield _slots("c: 4 slots of 1.5 s and 4 of 3 s, 160 pages", texts[:160], [rate / 1.5, rate / 3])
    yield _slots("d: 4 slots, 1.5 s, 100 pages, 5 % refused", texts[:100], [rate / 1.5], Fault.BUSY)
    yield _slots("e: the same, 5 % no answer", texts[:100], [rate / 1.5], Fault.INVALID_JSON)


def _slots(name: str, texts: Sequence[str], rates: Sequence[float], fault: Fault | None = None) -> _Scenario:
    def serving(rate: float) -> Callable[[], AbstractContextManager[str]]:
        return lambda: serve(Speed(rate))

    speeds = [Slots(TimeModel(prefill_rate=_READ_AT_ONCE, decode_rate=rate), _SLOTS) for rate in rates]
    serves = [serving(rate) for rate in rates]
    return _Scenario(name, texts, OllamaServer(), serves, speeds, _SLOTS, fault)


def _batch(name: str, texts: Sequence[str]) -> _Scenario:
    base = _STEP_SECONDS / 1.5
    times = BatchTimes(base, (_STEP_SECONDS - base) / _FULL, _FULL, _READ_AT_ONCE)
    asked = [f"{texts[place % len(texts)][:_LETTERS]}\n{place}" for place in range(600)]
    serves = [lambda: serve_batch(times, _FULL)]
    return _Scenario(name, asked, OpenAIServer(), serves, [BatchSpeed(times, _FULL)], _CAP_OF_BATCHES)


def _client(scenario: _Scenario, gap: float) -> Client:
    return Client(scenario.cap, gap, tells_queue=isinstance(scenario.kind, OllamaServer))


def _faults(fault: Fault | None) -> Faults:
    """The stand-in's own draw, which goes by the number of a request in order of arrival."""
    if fault is None:
        return no_failures
    schedule = FaultSchedule((FaultRule(fault, probability=_SHARE_OF_FAILURES),), 0)
    failure = Failure.REFUSED if fault is Fault.BUSY else Failure.UNUSABLE
    return lambda _: failure if schedule.draw() else None


def _measure(scenario: _Scenario, folder: Path) -> _Measured:
    with ExitStack() as stack:
        urls = [stack.enter_context(serve_one()) for serve_one in scenario.serves]
        batch = prepare(urls, scenario.texts, folder, scenario.kind)
        reset(urls)
        if scenario.fault:
            rules = [{"fault": scenario.fault, "probability": _SHARE_OF_FAILURES}]
            httpx.post(f"{urls[0]}/simulator/faults", json={"rules": rules}, timeout=30).raise_for_status()
        progress = ask_what_is_open(batch, urls, scenario.cap, 1, _in_this_process)
        records = [_records(url) for url in urls]
    every = [record for of_one in records for record in of_one]
    began = min(record["arrived_at"] for record in every)
    ended = max(record["ended_at"] for record in every)
    return _Measured(
        seconds=ended - began,
        requests=len(every),
        refused=sum(record["status"] == 503 for record in every),
        answered=progress.answered,
        by_server=[len(of_one) for of_one in records],
        load=os.getloadavg()[0],
    )


def _records(url: str) -> list[dict[str, Any]]:
    records = httpx.get(f"{url}/simulator/requests", timeout=60).json()["requests"]
    return [record for record in records if record["ended_at"] is not None and not record["is_load_only"]]


def _print(name: str, measured: _Measured, said: Outcome, gap_seconds: float) -> None:
    off = said.seconds / measured.seconds - 1
    shares = [said.by_server[f"http://{number}"] for number in range(len(measured.by_server))]
    seconds = f"{measured.seconds:.1f} / {said.seconds:.1f}"
    requests = f"{measured.requests} / {said.requests}"
    refused = f"{measured.refused} / {said.ended[Failure.REFUSED]}"
    by_server = f"{'+'.join(map(str, measured.by_server))} / {'+'.join(map(str, shares))}"
    gap = f"{1_000 * gap_seconds:.0f} ms"
    print(f"{name:46}{seconds:>20}{off:>+9.1%}{requests:>16}{refused:>12}", end="")
    print(f"{by_server:>22}{measured.load:>7.1f}{gap:>8}", flush=True)
    if measured.answered != said.answered:
        print(f"    answered {measured.answered}, simulated {said.answered}", flush=True)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What the stand-ins count, asked where they answer at once."""

    folder: Path

    def works(self, texts: Sequence[str], kind: ModelServer) -> list[Work]:
        """The requests in the order of the pipeline's queue."""
        is_ollama = isinstance(kind, OllamaServer)
        serving = serve(Speed(0.0)) if is_ollama else serve_batch(BatchTimes(), _FULL, 0.0)
        with serving as url:
            batch = prepare([url], texts, self.folder, kind)
            ask_what_is_open(batch, [url], _SLOTS, 1, _in_this_process)
        rows = {row["request_key"]: row for row in answered_rows(batch)}
        constant = batch.template.prompt.constant_tokens
        # Ollama counts a mark at the end of an answer that takes no time of the stand-in's.
        mark = 1 if is_ollama else 0
        return [
            Work(constant, max(0, rows[key]["prompt_tokens"] - constant), rows[key]["answer_tokens"] - mark)
            for key in _in_order(batch)
        ]

    def mean_answer(self, texts: Sequence[str]) -> float:
        """Tokens of an answer."""
        works = self.works(texts, OllamaServer())
        return sum(work.answer for work in works) / len(works)


def _in_order(batch: Batch) -> list[str]:
    items: dict[str, float] = {}
    for row, text in zip(batch.rows, batch.texts, strict=True):
        key = chunk_request(row, batch.template.fingerprint).request_key
        items[key] = expected_length(WorkItem(key, 0, len(text), text, row.estimated_tokens))
    return sorted(items, key=lambda key: -items[key])


def _in_this_process(tasks: Sequence[AskModel]) -> None:
    for task in tasks:
        ask_model(task)
