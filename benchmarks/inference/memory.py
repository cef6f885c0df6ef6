"""Resident memory of a process that asks many times, the permit server included."""

import gc
import resource
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.inference.asking import RunTasks, ask_with_pipeline, prepare
from benchmarks.inference.servers import Speed, count_requests, serve

__all__ = ["measure_memory", "resident_megabytes"]

_SLOTS = 64
_STEPS = 10
_LOOK_SECONDS = 2.0


def measure_memory(requests: int, in_this_process: RunTasks) -> None:
    """Asks ``requests`` times in one task; prints the resident memory after every tenth of them."""
    print(f"\nresident memory of one process that asks {requests} times, {_SLOTS} in flight", flush=True)
    texts = [f"Log {number}: MV OCEAN STAR left Rotterdam, flag Panama." for number in range(requests)]
    with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name, serve(Speed(0.0, _SLOTS)) as url:
        batch = prepare([url], texts, Path(name))
        print(f"{0:>10}{resident_megabytes():>8.0f} MB", flush=True)
        finished = threading.Event()
        watcher = threading.Thread(target=_watch, args=(url, requests, finished))
        watcher.start()
        began, cpu = time.monotonic(), time.process_time()
        try:
            ask_with_pipeline(batch, [url], _SLOTS, 1, in_this_process)
        finally:
            finished.set()
            watcher.join()
        milliseconds = 1000 * (time.process_time() - cpu) / requests
    print(f"{time.monotonic() - began:.0f} s, {milliseconds:.2f} ms of CPU a request, all answered and kept")


def resident_megabytes() -> float:
    """Resident memory of this process (Linux)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def _watch(url: str, requests: int, finished: threading.Event) -> None:
    step = max(1, requests // _STEPS)
    due, has_ended = step, False
    while due <= requests and not has_ended:
        has_ended = finished.wait(_LOOK_SECONDS)
        asked = count_requests(url)
        while due <= min(asked, requests):
            print(f"{due:>10}{resident_megabytes():>8.0f} MB", flush=True)
            due += step
