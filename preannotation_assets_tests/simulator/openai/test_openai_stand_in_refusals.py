"""Limits and errors: statuses and bodies of both servers, faults, keys, death."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from preannotation_assets.simulator import Fault, FaultRule
from preannotation_assets.simulator.openai import BatchTimes, ServedModel

SLOW = {"speed": 1.0, "times": BatchTimes(base_seconds=1000)}


def error(response: httpx.Response) -> Any:
    return response.json()["error"]


def test_the_answers_limit_shrinks_in_silence(start: Any) -> None:
    for flavour in ("vllm", "llama"):
        talk = start(flavour=flavour)
        prompt = talk.chat().json()["usage"]["prompt_tokens"]
        small = start(flavour=flavour, window=prompt + 10)
        reply = small.chat(max_tokens=500).json()
        assert reply["usage"]["completion_tokens"] == 10
        assert reply["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [True, False])
def test_a_prompt_that_is_too_long(start: Any, stream: bool) -> None:
    refused = error(start(window=50).chat(stream=stream))
    assert (refused["type"], refused["param"], refused["code"]) == ("BadRequestError", "input_tokens", 400)
    refused = error(start(flavour="llama", window=50).chat(stream=stream))
    assert (refused["type"], refused["n_ctx"], refused["code"]) == ("exceed_context_size_error", 50, 400)
    assert refused["n_prompt_tokens"] > 50


def test_vllm_cuts_a_prompt_only_where_it_is_asked_to(start: Any) -> None:
    talk = start(window=50, fixed_answer="{}")
    assert talk.chat().status_code == 400
    assert talk.chat(truncate_prompt_tokens=40).json()["usage"]["prompt_tokens"] == 40


def test_an_unknown_model(vllm: Any, llama: Any) -> None:
    response = vllm.chat(model="other")
    assert response.status_code == 404
    assert (error(response)["type"], error(response)["param"]) == ("NotFoundError", "model")
    assert llama.chat(model="other").json()["model"] == "llama-3.3-70b"


def test_every_served_name_answers_as_itself(start: Any) -> None:
    talk = start(model=ServedModel(("smol", "smol@abc123")))
    assert talk.chat(model="smol@abc123").json()["model"] == "smol@abc123"
    assert [model["id"] for model in talk.client.get("/v1/models").json()["data"]] == ["smol", "smol@abc123"]


@pytest.mark.parametrize(
    ("changes", "of_vllm", "of_llama"),
    [
        ({"temperature": -1}, 400, 200),
        ({"temperature": "hot"}, 400, 200),
        ({"max_tokens": "many"}, 400, 200),
        ({"messages": "hello"}, 400, 400),
        ({"messages": []}, 400, 200),
        ({"messages": [{"role": "user", "content": None}]}, 200, 200),
        ({"messages": [{"content": "no role"}]}, 400, 400),
        ({"logprobs": True, "top_logprobs": 21}, 400, 200),
        ({"logprobs": True, "top_logprobs": 20}, 200, 200),
        ({"top_logprobs": 2}, 400, 200),
        ({"reasoning_effort": "junk"}, 400, 200),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 200, 200),
        ({"no_such_field": 1}, 200, 200),
    ],
)
def test_values_that_only_vllm_refuses(
    vllm: Any, llama: Any, changes: Any, of_vllm: int, of_llama: int
) -> None:
    for talk, status in ((vllm, of_vllm), (llama, of_llama)):
        response = talk.chat(**changes)
        assert response.status_code == status, response.text
        if status == 400:
            assert error(response)["code"] == 400


def test_max_tokens_of_zero_and_its_successor(vllm: Any, llama: Any) -> None:
    assert vllm.chat(max_tokens=0).status_code == 400
    assert llama.chat(max_tokens=0).json()["usage"]["completion_tokens"] == 1
    for talk in (vllm, llama):
        reply = talk.chat(max_tokens=9, max_completion_tokens=5).json()
        assert reply["usage"]["completion_tokens"] == 5


def test_a_body_that_is_no_json(vllm: Any, llama: Any) -> None:
    for talk, statuses in ((vllm, (400, 400)), (llama, (500, 400))):
        sent = [talk.client.post("/v1/chat/completions", content=body) for body in ("{", "[]")]
        assert tuple(response.status_code for response in sent) == statuses
        assert all("message" in error(response) for response in sent)


def test_sampling_that_drafts_exclude(start: Any) -> None:
    talk = start(speculates=True)
    assert talk.chat(min_p=0.1).status_code == 400
    assert talk.chat(logit_bias={"5": 1.0}).status_code == 400
    assert start().chat(min_p=0.1).status_code == 200


def test_keys(start: Any) -> None:
    vllm, llama = (start(flavour=flavour, api_key="right") for flavour in ("vllm", "llama"))
    refused = vllm.chat()
    assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})
    refused = llama.chat()
    assert (refused.status_code, error(refused)["type"]) == (401, "authentication_error")
    open_paths = {vllm: ["/health", "/version", "/metrics"], llama: ["/health", "/v1/models"]}
    closed_paths = {vllm: ["/v1/models"], llama: ["/metrics", "/props", "/slots"]}
    for talk in (vllm, llama):
        assert [talk.client.get(path).status_code for path in open_paths[talk]] == [200] * len(
            open_paths[talk]
        )
        assert {talk.client.get(path).status_code for path in closed_paths[talk]} == {401}
        talk.client.headers["Authorization"] = "Bearer right"
        assert talk.chat().status_code == 200
        talk.client.headers["Authorization"] = "Bearer wrong"
        assert talk.chat().status_code == 401


def test_a_full_queue_is_503_without_retry_after(start: Any) -> None:
    talk = start(most_sequences=1, most_queued=1, most_batched_tokens=512, **SLOW)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=20) as client:
            held = []
            for number in (1, 2):
                held.append(asyncio.create_task(client.post("/v1/chat/completions", json=talk.body())))
                await talk.until(lambda talk, number=number: talk.simulator.summary().in_flight == number)
            refused = await client.post("/v1/chat/completions", json=talk.body())
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            await talk.until(lambda talk: sum(queued(talk)) == 0)
            return refused

    refused = asyncio.run(ask())
    assert (refused.status_code, error(refused)["type"]) == (503, "Service Unavailable")
    assert error(refused)["message"].startswith("The engine is currently busy")
    assert "retry-after" not in refused.headers
    assert talk.metrics()["admission_rejections_total"] == 1
    assert [record.is_disconnected for record in talk.simulator.requests()] == [True, True, False]


def queued(talk: Any) -> tuple[float, float]:
    metrics = talk.metrics()
    return metrics["num_requests_running"], metrics["num_requests_waiting"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_frees_its_place_at_once(start: Any, stream: bool) -> None:
    talk = start(most_sequences=1, most_batched_tokens=512, **SLOW)

    async def leave() -> None:
        async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=20) as client:
            task = asyncio.create_task(client.post("/v1/chat/completions", json=talk.body(stream=stream)))
            await talk.until(lambda talk: queued(talk) == (1, 0))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await talk.until(lambda talk: queued(talk) == (0, 0))

    asyncio.run(leave())


def test_a_broken_stream_ends_with_an_error_and_done(start: Any) -> None:
    for flavour in ("vllm", "llama"):
        talk = start(flavour=flavour, faults=(FaultRule(Fault.ERROR_MID_STREAM, probability=1.0),))
        events = talk.events()
        assert events[-1] == "[DONE]"
        assert json.loads(events[-2])["error"]["code"] == 500
        reasons = [json.loads(event)["choices"][0]["finish_reason"] for event in events[:-2]]
        assert len(reasons) > 1
        assert set(reasons) == {None}
        whole = talk.chat()
        assert (whole.status_code, error(whole)["code"]) == (500, 500)


def test_a_stream_may_break_off_without_any_end(start: Any) -> None:
    talk = start(faults=(FaultRule(Fault.NOT_DONE, probability=1.0),))
    events = [json.loads(event) for event in talk.events()]
    assert {event["choices"][0]["finish_reason"] for event in events} == {None}
    assert talk.choice()["finish_reason"] is None


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.BUSY, 503),
        (Fault.RATE_LIMIT, 429),
        (Fault.RATE_LIMIT_SECONDS, 429),
        (Fault.LOGIN_REDIRECT, 302),
        (Fault.FORBIDDEN_PAGE, 403),
        (Fault.EDGE_TIMEOUT, 524),
    ],
)
def test_faults_before_the_server(vllm: Any, fault: Fault, status: int) -> None:
    vllm.simulator.set_faults(FaultRule(fault, requests=(1,), seconds=0.01))
    assert vllm.chat().status_code == status
    assert vllm.chat().status_code == 200


def test_a_gateway_names_when_to_come_again(vllm: Any) -> None:
    vllm.simulator.set_faults(FaultRule(Fault.RATE_LIMIT_SECONDS, requests=(1,), seconds=7))
    assert vllm.chat().headers["retry-after"] == "7"


def test_answers_that_are_none(vllm: Any) -> None:
    vllm.simulator.set_faults(
        FaultRule(Fault.INVALID_JSON, requests=(1,)), FaultRule(Fault.EMPTY_ANSWER, 1.0)
    )
    broken, empty = vllm.choice(), vllm.choice()
    with pytest.raises(ValueError, match=r".+"):
        json.loads(broken["message"]["content"])
    assert (empty["message"]["content"], empty["finish_reason"]) == ("", "stop")


@pytest.mark.parametrize("fault", [Fault.ENDLESS_OBJECTS, Fault.ENDLESS_CHARACTERS, Fault.EQUAL_TOKENS])
def test_a_model_in_a_loop_ends_at_the_limit(vllm: Any, fault: Fault) -> None:
    vllm.simulator.set_faults(FaultRule(fault, requests=(1,)), FaultRule(Fault.EMPTY_LIST, 1.0))
    assert vllm.choice(max_tokens=150)["finish_reason"] == "length"
    assert json.loads(vllm.choice()["message"]["content"]) == {"spans": []}


def test_a_reset_connection_and_a_stall(vllm: Any) -> None:
    vllm.simulator.set_faults(
        FaultRule(Fault.SOCKET_RESET, requests=(1,)), FaultRule(Fault.STALL_MID_STREAM, requests=(2,))
    )
    with pytest.raises(httpx.TransportError):
        vllm.chat()
    assert vllm.events()[-1] == "[DONE]"


def test_a_dead_engine_fails_all_then_refuses_then_starts_again(start: Any) -> None:
    # As with vLLM, the gauges count at the start of a step what waits, so steps must end.
    talk = start(restart_seconds=0.3, speed=1.0, times=BatchTimes(base_seconds=0.5))

    async def crash() -> tuple[list[httpx.Response], list[int]]:
        async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=20) as client:
            task = asyncio.create_task(client.post("/v1/chat/completions", json=talk.body()))
            streamed = asyncio.create_task(client.post("/v1/chat/completions", json=talk.body(stream=True)))
            await talk.until(lambda talk: sum(queued(talk)) == 2)
            talk.simulator.set_faults(FaultRule(Fault.CRASH, requests=(1,)))
            killing = await client.post("/v1/chat/completions", json=talk.body())
            health = await client.get("/health")
            return [await task, killing, await streamed], [health.status_code]

    (pending, killing, streamed), health = asyncio.run(crash())
    assert health == [503]
    for response in (pending, killing):
        assert response.status_code == 500
        assert error(response)["message"].startswith("EngineCore encountered an issue")
        assert error(response)["type"] == "InternalServerError"
    assert streamed.status_code == 200
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert "EngineCore" in streamed.text
    seen = set()

    def health_now(talk: Any) -> bool:
        try:
            seen.add(httpx.get(f"{talk.simulator.url}/health").status_code)
        except httpx.ConnectError:
            seen.add("refused")
        except (httpx.RemoteProtocolError, httpx.ReadError):
            pass  # taken on in the moment in which it stops
        return "refused" in seen and 200 in seen

    asyncio.run(talk.until(health_now))


def test_llamas_process_dies_with_its_connections(start: Any) -> None:
    llama = start(flavour="llama")
    llama.simulator.set_faults(FaultRule(Fault.CRASH, requests=(1,)))
    with pytest.raises(httpx.TransportError):
        llama.chat()
