"""Where the time of a batch goes whose answers are there: by kind of task, and function by function.

The four assets are run as ``preannotate run`` does, but without Spark: every task in this process, one after
another, so that one profile has driver and tasks. Seconds are of this process's processor time, which other
work on the machine changes less than the clock.
"""

import cProfile
import os
import pstats
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar
from unittest.mock import PropertyMock, patch

from benchmarks.reading.batch import DATASET
from preannotation_assets.cli import main as preannotate
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.publishing.publisher import publish
from preannotation_assets.publishing.report import write_report

__all__ = ["profile_run"]

T = TypeVar("T")
R = TypeVar("R")

_SHOWN: Final = 45
_PUBLISHING: Final = "preannotation_assets.defs.assets.suggestions.asset"
# What grows with the rows.
_OF_THE_DRIVER: Final[Mapping[str, Callable[..., Any]]] = {"publish": publish, "write_report": write_report}
# Who hands tasks to Spark.
_CALLERS: Final = (
    "preannotation_assets.defs.assets.chunks",
    _PUBLISHING,
    "preannotation_assets.defs.assets.raw_model_outputs.learning",
    "preannotation_assets.defs.resources.spark",
)


def profile_run(environment: Mapping[str, str], *, functions: bool) -> None:
    """Runs the batch; prints processor seconds by kind of task, of the driver and in all.

    With ``functions`` the time by function as well, which makes all of it slower.
    """
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[..., R]) -> Callable[..., R]:
        def measured(*arguments: object, **named: object) -> R:
            began = time.process_time()
            try:
                return work(*arguments, **named)
            finally:
                spent[name] = spent.get(name, 0.0) + time.process_time() - began

        return measured

    def here(_: object, tasks: Sequence[T], work: Callable[[T], R], *__: object) -> list[R]:
        return list(map(timed(getattr(work, "__name__", str(work)), work), tasks))

    profile = cProfile.Profile()
    with _in_this_process(environment, here), ExitStack() as stack:
        for name, work in _OF_THE_DRIVER.items():
            stack.enter_context(patch(f"{_PUBLISHING}.{name}", timed(name, work)))
        began = time.process_time()
        if functions:
            profile.enable()
        status = preannotate(["run", DATASET])
        profile.disable()
        whole = time.process_time() - began
    for name, seconds in (
        *spent.items(),
        ("the rest of the driver", whole - sum(spent.values())),
        ("all", whole),
    ):
        print(f"{name:24}{seconds:8.1f} s of CPU", flush=True)
    if status:
        raise SystemExit(status)
    if functions:
        pstats.Stats(profile).sort_stats("tottime").print_stats(_SHOWN)
        pstats.Stats(profile).sort_stats("cumtime").print_stats("preannotation_assets", 2 * _SHOWN)


@contextmanager
def _in_this_process(environment: Mapping[str, str], run_tasks: Callable[..., list[Any]]) -> Iterator[None]:
    """Has no Spark started, and tasks done by ``run_tasks``."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, environment))
        stack.enter_context(patch.object(SparkResource, "spark_session", PropertyMock(return_value=None)))
        for caller in _CALLERS:
            stack.enter_context(patch(f"{caller}.run_tasks", run_tasks))
        yield
