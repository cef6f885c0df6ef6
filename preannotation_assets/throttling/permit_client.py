"""Permits: nobody sends a request without one, so the requests in flight never exceed the cap.

The driver hands permits out over TCP, one connection for each request that may be in flight. A Spark
task that is killed closes its connections, whatever state it was in, and so gives its permits back by
itself; a driver that is killed closes them too, and its tasks give up the requests they have in flight.
"""

import asyncio
import contextlib
import json
from typing import Any, Final, Self, TypeVar

from preannotation_assets.errors import RunStoppedError
from preannotation_assets.throttling.permit_messages import (
    LINE_LIMIT,
    FailureSignal,
    Permit,
    PermitAddress,
    PermitReport,
    encode_line,
    message_fields,
)

__all__ = ["PermitClient"]

_CONNECT_SECONDS: Final = 30.0
_CONNECT_PAUSE_SECONDS: Final = 0.1

T = TypeVar("T")


class PermitClient:
    """A task's side: one connection, so at most one permit at a time. An asynchronous context manager."""

    def __init__(self, address: PermitAddress) -> None:
        self._address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                # Cut before it was known: others crowd at the door, who do not know the secret.
                while not await self._is_known():
                    await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
        except (OSError, TimeoutError):
            if self._writer:
                self._writer.close()
            raise RunStoppedError(
                f"no permit server at {self._address.host}:{self._address.port}", "is the driver still there?"
            ) from None
        return self

    async def _is_known(self) -> bool:
        """Connects and says the secret; False where the connection ended before there was a reply.

        Raises:
            OSError: there is nobody to connect to.
            RunStoppedError: the secret is another.
        """
        self._reader, self._writer = await asyncio.open_connection(
            self._address.host, self._address.port, limit=LINE_LIMIT
        )
        line = b""
        with contextlib.suppress(ConnectionError):
            self._writer.write(encode_line({"secret": self._address.secret}))
            await self._writer.drain()
            line = await self._reader.readline()
        if not line.endswith(b"\n"):
            self._writer.close()
            return False
        if json.loads(line).get("known") is not True:
            self._writer.close()
            raise _driver_is_gone()
        return True

    async def __aexit__(self, *exception: object) -> None:
        if self._writer:
            self._writer.close()

    async def acquire(self) -> Permit:
        """Waits for a permit; it says which endpoint it is for.

        Raises:
            RunStoppedError: there are no more permits, or the driver is gone.
        """
        await self._send({"want": True})
        with contextlib.suppress(ConnectionError):
            line = await self._require_reader().readline()
            message = json.loads(line) if line.endswith(b"\n") else {}
            if "endpoint" in message:
                return Permit(str(message["endpoint"]), message.get("warm_up") is True)
            if "stop" in message:
                raise RunStoppedError(str(message["stop"]))
        raise _driver_is_gone()

    async def while_held(self, request: "asyncio.Task[T]") -> T:
        """The result of a request, for as long as the permit is ours.

        Raises:
            RunStoppedError: the driver is gone; the request was cancelled, because whoever runs next
                does not know of it and would exceed the cap.
        """
        # The driver says nothing while a permit is out: what comes is the end of the connection.
        lost = asyncio.ensure_future(self._require_reader().read(1))
        both: set[asyncio.Future[Any]] = {request, lost}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if request.done():
                return request.result()
            raise _driver_is_gone()
        finally:
            for unfinished in both:
                unfinished.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def release(self, *, certain: bool = True, failure_signal: FailureSignal | None = None) -> None:
        """Gives the permit back.

        With ``certain`` false (a time-out, a broken connection) the server may not have noticed yet that
        the request has ended, and the driver waits a moment before it uses the permit again.
        """
        await self._send(
            {"ended": certain, "failure_signal": message_fields(failure_signal) if failure_signal else None}
        )

    async def report(self, report: PermitReport) -> None:
        """Says what became of the request that the last permit was for."""
        await self._send({"report": message_fields(report)})

    async def _send(self, message: dict[str, object]) -> None:
        if self._writer is None:
            raise RunStoppedError("the permit connection is not open")
        self._writer.write(encode_line(message))
        try:
            await self._writer.drain()
        except ConnectionError:
            raise _driver_is_gone() from None

    def _require_reader(self) -> asyncio.StreamReader:
        if self._reader is None:
            raise RunStoppedError("the permit connection is not open")
        return self._reader


def _driver_is_gone() -> RunStoppedError:
    return RunStoppedError("the driver is gone, or does not know this run's secret")
