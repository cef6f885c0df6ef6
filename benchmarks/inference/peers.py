"""The peers beside this package: the same pages, a stand-in server of the same speed, in the same run.

A peer is run in a process of its own, by the interpreter that ``PREANNOTATION_PEERS_PYTHON`` names or by
this one, and left out where that does not have it.
"""

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import httpx

from benchmarks.inference.asking import Batch, kept_answers, prepare
from benchmarks.inference.killed import Job
from benchmarks.inference.servers import Speed, count_requests, reset, serve, slot_load
from preannotation_assets_tests.shared.process_table import ending

__all__ = ["measure_peers"]

_MODEL = "llama3.3:70b"
_SCRIPT = Path(__file__).with_name("peer.py")
_CAP = 4
_FEW = 60
_SHARE_BEFORE_KILL = 0.9
_LONGEST_SECONDS = 300.0
_LONGEST_SHORT_SECONDS = 60.0
_LOOK_SECONDS = 0.02
# What one request at a time can do is seen with fewer pages.
_FEWER_FOR = {"LangExtract, 10 workers": 0.3, "LangExtract, 20 workers": 0.3}
_PEERS: Final = (
    ("page by page in 8 threads", "json"),
    ("LangExtract, 10 workers", "langextract"),
    ("LangExtract, 20 workers", "langextract"),
    ("distilabel", "distilabel"),
)


class _Contender(Protocol):
    """Somebody who asks about texts, in a process that can be started again."""

    def start(self) -> subprocess.Popen[bytes]: ...

    def answered(self) -> int: ...


@dataclass(frozen=True)
class _Peer:
    name: str
    python: str
    url: str
    texts: Sequence[str]
    folder: Path

    def start(self) -> subprocess.Popen[bytes]:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "pages.json").write_text(json.dumps(self.texts), "utf-8")
        command = [self.python, str(_SCRIPT), self.name, self.url, _MODEL, "pages.json", "result.json"]
        return _started(command, self.folder)

    def answered(self) -> int:
        path = self.folder / "result.json"
        return int(json.loads(path.read_text("utf-8"))["answered"]) if path.exists() else 0


@dataclass(frozen=True)
class _ThisPackage:
    batch: Batch
    url: str

    def start(self) -> subprocess.Popen[bytes]:
        workers = self.batch.folder / uuid4().hex
        workers.mkdir()
        path = workers.with_suffix(".job")
        path.write_bytes(pickle.dumps(Job(self.batch, [self.url], _CAP, 3.0, workers)))
        return _started([sys.executable, "-m", "benchmarks.inference.killed", str(path)], Path.cwd())

    def answered(self) -> int:
        return len(kept_answers(self.batch))


_New = Callable[[str, Sequence[str]], _Contender]


def measure_peers(texts: Sequence[str], rate: float, folder: Path) -> None:
    """Prints one line for each contender."""
    print(f"\n{'':28}{'occupancy':>11}{'in flight':>11}{'requests':>10}{'s/request':>11}", end="")
    print(f"{'answers left by one 503':>25}{'asked again after kill -9':>27}")
    python = os.environ.get("PREANNOTATION_PEERS_PYTHON", sys.executable)
    _measure("this package", lambda url, some: _ThisPackage(prepare([url], some, folder), url), texts, rate)
    for name, module in _PEERS:
        if not _has(python, module):
            print(f"{name:28}not installed")
            continue
        some = texts[: round(len(texts) * _FEWER_FOR.get(name, 1.0))]
        _measure(name, _new_peer(name, python, folder), some, rate)


def _new_peer(name: str, python: str, folder: Path) -> _New:
    return lambda url, some: _Peer(name, python, url, some, folder / uuid4().hex)


def _measure(name: str, new: _New, texts: Sequence[str], rate: float) -> None:
    few = texts[: min(_FEW, len(texts))]
    with serve(Speed(rate)) as url:
        reset([url])
        _has_ended(new(url, texts), _LONGEST_SECONDS)
        load = slot_load([url])
        again = _asked_again(new(url, few), url, len(few))
    with serve(Speed(rate * 10)) as url:
        contender = new(url, few)
        left = _left_by_one_error(contender, url, len(few))
    paid_twice = f"{again[0]} of {again[1]}" if again else "not done in 60 s"
    print(f"{name:28}{load.occupancy:>11.3f}{load.most_in_flight:>11}{load.requests:>10}", end="")
    print(f"{load.mean_seconds:>11.2f}{f'{left} of {len(few)}':>25}{paid_twice:>27}", flush=True)


def _has_ended(contender: _Contender, within: float) -> bool:
    """Lets it ask; False, and it is killed, where it is not done in so many seconds."""
    with ending(contender.start()) as process:
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True


def _left_by_one_error(contender: _Contender, url: str, count: int) -> int:
    """How many answers there are at the end when one request in the middle gets a 503."""
    reset([url])
    rules = [{"fault": "busy", "requests": [count // 2]}]
    httpx.post(f"{url}/simulator/faults", json={"rules": rules}, timeout=30).raise_for_status()
    _has_ended(contender, _LONGEST_SHORT_SECONDS)
    return contender.answered()


def _asked_again(contender: _Contender, url: str, count: int) -> tuple[int, int] | None:
    """How many answers that had been given before a kill are asked for again by the next run; of how many.

    None where the next run does not come to an end.
    """
    reset([url])
    with ending(contender.start()) as process:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while (
            count_requests(url) < _SHARE_BEFORE_KILL * count
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(_LOOK_SECONDS)
    killed = time.time()
    if not _has_ended(contender, _LONGEST_SHORT_SECONDS):
        return None
    records: list[dict[str, Any]] = httpx.get(f"{url}/simulator/requests", timeout=60).json()["requests"]
    before = {
        record["prompt_sha256"]
        for record in records
        if record["status"] == 200 and record["ended_at"] < killed
    }
    after = {record["prompt_sha256"] for record in records if record["arrived_at"] > killed}
    return len((before & after) - {None}), len(before - {None})


def _started(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet)


def _has(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    looked = subprocess.run([python, "-c", code], check=False, capture_output=True, timeout=60)
    return looked.returncode == 0
