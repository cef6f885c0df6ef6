"""Continuous batching: what runs, what waits, what a step costs, what is cached and what is sent back."""

import asyncio
from collections.abc import Sequence as Items
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.simulator.clock import SimulatedClock
from preannotation_assets.simulator.openai import BatchTimes, GrammarBackend, OpenAiSettings
from preannotation_assets.simulator.openai.chat_prompt import block_keys
from preannotation_assets.simulator.openai.engine import Engine
from preannotation_assets.simulator.openai.memory import BlockMemory, SlotMemory
from preannotation_assets.simulator.openai.sequence import Phase, Sequence

NUMBERS = count(1)
# A step takes 1 s whatever runs in it, and reading takes nothing worth counting.
FLAT = BatchTimes(base_seconds=1.0, sequence_seconds=0.0, saturation=10_000, prefill_rate=1e9)


def engine(kv_tokens: int = 10_000, block_tokens: int = 4, **changes: Any) -> Engine:
    chosen = OpenAiSettings(
        **{"window": 200, "kv_tokens": kv_tokens, "block_tokens": block_tokens, "times": FLAT, **changes}
    )
    return Engine(chosen, BlockMemory(kv_tokens, block_tokens, True), SimulatedClock(0.0))


def sequence(prompt: int, steps: int, document: str = "", block_tokens: int = 4) -> Sequence:
    tokens = tuple(f"{document}{number}" for number in range(prompt))
    return Sequence(
        number=next(NUMBERS),
        tokens=tokens,
        blocks=block_keys(tokens, block_tokens, ""),
        steps=steps,
        ended=asyncio.get_running_loop().create_future(),
        admitted_by=lambda _: None,
        left_by=lambda _: None,
    )


class LateClock(SimulatedClock):
    """The clock of a machine so slow that 0.1 s pass between two looks at it."""

    _looks = count(1)

    def now(self) -> float:
        return next(self._looks) / 10


async def finish(engine: Engine, sequences: Items[Sequence]) -> None:
    """Submits all at once and runs until they have ended."""
    for each in sequences:
        engine.submit(each)
    task = asyncio.create_task(engine.run())
    await asyncio.wait_for(asyncio.gather(*(each.ended for each in sequences)), 20)
    task.cancel()


def run(engine: Engine, *shapes: tuple[Any, ...]) -> list[Sequence]:
    async def all_of_them() -> list[Sequence]:
        sequences = [sequence(*shape) for shape in shapes]
        await finish(engine, sequences)
        return sequences

    return asyncio.run(all_of_them())


@given(st.integers(1, 300), st.floats(0.001, 1.0), st.floats(0.0, 0.1))
def test_more_sequences_make_more_tokens_a_second_up_to_the_knee(
    saturation: int, base: float, each: float
) -> None:
    times = BatchTimes(base_seconds=base, sequence_seconds=each, saturation=saturation)
    rates = [number / times.step_seconds(number) for number in range(1, saturation + 50)]
    assert all(more >= less * (1 - 1e-9) for less, more in pairwise(rates))
    assert rates[saturation:] == pytest.approx([rates[saturation - 1]] * 49)


def test_all_that_run_share_a_step() -> None:
    together = run(engine(), *[(8, 10, str(number)) for number in range(20)])
    assert [each.finished for each in together] == [pytest.approx(10.0, abs=0.001)] * 20


def test_the_rest_waits_and_is_served_in_order() -> None:
    three = run(engine(most_sequences=2), (8, 10, "a"), (8, 5, "b"), (8, 5, "c"))
    assert [each.finished for each in three] == [pytest.approx(value, abs=0.01) for value in (10, 5, 10)]
    assert three[2].admitted == pytest.approx(5, abs=0.01)


def test_prompts_are_read_in_chunks_beside_what_is_written() -> None:
    times = BatchTimes(base_seconds=1.0, sequence_seconds=0.0, prefill_rate=10.0)
    small = engine(times=times, most_batched_tokens=20, most_sequences=4)
    first, second = run(small, (10, 3, "a"), (50, 2, "b"))
    # 10 and 10 of the 50 tokens, then 19 beside the first's token, then 19, then the last 2.
    assert first.first_token == pytest.approx(1 + 20 / 10)
    assert second.first_token == pytest.approx(1 + 20 / 10 + 2 * (1 + 19 / 10) + (1 + 2 / 10))


def test_the_start_of_a_prompt_is_found_again_by_whole_blocks() -> None:
    again = engine()
    run(again, (30, 2))
    assert run(again, (30, 2))[0].cached == 28
    assert run(again, (28, 2))[0].cached == 24
    assert run(again, (3, 2))[0].cached == 0
    assert run(again, (30, 2, "other"))[0].cached == 0
    assert (again.counts.prompt_tokens, again.counts.cached_tokens) == (121, 52)


