"""Of what comes together, one is done with before the next is begun, and what can wait waits."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from preannotation_assets.asking.event_loop import AskingLoop


def _run(main: Callable[[AskingLoop], Awaitable[None]]) -> None:
    loop = AskingLoop()

    async def bounded() -> None:
        await asyncio.wait_for(main(loop), 20)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(bounded())


def _pairs(count: int) -> list[tuple[socket.socket, socket.socket]]:
    pairs = [socket.socketpair() for _ in range(count)]
    for pair in pairs:
        for each in pair:
            each.setblocking(False)
    return pairs


def _close(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    for pair in pairs:
        for each in pair:
            each.close()


async def _send_to_both(
    loop: AskingLoop, pairs: list[tuple[socket.socket, socket.socket]], hear: Callable[[int], None]
) -> None:
    """Something comes over both of two connections at once; returns many turns later."""
    for number, (near, far) in enumerate(pairs):
        loop.add_reader(near, hear, number)
        far.send(b"reply")
    for _ in range(40):
        await asyncio.sleep(0)


def test_what_waits_for_one_of_many_goes_on_before_the_others_are_read() -> None:
    told: list[str] = []

    async def main(loop: AskingLoop) -> None:
        pairs = _pairs(20)

        async def answer(number: int) -> None:
            await loop.sock_recv(pairs[number][0], 10)
            told.append(f"read {number}")
            await asyncio.sleep(0)
            told.append(f"sent {number}")

        tasks = [asyncio.create_task(answer(number)) for number in range(20)]
        await asyncio.sleep(0)
        for _, far in pairs:
            far.send(b"reply")
        await asyncio.gather(*tasks)
        _close(pairs)

    _run(main)
    assert sorted(told) == sorted(f"{what} {number}" for what in ("read", "sent") for number in range(20))
    behind = [
        sum(
            what.startswith("read")
            for what in told[told.index(f"read {number}") : told.index(f"sent {number}")]
        )
        for number in range(20)
    ]
    # With asyncio's own event loop the first ones wait for all twenty.
    assert max(behind) <= 3


def test_an_event_of_a_socket_that_nobody_waits_for_any_more_is_not_told() -> None:
    async def main(loop: AskingLoop) -> None:
        pairs = _pairs(2)
        heard: list[int] = []

        def hear(number: int) -> None:
            heard.append(number)
            pairs[number][0].recv(10)
            loop.remove_reader(pairs[1 - number][0])

        await _send_to_both(loop, pairs, hear)
        assert len(heard) == 1
        loop.remove_reader(pairs[heard[0]][0])
        _close(pairs)

    _run(main)


def test_a_socket_that_has_another_s_number_is_not_told_of_what_came_for_that() -> None:
    async def main(loop: AskingLoop) -> None:
        pairs = _pairs(2)
        heard: list[int] = []
        again: list[socket.socket] = []

        def hear(number: int) -> None:
            heard.append(number)
            pairs[number][0].recv(10)
            other = pairs[1 - number][0]
            was = other.fileno()
            loop.remove_reader(other)
            other.close()
            again.extend(socket.socketpair())
            assert was in [each.fileno() for each in again]
            successor = next(each for each in again if each.fileno() == was)
            loop.add_reader(successor, heard.append, 7)

        await _send_to_both(loop, pairs, hear)
        assert len(heard) == 1
        for each in (pairs[heard[0]][0], *again):
            loop.remove_reader(each)
            each.close()
        _close(pairs)

    _run(main)


def test_it_is_quiet_when_all_that_came_is_dealt_with() -> None:
    heard: list[int] = []

    async def main(loop: AskingLoop) -> None:
        pairs = _pairs(20)

        def hear(number: int) -> None:
            heard.append(number)
            pairs[number][0].recv(10)

        for number, (near, far) in enumerate(pairs):
            loop.add_reader(near, hear, number)
            far.send(b"reply")
        await asyncio.sleep(0)
        await loop.quiet(loop.time() + 10.0)
        assert len(heard) == 20
        for near, _ in pairs:
            loop.remove_reader(near)
        _close(pairs)

    _run(main)


def test_where_it_never_is_quiet_nothing_waits_for_ever() -> None:
    async def main(loop: AskingLoop) -> None:
        ((near, far),) = _pairs(1)
        loop.add_reader(near, int)  # Never read, so there is always something.
        far.send(b"reply")
        await loop.quiet(loop.time() + 0.01)
        loop.remove_reader(near)
        _close([(near, far)])

    _run(main)
