"""Permits over TCP: the cap holds whatever dies, and whoever waits is told when it is over."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from shared.polling import wait_for

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.errors import RunStoppedError
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_line import PermitLine
from preannotation_assets.throttling.permit_listener import MOST_STRANGERS
from preannotation_assets.throttling.permit_messages import (
    FailureSignal,
    PermitAddress,
    PermitReport,
    encode_line,
    message_fields,
)
from preannotation_assets.throttling.permit_server import PermitServer

ENDPOINT = "http://gpu:11434"
HOLDER = Path(__file__).with_name("permit_holder.py")
LIMITS = Limits(max_in_flight=3, linger_seconds=0.3, first_rest_seconds=0.2)
OK = PermitReport(
    AttemptOutcome.ANSWERED, available=True, latency_seconds=0.1, answer_tokens=7, prompt_tokens=5
)


@contextmanager
def _holder(address: PermitAddress, permits: int) -> Iterator[subprocess.Popen[str]]:
    arguments = [address.host, str(address.port), address.secret, str(permits)]
    process = subprocess.Popen([sys.executable, str(HOLDER), *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def _in_flight(server: PermitServer) -> int:
    return server.progress().endpoints[ENDPOINT].in_flight


def test_never_more_than_the_cap_over_any_number_of_askers() -> None:
    now = most = done = 0

    async def ask(client: PermitClient) -> None:
        nonlocal now, most, done
        for _ in range(10):
            permit = await client.acquire()
            assert permit.endpoint == ENDPOINT
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1
            client.release(permit)
            client.report(permit, OK)
            done += 1

    async def main(address: PermitAddress) -> None:
        async with PermitClient(address) as first, PermitClient(address) as second:
            askers = [ask(client) for client in (first, second) for _ in range(6)]
            await asyncio.wait_for(asyncio.gather(*askers), 20)

    with PermitServer([ENDPOINT], LIMITS) as server:
        asyncio.run(main(server.address))
        wait_for(lambda: server.progress().answered == 120)
        progress = server.progress()
    assert (most, done) == (3, 120)
    assert (progress.answer_tokens, progress.prompt_tokens) == (840, 600)
    assert progress.endpoints[ENDPOINT].most_in_flight == 3


def test_the_permits_of_a_killed_process_come_back_but_not_before_the_server_has_noticed() -> None:
    with PermitServer([ENDPOINT], LIMITS) as server, ExitStack() as stack:
        first = stack.enter_context(_holder(server.address, 3))
        assert first.stdout is not None
        assert [first.stdout.readline().strip() for _ in range(3)] == [ENDPOINT] * 3
        second = stack.enter_context(_holder(server.address, 3))
        killed = time.monotonic()
        os.kill(first.pid, signal.SIGKILL)
        assert second.stdout is not None
        assert [second.stdout.readline().strip() for _ in range(3)] == [ENDPOINT] * 3
        assert time.monotonic() - killed >= 0.3
        assert _in_flight(server) == 3
        assert server.progress().endpoints[ENDPOINT].most_in_flight == 3


def test_a_process_killed_while_it_waits_takes_no_permit_with_it() -> None:
    with (
        PermitServer([ENDPOINT], Limits(max_in_flight=1, linger_seconds=0.05)) as server,
        ExitStack() as stack,
    ):
        first = stack.enter_context(_holder(server.address, 1))
        assert first.stdout is not None
        assert first.stdout.readline()
        waiting = stack.enter_context(_holder(server.address, 5))
        wait_for(lambda: len(server._dispatcher.waiting) == 5)
        os.kill(waiting.pid, signal.SIGKILL)
        waiting.wait(10)
        os.kill(first.pid, signal.SIGKILL)

        async def acquire() -> str:
            async with PermitClient(server.address) as line:
                permit = await asyncio.wait_for(line.acquire(), 10)
                line.release(permit)
                line.report(permit, OK)
                return permit.endpoint

        assert asyncio.run(acquire()) == ENDPOINT


def test_everybody_hears_that_it_is_over_and_why() -> None:
    async def ask(address: PermitAddress, started: asyncio.Semaphore) -> str:
        async with PermitClient(address) as line:
            started.release()
            try:
                await line.acquire()
                await asyncio.Event().wait()
            except RunStoppedError as stopped:
                return str(stopped)
        return ""

    async def main(server: PermitServer) -> list[str]:
        started = asyncio.Semaphore(0)
        holding = [asyncio.create_task(ask(server.address, started)) for _ in range(3)]
        for _ in holding:
            await started.acquire()
        while _in_flight(server) < 3:
            await asyncio.sleep(0.005)
        waiting = [asyncio.create_task(ask(server.address, started)) for _ in range(4)]
        while len(server._dispatcher.waiting) < 4:
            await asyncio.sleep(0.005)
        server.stop("a login page stands before it")
        told = await asyncio.wait_for(asyncio.gather(*waiting), 10)
        late = await asyncio.wait_for(ask(server.address, started), 10)
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
        return [*told, late]

    with PermitServer([ENDPOINT], LIMITS) as server:
        assert asyncio.run(main(server)) == ["a login page stands before it"] * 5
        assert server.stop_message == "a login page stands before it"


@pytest.mark.parametrize("secret", ["", "wrong", "ünrecht"])
def test_without_the_secret_there_is_no_permit(secret: str) -> None:
    async def ask(address: PermitAddress) -> None:
        async with PermitClient(address) as line:
            await asyncio.wait_for(line.acquire(), 10)

    with PermitServer([ENDPOINT], LIMITS) as server:
        wrong = PermitAddress(server.address.host, server.address.port, secret)
        with pytest.raises(RunStoppedError, match="secret"):
            asyncio.run(ask(wrong))
        assert server.progress().endpoints[ENDPOINT].most_in_flight == 0
    assert server.address.secret not in repr(server.address)


@pytest.mark.parametrize(
    "sent",
    [
        *(b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b"\xff\xfe\n", b"null\n", b"{" * 70_000 + b"\n", b"{"),
        *(b"[" * 60_000 + b"\n", b'{"secret": ' + b"[" * 200 + b"\n"),
    ],
)
def test_what_speaks_another_protocol_is_hung_up_on_and_harms_nobody(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(address: PermitAddress) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(sent)
        if not sent.endswith(b"\n"):
            writer.write_eof()
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def acquire(address: PermitAddress) -> str:
        async with PermitClient(address) as line:
            return (await asyncio.wait_for(line.acquire(), 10)).endpoint

    with PermitServer([ENDPOINT], LIMITS) as server:
        assert asyncio.run(talk(server.address)) == b""
        assert asyncio.run(acquire(server.address)) == ENDPOINT
    assert not caplog.records


async def _say(address: PermitAddress, messages: Sequence[dict[str, object]]) -> tuple[list[bytes], bytes]:
    """What the driver says to a task that wants a permit, and what to these messages after it."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(encode_line({"secret": address.secret}) + encode_line({"want": True}))
        granted = [await asyncio.wait_for(reader.readline(), 10) for _ in range(3)]
        writer.writelines(map(encode_line, messages))
        return granted, await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "messages",
    [
        [{"number": 0, "ended": True}, {"number": 0, "report": {"outcome": "mislaid", "available": True}}],
        [{"number": 0, "report": message_fields(OK)}],
        [{"number": 0, "ended": True}, {"number": 0, "ended": True}],
        [{"number": 7, "ended": True}],
        [{"number": "0", "ended": True}],
        [{"number": 0, "ended": True, "failure_signal": {"colour": "red"}}],
    ],
    ids=["outcome", "too-early", "twice", "never-had", "no-number", "signal"],
)
def test_a_task_that_says_what_cannot_be_is_hung_up_on_and_counts_nothing(
    messages: Sequence[dict[str, object]],
) -> None:
    with PermitServer([ENDPOINT], LIMITS) as server:
        granted, after = asyncio.run(_say(server.address, messages))
        assert granted == [
            encode_line({"known": True}),
            encode_line({"endpoint": ENDPOINT, "warm_up": False, "number": 0}),
            encode_line({"endpoint": ENDPOINT, "pass_on": True}),
        ]
        assert after == b""
        wait_for(lambda: _in_flight(server) == 0)
        progress = server.progress()
        assert (progress.answered, progress.failed) == (0, 0)


