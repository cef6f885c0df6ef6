"""The limit within the cap: a server with fewer slots than the cap, and one that refuses for a while."""

import threading
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks.inference.asking import RunTasks, ask_with_pipeline, prepare
from benchmarks.inference.servers import Speed, count_requests, reset, serve, slot_load

__all__ = ["measure_limit"]

_CAP = 8
_LOOK_SECONDS = 0.2


def measure_limit(texts: Sequence[str], rate: float, folder: Path, in_this_process: RunTasks) -> None:
    """Prints what was chosen, and how busy the slots were with it."""
    print(f"\n{f'limit within a cap of {_CAP}':44}{'occupancy':>11}{'lowest':>11}{'at the end':>11}", end="")
    print(f"{'s queued, first and last quarter':>36}")
    for slots in (2, _CAP):
        _ask(f"{slots} slots", slots, None, texts, rate, folder, in_this_process)
    _ask(f"{_CAP} slots, 429 for a while", _CAP, "rate_limit", texts, rate, folder, in_this_process)


def _ask(
    name: str,
    slots: int,
    fault: str | None,
    texts: Sequence[str],
    rate: float,
    folder: Path,
    in_this_process: RunTasks,
) -> None:
    with serve(Speed(rate, slots)) as url:
        batch = prepare([url], texts, folder)
        reset([url])
        ended = threading.Event()
        spoiler = threading.Thread(target=_refuse_some, args=(url, fault, len(texts), ended))
        spoiler.start()
        try:
            progress = ask_with_pipeline(batch, [url], _CAP, 1, in_this_process)
        finally:
            ended.set()
            spoiler.join()
        load = slot_load([url], slots)
    state = progress.endpoints[url]
    quarter = max(1, len(load.queue_seconds) // 4)
    queued = [sum(part) / quarter for part in (load.queue_seconds[:quarter], load.queue_seconds[-quarter:])]
    print(f"{name:44}{load.occupancy:>11.3f}{state.lowest_limit:>11}{state.limit:>11}", end="")
    print(f"{queued[0]:>25.2f}{queued[1]:>11.2f}", flush=True)


def _refuse_some(url: str, fault: str | None, count: int, ended: threading.Event) -> None:
    """Makes every fourth request from a third to a half of them fail."""
    for share, probability in ((1 / 3, 0.25), (1 / 2, 0.0)):
        while fault and count_requests(url) < share * count:
            if ended.wait(_LOOK_SECONDS):
                return
        rules = [{"fault": fault, "probability": probability}] if fault and probability else []
        httpx.post(f"{url}/simulator/faults", json={"rules": rules}, timeout=30).raise_for_status()
