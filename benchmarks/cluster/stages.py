"""What Spark's event log tells of the tasks of a run: how equal they were, how long one was waited for."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stage", "read_stages"]


@dataclass(frozen=True)
class Stage:
    """One Spark job.

    ``alone`` is the time at its end in which one task was at work and no other, in seconds.
    """

    number: int
    tasks: int
    hosts: int
    seconds: float
    mean: float
    longest: float
    alone: float
    failed: int


def read_stages(folder: Path) -> Iterator[Stage]:
    """The stages of every application in a folder of event logs, in order."""
    for path in sorted(folder.rglob("events_*")):
        tasks: dict[int, list[dict[str, object]]] = defaultdict(list)
        with path.open(encoding="utf-8") as lines:
            for event in map(json.loads, lines):
                if event["Event"] == "SparkListenerTaskEnd":
                    tasks[event["Stage ID"]].append(event["Task Info"])
        for number, ended in sorted(tasks.items()):
            yield _stage(number, ended)


def _stage(number: int, tasks: list[dict[str, object]]) -> Stage:
    times = sorted((_seconds(task["Finish Time"]), _seconds(task["Launch Time"])) for task in tasks)
    lasted = [finish - launch for finish, launch in times]
    before_last = times[-2][0] if len(times) > 1 else times[-1][1]
    return Stage(
        number=number,
        tasks=len(tasks),
        hosts=len({str(task["Executor ID"]) for task in tasks}),
        seconds=times[-1][0] - min(launch for _, launch in times),
        mean=sum(lasted) / len(lasted),
        longest=max(lasted),
        alone=times[-1][0] - before_last,
        failed=sum(bool(task["Failed"]) or bool(task["Killed"]) for task in tasks),
    )


def _seconds(milliseconds: object) -> float:
    return float(str(milliseconds)) / 1000
