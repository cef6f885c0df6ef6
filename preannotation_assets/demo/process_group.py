"""Ends a group of processes; as a program, when whoever holds its standard input is gone.

``python process_group.py GROUP`` needs nothing of this package, so that it is there at once.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

__all__ = ["end_group"]

# An interruption lets a run keep its answers and say how it ended, and leaves Spark's JVM alone, which ends
# with the run; what does not heed it for so many seconds is told in other words.
_STEPS: Final = ((signal.SIGINT, 40.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))
_PAUSE_SECONDS: Final = 0.1


def end_group(group: int, reap: Callable[[], object] = lambda: None) -> None:
    """Ends every process of a group, and returns when there is none.

    ``reap`` asks the caller's own children how they ended: until then they count as members.
    """
    for number, seconds in _STEPS:
        if not _signalled(group, number):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            reap()
            if not _signalled(group, 0):
                return
            time.sleep(_PAUSE_SECONDS)


def _signalled(group: int, number: int) -> bool:
    """Whether the group has a member; the signal 0 only asks."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS says so of a group whose members have all ended and were not asked how.
        return number != 0
    return True


def _keep(group: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_group(group)


if __name__ == "__main__":
    _keep(int(sys.argv[1]))
