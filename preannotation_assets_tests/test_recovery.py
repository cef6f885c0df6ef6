"""After a machine was restarted, dead runs must not hold their place in the queue."""

import json
import socket
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from preannotation_assets.instance import run_lock
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


def test_a_run_whose_process_is_alive_is_not_called_dead(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        gone = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "gone.sock")})}
        run = create_run_for_test(instance, status=DagsterRunStatus.STARTED, tags=gone)
        with run_lock(Path(instance.root_directory), run.run_id):
            assert report_dead_runs(instance) == []
            assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.STARTED
        assert report_dead_runs(instance) == [run.run_id]


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_run_that_its_code_server_looks_after_is_not_called_dead(
    tmp_path: Path, family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with DagsterInstance.local_temp(str(tmp_path)) as instance, socket.socket(family) as code_server:
        code_server.bind("code.sock" if family == socket.AF_UNIX else ("127.0.0.1", 0))
        code_server.listen()
        is_tcp = family == socket.AF_INET
        address = {"host": "127.0.0.1", "port": code_server.getsockname()[1] if is_tcp else None}
        info = address | {"socket": None if is_tcp else "code.sock"}
        run = create_run_for_test(
            instance, status=DagsterRunStatus.STARTING, tags={GRPC_INFO_TAG: json.dumps(info)}
        )
        assert report_dead_runs(instance) == []
        code_server.close()
        assert report_dead_runs(instance) == [run.run_id]
