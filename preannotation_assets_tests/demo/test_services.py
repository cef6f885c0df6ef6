"""However ``preannotate dev`` ends, its processes and the runs end too; small ones stand for Dagster's."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from shared.polling import wait_for
from shared.process_table import is_alive

from preannotation_assets.errors import SettingsError
from preannotation_assets.instance import interface_lock

PROGRAM = Path(__file__).with_name("services_process.py")
NAMES = ("dev", "run", "web_server")
SECONDS = 60.0


def waits(process: int) -> int:
    """How often a process has waited so far; between two waits it looks whether its starter is there."""
    told = Path(f"/proc/{process}/status").read_text("utf-8")
    (number,) = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)$", told, re.MULTILINE)
    return int(number)


@contextmanager
def started(
    folder: Path, *command: str, session: bool = True
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    """The process of a command that starts the program, and the ids of all that it has started."""
    with subprocess.Popen(command, start_new_session=session, stdin=subprocess.DEVNULL) as process:
        ids: dict[str, int] = {}
        try:
            wait_for(lambda: all((folder / name).exists() for name in NAMES), "all processes")
            ids = {name: int((folder / name).read_text()) for name in NAMES}
            assert all(map(is_alive, ids.values()))
            yield process, ids
        finally:
            for each in (process.pid, *ids.values()):
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)


def program(folder: Path) -> tuple[str, ...]:
    return sys.executable, str(PROGRAM), str(folder)


def none_is_left(folder: Path, ids: dict[str, int]) -> None:
    wait_for(lambda: not any(map(is_alive, ids.values())), "the end of all processes")
    assert (folder / "run.interrupted").exists(), "the run could not say how it ended"

    def is_free() -> bool:
        try:
            with interface_lock(folder):
                return True
        except SettingsError:
            return False

    wait_for(is_free, "the lock")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, *program(tmp_path)) as (process, ids):
        os.kill(process.pid, number)
        assert process.wait(SECONDS) == 0
        none_is_left(tmp_path, ids)


def test_kill_9_ends_all(tmp_path: Path) -> None:
    with started(tmp_path, *program(tmp_path)) as (process, ids):
        process.kill()
        none_is_left(tmp_path, ids)


def test_the_lock_is_held_until_nothing_is_left(tmp_path: Path) -> None:
    with started(tmp_path, *program(tmp_path)) as (process, ids):
        (tmp_path / "wait").touch()
        process.kill()
        process.wait(SECONDS)
        with pytest.raises(SettingsError, match="running already"), interface_lock(tmp_path):
            pytest.fail("the run is alive")
        (tmp_path / "wait").unlink()
        none_is_left(tmp_path, ids)


SHELL = 'trap "" TERM; "$@" & echo $! > "$FOLDER/shell"; while :; do wait; done'


def test_the_death_of_the_process_that_started_it_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", str(tmp_path))
    with started(tmp_path, "sh", "-c", SHELL, "sh", *program(tmp_path)) as (shell, ids):
        shell.kill()
        none_is_left(tmp_path, ids)


def test_nohup_keeps_it_when_the_terminal_and_the_shell_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", str(tmp_path))
    with started(tmp_path, "sh", "-c", SHELL, "sh", "nohup", *program(tmp_path)) as (shell, ids):
        os.kill(ids["dev"], signal.SIGHUP)
        shell.kill()
        shell.wait(SECONDS)
        before = waits(ids["dev"])
        wait_for(lambda: not is_alive(ids["dev"]) or waits(ids["dev"]) >= before + 4, "its next looks")
        assert all(map(is_alive, ids.values()))
        os.kill(ids["dev"], signal.SIGTERM)
        none_is_left(tmp_path, ids)


def test_one_that_ends_by_itself_ends_the_others(tmp_path: Path) -> None:
    with started(tmp_path, *program(tmp_path)) as (process, ids):
        os.kill(ids["web_server"], signal.SIGKILL)
        assert process.wait(SECONDS) == 1
        none_is_left(tmp_path, ids)
