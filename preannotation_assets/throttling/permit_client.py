"""Permits: nobody sends a request without one, so the requests in flight never exceed the cap.

The driver hands permits out over TCP, over one connection a task. A Spark task that is killed closes its
connection, whatever state it was in, and so gives its permits back by itself; a driver that is killed closes
them too, and its tasks give up the requests they have in flight.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final, Self

from preannotation_assets.errors import DriverLostError, RunStoppedError
from preannotation_assets.throttling.permit_line import PermitLine
from preannotation_assets.throttling.permit_messages import (
    FailureSignal,
    Permit,
    PermitAddress,
    PermitReport,
    message_fields,
)
from preannotation_assets.throttling.silence import TASK_SECONDS, end_when_silent

__all__ = ["PermitClient"]

_CONNECT_SECONDS: Final = 30.0
_CONNECT_PAUSE_SECONDS: Final = 0.1


class PermitClient:
    """A task's side: one connection for all of its permits. An asynchronous context manager."""

    def __init__(self, address: PermitAddress) -> None:
        self._address = address
        self._line = self._new_line()
        self._known: asyncio.Future[bool] | None = None
        # In the order of the wishes, which is that of the permits.
        self._waiting: deque[asyncio.Future[Permit]] = deque()
        # Wishes that the driver has not answered: a permit passed on leaves one for whoever waits next.
        self._wanted = 0
        self._out: set[int] = set()
        # Where permits may be passed on. They get numbers below 0, which are not the driver's.
        self._passing: set[str] = set()
        self._own_numbers = count(-1, -1)
        self._holders: set[asyncio.Task[Any]] = set()

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

    async def __aexit__(self, *exception: object) -> None:
        if not self._out:
            # A permit may be on its way to a wish that nobody has any more.
            self._line.write({"leaving": True})
        self._line.close()

    async def acquire(self) -> Permit:
        """Waits for a permit; it says which endpoint it is for.

        Raises:
            RunStoppedError: there are no more permits.
            DriverLostError: the driver is gone, or out of reach.
        """
        self._require_driver()
        wish: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiting.append(wish)
        if self._wanted < len(self._waiting):
            self._wanted += 1
            self._line.write({"want": True})
        try:
            return await wish
        except asyncio.CancelledError:
            if wish in self._waiting:
                self._waiting.remove(wish)
            elif not wish.cancelled() and not wish.exception():
                self._decline(wish.result())
            raise

    @contextmanager
    def held(self, permit: Permit) -> Iterator[None]:
        """For requests under a permit: they go on for as long as it is ours.

        What ends the block before ``release`` gives the permit back, without certainty.

        Raises:
            DriverLostError: the driver is gone, or out of reach; what was awaited inside was cancelled,
                because whoever runs next does not know of it and would exceed the cap.
        """
        task = asyncio.current_task()
        if task is None or self._line.is_lost:
            raise _driver_is_gone()
        cancelled_before = task.cancelling()
        self._holders.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self._line.is_lost and task.uncancel() <= cancelled_before:
                raise _driver_is_gone() from None
            raise
        finally:
            self._holders.discard(task)
            if permit.number in self._out and not self._line.is_lost:
                self.release(permit, certain=False)

    def release(
        self, permit: Permit, *, certain: bool = True, failure_signal: FailureSignal | None = None
    ) -> None:
        """Gives a permit back, or passes it on to whoever waits here, where the driver lets that be.

        With ``certain`` false (a time-out, a broken connection) the server may not have noticed yet that
        the request has ended, and the driver waits a moment before it uses the permit again.
        """
        self._require_driver()
        self._out.discard(permit.number)
        message: dict[str, object] = {"number": permit.number, "ended": certain}
        if failure_signal:
            message["failure_signal"] = message_fields(failure_signal)
        elif certain and permit.endpoint in self._passing and (wish := self._next_wish()):
            message["next"] = self._pass_on(permit.endpoint, wish)
        self._line.write(message)

    def report(self, permit: Permit, report: PermitReport) -> None:
        """Says what became of the request that a permit was for, which was given back."""
        self._require_driver()
        self._line.write({"number": permit.number, "report": message_fields(report)})

    def _next_wish(self) -> "asyncio.Future[Permit] | None":
        """The wish of who has waited longest, not of one that is cancelled and has not had its turn since."""
        while self._waiting:
            wish = self._waiting.popleft()
            if not wish.done():
                return wish
        return None

    def _pass_on(self, endpoint: str, wish: "asyncio.Future[Permit]") -> int:
        """The number of the permit that the next one who waits has now, without a word from the driver."""
        permit = Permit(endpoint, number=next(self._own_numbers))
        self._give(permit, wish)
        return permit.number

    def _decline(self, permit: Permit) -> None:
        """Gives back a permit under which nothing was sent."""
        self._out.discard(permit.number)
        if not self._line.is_lost:
            self._line.write({"number": permit.number, "unused": True})

    def _give(self, permit: Permit, wish: "asyncio.Future[Permit]") -> None:
        self._out.add(permit.number)
        wish.set_result(permit)

    async def _is_known(self) -> bool:
        """Connects and says the secret; False where the connection ended before there was a reply.

        Raises:
            OSError: there is nobody to connect to.
            DriverLostError: the secret is another.
        """
        loop = asyncio.get_running_loop()
        line = self._line = self._new_line()
        self._known = loop.create_future()
        transport, _ = await loop.create_connection(lambda: line, self._address.host, self._address.port)
        end_when_silent(transport.get_extra_info("socket"), TASK_SECONDS)
        line.write({"secret": self._address.secret})
        return await self._known

    def _new_line(self) -> PermitLine:
        return PermitLine(self._hear, self._lose)

    def _hear(self, message: dict[str, Any]) -> None:
        if self._known and not self._known.done():
            self._hear_of_secret(message)
            return
        if "pass_on" in message:
            self._hear_of_passing(str(message.get("endpoint")), message["pass_on"] is True)
            return
        self._wanted -= 1
        wish = self._next_wish()
        number = message.get("number")
        if not isinstance(number, int):
            self._passing.clear()
            if wish:
                wish.set_exception(RunStoppedError(str(message.get("stop"))))
            return
        permit = Permit(str(message.get("endpoint")), message.get("warm_up") is True, number)
        if wish:
            self._give(permit, wish)
        else:
            self._decline(permit)

    def _hear_of_passing(self, endpoint: str, may_pass: bool) -> None:
        if may_pass:
            self._passing.add(endpoint)
        else:
            self._passing.discard(endpoint)

    def _hear_of_secret(self, message: dict[str, Any]) -> None:
        if self._known is None:
            return
        if message.get("known") is True:
            self._known.set_result(True)
        else:
            self._known.set_exception(_driver_is_gone())
            self._line.close()

    def _lose(self) -> None:
        if self._known and not self._known.done():
            self._known.set_result(False)
        for wish in self._waiting:
            if not wish.done():
                wish.set_exception(_driver_is_gone())
        self._waiting.clear()
        for task in self._holders:
            task.cancel()

    def _require_driver(self) -> None:
        if self._line.is_lost:
            raise _driver_is_gone()


def _driver_is_gone() -> DriverLostError:
    return DriverLostError("the driver is gone, or does not know this run's secret")
