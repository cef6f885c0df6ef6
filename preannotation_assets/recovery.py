"""Before the daemon starts: puts the instance in order (``python -m preannotation_assets.recovery``).

Ends, on paper, the runs whose processes died together with their code server. Dagster notices when a
run's process dies, as long as the code server that started it lives. When both are killed (a machine
that is restarted), the run stays STARTED and holds its place in the queue for ever. This must run before
the code server starts, when no run of it can be alive.
"""

import sys

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from preannotation_assets.defs.jobs import apply_pool_limit

__all__ = ["prepare_instance", "report_dead_runs"]

_UNFINISHED = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
# Set by Dagster's own launcher (dagster._core.storage.tags.GRPC_INFO_TAG) on runs that a code server started;
# a run of the command line is its own process and has none.
_CODE_SERVER_TAG = ".dagster/grpc_info"


def report_dead_runs(instance: DagsterInstance) -> list[str]:
    """Reports every unfinished run that a code server started as failed, and returns their ids.

    What they answered is kept in the lake; the next run of the dataset goes on from there.
    """
    dead = [
        run for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED)) if _CODE_SERVER_TAG in run.tags
    ]
    for run in dead:
        instance.report_run_failed(run, "Its process ended together with the code server that started it.")
    return [run.run_id for run in dead]


def prepare_instance(instance: DagsterInstance) -> None:
    """Puts the instance in order and says on standard error what was amiss."""
    apply_pool_limit(instance)
    for run_id in report_dead_runs(instance):
        sys.stderr.write(f"run {run_id} had no process any more and counts as failed\n")


if __name__ == "__main__":
    with DagsterInstance.get() as home:
        prepare_instance(home)
