"""A whole run in a process of its own, to be killed: ``python -m benchmarks.inference.killed JOB``.

JOB is a file with a pickled ``Job``. Permit server and Spark's driver are in this process; the Python
workers of Spark write their ids into a folder.
"""

import os
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.inference.asking import Batch, ask_what_is_open
from preannotation_assets.defs.resources.spark import SparkResource, run_tasks
from preannotation_assets.tasks.ask_model import AskModel, ask_model

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """What is asked, and how; ``workers`` is the folder for the ids of the workers."""

    batch: Batch
    urls: Sequence[str]
    cap: int
    flush_seconds: float
    workers: Path


def run(job: Job) -> None:
    """Asks what is open in two tasks."""
    session = SparkResource(master="local[2]", driver_memory="512m").spark_session

    def on_spark(tasks: Sequence[AskModel]) -> None:
        run_tasks(session, tasks, partial(_tell_and_ask, job.workers))

    try:
        ask_what_is_open(job.batch, job.urls, job.cap, 2, on_spark, job.flush_seconds)
    finally:
        session.stop()


def _tell_and_ask(workers: Path, task: AskModel) -> None:
    (workers / str(os.getpid())).write_text(str(os.getppid()), "ascii")
    ask_model(task)


if __name__ == "__main__":
    # Pickled by another module than this one is called when it is run.
    sys.modules["benchmarks.inference.killed"] = sys.modules["__main__"]
    run(pickle.loads(Path(sys.argv[1]).read_bytes()))
