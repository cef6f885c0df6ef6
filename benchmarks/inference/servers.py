"""Stand-in servers in processes of their own, and what they say about their slots."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from preannotation_assets.simulator.openai.settings import BatchTimes

__all__ = [
    "JOURNAL_PATH",
    "MODEL",
    "Load",
    "Speed",
    "count_requests",
    "reset",
    "serve",
    "serve_batch",
    "slot_load",
    "started",
]

MODEL = "llama3.3:70b"
JOURNAL_PATH = "/journal"
"""Where a replaying server tells of its chats, as (arrived, ended) in seconds, and of its processor time."""

_SLOTS = 4


@dataclass(frozen=True)
class Speed:
    """How fast a server is: tokens a second of a slot alone; 0 answers at once."""

    decode_rate: float
    slots: int = _SLOTS


@dataclass(frozen=True)
class Load:
    """What servers saw together, from the first arrival to the last end.

    ``occupancy`` is the share of the time that slots were busy, ``cap_used`` the share of the time that
    requests allowed by the cap were at the server. The difference is the server's own work on a request
    before it has a slot. What slots were idle is split into the time before the first request of each
    (``idle_first``), after its last one (``idle_last``), and ``idle_between``. ``queue_seconds`` are in the
    order of arrival.
    """

    requests: int
    seconds: float
    occupancy: float
    idle_first: float
    idle_between: float
    idle_last: float
    cap_used: float
    most_in_flight: int
    mean_seconds: float
    answer_tokens: int
    queue_seconds: Sequence[float]


@contextmanager
def serve(speed: Speed) -> Iterator[str]:
    """A server for the time of the block; gives its URL."""
    pace = (
        ["--speed", "1", "--decode-rate", str(speed.decode_rate)] if speed.decode_rate else ["--speed", "0"]
    )
    command = [sys.executable, "-m", "preannotation_assets.simulator", "--port", "0", "--load-seconds", "0"]
    options = ["--slots", str(speed.slots), "--prefill-rate", "1000000", *pace]
    with started([*command, *options]) as url:
        yield url


@contextmanager
def serve_batch(times: BatchTimes, sequences: int, speed: float = 1.0) -> Iterator[str]:
    """A stand-in for vLLM for the time of the block, which runs so many sequences at once; gives its URL."""
    options = {
        "port": 0,
        "model": MODEL,
        # Without it the stand-in answers at once.
        "speed": speed,
        "most-sequences": sequences,
        "saturation": times.saturation,
        "base-seconds": times.base_seconds,
        "sequence-seconds": times.sequence_seconds,
        "prefill-rate": times.prefill_rate,
        "kv-tokens": 10_000_000,
        "window": 32_768,
    }
    command = [sys.executable, "-m", "preannotation_assets.simulator.openai", "--no-habits"]
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with started([*command, *arguments]) as url:
        yield url


@contextmanager
def started(command: Sequence[str]) -> Iterator[str]:
    """A stand-in for the time of the block; gives the URL, the last word of its first line."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def reset(urls: Sequence[str]) -> None:
    """Forgets what the servers have seen."""
    for url in urls:
        httpx.post(f"{url}/simulator/reset", timeout=30).raise_for_status()


def count_requests(url: str) -> int:
    """How many requests a server has seen since the last reset, loads left out."""
    return int(httpx.get(f"{url}/simulator/summary", timeout=60).json()["requests"])


def slot_load(urls: Sequence[str], slots: int = _SLOTS) -> Load:
    """What the servers saw since the last reset."""
    records: list[dict[str, Any]] = []
    most = 0
    for url in urls:
        answered = httpx.get(f"{url}/simulator/requests", timeout=60).json()["requests"]
        records += [record | {"url": url} for record in answered if record["slot_taken_at"] is not None]
        most = max(most, httpx.get(f"{url}/simulator/summary", timeout=30).json()["peak_in_flight"])
    busy = [record["ended_at"] - record["slot_taken_at"] for record in records]
    there = [record["ended_at"] - record["arrived_at"] for record in records]
    began = min(record["arrived_at"] for record in records)
    ended = max(record["ended_at"] for record in records)
    every = slots * len(urls)
    uses = defaultdict[tuple[str, int], list[tuple[float, float]]](list)
    for record in records:
        uses[record["url"], record["slot"]].append((record["slot_taken_at"], record["ended_at"]))
    unused = (every - len(uses)) * (ended - began)
    first = sum(min(use)[0] - began for use in uses.values()) + unused
    last = sum(ended - max(end for _, end in use) for use in uses.values())
    whole = every * (ended - began)
    return Load(
        requests=len(records),
        seconds=ended - began,
        occupancy=sum(busy) / whole,
        idle_first=first / whole,
        idle_between=1 - (sum(busy) + first + last) / whole,
        idle_last=last / whole,
        cap_used=sum(there) / whole,
        most_in_flight=most,
        mean_seconds=sum(busy) / len(busy),
        answer_tokens=sum(record["output_tokens"] or 0 for record in records),
        queue_seconds=[record["queue_seconds"] for record in sorted(records, key=_arrival)],
    )


def _arrival(record: dict[str, Any]) -> float:
    return float(record["arrived_at"])
