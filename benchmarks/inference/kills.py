"""kill -9 at random moments: one Spark worker, all workers of the executor, or everything at once.

What was paid twice is read from the stand-in's own log: a request whose question was asked again.
"""

import contextlib
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.inference.asking import Batch, ask_what_is_open, kept_answers, prepare
from benchmarks.inference.killed import Job
from benchmarks.inference.servers import Speed, count_requests, serve
from preannotation_assets.tasks.ask_model import ask_model
from preannotation_assets_tests.shared.process_table import descendants, ending, kill_all

__all__ = ["measure_kills"]

_KILLS = 20
_KINDS = ("worker", "executor", "worker", "run")
_CAP = 4
_FLUSH_SECONDS = 1.0
# A file is written after the interval; a busy machine needs a moment for it.
_WRITE_SECONDS = 1.0
_LONGEST_SECONDS = 4.0
_TEXTS = 1_500
_START_SECONDS = 90.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class _Kill:
    kind: str
    at: float


def measure_kills(seed: int) -> None:
    """Kills 20 times; prints for every kill what was repaid, and whether the answers are those of no kill."""
    texts = [
        f"Log {number}: MV OCEAN STAR {number} left Rotterdam on 3 May 1999." for number in range(_TEXTS)
    ]
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name,
        serve(Speed(150.0)) as url,
        serve(Speed(0.0)) as other,
    ):
        batch = prepare([url], texts, Path(name))
        kills: list[_Kill] = []
        while len(kills) < _KILLS:
            kills += _run_until_killed(batch, url, _KILLS - len(kills), chance)
        _finish(batch, url)
        undisturbed = prepare([other], texts, Path(name))
        ask_what_is_open(undisturbed, [other], _CAP, 1, _here)
        records = _records(url)
        peak = httpx.get(f"{url}/simulator/summary", timeout=60).json()["peak_in_flight"]
        same = kept_answers(batch) == kept_answers(undisturbed)
    _report(kills, records, peak)
    print(f"{len(texts)} texts, answers {'the same as' if same else 'NOT THOSE'} of an undisturbed run")


def _run_until_killed(batch: Batch, url: str, most: int, chance: random.Random) -> list[_Kill]:
    """One run, in which workers are killed until the run itself is; it may also end before."""
    kills: list[_Kill] = []
    with _running(batch, url) as (process, workers):
        for kind in _KINDS[:most]:
            before = count_requests(url)
            # It is at work again when it has asked something; then the moment is anyone's.
            if not _wait(process, lambda before=before: count_requests(url) > before + 1):
                return kills
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LONGEST_SECONDS * chance.random())
            if process.poll() is not None:
                return kills
            _kill(kind, process, workers, chance)
            kills.append(_Kill(kind, time.time()))
    return kills


@contextmanager
def _running(batch: Batch, url: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A run in a process of its own, which is gone at the end of the block."""
    workers = Path(tempfile.mkdtemp(dir=batch.folder))
    path = workers.with_suffix(".job")
    path.write_bytes(pickle.dumps(Job(batch, [url], _CAP, _FLUSH_SECONDS, workers)))
    command = [sys.executable, "-m", "benchmarks.inference.killed", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    with ending(process):
        yield process, workers


def _kill(kind: str, process: subprocess.Popen[bytes], workers: Path, chance: random.Random) -> None:
    alive = [path for path in workers.iterdir() if Path(f"/proc/{path.name}").exists()]
    if kind == "run" or not alive:
        kill_all(process)
        return
    chosen = chance.choice(sorted(alive))
    # The parent of a worker holds all of the executor's.
    below = [] if kind == "worker" else descendants(int(chosen.read_text("ascii")))
    for number in (int(chosen.name), *below):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _finish(batch: Batch, url: str) -> None:
    with _running(batch, url) as (process, _):
        process.wait(600)


def _wait(process: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def _records(url: str) -> list[dict[str, Any]]:
    records = httpx.get(f"{url}/simulator/requests", timeout=60).json()["requests"]
    return [record for record in records if not record["is_load_only"]]


def _report(kills: Sequence[_Kill], records: Sequence[dict[str, Any]], peak: int) -> None:
    last = {record["prompt_sha256"]: record["number"] for record in records}
    repaid = [record for record in records if last[record["prompt_sha256"]] != record["number"]]
    print(f"\n{'kill -9':12}{'repaid':>8}{'in flight':>11}{'not yet durable':>17}{'allowed':>9}")
    unexplained = repaid
    for kill in kills:
        of_kill = [record for record in unexplained if _was_hit(record, kill)]
        unexplained = [record for record in unexplained if not _was_hit(record, kill)]
        in_flight = sum(_end(record) >= kill.at for record in of_kill)
        allowed = _CAP + sum(
            kill.at - _FLUSH_SECONDS - _WRITE_SECONDS < _end(record) < kill.at for record in records
        )
        print(f"{kill.kind:12}{len(of_kill):>8}{in_flight:>11}{len(of_kill) - in_flight:>17}{allowed:>9}")
    print(f"repaid {len(repaid)} of {len(records)} requests, {len(unexplained)} of them at no kill")
    for record in unexplained:
        since = min((_since(kill, record) for kill in kills if _since(kill, record) >= 0), default=None)
        print(f"  one arrived {since} s after a kill and ended {_end(record) - record['arrived_at']} s later")
    print(f"most in flight {peak} at a cap of {_CAP}, flush interval {_FLUSH_SECONDS:.0f} s; ", end="")


def _was_hit(record: dict[str, Any], kill: _Kill) -> bool:
    """Whether a request was in flight at a kill, or had ended within the flush interval before it."""
    return bool(record["arrived_at"] < kill.at and _end(record) > kill.at - _FLUSH_SECONDS - _WRITE_SECONDS)


def _since(kill: _Kill, record: dict[str, Any]) -> float:
    return float(record["arrived_at"]) - kill.at


def _end(record: dict[str, Any]) -> float:
    return float("inf") if record["ended_at"] is None else float(record["ended_at"])


def _here(tasks: Sequence[Any]) -> None:
    for task in tasks:
        ask_model(task)
