"""Before the daemon starts: puts the instance in order (``python -m preannotation_assets.recovery``).

Ends, on paper, the runs whose processes died together with their code server. Dagster notices when a
run's process dies, as long as the code server that started it lives. When both are killed (a machine
that is restarted), the run stays STARTED and holds its place in the queue for ever.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Final

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.defs.jobs import apply_pool_limit
from preannotation_assets.errors import SettingsError
from preannotation_assets.instance import dagster_home, is_run_alive

__all__ = ["prepare_instance", "report_dead_runs"]

_UNFINISHED: Final = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
# Set by Dagster's own launcher (dagster._core.storage.tags.GRPC_INFO_TAG) on runs that a code server started;
# a run of the command line is its own process and has none.
_CODE_SERVER_TAG: Final = ".dagster/grpc_info"
_ANSWER_SECONDS: Final = 2.0


def report_dead_runs(instance: DagsterInstance) -> list[str]:
    """Reports every unfinished run that nobody works on any more as failed, and returns their ids.

    What they answered is kept in the lake; the next run of the dataset goes on from there. A run is left
    alone while its process holds its lock, or its code server still answers and so looks after it itself.
    """
    home = Path(instance.root_directory)
    dead = [
        run
        for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED))
        if _CODE_SERVER_TAG in run.tags and not is_run_alive(home, run.run_id) and not _is_looked_after(run)
    ]
    for run in dead:
        instance.report_run_failed(run, "Its process ended together with the code server that started it.")
    return [run.run_id for run in dead]


def prepare_instance(instance: DagsterInstance) -> None:
    """Puts the instance in order and says on standard error what was amiss."""
    apply_pool_limit(instance)
    for run_id in report_dead_runs(instance):
        sys.stderr.write(f"run {run_id} had no process any more and counts as failed\n")


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


def _main() -> int:
    try:
        with open_instance(dagster_home(os.environ, Path.cwd())) as instance:
            prepare_instance(instance)
    except SettingsError as error:
        sys.stderr.write(f"recovery: error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
