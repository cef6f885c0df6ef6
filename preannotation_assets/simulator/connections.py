"""What is done to a connection itself."""

import socket
import struct

from aiohttp import web

__all__ = ["reset_connection"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def reset_connection(http: web.Request) -> None:
    """End the connection with a TCP reset, without an answer."""
    transport = http.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
