"""Before a code server or the daemon starts: puts the instance in order.

Ends, on paper, the runs whose processes died together with their code server. Dagster notices when a
run's process dies, as long as the code server that started it lives. When both are killed (a machine
that is restarted), the run stays STARTED and holds its place in the queue for ever.

``python -m preannotation_assets.recovery`` does it all, before anything else starts. Beside a daemon that
lives it takes two steps: ``find`` before the new code server starts, because that would answer in the
place of the dead one, and ``report RUN_ID...`` beside it.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, GRPC_INFO_TAG, WILL_RETRY_TAG

from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.defs.jobs import apply_pool_limit
from preannotation_assets.errors import SettingsError
from preannotation_assets.instance import dagster_home, is_run_alive

__all__ = ["find_dead_runs", "prepare_instance", "report_dead_runs", "report_until_retried"]

_UNFINISHED: Final = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
# Set by Dagster's own launcher on runs that a code server started; a run of the command line is its own
# process and has none.
_CODE_SERVER_TAG: Final = GRPC_INFO_TAG
# Such a run is not started again: it came to its end, or somebody ended it.
_SETTLED: Final = (DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED)
_ANSWER_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 5.0
# Ten minutes, for a code server that starts and a daemon that looks at its events.
_MOST_PAUSES: Final = 120


def find_dead_runs(instance: DagsterInstance) -> list[DagsterRun]:
    """Every unfinished run that nobody works on any more.

    A run is left alone while its process holds its lock, or its code server still answers and so looks
    after it itself.
    """
    home = Path(instance.root_directory)
    return [
        run
        for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED))
        if _CODE_SERVER_TAG in run.tags and not is_run_alive(home, run.run_id) and not _is_looked_after(run)
    ]


def report_dead_runs(instance: DagsterInstance) -> list[str]:
    """Reports dead runs as failed, those that were being cancelled as cancelled, and returns their ids.

    What they answered is kept in the lake; the next run of the dataset goes on from there.
    """
    dead = find_dead_runs(instance)
    for run in dead:
        _report(instance, run)
    return [run.run_id for run in dead]


def report_until_retried(
    instance: DagsterInstance, run_ids: Sequence[str], pause: Callable[[], None]
) -> list[str]:
    """Reports runs as failed when a code server answers, until the daemon has started each again.

    A living daemon hears of the failure at once, and starts the run again at once or never: where it does
    not know the new code server yet, it gives up and takes the tag back that says it would. Then the
    failure is reported anew. Returns the ids of runs that it gave up in the end.
    """
    waiting = {run.run_id: False for run_id in run_ids if (run := instance.get_run_by_id(run_id))}
    for _ in range(_MOST_PAUSES):
        for run_id, is_reported in list(waiting.items()):
            run = instance.get_run_by_id(run_id)
            if run is None or run.status in _SETTLED or AUTO_RETRY_RUN_ID_TAG in run.tags:
                del waiting[run_id]
            elif _is_looked_after(run) and not (is_reported and _will_be_retried(run)):
                _report(instance, run)
                waiting[run_id] = True
                if not _will_be_retried(instance.get_run_by_id(run_id)):
                    # It was started again as often as dagster.yaml allows, or somebody had cancelled it.
                    del waiting[run_id]
        if not waiting:
            break
        pause()
    return list(waiting)


def _report(instance: DagsterInstance, run: DagsterRun) -> None:
    """As failed, which has the daemon start it again; as cancelled where somebody had told it to end."""
    reason = "Its process ended together with the code server that started it."
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, reason)
    else:
        instance.report_run_failed(run, reason)


def _will_be_retried(run: DagsterRun | None) -> bool:
    return run is not None and run.tags.get(WILL_RETRY_TAG) == "true"


def prepare_instance(instance: DagsterInstance) -> None:
    """Puts the instance in order and says on standard error what was amiss."""
    apply_pool_limit(instance)
    for run_id in report_dead_runs(instance):
        sys.stderr.write(f"run {run_id} had no process any more and counts as ended\n")


def _is_looked_after(run: DagsterRun) -> bool:
    """Whether the code server that started a run takes connections; a tag has its address."""
    try:
        address = json.loads(run.tags[_CODE_SERVER_TAG])
        path, host, port = (address.get(name) for name in ("socket", "host", "port"))
        if path:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.connect(path)
        elif host and port:
            socket.create_connection((host, port), _ANSWER_SECONDS).close()
        else:
            return False
    except (OSError, ValueError):
        return False
    return True


def _main(arguments: Sequence[str]) -> int:
    try:
        with open_instance(dagster_home(os.environ, Path.cwd())) as instance:
            return _command(instance, arguments)
    except SettingsError as error:
        sys.stderr.write(f"recovery: error: {error}\n")
        return 1


def _command(instance: DagsterInstance, arguments: Sequence[str]) -> int:
    match arguments:
        case []:
            prepare_instance(instance)
        case ["find"]:
            apply_pool_limit(instance)
            sys.stdout.write("".join(f"{run.run_id}\n" for run in find_dead_runs(instance)))
        case ["report", *run_ids]:
            for run_id in report_until_retried(instance, run_ids, lambda: time.sleep(_PAUSE_SECONDS)):
                sys.stderr.write(f"run {run_id} had no process any more and was not started again\n")
        case _:
            sys.stderr.write("usage: python -m preannotation_assets.recovery [find | report RUN_ID...]\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
