"""A task passes a permit on to its next request by itself, unless somebody else should have it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.errors import RunStoppedError
from preannotation_assets.throttling.dispatcher import Dispatcher, Limits
from preannotation_assets.throttling.host_semaphore import HostSemaphore
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_messages import (
    FailureSignal,
    Permit,
    PermitAddress,
    PermitReport,
    encode_line,
)
from preannotation_assets.throttling.permit_server import PermitServer

ENDPOINT = "http://gpu:11434"
OTHER = "http://gpu2:11434"
ANSWERED = PermitReport(AttemptOutcome.ANSWERED, available=True, latency_seconds=0.1)
GONE = PermitReport(AttemptOutcome.AGAIN, available=False, reason="connection_lost")


def _was_passed_on(permit: Permit) -> bool:
    return permit.number < 0


async def _heard(client: PermitClient) -> None:
    """Waits for what the driver says about passing on, which comes behind a permit."""
    while not client._passing:
        await asyncio.sleep(0.001)


async def _waiting(client: PermitClient, wishes: int) -> list[asyncio.Task[Permit]]:
    """So many who wait, of whom the driver knows."""
    waiting = [asyncio.create_task(client.acquire()) for _ in range(wishes)]
    while len(client._waiting) < wishes:
        await asyncio.sleep(0)
    return waiting


async def _end(waiting: Sequence[asyncio.Task[Permit]]) -> None:
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_whoever_waits_has_the_permit_before_the_driver_knows() -> None:
    async def main(server: PermitServer) -> None:
        async with PermitClient(server.address) as client:
            first, second = await client.acquire(), await client.acquire()
            await _heard(client)
            waiting = await _waiting(client, 2)
            client.release(first)
            # One turn of this event loop: nothing was sent or read in it.
            await asyncio.sleep(0)
            assert [task.done() for task in waiting] == [True, False]
            successor = waiting[0].result()
            assert successor.endpoint == ENDPOINT
            assert _was_passed_on(successor)
            client.report(first, ANSWERED)
            client.release(successor)
            client.report(successor, ANSWERED)
            third = await waiting[1]
            client.release(third)
            client.release(second)
            client.report(third, ANSWERED)
            while (await asyncio.to_thread(server.progress)).in_flight:
                await asyncio.sleep(0.005)

    with PermitServer([ENDPOINT], Limits(2, min_in_flight=2)) as server:
        asyncio.run(asyncio.wait_for(main(server), 20))
        progress = server.progress()
    assert progress.answered == 3
    assert progress.endpoints[ENDPOINT].most_in_flight == 2
    assert progress.busy_seconds > 0


def test_a_wish_that_was_met_here_stands_for_the_next_who_waits() -> None:
    async def main(server: PermitServer) -> int:
        async with PermitClient(server.address) as client:
            permit = await client.acquire()
            await _heard(client)
            waiting = await _waiting(client, 1)
            for _ in range(50):
                client.release(permit)
                permit = await waiting[0]
                waiting = await _waiting(client, 1)
            await asyncio.to_thread(server.progress)
            wishes = len(server._dispatcher.waiting)
            client.release(permit)
            assert _was_passed_on(await waiting[0])
        return wishes

    with PermitServer([ENDPOINT], Limits(1)) as server:
        assert asyncio.run(asyncio.wait_for(main(server), 20)) == 1


@pytest.mark.parametrize(
    ("certain", "signal"),
    [(False, None), (True, FailureSignal()), (True, FailureSignal(overloaded=True, retry_after=0.01))],
    ids=["not-certain", "not-served", "overloaded"],
)
def test_what_did_not_end_well_comes_back_to_the_driver(certain: bool, signal: FailureSignal | None) -> None:
    async def main(server: PermitServer) -> Permit:
        async with PermitClient(server.address) as client:
            permit = await client.acquire()
            await _heard(client)
            waiting = await _waiting(client, 1)
            client.release(permit, certain=certain, failure_signal=signal)
            return await waiting[0]

    with PermitServer([ENDPOINT], Limits(1, linger_seconds=0.05)) as server:
        assert not _was_passed_on(asyncio.run(asyncio.wait_for(main(server), 20)))


def test_another_task_gets_its_share_of_what_one_has() -> None:
    async def main(address: PermitAddress) -> tuple[int, int]:
        async with PermitClient(address) as client, PermitClient(address) as late:
            permits = [await client.acquire() for _ in range(16)]
            await _heard(client)
            mine = await _waiting(client, 16)
            others = await _waiting(late, 16)
            while sum(task.done() for task in others) < 7:
                for permit in permits:
                    client.release(permit)
                    client.report(permit, ANSWERED)
                await asyncio.sleep(0.01)
                permits = [task.result() for task in mine if task.done()]
                mine = [task for task in mine if not task.done()]
                mine += await _new_wishes(client, len(permits), len(mine))
            had = len(client._out), len(late._out)
            await _end([*mine, *others])
        return had

    async def _new_wishes(client: PermitClient, wishes: int, before: int) -> list[asyncio.Task[Permit]]:
        new = [asyncio.create_task(client.acquire()) for _ in range(wishes)]
        while len(client._waiting) < before + wishes:
            await asyncio.sleep(0)
        return new

    with PermitServer([ENDPOINT], Limits(16, min_in_flight=16)) as server:
        first, second = asyncio.run(asyncio.wait_for(main(server.address), 20))
        assert server.progress().endpoints[ENDPOINT].most_in_flight == 16
    assert first + second <= 16
    assert second >= 7


def test_nothing_is_passed_on_to_an_endpoint_that_failed_elsewhere() -> None:
    async def main(server: PermitServer) -> None:
        async with PermitClient(server.address) as client, PermitClient(server.address) as other:
            mine, lost = await client.acquire(), await other.acquire()
            await _heard(client)
            other.release(lost)
            other.report(lost, GONE)
            # Word of it comes with the next thing that the task says.
            while (await asyncio.to_thread(server.progress)).repeated != {"connection_lost": 1}:
                await asyncio.sleep(0.005)
            client.release(mine)
            while client._passing:
                mine = await client.acquire()
                client.release(mine)
            waiting = await _waiting(client, 1)
            again = await waiting[0]
            waiting = await _waiting(client, 1)
            client.release(again)
            assert not _was_passed_on(await waiting[0])

    with PermitServer([ENDPOINT], Limits(2, min_in_flight=2)) as server:
        asyncio.run(asyncio.wait_for(main(server), 20))


def test_nothing_is_passed_on_when_it_is_over() -> None:
    async def main(server: PermitServer) -> None:
        async with PermitClient(server.address) as client:
            permit = await client.acquire()
            await _heard(client)
            waiting = await _waiting(client, 2)
            server.stop("a login page stands before it")
            await asyncio.wait(waiting)
            client.release(permit)
            for task in waiting:
                with pytest.raises(RunStoppedError, match="login page"):
                    task.result()
            with pytest.raises(RunStoppedError, match="login page"):
                await client.acquire()
            assert not client._out

    with PermitServer([ENDPOINT], Limits(1)) as server:
        asyncio.run(asyncio.wait_for(main(server), 20))


def test_what_is_passed_on_by_a_task_that_dies_comes_back() -> None:
    async def main(server: PermitServer) -> None:
        async with PermitClient(server.address) as client:
            permit = await client.acquire()
            await _heard(client)
            waiting = await _waiting(client, 1)
            client.release(permit)
            await waiting[0]
            while server._dispatcher.progress().busy_seconds == 0:
                await asyncio.sleep(0.005)
        async with PermitClient(server.address) as successor:
            assert not _was_passed_on(await successor.acquire())

    with PermitServer([ENDPOINT], Limits(1, linger_seconds=0.01)) as server:
        asyncio.run(asyncio.wait_for(main(server), 20))
        assert server.progress().endpoints[ENDPOINT].most_in_flight == 1


@pytest.mark.parametrize(
    "message",
    [
        {"number": 0, "ended": True, "next": 7},
        {"number": 0, "ended": True, "next": "-1"},
        {"number": 0, "ended": False, "next": -1},
        {"number": 0, "ended": True, "next": -1, "failure_signal": {}},
        {"number": -1, "ended": True},
    ],
    ids=["the-drivers", "no-number", "not-certain", "failed", "never-had"],
)
def test_a_task_that_passes_on_what_cannot_be_is_hung_up_on(message: dict[str, object]) -> None:
    async def say(address: PermitAddress) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(encode_line({"secret": address.secret}) + encode_line({"want": True}))
            for _ in range(3):
                await reader.readline()
            writer.write(encode_line(message))
            return await reader.read()
        finally:
            writer.close()

    with PermitServer([ENDPOINT], Limits(1)) as server:
        assert asyncio.run(asyncio.wait_for(say(server.address), 20)) == b""


def test_a_number_is_passed_on_to_once() -> None:
    async def say(address: PermitAddress) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(encode_line({"secret": address.secret}) + encode_line({"want": True}))
            for _ in range(3):
                await reader.readline()
            writer.write(encode_line({"number": 0, "ended": True, "next": -1}))
            writer.write(encode_line({"number": -1, "ended": True, "next": -1}))
            return await reader.read()
        finally:
            writer.close()

    with PermitServer([ENDPOINT], Limits(1)) as server:
        assert asyncio.run(asyncio.wait_for(say(server.address), 20)) == b""


def _dispatcher(limits: Limits, semaphore: HostSemaphore | None = None) -> Dispatcher:
    return Dispatcher([ENDPOINT, OTHER], limits, {ENDPOINT: semaphore} if semaphore else None)


async def _lend(dispatcher: Dispatcher, permits: int) -> None:
    for _ in range(permits):
        wish: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        dispatcher.waiting.append(wish)
        dispatcher.hand_out()
        assert wish.done()
        dispatcher.lend(0.0)


def test_nothing_is_passed_on_where_the_limit_was_lowered_or_warm_ups_are_left() -> None:
    async def main() -> None:
        dispatcher = _dispatcher(Limits(16))
        await _lend(dispatcher, 32)
        assert dispatcher.may_pass_on(ENDPOINT, 32)
        refused = FailureSignal(overloaded=True)
        dispatcher.take_back(ENDPOINT, 0.0, certain=True, failure_signal=refused)
        dispatcher.record(ENDPOINT, ANSWERED)
        assert not dispatcher.may_pass_on(ENDPOINT, 31)
        assert dispatcher.may_pass_on(OTHER, 31)
        cold = _dispatcher(Limits(16, warm_ups=2))
        await _lend(cold, 3)
        assert [cold.may_pass_on(endpoint, 3) for endpoint in (ENDPOINT, OTHER)] == [True, False]

    asyncio.run(main())


def test_nothing_is_passed_on_of_what_another_run_should_have(tmp_path: Path) -> None:
    async def main() -> None:
        ours, theirs = (HostSemaphore(tmp_path, ENDPOINT, 8) for _ in range(2))
        dispatcher = _dispatcher(Limits(8, min_in_flight=8), ours)
        await _lend(dispatcher, 16)
        assert dispatcher.may_pass_on(ENDPOINT, 16)
        theirs.want(True)
        assert not dispatcher.may_pass_on(ENDPOINT, 16)
        assert dispatcher.may_pass_on(OTHER, 16)
        theirs.close()
        assert dispatcher.may_pass_on(ENDPOINT, 16)
        dispatcher.close()

    asyncio.run(main())