def test_what_was_used_least_recently_is_forgotten() -> None:
    small = engine(kv_tokens=204, window=100)
    run(small, (80, 1, "a"))
    run(small, (80, 1, "b"))
    assert run(small, (80, 1, "a"))[0].cached == 76
    run(small, (80, 1, "c"))
    assert run(small, (80, 1, "a"))[0].cached == 76
    assert run(small, (80, 1, "b"))[0].cached < 76


def test_another_salt_is_another_cache() -> None:
    tokens = tuple("abcdefgh")
    assert block_keys(tokens, 4, "one") != block_keys(tokens, 4, "two")
    assert len(block_keys(tokens, 16, "")) == 0


def test_a_full_memory_sends_the_youngest_back_and_it_still_ends() -> None:
    small = engine(kv_tokens=204, window=100)
    sequences = run(small, *[(20, 70, str(number)) for number in range(4)])
    assert small.counts.preemptions > 0
    assert sequences[0].finished == min(each.finished or 0 for each in sequences)
    assert small.memory.usage() == 0


def test_a_slot_keeps_what_it_has_read_to_the_token() -> None:
    async def taken() -> list[int | None]:
        memory = SlotMemory(2)
        first, second = sequence(10, 1), sequence(7, 1)
        cached = [memory.take(first), memory.take(second), memory.take(sequence(3, 1))]
        memory.release(first)
        return [*cached, memory.take(sequence(9, 1)), memory.take(sequence(9, 1, "other"))]

    assert asyncio.run(taken()) == [0, 0, None, 8, None]


SHAPES = st.lists(
    st.tuples(st.integers(1, 120), st.integers(1, 80), st.sampled_from("abc"), st.integers(0, 6)), max_size=14
)


@settings(max_examples=60)
@given(SHAPES, st.integers(1, 6), st.integers(204, 900))
def test_whatever_comes_and_goes_nothing_is_held_at_the_end(
    shapes: list[tuple[int, int, str, int]], most: int, kv_tokens: int
) -> None:
    small = engine(kv_tokens=kv_tokens, most_sequences=most, most_batched_tokens=64)

    async def all_of_them() -> list[Sequence]:
        task = asyncio.create_task(small.run())
        sequences = [sequence(*shape[:3]) for shape in shapes]
        for each, shape in zip(sequences, shapes, strict=True):
            small.submit(each)
            assert small.running <= most
            for _ in range(shape[3]):
                await asyncio.sleep(0)
            # Every third leaves, in the queue or at work.
            if each.number % 3 == 0:
                small.leave(each)
        stayed = [each for each in sequences if each.number % 3]
        await asyncio.wait_for(asyncio.gather(*(each.ended for each in stayed)), 20)
        task.cancel()
        return stayed

    stayed = asyncio.run(all_of_them())
    assert (small.running, small.waiting, small.memory.usage()) == (0, 0, 0)
    assert all(each.phase is Phase.ENDED and each.written == each.steps for each in stayed)
    admitted = [each.admitted or 0.0 for each in stayed]
    assert admitted == sorted(admitted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 0},
        {"most_sequences": 600, "most_batched_tokens": 512},
        {"kv_tokens": 100},
        {"speed": -1.0},
        {"disables_whitespace": True, "backend": GrammarBackend.AUTO},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        OpenAiSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"base_seconds": 0.0}, {"saturation": 0}, {"compile_seconds": -1.0}])
def test_times_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        BatchTimes(**wrong)


def test_on_a_machine_that_lags_time_stretches_for_everybody() -> None:
    late = engine(most_sequences=1, times=BatchTimes(0.01, 0.0, 10_000, 1e9))
    late.clock = LateClock(1.0)

    async def one_after_the_other() -> list[Sequence]:
        first, *others = (sequence(4, 20, f"d{number}-") for number in range(4))
        task = asyncio.create_task(late.run())
        await asyncio.sleep(0)
        late.submit(first)
        for each in others:
            written = late.written(first)
            while late.written(first) == written and not first.ended.done():
                await asyncio.sleep(0)
            late.submit(each)
        await asyncio.wait_for(asyncio.gather(*(each.ended for each in (first, *others))), 20)
        task.cancel()
        return [first, *others]

    for each in asyncio.run(one_after_the_other()):
        assert each.admitted is not None
        assert each.finished is not None
        assert each.arrived <= each.admitted
        assert each.finished - each.admitted == pytest.approx(0.2, abs=0.001)


def test_who_comes_during_a_step_does_not_count_as_left_waiting() -> None:
    slow = engine(most_sequences=2)
    slow.clock = SimulatedClock(0.001)

    async def during_a_step() -> list[tuple[int, int]]:
        task = asyncio.create_task(slow.run())
        await asyncio.sleep(0)
        seen = []
        for number in range(2):
            slow.submit(sequence(4, 20, f"d{number}-"))
            await asyncio.sleep(0)
            seen.append((slow.waiting, slow.left_waiting))
        task.cancel()
        return seen

    assert asyncio.run(during_a_step()) == [(0, 0), (1, 0)]
