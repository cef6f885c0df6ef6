"""After a machine was restarted, dead runs must not hold their place in the queue."""

from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from preannotation_assets.recovery import report_dead_runs


@pytest.mark.parametrize(
    "status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
)
def test_a_run_of_a_code_server_that_is_gone_ends_as_failed(tmp_path: Path, status: DagsterRunStatus) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        run = create_run_for_test(instance, status=status, tags={GRPC_INFO_TAG: "{}"})
        assert report_dead_runs(instance) == [run.run_id]
        assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.FAILURE
        assert report_dead_runs(instance) == []


def test_runs_of_the_command_line_and_runs_that_ended_are_left_alone(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        runs = [
            create_run_for_test(instance, status=DagsterRunStatus.STARTED),
            create_run_for_test(instance, status=DagsterRunStatus.SUCCESS, tags={GRPC_INFO_TAG: "{}"}),
        ]
        assert report_dead_runs(instance) == []
        assert [instance.get_run_by_id(run.run_id).status for run in runs] == [run.status for run in runs]
