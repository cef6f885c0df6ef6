"""Every fault that a run survives, one by one and together at 5% each: what became of every request."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks.inference.asking import Batch, RunTasks, ask_through_faults, prepare
from benchmarks.inference.servers import Speed, reset, serve

__all__ = ["measure_faults"]

_SURVIVED = (
    "crash",
    "crash_mid_generation",
    "error_mid_stream",
    "socket_reset",
    "busy",
    "not_done",
    "invalid_json",
    "whitespace",
    "empty_answer",
    "rate_limit",
    "rate_limit_seconds",
    "rate_limit_date",
    "edge_timeout",
)
_CAP = 4
_SHARE = 0.05


def measure_faults(requests: int, each: int, in_this_process: RunTasks) -> None:
    """Asks ``requests`` with all faults at once and ``each`` with every single one; prints the endings."""
    print(f"\n{'faults at 5%':24}{'asked':>7}{'answered':>9}{'failed':>7}{'twice':>6}{'missing':>8}  reasons")
    with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name, serve(Speed(0.0)) as url:
        _ask("all together", _SURVIVED, requests, url, Path(name), in_this_process)
        for fault in _SURVIVED:
            _ask(fault, [fault], each, url, Path(name), in_this_process)


def _ask(
    name: str, faults: Sequence[str], count: int, url: str, folder: Path, in_this_process: RunTasks
) -> None:
    texts = [f"Log {number}: MV OCEAN STAR {number} left Rotterdam, flag Panama." for number in range(count)]
    reset([url])
    batch: Batch = prepare([url], texts, folder)
    rules = [{"fault": fault, "probability": _SHARE, "seconds": 0.0} for fault in faults]
    httpx.post(f"{url}/simulator/faults", json={"rules": rules}, timeout=30).raise_for_status()
    endings = ask_through_faults(batch, [url], _CAP, in_this_process)
    records = httpx.get(f"{url}/simulator/requests", timeout=60).json()["requests"]
    asked = [record for record in records if not record["is_load_only"]]
    fine = Counter(
        record["prompt_sha256"]
        for record in asked
        if record["status"] == 200 and record["fault"] is None and record["done_reason"] == "stop"
    )
    reasons = {reason: number for reason, number in endings.items() if reason != "answered"}
    failed = sum(reasons.values())
    print(
        f"{name:24}{len(asked):>7}{endings['answered']:>9}{failed:>7}"
        f"{sum(number - 1 for number in fine.values()):>6}{count - endings['answered'] - failed:>8}"
        f"  {', '.join(f'{reason} {number}' for reason, number in sorted(reasons.items())) or '-'}",
        flush=True,
    )
