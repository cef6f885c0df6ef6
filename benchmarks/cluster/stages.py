"""What Spark's event log tells of the tasks of a run: how equal they were, how long one was waited for."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

__all__ = ["Happening", "Stage", "read_happenings", "read_stages"]


@dataclass(frozen=True)
class Happening:
    """What Spark did at a moment, in seconds since the Unix epoch."""

    moment: float
    what: str


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


def read_happenings(folder: Path) -> Iterator[Happening]:
    """When Spark took an executor for lost and why, and when it began a task again."""
    for event in chain.from_iterable(map(_events, _event_logs(folder))):
        match event["Event"]:
            case "SparkListenerTaskStart" if event["Task Info"]["Attempt"]:
                task = event["Task Info"]
                what = (
                    f"attempt {task['Attempt']} at task {task['Index']} of stage {event['Stage ID']} begins"
                )
                yield Happening(_seconds(task["Launch Time"]), f"{what} on executor {task['Executor ID']}")
            case "SparkListenerExecutorRemoved":
                what = f"executor {event['Executor ID']} is lost: {event['Removed Reason']}"
                yield Happening(_seconds(event["Timestamp"]), what)


def read_stages(folder: Path) -> Iterator[Stage]:
    """The stages of every application in a folder of event logs, in order."""
    tasks: dict[tuple[Path, int], list[dict[str, object]]] = defaultdict(list)
    for path in _event_logs(folder):
        for event in _events(path):
            if event["Event"] == "SparkListenerTaskEnd":
                tasks[path, event["Stage ID"]].append(event["Task Info"])
    for (_, number), ended in sorted(tasks.items()):
        yield _stage(number, ended)


def _event_logs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("events_*"))


def _events(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


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
