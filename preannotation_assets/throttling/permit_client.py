"""Permits: nobody sends a request without one, so the requests in flight never exceed the cap.

The driver hands permits out over TCP, one connection for each request that may be in flight. A Spark
task that is killed closes its connections, whatever state it was in, and so gives its permits back by
itself; a driver that is killed closes them too, and its tasks give up the requests they have in flight.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from preannotation_assets.errors import DriverLostError, RunStoppedError
from preannotation_assets.throttling.permit_line import PermitLine
from preannotation_assets.throttling.permit_messages import (
    FailureSignal,
    Permit,
    PermitAddress,
    PermitReport,
    encode_line,
    message_fields,
)
from preannotation_assets.throttling.silence import TASK_SECONDS, end_when_silent

__all__ = ["PermitClient"]

_CONNECT_SECONDS: Final = 30.0
_CONNECT_PAUSE_SECONDS: Final = 0.1


class PermitClient:
    """A task's side: one connection, so at most one permit at a time. An asynchronous context manager."""

    def __init__(self, address: PermitAddress) -> None:
        self._address = address
        self._line = PermitLine()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                # Cut before it was known: others crowd at the door, who do not know the secret.
                while not await self._is_known():
                    await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
        except OSError:
            self._line.close()
            raise DriverLostError(
                f"no permit server at {self._address.host}:{self._address.port}",
                "is the driver still there, and may this machine connect to it (docs/cluster.md)?",
            ) from None
        return self

    async def _is_known(self) -> bool:
        """Connects and says the secret; False where the connection ended before there was a reply.

        Raises:
            OSError: there is nobody to connect to.
            DriverLostError: the secret is another.
        """
        line = self._line = PermitLine()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: line, self._address.host, self._address.port)
        end_when_silent(transport.get_extra_info("socket"), TASK_SECONDS)
        line.write(encode_line({"secret": self._address.secret}))
        reply = await line.read()
        if reply is None:
            return False
        if json.loads(reply).get("known") is not True:
            line.close()
            raise _driver_is_gone()
        return True

    async def __aexit__(self, *exception: object) -> None:
        self._line.close()

    async def acquire(self) -> Permit:
        """Waits for a permit; it says which endpoint it is for.

        Raises:
            RunStoppedError: there are no more permits.
            DriverLostError: the driver is gone, or out of reach.
        """
        self._line.write(encode_line({"want": True}))
        line = await self._line.read()
        message = json.loads(line) if line else {}
        if "endpoint" in message:
            return Permit(str(message["endpoint"]), message.get("warm_up") is True)
        if "stop" in message:
            raise RunStoppedError(str(message["stop"]))
        raise _driver_is_gone()

    @contextmanager
    def held(self) -> Iterator[None]:
        """For requests under the permit: they go on for as long as it is ours.

        Raises:
            DriverLostError: the driver is gone, or out of reach; what was awaited inside was cancelled,
                because whoever runs next does not know of it and would exceed the cap.
        """
        task = asyncio.current_task()
        if task is None or self._line.is_lost:
            raise _driver_is_gone()
        cancelled_before = task.cancelling()
        self._line.call_when_lost(task.cancel)
        try:
            yield
        except asyncio.CancelledError:
            if self._line.is_lost and task.uncancel() <= cancelled_before:
                raise _driver_is_gone() from None
            raise
        finally:
            self._line.call_when_lost(None)

    def release(self, *, certain: bool = True, failure_signal: FailureSignal | None = None) -> None:
        """Gives the permit back.

        With ``certain`` false (a time-out, a broken connection) the server may not have noticed yet that
        the request has ended, and the driver waits a moment before it uses the permit again.
        """
        signal = message_fields(failure_signal) if failure_signal else None
        self._require_driver()
        self._line.write(encode_line({"ended": certain, "failure_signal": signal}))

    def report(self, report: PermitReport) -> None:
        """Says what became of the request that the last permit was for."""
        self._require_driver()
        self._line.write_soon(encode_line({"report": message_fields(report)}))

    def _require_driver(self) -> None:
        if self._line.is_lost:
            raise _driver_is_gone()


def _driver_is_gone() -> DriverLostError:
    return DriverLostError("the driver is gone, or does not know this run's secret")
