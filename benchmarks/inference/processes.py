"""Ending a process with all that it started, as a machine does that goes down (Linux)."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["descendants", "ending", "kill_all"]


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the process and everything below it, also what has a process group of its own."""
    for number in (process.pid, *descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait(10)


@contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which is gone at the end of the block."""
    try:
        yield process
    finally:
        if process.poll() is None:
            kill_all(process)


def descendants(number: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found, grown = {number}, True
    while grown:
        below = {child for child, parent in parents.items() if parent in found} - found
        found |= below
        grown = bool(below)
    return sorted(found - {number})


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
