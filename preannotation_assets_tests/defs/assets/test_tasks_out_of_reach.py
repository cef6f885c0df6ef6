"""Tasks that lost a driver that is alive: what they left is asked again, a bounded number of times."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from preannotation_assets.defs.assets.raw_model_outputs import asking
from preannotation_assets.errors import DriverLostError, RunStoppedError
from preannotation_assets.lake import FetchedBytes

LOST = DriverLostError("no permit server at 10.0.0.1:7140", "is the driver still there?")
DONE = [FetchedBytes(7, 1)]


class Engine:
    """Loses the driver so many times, then does its tasks."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.runs = 0

    def run(self, *_: object) -> list[FetchedBytes]:
        self.runs += 1
        if self.runs <= self.losses:
            raise LOST
        return DONE


def ask(engine: Engine, stop_message: str | None = None) -> tuple[list[FetchedBytes], list[str]]:
    said: list[str] = []
    run = SimpleNamespace(engine=engine, log=SimpleNamespace(warning=said.append))
    server = SimpleNamespace(stop_message=stop_message)
    return asking._run_tasks(cast(Any, run), [], cast(Any, server)), said


def test_what_a_task_left_that_lost_the_driver_is_asked_again() -> None:
    done, said = ask(Engine(losses=3))
    assert done == DONE
    assert said == [f"what a task left is asked again: {LOST}"] * 3


def test_a_driver_that_is_always_out_of_reach_ends_the_run() -> None:
    engine = Engine(losses=100)
    with pytest.raises(RunStoppedError, match=r"no permit server at 10\.0\.0\.1:7140"):
        ask(engine)
    assert engine.runs == 4


def test_a_run_that_was_stopped_is_not_taken_up_again() -> None:
    engine = Engine(losses=1)
    with pytest.raises(DriverLostError):
        ask(engine, stop_message="a login page stands before it")
    assert engine.runs == 1
