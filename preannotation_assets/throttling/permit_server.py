"""The driver's side of the permits: a TCP server in a thread of its own."""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from preannotation_assets.errors import InferenceError
from preannotation_assets.throttling.dispatcher import Dispatcher, Limits, Progress
from preannotation_assets.throttling.host_semaphore import POLL_SECONDS, HostSemaphore
from preannotation_assets.throttling.permit_connection import Observer, PermitConnection
from preannotation_assets.throttling.permit_listener import Strangers, accept_connections, listen
from preannotation_assets.throttling.permit_messages import PermitAddress

__all__ = ["PermitServer"]

_START_SECONDS: Final = 30.0
_IDLE_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 5.0


class PermitServer:
    """Hands out permits. Use it as a context manager around the Spark job.

    ``bind_host`` is the interface to listen on, ``advertised_host`` what tasks connect to; ``port`` is the
    first of those that are tried, 0 any free one. With a
    ``semaphore_folder`` the cap holds over all runs that are given the same folder of this machine.
    ``observers`` are told the endpoint and the report of every request; they must not block nor raise.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        limits: Limits,
        *,
        bind_host: str = "127.0.0.1",
        advertised_host: str = "127.0.0.1",
        port: int = 0,
        semaphore_folder: Path | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        semaphores = (
            {
                endpoint: HostSemaphore(semaphore_folder, endpoint, limits.max_in_flight)
                for endpoint in endpoints
            }
            if semaphore_folder
            else None
        )
        self._dispatcher = Dispatcher(endpoints, limits, semaphores)
        self._observers = tuple(observers)
        self._bind_host = bind_host
        self._advertised_host = advertised_host
        self._secret = secrets.token_hex(16)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="permit-server", daemon=True)
        self._ready = threading.Event()
        self._port = port
        self._failure: OSError | None = None
        self._finished = asyncio.Event()
        self._connections: set[PermitConnection] = set()
        self._strangers = Strangers()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or self._failure:
            raise InferenceError(
                f"the permit server cannot listen on {self._bind_host}", str(self._failure or "")
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._finished.set)
        self._thread.join(_START_SECONDS)

    @property
    def address(self) -> PermitAddress:
        """What the tasks need to know."""
        return PermitAddress(self._advertised_host, self._port, self._secret)

    @property
    def stop_message(self) -> str | None:
        """Why no more permits are handed out; None while they are."""
        return self._dispatcher.stop_message

    def stop(self, message: str) -> None:
        """Hands out no more permits; requests in flight come to their end."""
        self._loop.call_soon_threadsafe(self._dispatcher.stop, message)

    def record_load(self, endpoint: str, running: int, waiting: int) -> None:
        """Says how many requests an endpoint works on, and how many wait there; callable from any thread."""
        with contextlib.suppress(RuntimeError):  # The loop is closed: the run has ended.
            self._loop.call_soon_threadsafe(self._dispatcher.record_load, endpoint, running, waiting)

    def progress(self) -> Progress:
        """What has been done so far; callable from any thread."""
        return asyncio.run_coroutine_threadsafe(self._progress(), self._loop).result(_START_SECONDS)

    async def _progress(self) -> Progress:
        return self._dispatcher.progress()

    def _run(self) -> None:
        with contextlib.closing(self._loop), contextlib.closing(self._dispatcher):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            listener = await listen(self._bind_host, self._port)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self._port = listener.getsockname()[1]
        self._ready.set()
        at_work = [
            asyncio.create_task(self._wake()),
            asyncio.create_task(accept_connections(listener, self._new_connection, self._strangers)),
        ]
        await self._finished.wait()
        self._dispatcher.stop("the run has ended")
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        listener.close()
        # What the end of the run says to those who wait is written in the next turn.
        await asyncio.sleep(0)
        for connection in self._connections:
            connection.close()
        if self._connections:
            await asyncio.wait([connection.over for connection in self._connections], timeout=_CLOSE_SECONDS)

    def _new_connection(self) -> PermitConnection:
        return PermitConnection(
            self._secret, self._dispatcher, self._strangers, self._connections, self._observers
        )

    async def _wake(self) -> None:
        """Looks again whenever a resting endpoint may be probed, or another run may have freed a slot.

        And whether a task that was silent is heard again.
        """
        while True:
            for connection in list(self._connections):
                connection.wish_again()
            self._dispatcher.hand_out()
            longest = POLL_SECONDS if self._dispatcher.is_short_of_slots else _IDLE_SECONDS
            resting = self._dispatcher.pool.next_return(time.monotonic())
            await asyncio.sleep(longest if resting is None else min(longest, resting))
