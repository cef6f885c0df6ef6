"""A task passes a permit on to its next request by itself, unless somebody else should have it."""

import asyncio
from collections.abc import Sequence

import pytest

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.errors import RunStoppedError
from preannotation_assets.throttling.dispatcher import Limits
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


def test_a_task_that_leaves_takes_no_permit_with_it_that_came_for_a_wish_of_before() -> None:
    async def main(server: PermitServer) -> None:
        for _ in range(20):
            async with PermitClient(server.address) as client, PermitClient(server.address) as other:
                first, second = await client.acquire(), await other.acquire()
                await _heard(client)
                waiting = await _waiting(client, 1)
                client.release(first)
                third = await waiting[0]
                # The wish that was met here is at the driver still, and gets one of these.
                other.release(second)
                client.release(third)
        # A permit whose end is not certain would rest for as long as the run.
        async with PermitClient(server.address) as last:
            await last.acquire()
            await last.acquire()

    with PermitServer([ENDPOINT], Limits(2, min_in_flight=2, linger_seconds=600.0)) as server:
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
    "messages",
    [
        [{"number": 0, "ended": True, "next": 7}],
        [{"number": 0, "ended": True, "next": "-1"}],
        [{"number": 0, "ended": False, "next": -1}],
        [{"number": 0, "ended": True, "next": -1, "failure_signal": {}}],
        [{"number": -1, "ended": True}],
        [{"number": 1, "unused": True}],
        [{"number": 0, "ended": True, "next": -1}, {"number": -1, "ended": True, "next": -1}],
    ],
    ids=["the-drivers", "no-number", "not-certain", "failed", "never-had", "unused-and-never-had", "twice"],
)
def test_a_task_that_passes_on_what_cannot_be_is_hung_up_on(messages: Sequence[dict[str, object]]) -> None:
    async def say(address: PermitAddress) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(encode_line({"secret": address.secret}) + encode_line({"want": True}))
            for _ in range(3):
                await reader.readline()
            writer.writelines(map(encode_line, messages))
            return await reader.read()
        finally:
            writer.close()

    with PermitServer([ENDPOINT], Limits(1)) as server:
        assert asyncio.run(asyncio.wait_for(say(server.address), 20)) == b""


def test_a_wish_that_was_cancelled_a_moment_ago_is_passed_over() -> None:
    async def main(server: PermitServer) -> None:
        async with PermitClient(server.address) as client:
            permit = await client.acquire()
            await _heard(client)
            waiting = await _waiting(client, 2)
            # It has not had its turn, in which it would say that it waits no longer.
            waiting[0].cancel()
            client.release(permit)
            assert _was_passed_on(await waiting[1])
            await _end(waiting)

    with PermitServer([ENDPOINT], Limits(1)) as server:
        asyncio.run(asyncio.wait_for(main(server), 20))


def test_a_permit_that_comes_for_a_wish_that_was_cancelled_is_given_back() -> None:
    async def main(server: PermitServer) -> None:
        async with PermitClient(server.address) as client:
            await client.acquire()
            (wish,) = await _waiting(client, 1)
            wish.cancel()
            client._hear({"number": 1, "endpoint": ENDPOINT})
            await _end([wish])
            assert client._out == {0}

    with PermitServer([ENDPOINT], Limits(1)) as server:
        asyncio.run(asyncio.wait_for(main(server), 20))


def test_with_fewer_permits_than_tasks_each_task_has_one_in_its_turn() -> None:
    async def main(address: PermitAddress) -> None:
        async with PermitClient(address) as client, PermitClient(address) as late:
            permit = await client.acquire()
            await _heard(client)
            mine, others = await _waiting(client, 4), await _waiting(late, 4)
            while not others[0].done():
                client.release(permit)
                client.report(permit, ANSWERED)
                await asyncio.wait([mine[0], others[0]], return_when=asyncio.FIRST_COMPLETED)
                if mine[0].done():
                    permit = mine.pop(0).result()
                    mine += [asyncio.create_task(client.acquire())]
            await _end([*mine, *others])

    with PermitServer([ENDPOINT], Limits(1)) as server:
        asyncio.run(asyncio.wait_for(main(server.address), 20))


@pytest.mark.parametrize("strangers", [0, 40])
def test_a_task_with_less_than_half_of_its_share_is_next_though_others_wait_longer(strangers: int) -> None:
    async def main(server: PermitServer) -> None:
        address = server.address
        crowd = [await asyncio.open_connection(address.host, address.port) for _ in range(strangers)]
        while len(server._connections) < strangers:
            await asyncio.sleep(0.001)
        async with PermitClient(server.address) as client, PermitClient(server.address) as late:
            permits = [await client.acquire() for _ in range(7)]
            await late.acquire()
            mine = await _waiting(client, 4)
            while len(server._dispatcher.waiting) < 4:
                await asyncio.sleep(0.001)
            others = await _waiting(late, 2)
            while len(server._dispatcher.waiting) < 6:
                await asyncio.sleep(0.001)
            for permit in permits[:2]:
                client.release(permit)
                client.report(permit, ANSWERED)
                await asyncio.to_thread(server.progress)
                while client._passing:
                    await asyncio.sleep(0.001)
            await asyncio.wait([others[0]])
            assert sum(task.done() for task in mine) <= 1
            await _end([*mine, *others])
        for _, writer in crowd:
            writer.close()

    with PermitServer([ENDPOINT], Limits(8, min_in_flight=8)) as server:
        asyncio.run(asyncio.wait_for(main(server), 20))


def test_a_warm_up_whose_permit_nobody_took_comes_with_the_next() -> None:
    async def main(server: PermitServer) -> list[Permit]:
        async with PermitClient(server.address) as client:
            permits = []
            for _ in range(3):
                wishes = await _waiting(client, 1)
                await _end(wishes)
                permits.append(await client.acquire())
            return permits

    with PermitServer([ENDPOINT], Limits(4, warm_ups=1)) as server:
        permits = asyncio.run(asyncio.wait_for(main(server), 20))
    assert sum(permit.warm_up for permit in permits) == 1
