"""Ends a connection whose other side is silent: its machine was switched off, or cannot be reached any more.

Nothing says so: a process that dies has its connections closed by its machine, a machine that dies has not.
So the kernel asks the other side for a sign of life, and ends the connection without one.
"""

import socket
import sys
from typing import Final, Protocol

__all__ = ["DRIVER_SECONDS", "TASK_SECONDS", "end_when_silent", "is_silent"]

TASK_SECONDS: Final = 75
"""After so long a task takes its driver for lost, and gives up the request it has in flight.

What was lost in a network that was away for t seconds is sent again before 2 t are over (the pauses of TCP
double), so 30 s are survived.
"""

DRIVER_SECONDS: Final = 105
"""After so long the driver takes a task for lost, and its permit is another's.

Later than the task does, by more than their kernels can differ, or one request more than the cap could be in
flight.
"""

_FIRST_QUESTION_SECONDS: Final = 10
_NEXT_QUESTION_SECONDS: Final = 5


# After 0.2 and 0.4 s without an acknowledgement, or after two questions for a sign of life.
_REPEATED: Final = 2
# Places in Linux's tcp_info: what was sent again, and questions, since the other side was heard.
_RETRANSMITS: Final = 2
_PROBES: Final = 3


class _Connection(Protocol):
    """A socket, or asyncio's view of one."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """Bytes of an option."""

    def setsockopt(self, level: int, optname: int, value: int, /) -> None:
        """Sets an option."""


def end_when_silent(connection: _Connection, seconds: int) -> None:
    """Has the kernel end a TCP connection whose other side has not answered for so many seconds."""
    unanswered = max(1, (seconds - _FIRST_QUESTION_SECONDS) // _NEXT_QUESTION_SECONDS)
    options = {
        # macOS has the first one under another name.
        "TCP_KEEPIDLE": min(_FIRST_QUESTION_SECONDS, seconds),
        "TCP_KEEPALIVE": min(_FIRST_QUESTION_SECONDS, seconds),
        "TCP_KEEPINTVL": min(_NEXT_QUESTION_SECONDS, seconds),
        "TCP_KEEPCNT": unanswered,
        # Linux asks nothing while it repeats what was sent; this is for both.
        "TCP_USER_TIMEOUT": 1000 * seconds,
    }
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options.items():
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def is_silent(connection: _Connection) -> bool:
    """Whether the other side has not acknowledged what was sent to it again and again; False where unknown.

    Only Linux tells.
    """
    option = getattr(socket, "TCP_INFO", None)
    if sys.platform != "linux" or option is None:
        return False
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, option, _PROBES + 1)
    except OSError:
        # What takes itself for Linux need not have the option: the first WSL has not.
        return False
    return max(told[_RETRANSMITS], told[_PROBES]) >= _REPEATED
