"""Running any stand-in server: as a process of its own, or in a thread beside a test."""

import asyncio
import contextlib
import copy
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TypeVar

from preannotation_assets.errors import EndpointError
from preannotation_assets.simulator.faults import FaultRule
from preannotation_assets.simulator.introspection import Introspection
from preannotation_assets.simulator.journal import RequestRecord, Summary

__all__ = ["RunningStandIn", "StandIn", "serve_until_signal"]

Result = TypeVar("Result")

_CALL_SECONDS = 10.0


class StandIn(Protocol):
    """A server that lives in one event loop."""

    @property
    def stands_for(self) -> str:
        """Whose protocol it speaks, as people call it."""

    @property
    def address(self) -> str:
        """The host and port that it is told to listen on."""

    @property
    def introspection(self) -> Introspection:
        """What it was asked, and its faults."""

    async def start(self) -> str:
        """Listen; returns the URL. Raises ``OSError`` where the port is taken."""

    async def stop(self) -> None:
        """Close every connection and stop listening."""


def serve_until_signal(make: Callable[[], StandIn]) -> None:
    """Serve until SIGTERM or SIGINT; port 0 takes a free one.

    Prints exactly one line when it listens: ``stand-in NAME listening on http://HOST:PORT``. Must be
    called in the main thread. Raises ``EndpointError`` where the address cannot be listened on.
    """
    asyncio.run(_serve(make))


async def _serve(make: Callable[[], StandIn]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = make()
    try:
        url = await _start(server)
        sys.stdout.write(f"stand-in {server.stands_for} listening on {url}\n")
        sys.stdout.flush()
        await ended.wait()
    finally:
        await server.stop()


async def _start(server: StandIn) -> str:
    try:
        return await server.start()
    except OSError as error:
        raise EndpointError(
            f"cannot listen on {server.address} (errno {error.errno})", "choose another port"
        ) from None


class RunningStandIn:
    """A stand-in server in a thread with its own event loop, for the time of a ``with`` block.

    ``url`` is where it listens. Its accessors may be called from any thread; what they return is a
    copy.
    """

    def __init__(self, make: Callable[[], StandIn]) -> None:
        """Prepare; entering the block makes the server and starts it."""
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._server: StandIn | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in server", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        """Start; raises ``EndpointError`` where the address cannot be listened on."""
        self._thread.start()
        try:
            self.url = asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(_CALL_SECONDS)
        except EndpointError:
            self._end_loop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections and end the thread."""
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._running().stop(), self._loop).result(_CALL_SECONDS)
        self._end_loop()

    def requests(self) -> tuple[RequestRecord, ...]:
        """What happened to every request, in order of arrival."""
        return self._call(lambda: tuple(map(copy.copy, self._running().introspection.records())))

    def summary(self) -> Summary:
        """Counts and peaks since the start or the last reset."""
        return self._call(self._running().introspection.summary)

    def set_faults(self, *rules: FaultRule) -> None:
        """Put these fault rules in force, none to end all; requests are counted from 1 again."""
        self._call(lambda: self._running().introspection.set_faults(rules))

    def reset(self) -> None:
        """Forget records and changes of the model, and put the faults of the settings in force again."""
        self._call(self._running().introspection.reset)

    async def _begin(self) -> str:
        self._server = self._make()
        return await _start(self._server)

    def _running(self) -> StandIn:
        if self._server is None:
            raise EndpointError("the stand-in server is not running", "use it as a context manager")
        return self._server

    def _call(self, function: Callable[[], Result]) -> Result:
        async def call() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(_CALL_SECONDS)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()
