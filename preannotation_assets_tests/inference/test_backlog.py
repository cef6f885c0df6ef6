"""Every piece is handed out until it is finished, and nobody waits who could work."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.errors import StorageError
from preannotation_assets.inference.backlog import Backlog, PieceToAsk


def _piece(key: str, tokens: int = 1, attempts: int = 0) -> PieceToAsk:
    return PieceToAsk(key, 0, 1, "x", tokens, attempts)


def test_retries_come_first_then_the_longest() -> None:
    async def work() -> list[str]:
        backlog = Backlog(iter([[_piece("short", 1), _piece("long", 9), _piece("middle", 5)]]), low=4)
        first = await backlog.take()
        assert first is not None
        await backlog.put_back(_piece("again", 1, attempts=1), 0.0)
        order = [first.request_key]
        for _ in range(3):
            piece = await backlog.take()
            assert piece is not None
            order.append(piece.request_key)
        return order

    assert asyncio.run(work()) == ["long", "again", "middle", "short"]


@settings(deadline=None, max_examples=30)
@given(groups=st.lists(st.integers(0, 5), max_size=6), askers=st.integers(1, 5), low=st.integers(0, 8))
def test_all_pieces_of_all_groups_are_finished_by_any_number_of_askers(
    groups: list[int], askers: int, low: int
) -> None:
    finished: list[str] = []

    async def ask(backlog: Backlog) -> None:
        while (piece := await backlog.take()) is not None:
            number = int(piece.request_key.split(".")[-1])
            await asyncio.sleep(0)
            if number % 3 == 1 and not piece.attempts:
                await backlog.put_back(_piece(piece.request_key, 1, 1), 0.0)
            elif number % 3 == 2 and not piece.attempts:
                parts = [_piece(f"{piece.request_key}.{part}", 1, 1) for part in (0, 3)]
                await backlog.replace(parts)
            else:
                finished.append(piece.request_key)
                await backlog.finish()

    async def main() -> None:
        content = [[_piece(f"{group}.{n}") for n in range(size)] for group, size in enumerate(groups)]
        backlog = Backlog(iter(content), low)
        await asyncio.wait_for(asyncio.gather(*(ask(backlog) for _ in range(askers))), 10)

    asyncio.run(main())
    expected = []
    for group, size in enumerate(groups):
        for number in range(size):
            key = f"{group}.{number}"
            expected += [f"{key}.0", f"{key}.3"] if number % 3 == 2 else [key]
    assert sorted(finished) == sorted(expected)


def test_the_next_group_is_read_while_there_is_still_work() -> None:
    read = threading.Event()

    def groups() -> Iterator[Sequence[PieceToAsk]]:
        yield [_piece("a"), _piece("b")]
        read.set()
        yield [_piece("c")]

    async def work() -> None:
        backlog = Backlog(groups(), low=2)
        assert await backlog.take()
        assert await backlog.take()
        assert await asyncio.to_thread(read.wait, 5)

    asyncio.run(work())


def test_a_group_that_cannot_be_read_is_an_error_and_not_an_end() -> None:
    def groups() -> Iterator[Sequence[PieceToAsk]]:
        yield [_piece("a")]
        raise StorageError("the chunks cannot be read")

    async def work() -> None:
        backlog = Backlog(groups(), low=0)
        assert await backlog.take()
        await backlog.finish()
        with pytest.raises(StorageError):
            await asyncio.wait_for(backlog.take(), 5)

    asyncio.run(work())


def test_a_closed_backlog_hands_out_nothing_and_lets_those_who_wait_go() -> None:
    async def work() -> None:
        backlog = Backlog(iter([[_piece("a"), _piece("b")]]), low=0)
        assert await backlog.take()
        await backlog.close()
        assert await asyncio.wait_for(backlog.take(), 5) is None

    asyncio.run(work())