def test_a_task_that_knows_the_secret_may_say_nonsense_and_only_its_own_connection_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def talk(address: PermitAddress) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(encode_line({"secret": address.secret}) + b"[" * 60_000 + b"\n")
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    with PermitServer([ENDPOINT], LIMITS) as server:
        assert asyncio.run(talk(server.address)) == encode_line({"known": True})
    assert not caplog.records


def test_strangers_are_few_and_the_one_that_waits_longest_makes_room() -> None:
    async def main(address: PermitAddress) -> int:
        crowd = [
            await asyncio.open_connection(address.host, address.port) for _ in range(MOST_STRANGERS + 40)
        ]
        async with PermitClient(address) as line:
            assert (await asyncio.wait_for(line.acquire(), 10)).endpoint == ENDPOINT
        hung_up_on = [reader for reader, _ in crowd[:41]]
        assert [await asyncio.wait_for(_rest(reader), 10) for reader in hung_up_on] == [b""] * 41
        still_there = sum(not reader.at_eof() for reader, _ in crowd)
        for _, writer in crowd:
            writer.close()
        return still_there

    async def _rest(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""

    with PermitServer([ENDPOINT], LIMITS) as server:
        assert asyncio.run(main(server.address)) == MOST_STRANGERS - 1


def test_a_driver_that_dies_ends_the_requests_of_its_tasks() -> None:
    cancelled = []

    async def request() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def ask(server: PermitServer) -> None:
        async with PermitClient(server.address) as line:
            permit = await line.acquire()
            asyncio.get_running_loop().call_later(0.05, server.__exit__, None, None, None)
            with line.held(permit):
                await asyncio.wait_for(request(), 10)

    server = PermitServer([ENDPOINT], LIMITS)
    server.__enter__()
    with pytest.raises(RunStoppedError, match="driver is gone"):
        asyncio.run(ask(server))
    assert cancelled == [True]
    with pytest.raises(RunStoppedError, match="is the driver still there"):
        asyncio.run(ask(server))


def test_a_permit_that_comes_for_nobody_or_whose_request_fails_goes_to_the_next() -> None:
    async def main(server: PermitServer) -> str:
        async with PermitClient(server.address) as client:
            first = await client.acquire()
            given_up = asyncio.create_task(client.acquire())
            while not server._dispatcher.waiting:
                await asyncio.sleep(0.005)
            given_up.cancel()
            with pytest.raises(ZeroDivisionError), client.held(first):
                raise ZeroDivisionError
            permit = await asyncio.wait_for(client.acquire(), 10)
            client.release(permit)
            return permit.endpoint

    with PermitServer([ENDPOINT], Limits(max_in_flight=1, linger_seconds=0.05)) as server:
        assert asyncio.run(main(server)) == ENDPOINT
        wait_for(lambda: _in_flight(server) == 0)
        assert server.progress().endpoints[ENDPOINT].most_in_flight == 1


def test_a_burst_of_wishes_and_permits_is_a_few_messages_over_one_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bytes] = []
    receive = PermitLine.data_received

    def count(self: PermitLine, data: bytes) -> None:
        told.append(data)
        receive(self, data)

    async def main(server: PermitServer) -> int:
        async with PermitClient(server.address) as client:
            told.clear()
            permits = await asyncio.gather(*(client.acquire() for _ in range(200)))
            assert len({permit.number for permit in permits}) == 200
            return len(server._connections)

    monkeypatch.setattr(PermitLine, "data_received", count)
    with PermitServer([ENDPOINT], Limits(200, min_in_flight=200)) as server:
        assert asyncio.run(main(server)) == 1
    assert len(told) < 20


