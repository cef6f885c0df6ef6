"""Hundreds of requests in flight over two servers: CPU of those who ask and of the driver, and occupancy."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import httpx
import pyarrow as pa

from benchmarks.inference.asking import Batch, ask_what_is_open, prepare
from benchmarks.inference.servers import JOURNAL_PATH, serve_batch, started
from preannotation_assets.model_servers.exchanging import BlockingExchanger, Bounds
from preannotation_assets.model_servers.openai.canary import CHAT_PATH
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.simulator.openai.settings import BatchTimes
from preannotation_assets.tasks.ask_model import AskModel, ask_model

__all__ = ["measure_in_flight"]

_SERVERS: Final = 2
_TASKS: Final = 2
_SECONDS: Final = 2.0
_LETTERS: Final = 2_000
_HEAD: Final = (
    *("occupancy", "cap used", "steady", "filled s", "gap ms"),
    *("at server", "ask ms", "driver ms", "servers ms", "limit", "seconds"),
)


@dataclass(frozen=True, slots=True)
class _Scenario:
    """So many requests ``in_flight`` at all servers together, for ``rounds`` of two seconds."""

    in_flight: int
    rounds: int
    streamed: bool
    finds_limit: bool

    @property
    def name(self) -> str:
        """The row."""
        how = "streamed" if self.streamed else "whole"
        return f"{self.in_flight} in flight, answers {how}, limit {'found' if self.finds_limit else 'fixed'}"

    @property
    def requests(self) -> int:
        """How many are asked."""
        return self.in_flight * self.rounds

    @property
    def cap(self) -> int:
        """Of one server."""
        return self.in_flight // _SERVERS


_SCENARIOS: Final = tuple(
    _Scenario(in_flight, rounds, streamed, finds_limit)
    for in_flight, rounds in ((256, 40), (1_024, 100))
    for streamed in (False, True)
    for finds_limit in (False, True)
    # 1,024 streams of 100 events in 2 s are more than two cores can send and read.
    if not (streamed and (finds_limit or in_flight > 256))
)


@dataclass(frozen=True, slots=True)
class _Steady:
    """``seconds_to_fill`` pass until as many as may be in flight have arrived; the others are of the rest.

    ``cap_used`` is the time that requests were at the servers until the last one was sent, over the time of
    all that may be there; ``gap_seconds`` the mean from an end to the arrival that takes its place.
    """

    seconds_to_fill: float
    cap_used: float
    gap_seconds: float


@dataclass(frozen=True, slots=True)
class _Journal:
    """What the servers had: (arrived, ended) of each chat in seconds, and their own processor time."""

    chats: Sequence[tuple[float, float]]
    cpu_seconds: float

    @property
    def seconds(self) -> float:
        """From the first arrival to the last end."""
        return max(ended for _, ended in self.chats) - min(arrived for arrived, _ in self.chats)

    def steady(self, in_flight: int) -> "_Steady":
        """Without the first round and the last one."""
        arrivals, ends = (
            sorted(arrived for arrived, _ in self.chats),
            sorted(ended for _, ended in self.chats),
        )
        filled, last = arrivals[in_flight - 1], arrivals[-1]
        at_server = sum(max(0.0, min(ended, last) - max(arrived, filled)) for arrived, ended in self.chats)
        gaps = [arrived - ended for ended, arrived in zip(ends, arrivals[in_flight:], strict=False)]
        return _Steady(filled - arrivals[0], at_server / (in_flight * (last - filled)), sum(gaps) / len(gaps))


def measure_in_flight(texts: Sequence[str], folder: Path) -> None:
    """Prints a line a scenario.

    ``occupancy`` is the time that answers take by what the servers are told, over cap and time; ``cap used``
    the time that requests were at the servers, which are late themselves where the cores are busy. Both have
    the first round and the last one in them; ``steady`` is what is used of the cap between these.
    """
    print(f"\n{f'{_SERVERS} servers, {_SECONDS:.0f} s a request':48}", end="")
    print("".join(f"{title:>11}" for title in _HEAD), flush=True)
    with ProcessPoolExecutor(_TASKS, mp_context=get_context("spawn")) as workers:
        list(workers.map(_import_all, range(_TASKS)))
        for scenario in _SCENARIOS:
            _measure(scenario, texts, folder, workers)


def _measure(scenario: _Scenario, texts: Sequence[str], folder: Path, workers: ProcessPoolExecutor) -> None:
    asked = [f"{texts[number % len(texts)][:_LETTERS]}\n{number}" for number in range(scenario.requests)]
    spent: list[float] = []

    def in_workers(tasks: Sequence[AskModel]) -> None:
        streamed = frozenset(urls) if scenario.streamed else frozenset()
        spent.extend(workers.map(_asked_cpu, [replace(task, streamed=streamed) for task in tasks]))

    with _replaying(scenario, asked, folder) as (batch, urls):
        before = time.process_time()
        least = 1 if scenario.finds_limit else scenario.cap
        progress = ask_what_is_open(batch, urls, scenario.cap, _TASKS, in_workers, least=least)
        driver = time.process_time() - before
        journal = _journal(urls)
    if not progress.answered == len(journal.chats) == scenario.requests:
        raise RuntimeError(f"{progress.answered} answered, {len(journal.chats)} asked of {scenario.requests}")
    whole = scenario.in_flight * journal.seconds
    at_server = sum(ended - arrived for arrived, ended in journal.chats)
    steady = journal.steady(scenario.in_flight)
    shares = (scenario.requests * _SECONDS / whole, at_server / whole, steady.cap_used)
    each = [1_000 * seconds / scenario.requests for seconds in (sum(spent), driver, journal.cpu_seconds)]
    limit = sum(endpoint.limit for endpoint in progress.endpoints.values())
    print(
        f"{scenario.name:48}{''.join(f'{share:>11.3f}' for share in shares)}"
        f"{steady.seconds_to_fill:>11.2f}{1_000 * steady.gap_seconds:>11.1f}"
        f"{at_server / scenario.requests:>11.2f}{''.join(f'{milliseconds:>11.2f}' for milliseconds in each)}"
        f"{limit:>11}{journal.seconds:>11.1f}   load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _import_all(number: int) -> int:
    # What a process imports once is no part of what a request takes.
    return len(pa.array([number]))


def _asked_cpu(task: AskModel) -> float:
    """The processor time that a task took in this process, which has no children."""
    before = time.process_time()
    ask_model(task)
    return time.process_time() - before


@contextmanager
def _replaying(
    scenario: _Scenario, texts: Sequence[str], folder: Path
) -> Iterator[tuple[Batch, Sequence[str]]]:
    """The batch, and the servers that give the stand-in's answer to its first text to all of them."""
    with serve_batch(BatchTimes(), sequences=1, speed=0.0) as url:
        batch = prepare([url], texts, folder, OpenAIServer())
        server, template = batch.server, batch.template
        chat = server.chat_request(template, texts[0], stream=scenario.streamed)
        recordings = {}
        with BlockingExchanger(server, {}, connect_seconds=10.0) as exchanger:
            for request in (chat, server.digest_request(template.model)):
                exchange = exchanger.exchange(url, request, Bounds.of_small_reply(60.0))
                recordings[request.path] = (exchange.content_type, exchange.content.decode())
    recorded = batch.folder / "recordings.json"
    recorded.write_text(json.dumps(recordings), "utf-8")
    command = [sys.executable, "-m", "benchmarks.inference.replaying_server", "--seconds", str(_SECONDS)]
    with ExitStack() as stack:
        yield (
            batch,
            [
                stack.enter_context(started([*command, "--chat-path", CHAT_PATH, str(recorded)]))
                for _ in range(_SERVERS)
            ],
        )


def _journal(urls: Sequence[str]) -> _Journal:
    told = [httpx.get(f"{url}{JOURNAL_PATH}", timeout=60).json() for url in urls]
    chats = [(arrived, ended) for journal in told for arrived, ended in journal["chats"]]
    return _Journal(chats, sum(journal["cpu_seconds"] for journal in told))
