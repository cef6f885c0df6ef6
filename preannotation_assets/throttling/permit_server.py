"""The driver's side of the permits: a TCP server in a thread of its own."""

import asyncio
import contextlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.errors import InferenceError, RunStoppedError
from preannotation_assets.throttling.dispatcher import Dispatcher, Limits, Progress
from preannotation_assets.throttling.host_semaphore import POLL_SECONDS, HostSemaphore
from preannotation_assets.throttling.permit_listener import Strangers, accept_connections, listen
from preannotation_assets.throttling.permit_messages import (
    LINE_LIMIT,
    LONGEST_HELLO,
    FailureSignal,
    Permit,
    PermitAddress,
    PermitReport,
    encode_line,
    message_fields,
)

__all__ = ["PermitServer"]

_START_SECONDS: Final = 30.0
_HELLO_SECONDS: Final = 10.0
_IDLE_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 5.0


class _HungUpError(Exception):
    """The connection ended, or what came over it is not of this protocol."""


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
        observers: Sequence[Callable[[str, PermitReport], None]] = (),
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
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[Any]] = {}
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
            asyncio.create_task(accept_connections(listener, self._attend, self._strangers)),
        ]
        await self._finished.wait()
        self._dispatcher.stop("the run has ended")
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        listener.close()
        # Ended by the end of their connections, not by cancelling: asyncio logs cancelled ones as errors.
        for writer, connection in list(self._connections.items()):
            writer.close()
            await asyncio.wait([connection], timeout=_CLOSE_SECONDS)

    async def _wake(self) -> None:
        """Looks again whenever a resting endpoint may be probed, or another run may have freed a slot."""
        while True:
            self._dispatcher.hand_out()
            longest = POLL_SECONDS if self._dispatcher.is_short_of_slots else _IDLE_SECONDS
            resting = self._dispatcher.pool.next_return(time.monotonic())
            await asyncio.sleep(longest if resting is None else min(longest, resting))

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        if connection:
            self._connections[writer] = connection
        self._strangers.take_in(writer)
        try:
            if await self._knows_secret(reader, writer):
                self._strangers.let_go(writer)
                while (await _read(reader)).get("want"):
                    await self._grant(reader, writer)
        except (_HungUpError, OSError):
            pass  # The task is gone or out of reach; its permit was given back on the way here.
        finally:
            self._strangers.let_go(writer)
            self._connections.pop(writer, None)
            writer.close()

    async def _knows_secret(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether a connection says the secret; it is told so."""
        try:
            hello = await asyncio.wait_for(_read(reader, LONGEST_HELLO), _HELLO_SECONDS)
        except TimeoutError:
            return False
        offered = str(hello.get("secret", "")).encode("utf-8", "replace")
        known = hmac.compare_digest(offered, self._secret.encode())
        writer.write(encode_line({"known": known}))
        await writer.drain()
        return known

    async def _grant(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One permit, from the wish to the end of its request, or of the connection; then the report."""
        try:
            permit = await self._wait_for_permit(reader)
        except RunStoppedError as stopped:
            writer.write(encode_line({"stop": str(stopped)}))
            await writer.drain()
            return
        endpoint, granted = permit.endpoint, time.monotonic()
        certain, failure_signal = False, None
        self._dispatcher.lend(granted)
        try:
            writer.write(encode_line(message_fields(permit)))
            await writer.drain()
            ended = await _read(reader)
            certain, failure_signal = ended.get("ended") is True, _failure_signal(ended)
        finally:
            self._dispatcher.take_back(endpoint, granted, certain=certain, failure_signal=failure_signal)
        report = _report(await _read(reader))
        self._dispatcher.record(endpoint, report)
        for observe in self._observers:
            observe(endpoint, report)

    async def _wait_for_permit(self, reader: asyncio.StreamReader) -> Permit:
        dispatcher = self._dispatcher
        if dispatcher.stop_message:
            raise RunStoppedError(dispatcher.stop_message)
        future: asyncio.Future[Permit] = self._loop.create_future()
        dispatcher.waiting.append(future)
        dispatcher.hand_out()
        if future.done():
            return future.result()
        hung_up = asyncio.ensure_future(reader.read(1))
        either: set[asyncio.Future[Any]] = {future, hung_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise _HungUpError
            return future.result()
        finally:
            hung_up.cancel()
            future.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await hung_up


async def _read(reader: asyncio.StreamReader, longest: int = LINE_LIMIT) -> dict[str, Any]:
    """The next message, of ``longest`` bytes at most.

    Raises:
        _HungUpError: there is none any more, or it is not one of ours.
    """
    try:
        line = await reader.readline()
        message = json.loads(line) if line.endswith(b"\n") and len(line) <= longest else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise _HungUpError
    return message


def _report(message: dict[str, Any]) -> PermitReport:
    try:
        report = message["report"]
        return PermitReport(**{**report, "outcome": AttemptOutcome(report["outcome"])})
    except (KeyError, TypeError, ValueError):
        raise _HungUpError from None


def _failure_signal(message: dict[str, Any]) -> FailureSignal | None:
    try:
        return FailureSignal(**message["failure_signal"]) if message.get("failure_signal") else None
    except TypeError:
        raise _HungUpError from None
