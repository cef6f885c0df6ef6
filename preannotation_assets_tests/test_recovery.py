"""After a machine was restarted, dead runs must not hold their place in the queue."""

import json
import socket
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, GRPC_INFO_TAG, WILL_RETRY_TAG
from dagster._core.test_utils import create_run_for_test

from preannotation_assets.instance import run_lock
from preannotation_assets.recovery import (
    find_dead_runs,
    prepare_instance,
    report_dead_runs,
    report_until_retried,
)

RETRIES = {"run_retries": {"enabled": True, "max_retries": 2}}


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
def test_a_run_of_a_code_server_that_is_gone_ends_as_failed(tmp_path: Path, status: DagsterRunStatus) -> None:
    with DagsterInstance.local_temp(str(tmp_path), overrides=RETRIES) as instance:
        run = create_run_for_test(instance, status=status, tags={GRPC_INFO_TAG: "{}"})
        assert report_dead_runs(instance) == [run.run_id]
        assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "true"
        assert report_dead_runs(instance) == []


def test_a_run_that_was_being_cancelled_is_not_started_again(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path), overrides=RETRIES) as instance:
        run = create_run_for_test(instance, status=DagsterRunStatus.CANCELING, tags={GRPC_INFO_TAG: "{}"})
        assert report_dead_runs(instance) == [run.run_id]
        ended = instance.get_run_by_id(run.run_id)
        assert ended.status == DagsterRunStatus.CANCELED
        assert ended.tags.get(WILL_RETRY_TAG) != "true"


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


def pool_limits(instance: DagsterInstance) -> dict[str, tuple[int, bool]]:
    limits = instance.event_log_storage.get_pool_limits()
    return {limit.name: (limit.limit, limit.from_default) for limit in limits}


def test_the_pool_has_the_limit_of_the_configuration_also_when_that_changes(tmp_path: Path) -> None:
    for limit in (1, 1, 2):
        overrides = {"concurrency": {"pools": {"default_limit": limit}}}
        with DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
            prepare_instance(instance)
            assert pool_limits(instance) == {"model_server": (limit, True)}


def test_a_pool_s_limit_that_was_set_by_hand_stays(tmp_path: Path) -> None:
    overrides = {"concurrency": {"pools": {"default_limit": 1}}}
    with DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        instance.event_log_storage.set_concurrency_slots("model_server", 3)
        prepare_instance(instance)
        assert pool_limits(instance) == {"model_server": (3, False)}


def failures(instance: DagsterInstance, run_id: str) -> int:
    return len(instance.all_logs(run_id, of_type=DagsterEventType.RUN_FAILURE))


def test_a_daemon_that_does_not_know_the_new_code_server_yet_is_told_again(tmp_path: Path) -> None:
    """What the daemon does is done in its place: it takes the tag back, and later starts the run again."""
    with DagsterInstance.local_temp(str(tmp_path), overrides=RETRIES) as instance, socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        info = {GRPC_INFO_TAG: json.dumps({"host": "127.0.0.1", "port": server.getsockname()[1]})}
        run = create_run_for_test(instance, status=DagsterRunStatus.STARTED, tags=info)
        assert [found.run_id for found in find_dead_runs(instance)] == [run.run_id]
        happened: list[int] = []

        def daemon() -> None:
            happened.append(failures(instance, run.run_id))
            match len(happened):
                case 1:
                    server.listen()
                case 2:
                    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
                case 4:
                    instance.add_run_tags(run.run_id, {AUTO_RETRY_RUN_ID_TAG: "another"})

        assert report_until_retried(instance, [run.run_id], daemon) == []
        # Not before the code server answers; again when the daemon has given up, and not while it is at it.
        assert happened == [0, 1, 2, 2]
        assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.FAILURE


def test_a_run_that_was_started_again_as_often_as_allowed_is_reported_once(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance, socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        info = {GRPC_INFO_TAG: json.dumps({"host": "127.0.0.1", "port": server.getsockname()[1]})}
        run = create_run_for_test(instance, status=DagsterRunStatus.STARTED, tags=info)
        assert report_until_retried(instance, [run.run_id], pytest.fail) == []
        assert failures(instance, run.run_id) == 1


@pytest.mark.parametrize("status", [DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED])
def test_a_run_that_somebody_cancels_meanwhile_stays_cancelled(
    tmp_path: Path, status: DagsterRunStatus
) -> None:
    with DagsterInstance.local_temp(str(tmp_path), overrides=RETRIES) as instance, socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        info = {GRPC_INFO_TAG: json.dumps({"host": "127.0.0.1", "port": server.getsockname()[1]})}
        run = create_run_for_test(instance, status=status, tags=info)
        assert report_until_retried(instance, [run.run_id], pytest.fail) == []
        assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.CANCELED
        assert failures(instance, run.run_id) == 0
