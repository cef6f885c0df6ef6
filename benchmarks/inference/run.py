"""The measurements, and one table of them."""

import argparse
import gc
import importlib.util
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.inference.asking import Batch, RunTasks, ask_bare, ask_with_pipeline, prepare
from benchmarks.inference.faults import measure_faults
from benchmarks.inference.memory import measure_memory
from benchmarks.inference.pages import load_pages
from benchmarks.inference.servers import Load, Speed, reset, serve, slot_load
from preannotation_assets.resources.spark import SparkResource, run_tasks
from preannotation_assets.tasks.ask_model import AskModel, ask_model

__all__ = ["main"]

_CAP = 4
_SLOWDOWN = 1 + 0.06 * (_CAP - 1)
_MANY = 64
_ROUNDS = 5
_ROUND = 500


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer pages, in about a minute")
    parser.add_argument(
        "--requests", type=int, help="of the measurement of CPU and memory, or of all faults together"
    )
    parser.add_argument("--faults", action="store_true", help="only the fault matrix, in some minutes")
    parser.add_argument("--memory", action="store_true", help="only memory over 100,000 requests")
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory(arguments.requests or 100_000, _in_this_process)
        return
    if arguments.faults:
        measure_faults(arguments.requests or 2_000, 100, _in_this_process)
        return
    quick = arguments.quick
    pages, many = (40, 300) if quick else (300, 1_500)
    many = arguments.requests or many
    texts, source = load_pages(pages)
    print(f"\nAsking the model: {source}, {_CAP} slots, cap {_CAP}, stand-in server")
    with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name, _spark_tasks() as on_spark:
        folder = Path(name)
        tokens = _mean_answer_tokens(texts, folder)
        print(f"{'':30}{'occupancy':>10}{'bare loop':>10}{'ratio':>7}", end="")
        print(f"{'cap used':>10}{'bare loop':>10}{'in flight':>10}{'s/request':>10}")
        rate = tokens * _SLOWDOWN / 0.5
        if not quick:
            _compare("requests of about 2 s", texts[:150], folder, [Speed(rate / 4)], on_spark)
        _compare("requests of about 0.5 s", texts, folder, [Speed(rate)], on_spark)
        _compare("two servers, one half as fast", texts, folder, [Speed(rate), Speed(rate / 2)], on_spark)
        _measure_client(texts, folder, many)
    _name_peers()


@contextmanager
def _spark_tasks() -> Iterator[RunTasks]:
    """Runs tasks on Spark with two workers, which are started before anything is measured."""
    session = SparkResource(master="local[2]", driver_memory="1g").spark_session
    session.sparkContext.parallelize(range(2), 2).map(_warm_up).collect()

    def on_spark(tasks: Sequence[AskModel]) -> None:
        run_tasks(session, tasks, ask_model)

    try:
        yield on_spark
    finally:
        session.stop()


def _warm_up(number: int) -> int:
    return number


def _in_this_process(tasks: Sequence[AskModel]) -> None:
    for task in tasks:
        ask_model(task)


def _mean_answer_tokens(texts: Sequence[str], folder: Path) -> float:
    with serve(Speed(0.0)) as url:
        ask_bare(prepare([url], texts, folder), [url], _CAP)
        load = slot_load([url])
    return load.answer_tokens / load.requests


def _compare(
    name: str, texts: Sequence[str], folder: Path, speeds: Sequence[Speed], on_spark: RunTasks
) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(serve(speed)) for speed in speeds]
        batch = prepare(urls, texts, folder)
        ours = _measured(urls, lambda: ask_with_pipeline(batch, urls, _CAP, 2, on_spark))
        bare = _measured(urls, lambda: ask_bare(batch, urls, _CAP))
    ratio = ours.occupancy / bare.occupancy
    print(
        f"{name:30}{ours.occupancy:>10.3f}{bare.occupancy:>10.3f}{ratio:>7.3f}"
        f"{ours.cap_used:>10.3f}{bare.cap_used:>10.3f}{ours.most_in_flight:>10}{ours.mean_seconds:>10.2f}",
        flush=True,
    )


def _measured(urls: Sequence[str], ask: Callable[[], object]) -> Load:
    reset(urls)
    ask()
    return slot_load(urls)


def _measure_client(texts: Sequence[str], folder: Path, count: int) -> None:
    """CPU a request and memory (Linux) of this process, the permit server included; no Spark."""
    repeated = [f"{texts[number % len(texts)][:2000]}\n{number}" for number in range(count)]
    with serve(Speed(1500.0, slots=_MANY)) as url:
        batch = prepare([url], repeated, folder)
        bare = _cpu_seconds(lambda: ask_bare(batch, [url], _MANY))
        ours = _cpu_seconds(lambda: _ask_here(batch, url))
        memory = [_resident_megabytes_after_round(number, url, folder) for number in range(_ROUNDS)]
    print(f"\nCPU a request, {count} requests, {_MANY} in flight: {1000 * ours / count:.2f} ms", end="")
    print(f" (bare loop {1000 * bare / count:.2f} ms)")
    shown = ", ".join(f"{megabytes:.0f}" for megabytes in memory)
    print(f"resident memory after each of {_ROUNDS} rounds of {_ROUND} requests: {shown} MB")


def _resident_megabytes_after_round(number: int, url: str, folder: Path) -> float:
    texts = [f"Log {number}.{place}: MV OCEAN STAR left Rotterdam, flag Panama." for place in range(_ROUND)]
    _ask_here(prepare([url], texts, folder), url)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def _ask_here(batch: Batch, url: str) -> None:
    ask_with_pipeline(batch, [url], _MANY, 1, _in_this_process)


def _cpu_seconds(ask: Callable[[], object]) -> float:
    before = time.process_time()
    ask()
    return time.process_time() - before


def _name_peers() -> None:
    for module, name in (("langextract", "LangExtract"), ("distilabel", "distilabel")):
        state = "importable, but not compared here" if importlib.util.find_spec(module) else "not installed"
        print(f"{name}: {state}")
