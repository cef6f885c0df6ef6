"""The processes of this machine that have not ended, and ending one with all that it started (Linux)."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["descendants", "ending", "is_alive", "kill_all", "processes_of"]


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the process and everything below it, as when its machine is switched off.

    Also for what has a process group of its own.
    """
    for number in (process.pid, *descendants(process.pid)):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait(10)


@contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which is gone at the end of the block, with all that it started."""
    try:
        yield process
    finally:
        if process.poll() is None:
            kill_all(process)


def processes_of(session: int) -> list[int]:
    """The processes of a session that are alive."""
    return [entry.process for entry in _process_table() if entry.session == session]


def descendants(process: int) -> set[int]:
    """The living processes that a process has started, and they in turn."""
    table = _process_table()
    found = {process}
    while more := {entry.process for entry in table if entry.parent in found} - found:
        found |= more
    return found - {process}


def is_alive(process: int) -> bool:
    """Whether a process has not ended."""
    return any(entry.process == process for entry in _process_table())


@dataclass(frozen=True, slots=True)
class _Entry:
    process: int
    parent: int
    session: int


def _process_table() -> list[_Entry]:
    """All processes but those that have ended and wait to be asked how (Linux: proc_pid_stat(5))."""
    table = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The second field is the name in parentheses, which may hold blanks.
            state, parent, _, session = status.read_text("utf-8", "replace").rpartition(")")[2].split()[:4]
            if state != "Z":
                table.append(_Entry(int(status.parent.name), int(parent), int(session)))
    return table
