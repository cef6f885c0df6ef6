"""Slots, queue, loads, reloads, prefix cache and disconnects, observed through the journal."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from shared.polling import wait_for

from preannotation_assets.simulator import HabitRates, SimulatedModel, SimulatorSettings, TimeModel

QUICK = TimeModel(load_seconds=0, prefill_rate=1e6, decode_rate=1000, slowdown_per_slot=0)
"""An answer to the default page takes about 0.1 s."""


def _settings(**changes: Any) -> SimulatorSettings:
    return SimulatorSettings(**{"habits": HabitRates.NONE, "speed": 1.0, "time": QUICK, **changes})


async def _ask_all(url: str, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=20, limits=limits) as client:
        return await asyncio.gather(*(client.post("/api/chat", json=body) for body in bodies))


def _ask(talk: Any, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    return asyncio.run(_ask_all(talk.simulator.url, bodies))


def test_one_slot_serves_in_order_of_arrival(start: Any) -> None:
    talk = start(_settings(time=replace(QUICK, decode_rate=25)))

    async def ask_one_after_the_other() -> None:
        async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=20) as client:
            asked = []
            for number in range(1, 5):
                # The first answer takes seconds, so that the others find the slot taken.
                options = {"num_ctx": 4096, "num_predict": 1000 if number == 1 else 2}
                asked.append(asyncio.create_task(client.post("/api/chat", json=talk.body(options=options))))
                await talk.until(lambda summary, number=number: summary.in_flight == number)
            await asyncio.gather(*asked)

    asyncio.run(ask_one_after_the_other())
    records = talk.simulator.requests()
    taken = [record.slot_taken_at for record in records]
    assert taken == sorted(taken)
    assert {record.slot for record in records} == {0}
    summary = talk.simulator.summary()
    assert (summary.peak_in_flight, summary.peak_busy_slots, summary.in_flight) == (4, 1, 0)
    assert summary.occupancy is not None
    assert 0.0 < summary.occupancy <= 1.0


def test_queue_wait_shows_in_the_durations(start: Any) -> None:
    talk = start(_settings())
    replies = [response.json() for response in _ask(talk, [talk.body(), talk.body()])]
    waits = sorted(
        reply["total_duration"]
        - reply.get("load_duration", 0)
        - reply["prompt_eval_duration"]
        - reply["eval_duration"]
        for reply in replies
    )
    assert waits[1] > 40_000_000
    assert waits[0] < waits[1] / 2


def test_sixty_four_requests_at_once(start: Any) -> None:
    talk = start(_settings(slots=64, time=TimeModel(load_seconds=0, decode_rate=15, slowdown_per_slot=0)))
    began = time.monotonic()
    responses = _ask(talk, [talk.body(f"M/V NUMBER{number:02d}A") for number in range(64)])
    assert {response.status_code for response in responses} == {200}
    assert talk.simulator.summary().peak_busy_slots > 32
    assert len({response.json()["message"]["content"] for response in responses}) > 1
    assert time.monotonic() - began < 5


def test_busy_slots_slow_each_other_down(start: Any) -> None:
    slow = TimeModel(load_seconds=0, prefill_rate=1e6, decode_rate=1000, slowdown_per_slot=1.0)
    talk = start(_settings(slots=4, time=slow))
    alone = _ask(talk, [talk.body()])[0].json()["eval_duration"]
    together = _ask(talk, [talk.body() for _ in range(4)])
    assert min(response.json()["eval_duration"] for response in together) > 1.5 * alone


def test_the_prefix_cache_counts_in_the_prompt_but_costs_nothing(talk: Any) -> None:
    first, again = talk.chat().json(), talk.chat().json()
    assert again["prompt_eval_count"] == first["prompt_eval_count"]
    assert again["prompt_eval_duration"] < first["prompt_eval_duration"] / 10
    cold, warm = talk.simulator.requests()
    assert (cold.cached_tokens, warm.cached_tokens) == (0, warm.prompt_tokens - 1)


def test_the_constant_part_is_cached_from_page_to_page(talk: Any) -> None:
    system = {"role": "system", "content": "Mark every entity of the text. " * 20}
    for page in ("M/V ONE ALPHA", "M/V TWO BRAVO"):
        talk.chat(messages=[system, {"role": "user", "content": f"<page>{page}</page>"}])
    record = talk.simulator.requests()[-1]
    assert record.prompt_tokens - 20 < record.cached_tokens < record.prompt_tokens


def test_the_slot_with_the_longest_prefix_is_taken(start: Any) -> None:
    talk = start(_settings(slots=3))
    pages = ["M/V ALPHA", "Dampfer Bravo", "navire Charlie"]
    bodies = [talk.body(page * 5) for page in pages]
    assert {response.status_code for response in _ask(talk, bodies)} == {200}
    filled = {record.prompt_sha256: record.slot for record in talk.simulator.requests()}
    assert set(filled.values()) == {0, 1, 2}
    for body in reversed(bodies):
        talk.client.post("/api/chat", json=body)
    for record in talk.simulator.requests()[3:]:
        assert record.slot == filled[record.prompt_sha256]
        assert record.cached_tokens == record.prompt_tokens - 1


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"num_ctx": 2048}},
        {"options": {"num_ctx": 4096, "num_batch": 64}},
        {"options": {"num_ctx": 4096, "num_gpu": 1}},
        {"options": {"num_ctx": 4096, "use_mmap": False}},
        {"shift": True},
    ],
)
def test_changed_runner_options_reload(talk: Any, changes: dict[str, Any]) -> None:
    talk.chat()
    talk.chat(**changes)
    talk.chat(**changes)
    assert [record.has_loaded for record in talk.simulator.requests()] == [True, True, False]


def test_sampling_options_do_not_reload(talk: Any) -> None:
    talk.chat()
    talk.chat(options={"num_ctx": 4096, "temperature": 0.7, "seed": 3, "num_predict": 9})
    assert [record.has_loaded for record in talk.simulator.requests()] == [True, False]


def test_another_model_takes_the_memory(start: Any) -> None:
    talk = start(_settings(models=(SimulatedModel("a"), SimulatedModel("b")), speed=0.0))
    for name in ("a", "b", "a"):
        talk.chat(model=name)
    assert [record.has_loaded for record in talk.simulator.requests()] == [True, True, True]


def test_keep_alive_unloads(talk: Any) -> None:
    talk.chat(keep_alive="1s")
    assert talk.client.get("/api/ps").json()["models"]
    wait_for(lambda: talk.client.get("/api/ps").json()["models"] == [])


def test_load_time_is_waited_and_reported(start: Any) -> None:
    talk = start(_settings(time=TimeModel(load_seconds=2.0, prefill_rate=1e6, decode_rate=1e6), speed=10.0))
    began = time.monotonic()
    reply = talk.chat().json()
    assert time.monotonic() - began >= 0.2
    assert 2_000_000_000 <= reply["load_duration"] < 10_000_000_000
    assert talk.chat().json().get("load_duration", 0) < 1_900_000_000


def test_a_full_queue_refuses_only_while_a_load_is_pending(start: Any) -> None:
    loading = TimeModel(load_seconds=0.6, prefill_rate=1e6, decode_rate=1000)
    talk = start(_settings(time=loading, queue_limit=2, slots=1))
    responses = _ask(talk, [talk.body() for _ in range(6)])
    busy = [response for response in responses if response.status_code == 503]
    text = "server busy, please try again.  maximum pending requests exceeded"
    assert [response.json() for response in busy] == [{"error": text}] * 3
    loaded = _ask(talk, [talk.body() for _ in range(6)])
    assert {response.status_code for response in loaded} == {200}


def test_a_disconnect_frees_the_slot_at_once(start: Any) -> None:
    talk = start(_settings(time=TimeModel(load_seconds=0, decode_rate=1)))
    with pytest.raises(httpx.ReadTimeout):
        talk.client.post("/api/chat", json=talk.body(), timeout=0.2)
    wait_for(lambda: talk.simulator.requests()[0].is_disconnected)
    record = talk.simulator.requests()[0]
    assert record.slot == 0
    assert record.status is None
    assert talk.simulator.summary().in_flight == 0
    began = time.monotonic()
    assert talk.chat("nothing", options={"num_ctx": 4096, "num_predict": 1}).status_code == 200
    assert time.monotonic() - began < 4


def test_a_disconnect_in_the_queue_takes_no_slot(start: Any) -> None:
    talk = start(_settings(time=TimeModel(load_seconds=0, decode_rate=200)))

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=20) as client:
            first = asyncio.create_task(client.post("/api/chat", json=talk.body()))
            await talk.until(lambda summary: summary.in_flight == 1)
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/api/chat", json=talk.body(), timeout=0.1)
            assert (await first).status_code == 200

    asyncio.run(ask())
    wait_for(lambda: talk.simulator.requests()[1].is_disconnected)
    assert talk.simulator.requests()[1].slot is None
    assert talk.chat().status_code == 200


def test_a_client_that_leaves_aborts_the_load(start: Any) -> None:
    talk = start(_settings(time=TimeModel(load_seconds=0.5)))
    with pytest.raises(httpx.ReadTimeout):
        talk.client.post("/api/generate", json={"model": "llama3.3:70b"}, timeout=0.1)
    wait_for(lambda: talk.simulator.requests()[0].is_disconnected)
    assert talk.client.get("/api/ps").json() == {"models": []}
    assert talk.generate("").json()["done_reason"] == "load"
    assert talk.simulator.requests()[1].has_loaded


def test_no_header_comes_before_the_first_token(start: Any) -> None:
    talk = start(_settings(time=TimeModel(load_seconds=0.4, decode_rate=1e4)))
    began = time.monotonic()
    with talk.client.stream("POST", "/api/chat", json=talk.body(stream=True)) as response:
        assert time.monotonic() - began > 0.35
        assert response.status_code == 200
