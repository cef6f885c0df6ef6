"""Permits: nobody sends a request without one, so the requests in flight never exceed the cap.

The driver hands permits out over TCP, one connection for each request that may be in flight. A Spark
task that is killed closes its connections, whatever state it was in, and so gives its permits back by
itself. The messages are JSON, one a line:

- task: ``{"secret": ...}``, once; then ``{"want": true}`` for each permit
- driver: ``{"endpoint": ...}``, or ``{"stop": ...}`` when no request is to be sent any more
- task: ``{"report": {...}}`` gives the permit back with what became of it
"""

import asyncio
import contextlib
import hmac
import json
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from preannotation_assets.errors import InferenceError
from preannotation_assets.inference.endpoints import EndpointPool

__all__ = ["PermitAddress", "PermitLine", "PermitReport", "PermitServer", "Progress", "RunStoppedError"]

_LINE_LIMIT: Final = 64 * 1024
_START_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 30.0


class RunStoppedError(InferenceError):
    """The driver hands out no more permits; what was answered is kept."""

    code = "run_stopped"


@dataclass(frozen=True, slots=True)
class PermitAddress:
    """Where a task finds the permit server of its run. The secret is made anew for every run."""

    host: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PermitReport:
    """What became of a request: ``outcome`` is answered, failed, split, again or stop.

    ``available`` says whether the endpoint served it; ``reason`` is a code; times are seconds.
    """

    outcome: str
    available: bool
    reason: str | None = None
    latency_seconds: float | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run has done so far."""

    seconds: float
    answered: int
    failed: int
    split: int
    repeated: Counter[str]
    prompt_tokens: int
    answer_tokens: int
    in_flight: dict[str, int]
    most_in_flight: dict[str, int]
    busy_seconds: float


class _Board:
    """The state behind the server; touched only from the server's event loop."""

    def __init__(self, endpoints: Sequence[str], max_in_flight: int, failures_in_a_row: int) -> None:
        self.pool = EndpointPool(endpoints, max_in_flight)
        self.waiting: deque[asyncio.Future[str]] = deque()
        self.started = time.monotonic()
        self.counts: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.prompt_tokens = 0
        self.answer_tokens = 0
        self.most_in_flight = dict.fromkeys(endpoints, 0)
        self.busy_seconds = 0.0
        self.stop_message: str | None = None
        self._failures_allowed = failures_in_a_row
        self._failed_in_a_row = 0

    def hand_out(self) -> None:
        """Gives every free permit to whoever has waited longest."""
        while self.waiting:
            if self.waiting[0].done():
                self.waiting.popleft()
                continue
            endpoint = self.pool.acquire(time.monotonic())
            if endpoint is None:
                return
            in_flight = self.pool.in_flight()[endpoint]
            self.most_in_flight[endpoint] = max(self.most_in_flight[endpoint], in_flight)
            self.waiting.popleft().set_result(endpoint)

    def take_back(self, endpoint: str, seconds: float, report: PermitReport | None) -> None:
        """Frees a permit; ``report`` is None when its task died."""
        self.pool.release(endpoint)
        self.busy_seconds += seconds
        if report:
            self.pool.record(endpoint, report.available, time.monotonic())
            self._count(report)
        self.hand_out()

    def stop(self, message: str) -> None:
        """Hands out nothing more, and tells everybody who waits."""
        self.stop_message = self.stop_message or message
        for future in self.waiting:
            if not future.done():
                future.set_exception(RunStoppedError(self.stop_message))
        self.waiting.clear()

    def _count(self, report: PermitReport) -> None:
        self.prompt_tokens += report.prompt_tokens or 0
        self.answer_tokens += report.answer_tokens or 0
        if report.outcome == "again":
            self.repeated[report.reason or "unknown"] += 1
            return
        if report.outcome == "stop":
            self.stop(report.message or "a task asked to stop")
            return
        self.counts[report.outcome] += 1
        self._failed_in_a_row = self._failed_in_a_row + 1 if report.outcome == "failed" else 0
        if self._failed_in_a_row >= self._failures_allowed:
            self.stop(f"the last {self._failed_in_a_row} chunks failed, the last one with {report.reason}")


