"""What asking costs the client: CPU a request, and memory after rounds of requests."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.inference.asking import Batch, RunTasks, ask_bare, ask_with_pipeline, prepare
from benchmarks.inference.memory import resident_megabytes
from benchmarks.inference.servers import Speed, serve

__all__ = ["measure_client"]

_MANY = 256
_ROUNDS = 5
_ROUND = 500


def measure_client(texts: Sequence[str], count: int, in_this_process: RunTasks) -> None:
    """CPU and memory (Linux) of this process, the permit server included; no Spark."""
    repeated = [f"{texts[number % len(texts)][:2000]}\n{number}" for number in range(count)]
    with (
        tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name,
        serve(Speed(1500.0, slots=_MANY)) as url,
    ):
        folder = Path(name)

        def ask(batch: Batch) -> None:
            ask_with_pipeline(batch, [url], _MANY, 1, in_this_process)

        batch = prepare([url], repeated, folder)
        bare = _cpu_seconds(lambda: ask_bare(batch, [url], _MANY))
        ours = _cpu_seconds(lambda: ask(batch))
        memory = []
        for number in range(_ROUNDS):
            ask(prepare([url], _round(number), folder))
            memory.append(resident_megabytes())
    print(f"\nCPU a request, {count} requests, {_MANY} in flight: {1000 * ours / count:.2f} ms", end="")
    print(f" (bare loop {1000 * bare / count:.2f} ms)")
    shown = ", ".join(f"{megabytes:.0f}" for megabytes in memory)
    print(f"resident memory after each of {_ROUNDS} rounds of {_ROUND} requests: {shown} MB", flush=True)


def _round(number: int) -> list[str]:
    return [f"Log {number}.{place}: MV OCEAN STAR left Rotterdam, flag Panama." for place in range(_ROUND)]


def _cpu_seconds(ask: Callable[[], object]) -> float:
    before = time.process_time()
    ask()
    return time.process_time() - before
