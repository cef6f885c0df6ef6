"""The prefix cache of models with a sliding window: checkpoints near the end of a prompt only."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.simulator import HabitRates, SimulatedModel, SimulatorSettings
from preannotation_assets.simulator.prefix_cache import Slot, reuse_checkpoint, reuse_prefix

CONSTANT = [
    {"role": "system", "content": "mark every one of the names. " * 250},
    {"role": "user", "content": "<page>M/V EXAMPLE</page>"},
    {"role": "assistant", "content": '{"spans":[{"vessel_name":"EXAMPLE"}]}'},
]
BATCH, BEFORE_THE_END = 1_024, 4


@pytest.fixture
def windowed(start: Any) -> Any:
    """A server with one slot and a model with a sliding window."""
    model = SimulatedModel("llama3.3:70b", has_sliding_window=True)
    return start(SimulatorSettings(models=(model,), habits=HabitRates.NONE))


def _ask(talk: Any, name: str, words: int) -> Any:
    page = {"role": "user", "content": f"<page>{name} {'word ' * words}</page>"}
    assert talk.chat(messages=[*CONSTANT, page]).status_code == 200
    return talk.simulator.requests()[-1]


def _warm_up(talk: Any) -> int:
    reply = talk.chat(messages=CONSTANT, options={"num_ctx": 4096, "num_predict": 1})
    return int(reply.json()["prompt_eval_count"])


def test_the_constant_part_is_read_again_before_long_pages(windowed: Any) -> None:
    records = [_ask(windowed, name, 1_300) for name in ("ALPHA", "BRAVO", "DELTA")]
    assert [record.cached_tokens for record in records] == [0, 0, 0]


def test_the_constant_part_is_cached_between_short_pages(windowed: Any) -> None:
    _ask(windowed, "ALPHA", 400)
    record = _ask(windowed, "BRAVO", 400)
    assert record.cached_tokens > 1_500
    assert record.prompt_tokens - record.cached_tokens < 500


def test_after_a_warm_up_the_constant_part_is_reused(windowed: Any) -> None:
    constant = _warm_up(windowed)
    cached = [_ask(windowed, name, 1_300).cached_tokens for name in ("ALPHA", "BRAVO", "DELTA")]
    assert constant - BEFORE_THE_END <= cached[0] <= constant + 2
    assert cached[1:] == [constant - BEFORE_THE_END - BATCH] * 2


def test_a_warm_up_with_an_empty_page_helps_the_first_page_only(windowed: Any) -> None:
    constant = _warm_up(windowed)
    windowed.client.post("/api/generate", json={"model": "llama3.3:70b", "keep_alive": 0})
    _ask(windowed, "", 0)
    first, second = (_ask(windowed, name, 1_300).cached_tokens for name in ("ALPHA", "BRAVO"))
    assert first >= constant - 1
    assert 0 < second < constant - 1_000


def test_without_a_window_the_whole_prefix_is_reused(talk: Any) -> None:
    _ask(talk, "ALPHA", 1_300)
    record = _ask(talk, "BRAVO", 1_300)
    assert record.prompt_tokens - record.cached_tokens < 1_400
    assert record.cached_tokens > 1_500


def test_a_last_turn_of_the_assistant_is_a_true_prefix(talk: Any) -> None:
    constant = _warm_up(talk)
    assert constant - 1 <= _ask(talk, "ALPHA", 10).cached_tokens


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000), st.sampled_from("ab")), max_size=6))
def test_a_window_never_reuses_more_than_there_is_in_common(prompts: list[tuple[int, int, str]]) -> None:
    plain, windowed = Slot(0), Slot(0)
    for same, other, letter in prompts:
        prompt = (*("same",) * same, *(letter,) * other, "end")
        assert 0 <= reuse_checkpoint(windowed, prompt) <= reuse_prefix(plain, prompt) < len(prompt)
        assert all(0 < count < len(prompt) for count in windowed.checkpoints)
