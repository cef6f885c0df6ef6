"""Dagster's processes on this machine: one code server, the web server and the daemon, ended together.

They are a group of their own, and the runs that the code server starts belong to it. Whatever ends this
process ends the group: Ctrl-C, SIGTERM and SIGHUP by its handlers, the death of the process that started it
because it looks for that, and kill -9 because a second process, the keeper, waits for the end of this one.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from preannotation_assets.demo import process_group
from preannotation_assets.demo.process_group import end_group
from preannotation_assets.errors import SettingsError
from preannotation_assets.instance import say

__all__ = ["Commands", "run_dagster", "run_services"]

_PACKAGE: Final = __name__.partition(".")[0]
_LOOK_SECONDS: Final = 0.5
_CODE_SERVER_SECONDS: Final = 300.0
# The name of the location is said here as well: a run of one cannot be executed again under another.
_WORKSPACE: Final = """\
load_from:
  - grpc_server:
      socket: {socket}
      location_name: {name}
"""


@dataclass(frozen=True, slots=True)
class Commands:
    """What to start, each without the Python before it; the others when the first listens on ``socket``."""

    first: Sequence[str]
    socket: Path
    others: Sequence[Sequence[str]]


def run_dagster(folder: Path, lock: int, port: int, environment: Mapping[str, str]) -> int:
    """Runs one code server, the web server and the daemon, as `run_services` does.

    ``folder`` is a private one for the socket and the workspace.
    """
    address, workspace = folder / "code.sock", folder / "workspace.yaml"
    workspace.write_text(_WORKSPACE.format(socket=address, name=_PACKAGE), "utf-8")
    commands = Commands(
        ["-m", "dagster", "code-server", "start", "--socket", str(address),
         "--module-name", f"{_PACKAGE}.definitions", "--location-name", _PACKAGE, "--log-level", "warning"],
        address,
        [
            ["-m", f"{_PACKAGE}.web_server", "--workspace", str(workspace), "--port", str(port)],
            ["-m", "dagster._daemon", "run", "--workspace", str(workspace)],
        ],
    )  # fmt: skip
    return run_services(commands, lock, environment)


def run_services(commands: Commands, lock: int, environment: Mapping[str, str]) -> int:
    """Runs them until this process is told to end, or one of them ends; the exit status.

    ``lock`` is the file of the interface's lock, held by the keeper as long as anything of
    the group may live.

    Raises:
        SettingsError: the first one does not listen.
    """
    with _told_to_end() as told:
        services = _Services(environment, lock)
        try:
            services.start(commands.first)
            deadline = time.monotonic() + _CODE_SERVER_SECONDS
            while not _answers(commands.socket) and not told():
                if services.ended() or time.monotonic() > deadline:
                    raise SettingsError("Dagster's code server did not start", "see what it said above")
            if not told():
                for command in commands.others:
                    services.start(command)
            while not told():
                if name := services.ended():
                    say(f"{name} has ended by itself, so all of Dagster ends")
                    return 1
        finally:
            services.end()
    return 0


class _Services:
    """Processes of one group, the first of which gives it its number."""

    def __init__(self, environment: Mapping[str, str], lock: int) -> None:
        self._environment = environment
        self._lock = lock
        self._processes: list[subprocess.Popen[bytes]] = []
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str]) -> None:
        """Starts a Python process with these arguments."""
        group = self._processes[0].pid if self._processes else 0
        self._processes.append(
            subprocess.Popen(  # noqa: S603
                [sys.executable, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                process_group=group,
            )
        )
        if self._keeper is None:
            self._keeper = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", process_group.__file__, str(self._processes[0].pid)],
                stdin=subprocess.PIPE,
                start_new_session=True,
                pass_fds=(self._lock,),
            )

    def ended(self) -> str:
        """Which of them has ended; empty where all are alive."""
        ended = [process for process in self._processes if process.poll() is not None]
        return " ".join(map(str, ended[0].args[1:3])) if ended else ""  # type: ignore[index]

    def end(self) -> None:
        """Ends the group, and the keeper, who sees that nothing is left to do."""
        if self._processes:
            end_group(self._processes[0].pid, lambda: [process.poll() for process in self._processes])
        if self._keeper is not None:
            self._keeper.communicate()


@contextmanager
def _told_to_end() -> Iterator[Callable[[], bool]]:
    """Lends a function that waits a moment, and says whether this process was told to end.

    The handlers are there before any child is: a shell that starts this process in the background has it
    ignore Ctrl-C, a child inherits that, and Dagster then ignores SIGTERM as well. ``nohup`` has it
    ignore SIGHUP, which then stays so.
    """
    told = threading.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or os.getsid(0) == os.getpid()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: told.set()) for number in numbers}
    starter = os.getppid()

    def is_told() -> bool:
        # A process of a session of its own, or one that does not mind a hang-up, is meant to stay.
        return told.wait(_LOOK_SECONDS) or (not is_kept and os.getppid() != starter)

    try:
        yield is_told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(address))
        except OSError:
            return False
    return True
