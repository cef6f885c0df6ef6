"""The command line of the benchmark: which measurements, and their tables."""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.inference.asking import RunTasks
from benchmarks.inference.client_cost import measure_client
from benchmarks.inference.faults import measure_faults
from benchmarks.inference.in_flight import measure_in_flight
from benchmarks.inference.kills import measure_kills
from benchmarks.inference.knee import measure_knee
from benchmarks.inference.limit import measure_limit
from benchmarks.inference.memory import measure_memory
from benchmarks.inference.occupancy import CAP, mean_answer_tokens, measure_occupancy, rate_for
from benchmarks.inference.pages import load_pages
from benchmarks.inference.peers import measure_peers
from preannotation_assets.defs.resources.spark import SparkResource, run_tasks
from preannotation_assets.tasks.ask_model import AskModel, ask_model

__all__ = ["main"]

_ALONE = {
    "occupancy": "only how busy slots are, in about 8 minutes; for a quiet machine",
    "limit": "only the limit within the cap",
    "knee": "only the limit on servers with continuous batching, in about 9 minutes; for a quiet machine",
    "in-flight": "only 256 and 1,024 requests in flight over two servers, in about 9 minutes",
    "peers": "only the peers",
    "faults": "only the fault matrix",
    "memory": "only memory over 100,000 requests, in some 15 minutes",
    "kills": "only kill -9 at 20 moments",
}


def main(arguments: Sequence[str] = ()) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--quick", action="store_true", help="fewer pages and no peers, in about a minute")
    for name, what in _ALONE.items():
        only.add_argument(f"--{name}", action="store_const", dest="only", const=name, help=what)
    parser.add_argument("--requests", type=int, help="of CPU, memory, or all faults together")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    chosen = parser.parse_args(arguments)
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    print(f"\nAsking the model: {cores} cores, load {load:.1f} before, stand-in server", flush=True)
    match chosen.only:
        case "knee":
            with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name:
                measure_knee(load_pages(300)[0], Path(name), _in_this_process)
        case "in-flight":
            with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name:
                measure_in_flight(load_pages(300)[0], Path(name))
        case "faults":
            measure_faults(chosen.requests or 2_000, 100, _in_this_process)
        case "memory":
            measure_memory(chosen.requests or 100_000, _in_this_process)
        case "kills":
            measure_kills(chosen.seed)
        case _:
            _measure(chosen.only, chosen.quick, chosen.requests)
    print(f"load {os.getloadavg()[0]:.1f} after", flush=True)


def _measure(only: str | None, quick: bool, requests: int | None) -> None:
    texts, source = load_pages(40 if quick else 300)
    print(f"{source}, {CAP} slots and cap {CAP} a server", flush=True)
    with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name, _spark_tasks() as on_spark:
        folder = Path(name)
        rate = rate_for(0.5, mean_answer_tokens(texts, folder))
        if only in {None, "occupancy"}:
            of_two_seconds = 0 if quick else 80 if only is None else 300
            measure_occupancy(texts, of_two_seconds, rate, folder, on_spark)
        if only == "limit" or (only is None and not quick):
            measure_limit(texts[:100], rate, folder, _in_this_process)
        if only is None and not quick:
            measure_knee(texts, folder, _in_this_process)
        if only is None:
            measure_client(texts, requests or (300 if quick else 1_500), _in_this_process)
        if only == "peers" or (only is None and not quick):
            measure_peers(texts[:100], rate, folder)


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
