"""Every item is handed out until it is finished, and nobody waits who could work."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.asking.work_queue import WorkItem, WorkQueue, expected_length
from preannotation_assets.errors import StorageError


async def at_once(latest: float) -> None:
    """Nothing else comes, ever."""


def _item(key: str, tokens: int = 1, attempts: int = 0) -> WorkItem:
    return WorkItem(key, 0, 1, "x", tokens, attempts)


def test_retries_come_first_then_the_longest() -> None:
    async def work() -> list[str]:
        backlog = WorkQueue(iter([[_item("short", 1), _item("long", 9), _item("middle", 5)]]), 4, at_once)
        first = await backlog.take()
        assert first is not None
        await backlog.put_back(_item("again", 1, attempts=1), 0.0)
        order = [first.request_key]
        for _ in range(3):
            item = await backlog.take()
            assert item is not None
            order.append(item.request_key)
        return order

    assert asyncio.run(work()) == ["long", "again", "middle", "short"]


def test_the_longest_is_what_has_most_to_quote_and_not_the_longest_text() -> None:
    prose = "the wind was from the north and nothing was seen all day. " * 40
    crew_list = "MV OCEAN STAR, Rotterdam 1999, IMO 9811000, Hamburg 12, Bergen 7. " * 10
    items = [
        WorkItem(key, 0, len(text), text, len(text) // 4)
        for key, text in [
            ("prose", prose),
            ("list", crew_list),
            ("half of the list", crew_list[: len(crew_list) // 2]),
        ]
    ]

    async def work() -> list[str]:
        backlog = WorkQueue(iter([items]), 4, at_once)
        taken = [await backlog.take() for _ in items]
        return [item.request_key for item in taken if item]

    assert asyncio.run(work()) == ["list", "half of the list", "prose"]


def test_scripts_without_capitals_are_ordered_by_length() -> None:
    lengths = [
        expected_length(WorkItem("k", 0, 1, "船名と港名" * repeats, 10 * repeats)) for repeats in (1, 2, 30)
    ]
    assert lengths == sorted(set(lengths))


@given(text=st.text(alphabet=st.characters(), max_size=200), tokens=st.integers(0, 10_000))
def test_any_text_has_an_expected_length(text: str, tokens: int) -> None:
    assert 0 <= expected_length(WorkItem("k", 0, 1, text, tokens)) <= 5 * len(text) + tokens


@settings(max_examples=30)
@given(groups=st.lists(st.integers(0, 5), max_size=6), askers=st.integers(1, 5), low=st.integers(0, 8))
def test_all_items_of_all_groups_are_finished_by_any_number_of_askers(
    groups: list[int], askers: int, low: int
) -> None:
    finished: list[str] = []

    async def ask(backlog: WorkQueue) -> None:
        while (item := await backlog.take()) is not None:
            number = int(item.request_key.split(".")[-1])
            await asyncio.sleep(0)
            if number % 3 == 1 and not item.attempts:
                await backlog.put_back(_item(item.request_key, 1, 1), 0.0)
            elif number % 3 == 2 and not item.attempts:
                parts = [_item(f"{item.request_key}.{part}", 1, 1) for part in (0, 3)]
                await backlog.replace(parts)
            else:
                finished.append(item.request_key)
                await backlog.finish()

    async def main() -> None:
        content = [[_item(f"{group}.{n}") for n in range(size)] for group, size in enumerate(groups)]
        backlog = WorkQueue(iter(content), low, at_once)
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

    def groups() -> Iterator[Sequence[WorkItem]]:
        yield [_item("a"), _item("b")]
        read.set()
        yield [_item("c")]

    async def work() -> None:
        backlog = WorkQueue(groups(), 2, at_once)
        assert await backlog.take()
        assert await backlog.take()
        assert await asyncio.to_thread(read.wait, 5)

    asyncio.run(work())


def test_groups_are_read_until_enough_is_ready_though_nobody_takes_anything() -> None:
    async def work() -> None:
        enough = threading.Event()

        def groups() -> Iterator[Sequence[WorkItem]]:
            for number in range(10):
                yield [_item(f"{number}.a"), _item(f"{number}.b")]
                if number == 4:
                    enough.set()
            pytest.fail("more was read than was wanted")

        backlog = WorkQueue(groups(), 10, at_once)
        assert await backlog.take()
        assert await asyncio.to_thread(enough.wait, 5)
        # The sixth group is begun, for want of the item that was taken.
        for _ in range(3):
            assert await backlog.take()

    asyncio.run(work())


def test_while_much_is_ready_the_next_group_is_read_when_nothing_comes() -> None:
    async def work() -> None:
        is_quiet = asyncio.Event()
        read: list[int] = []

        def groups() -> Iterator[Sequence[WorkItem]]:
            for number in range(2):
                read.append(number)
                yield [_item(f"{number}.{place}") for place in range(10)]

        async def quiet(latest: float) -> None:
            await is_quiet.wait()

        backlog = WorkQueue(groups(), 10, quiet)
        for _ in range(10):
            assert await asyncio.wait_for(backlog.take(), 5)
        assert read == [0]
        is_quiet.set()
        for _ in range(10):
            assert await asyncio.wait_for(backlog.take(), 5)
        assert read == [0, 1]

    asyncio.run(work())


def test_a_group_that_cannot_be_read_is_an_error_and_not_an_end() -> None:
    def groups() -> Iterator[Sequence[WorkItem]]:
        yield [_item("a")]
        raise StorageError("the chunks cannot be read")

    async def work() -> None:
        backlog = WorkQueue(groups(), 0, at_once)
        assert await backlog.take()
        await backlog.finish()
        with pytest.raises(StorageError):
            await asyncio.wait_for(backlog.take(), 5)

    asyncio.run(work())


def test_a_closed_backlog_hands_out_nothing_and_lets_those_who_wait_go() -> None:
    async def work() -> None:
        backlog = WorkQueue(iter([[_item("a"), _item("b")]]), 0, at_once)
        assert await backlog.take()
        await backlog.close()
        assert await asyncio.wait_for(backlog.take(), 5) is None

    asyncio.run(work())
