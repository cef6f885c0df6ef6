"""The permit server's door: whoever may connect to a port can hold connections open and say nothing.

Connections that have not said the run's secret are strangers. There are MOST_STRANGERS of them at most, the
one that has waited longest makes room, so they cannot take the files that the run needs. A task of the run
that is sent away so comes again.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from preannotation_assets.throttling.silence import DRIVER_SECONDS, end_when_silent

__all__ = ["MOST_STRANGERS", "PORTS", "Strangers", "accept_connections", "listen"]

PORTS: Final = 17
"""How many ports are tried from a given one on, as many as Spark tries (``spark.port.maxRetries``)."""

MOST_STRANGERS: Final = 64
"""Connections that may be open without having said the secret."""

_BACKLOG: Final = 1024
_LAST_PORT: Final = 65_535
_PAUSE_SECONDS: Final = 0.2
_NO_FILE_FREE: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger(__name__)


class Strangers:
    """The connections that have not said the secret, in the order in which they came."""

    def __init__(self) -> None:
        self._transports: dict[asyncio.Transport, None] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._transports)

    def take_in(self, transport: asyncio.Transport) -> None:
        """Counts a new connection, and cuts the oldest one where there are too many."""
        if len(self._transports) >= MOST_STRANGERS:
            self._cut(next(iter(self._transports)))
        self._transports[transport] = None

    def let_go(self, transport: asyncio.Transport) -> None:
        """Counts it no longer: it has ended, or has said the secret."""
        self._transports.pop(transport, None)

    def cut_all(self) -> None:
        """Cuts every one of them, to make room."""
        for transport in list(self._transports):
            self._cut(transport)

    def _cut(self, transport: asyncio.Transport) -> None:
        del self._transports[transport]
        transport.abort()


async def listen(host: str, first_port: int) -> socket.socket:
    """A listening socket on an interface: on that port or the first free one of the PORTS from there on.

    Port 0 is any free one.

    Raises:
        OSError: there is no such interface, or none of these ports is free.
    """
    loop = asyncio.get_running_loop()
    (family, *_, address), *_ = await loop.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    last_port = min(first_port + PORTS - 1, _LAST_PORT) if first_port else 0
    for port in range(first_port, last_port + 1):
        try:
            listener = socket.create_server((address[0], port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            listener.setblocking(False)
            return listener
    raise OSError(errno.EADDRINUSE, f"the ports {first_port} to {last_port} are taken")


async def accept_connections(
    listener: socket.socket, attend: Callable[[], asyncio.Protocol], strangers: Strangers
) -> None:
    """Accepts until it is cancelled; ``attend`` makes what each connection is told to.

    asyncio's own server tells of every file that it did not get with a traceback, a hundred at once. Here it
    is said once.
    """
    loop = asyncio.get_running_loop()
    has_complained = False
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:
            if error.errno in _NO_FILE_FREE:
                strangers.cut_all()
                if not has_complained:
                    kind = errno.errorcode[error.errno]
                    _log.warning("no file was free for a connection to the permit server (%s)", kind)
                    has_complained = True
            # Whatever it was: asyncio tries at once, and would let nobody else have a turn.
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        await _hand_over(connection, attend)


async def _hand_over(connection: socket.socket, attend: Callable[[], asyncio.Protocol]) -> None:
    try:
        end_when_silent(connection, DRIVER_SECONDS)
        await asyncio.get_running_loop().connect_accepted_socket(attend, connection)
    except OSError:
        connection.close()