class PermitServer:
    """The driver's side. Use it as a context manager around the Spark job.

    ``bind_host`` is the interface to listen on, ``advertised_host`` what tasks connect to.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        max_in_flight: int,
        *,
        bind_host: str = "127.0.0.1",
        advertised_host: str = "127.0.0.1",
        failures_in_a_row: int = 20,
    ) -> None:
        self._board = _Board(endpoints, max_in_flight, failures_in_a_row)
        self._bind_host = bind_host
        self._advertised_host = advertised_host
        self._secret = secrets.token_hex(16)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="permit-server", daemon=True)
        self._ready = threading.Event()
        self._port = 0
        self._failure: OSError | None = None
        self._finished = asyncio.Event()

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
        return self._board.stop_message

    def stop(self, message: str) -> None:
        """Hands out no more permits; requests in flight come to their end."""
        self._loop.call_soon_threadsafe(self._board.stop, message)

    def progress(self) -> Progress:
        """What has been done so far; callable from any thread."""
        return asyncio.run_coroutine_threadsafe(self._progress(), self._loop).result(_START_SECONDS)

    async def _progress(self) -> Progress:
        board = self._board
        return Progress(
            seconds=time.monotonic() - board.started,
            answered=board.counts["answered"],
            failed=board.counts["failed"],
            split=board.counts["split"],
            repeated=Counter(board.repeated),
            prompt_tokens=board.prompt_tokens,
            answer_tokens=board.answer_tokens,
            in_flight=board.pool.in_flight(),
            most_in_flight=dict(board.most_in_flight),
            busy_seconds=board.busy_seconds,
        )

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            server = await asyncio.start_server(self._attend, self._bind_host, 0, limit=_LINE_LIMIT)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        waker = asyncio.create_task(self._wake())
        await self._finished.wait()
        self._board.stop("the run has ended")
        waker.cancel()
        server.close()
        current = asyncio.current_task()
        connections = [task for task in asyncio.all_tasks() if task is not current]
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _wake(self) -> None:
        """Looks again whenever a resting endpoint may be probed."""
        while True:
            self._board.hand_out()
            await asyncio.sleep(min(1.0, self._board.pool.next_return(time.monotonic()) or 1.0))

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = json.loads(await reader.readline() or b"{}")
            if hmac.compare_digest(str(hello.get("secret", "")), self._secret):
                while await reader.readline():
                    await self._grant(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The task is gone; its permit was given back on the way here.
        finally:
            writer.close()

    async def _grant(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One permit, from the wish to the report, or to the end of the connection."""
        try:
            endpoint = await self._wait_for_permit(reader)
        except RunStoppedError as stopped:
            writer.write(_line({"stop": str(stopped)}))
            await writer.drain()
            return
        granted = time.monotonic()
        report: PermitReport | None = None
        try:
            writer.write(_line({"endpoint": endpoint}))
            await writer.drain()
            answer = await reader.readline()
            if answer:
                report = PermitReport(**json.loads(answer)["report"])
        finally:
            self._board.take_back(endpoint, time.monotonic() - granted, report)

    async def _wait_for_permit(self, reader: asyncio.StreamReader) -> str:
        board = self._board
        if board.stop_message:
            raise RunStoppedError(board.stop_message)
        future: asyncio.Future[str] = self._loop.create_future()
        board.waiting.append(future)
        board.hand_out()
        hung_up = asyncio.ensure_future(reader.read(1))
        either: set[asyncio.Future[Any]] = {future, hung_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise ConnectionResetError
            return future.result()
        finally:
            await self._stop_listening(hung_up, future)

    async def _stop_listening(self, hung_up: asyncio.Future[bytes], future: asyncio.Future[str]) -> None:
        hung_up.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await hung_up
        if not future.done():
            future.cancel()


class PermitLine:
    """A task's side: one connection, so at most one permit at a time. An asynchronous context manager."""

    def __init__(self, address: PermitAddress) -> None:
        self._address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        connecting = asyncio.open_connection(self._address.host, self._address.port, limit=_LINE_LIMIT)
        try:
            self._reader, self._writer = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
        except (OSError, TimeoutError):
            raise RunStoppedError(
                f"no permit server at {self._address.host}:{self._address.port}", "is the driver still there?"
            ) from None
        await self._send({"secret": self._address.secret})
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._writer:
            self._writer.close()

    async def acquire(self) -> str:
        """Waits for a permit and returns the endpoint it is for.

        Raises:
            RunStoppedError: there are no more permits, or the driver is gone.
        """
        await self._send({"want": True})
        if self._reader is None:
            raise RunStoppedError("the permit line is not open")
        line = await self._reader.readline()
        message = json.loads(line) if line else {"stop": "the driver is gone"}
        if "endpoint" not in message:
            raise RunStoppedError(str(message["stop"]))
        return str(message["endpoint"])

    async def release(self, report: PermitReport) -> None:
        """Gives the permit back."""
        await self._send({"report": asdict(report)})

    async def _send(self, message: dict[str, object]) -> None:
        if self._writer is None:
            raise RunStoppedError("the permit line is not open")
        self._writer.write(_line(message))
        try:
            await self._writer.drain()
        except ConnectionError:
            raise RunStoppedError("the driver is gone") from None


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"