def test_a_task_that_is_cancelled_itself_is_not_told_that_the_driver_is_gone() -> None:
    async def ask(server: PermitServer, asked: asyncio.Event) -> None:
        async with PermitClient(server.address) as line:
            permit = await line.acquire()
            with line.held(permit):
                asked.set()
                await asyncio.Event().wait()

    async def main(server: PermitServer) -> None:
        asked = asyncio.Event()
        asking = asyncio.create_task(ask(server, asked))
        await asyncio.wait_for(asked.wait(), 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asking, 10)

    with PermitServer([ENDPOINT], LIMITS) as server:
        asyncio.run(main(server))
        wait_for(lambda: _in_flight(server) == 0)


def test_the_last_report_of_a_task_arrives_though_nothing_follows_it() -> None:
    async def ask(address: PermitAddress) -> None:
        async with PermitClient(address) as line:
            permit = await line.acquire()
            line.release(permit)
            line.report(permit, OK)

    with PermitServer([ENDPOINT], LIMITS) as server:
        asyncio.run(ask(server.address))
        wait_for(lambda: server.progress().answered == 1)


def test_a_report_does_not_wait_for_the_next_permit() -> None:
    async def ask(server: PermitServer) -> None:
        async with PermitClient(server.address) as line:
            permit = await line.acquire()
            line.release(permit)
            line.report(permit, OK)
            await asyncio.to_thread(wait_for, lambda: server.progress().answered == 1)

    with PermitServer([ENDPOINT], LIMITS) as server:
        asyncio.run(ask(server))


def test_trouble_is_known_before_the_permit_goes_to_the_next() -> None:
    async def ask(server: PermitServer) -> float:
        async with PermitClient(server.address) as line, PermitClient(server.address) as other:
            permit = await line.acquire()
            next_one = asyncio.create_task(other.acquire())
            while not server._dispatcher.waiting:
                await asyncio.sleep(0.005)
            began = time.monotonic()
            line.release(permit, failure_signal=FailureSignal(overloaded=True, retry_after=0.5))
            await asyncio.wait_for(next_one, 10)
            return time.monotonic() - began

    with PermitServer([ENDPOINT], Limits(max_in_flight=1)) as server:
        assert asyncio.run(ask(server)) >= 0.49


def test_waiting_costs_no_time() -> None:
    """Neither an idle server, nor one with a resting endpoint and somebody who waits, may spin."""

    async def ask(server: PermitServer) -> None:
        async with PermitClient(server.address) as line, PermitClient(server.address) as other:
            permit = await line.acquire()
            line.release(permit, failure_signal=FailureSignal(retry_after=30.0))
            waiting = asyncio.create_task(other.acquire())
            while not server._dispatcher.waiting:
                await asyncio.sleep(0.005)
            before = time.process_time()
            await asyncio.sleep(1.0)
            spent.append(time.process_time() - before)
            waiting.cancel()

    spent: list[float] = []
    with PermitServer([ENDPOINT], LIMITS) as server:
        asyncio.run(ask(server))
    assert spent[0] < 0.2
