"""The process of a run that a code server has started: known to be alive, and gone with its code server."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import DagsterEvent, Executor, InitExecutorContext, executor
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from preannotation_assets.instance import run_lock

if TYPE_CHECKING:
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan

__all__ = ["end_with_code_server", "own_process"]


class _OwnProcessExecutor(InProcessExecutor):
    """Dagster's executor in one process; while it works the run's lock is held.

    Dagster leaves a run going on when its code server dies. Then nobody can end it from the web interface any
    more, and after a restart it counts as failed while it still asks the model.
    """

    def execute(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[DagsterEvent]:
        """The steps, one after the other."""
        with run_lock(Path(plan_context.instance.root_directory), plan_context.run_id):
            end_with_code_server()
            yield from super().execute(plan_context, execution_plan)


@executor(name="own_process", config_schema={})
def own_process(_: InitExecutorContext) -> Executor:
    """All steps in the process of the run, as they share one Spark session; takes no configuration."""
    return _OwnProcessExecutor(RetryMode.ENABLED)


def end_with_code_server() -> None:
    """Interrupts this process when the one that started it is gone, as a termination of the run would."""
    code_server = multiprocessing.parent_process()
    if code_server is None:
        return

    def watch() -> None:
        code_server.join()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, name="code-server-watch", daemon=True).start()
