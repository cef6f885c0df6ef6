"""Steps of one process, and the most memory that each of them took (Linux)."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

__all__ = ["Steps", "in_another_process", "measure_sizes"]

_STATUS: Final = Path("/proc/self/status")

T = TypeVar("T")


def measure_sizes(module: str, what: str, sizes: Sequence[int], measure: Callable[[int], None]) -> None:
    """Has ``python -m module`` measure each size that its command line names in a process of its own."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument(f"--{what}", dest="sizes", type=int, nargs="*", default=sizes, help="the sizes")
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    for size in arguments.sizes:
        if arguments.here:
            measure(size)
        else:
            subprocess.run([sys.executable, "-m", module, "--here", f"--{what}", str(size)], check=True)


class Steps:
    """Prints of each step its most resident memory (VmHWM): over what was there before the first, and all."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._base = _reset()

    def do(self, name: str, work: Callable[[], T]) -> T:
        """Does a step; the mark begins anew with it. Seconds are of this process's processor time."""
        _reset()
        began = time.process_time()
        result = work()
        most, seconds = _resident("VmHWM"), time.process_time() - began
        grown = most - self._base
        print(
            f"{self._size:10} {name:20} {grown / 1e6:8.1f} MB of {most / 1e6:8.1f} {seconds:8.1f} s CPU",
            flush=True,
        )
        return result


def in_another_process(work: Callable[[], object]) -> None:
    """Does something whose memory does not count.

    Raises:
        RuntimeError: it failed.
    """
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("what was to be prepared in another process failed")


def _reset() -> int:
    # Of proc(5): 5 resets the peak of the resident set.
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def _resident(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
