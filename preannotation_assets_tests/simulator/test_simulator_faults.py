"""Every fault over HTTP, and when it strikes."""

import asyncio
import email.utils
import json
import time
from typing import Any

import httpx
import pytest

from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    SimulatorSettings,
    TimeModel,
)
from preannotation_assets.simulator.faults import FaultSchedule

STOPPED = "model runner has unexpectedly stopped"
BROKEN = "an error was encountered while running the model"


def _first(talk: Any, fault: Fault, seconds: float = 0.0) -> None:
    talk.simulator.set_faults(FaultRule(fault, requests=(1,), seconds=seconds))


def test_a_crash_fails_all_in_flight_and_the_next_request_reloads(start: Any) -> None:
    slow = TimeModel(load_seconds=0, decode_rate=80)
    talk = start(SimulatorSettings(slots=2, speed=1.0, time=slow, habits=HabitRates.NONE))
    talk.simulator.set_faults(FaultRule(Fault.CRASH_MID_GENERATION, requests=(2,)))

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=20) as client:
            tasks = []
            for number in (1, 2, 3):
                tasks.append(asyncio.create_task(client.post("/api/chat", json=talk.body())))
                await talk.until(lambda summary, number=number: summary.in_flight == number)
            return await asyncio.gather(*tasks)

    responses = asyncio.run(ask())
    assert [response.status_code for response in responses] == [500, 500, 500]
    texts = [response.json()["error"] for response in responses]
    assert texts[1].startswith(BROKEN)
    assert texts[0].startswith(BROKEN)
    assert texts[2].startswith(STOPPED)
    talk.simulator.set_faults()
    assert talk.chat("nothing").status_code == 200
    assert talk.simulator.requests()[-1].has_loaded


def test_a_crash_before_headers(talk: Any) -> None:
    for stream in (False, True):
        _first(talk, Fault.CRASH)
        response = talk.chat(stream=stream)
        assert response.status_code == 500
        assert response.json()["error"].startswith(STOPPED)
    assert talk.chat().status_code == 200


@pytest.mark.parametrize("fault", [Fault.ERROR_MID_STREAM, Fault.CRASH_MID_GENERATION])
def test_an_error_mid_stream_is_a_last_line_under_200(talk: Any, fault: Fault) -> None:
    _first(talk, fault)
    response = talk.chat(stream=True)
    assert response.status_code == 200
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert len(lines) > 2
    assert list(lines[-1]) == ["error"]
    _first(talk, fault)
    whole = talk.chat()
    assert (whole.status_code, whole.json()["error"].startswith(BROKEN)) == (500, True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_socket_reset_leaves_no_answer(talk: Any, stream: bool) -> None:
    _first(talk, Fault.SOCKET_RESET)
    with pytest.raises(httpx.ReadError):
        talk.chat(stream=stream)
    assert talk.chat().status_code == 200
    record = talk.simulator.requests()[0]
    assert (record.fault, record.status, record.is_disconnected) == ("socket_reset", None, False)


def test_done_false_under_200(talk: Any) -> None:
    _first(talk, Fault.NOT_DONE)
    reply = talk.chat()
    assert reply.status_code == 200
    assert reply.json()["done"] is False
    assert "done_reason" not in reply.json()
    _first(talk, Fault.NOT_DONE)
    lines = talk.chat(stream=True).text.splitlines()
    assert not any(json.loads(line)["done"] for line in lines)


def test_invalid_json_with_stop(talk: Any) -> None:
    _first(talk, Fault.INVALID_JSON)
    reply = talk.chat().json()
    assert reply["done_reason"] == "stop"
    with pytest.raises(ValueError, match=r"."):
        json.loads(reply["message"]["content"])


def test_whitespace_runs_to_the_length(talk: Any) -> None:
    _first(talk, Fault.WHITESPACE)
    reply = talk.chat(options={"num_ctx": 4096, "num_predict": 300}).json()
    assert (reply["done_reason"], reply["eval_count"]) == ("length", 300)
    assert reply["message"]["content"].strip() == "{"


def test_an_empty_answer(talk: Any) -> None:
    _first(talk, Fault.EMPTY_ANSWER)
    reply = talk.chat().json()
    assert (reply["message"]["content"], reply["done_reason"], reply["eval_count"]) == ("", "stop", 1)
    _first(talk, Fault.EMPTY_ANSWER)
    lines = [json.loads(line) for line in talk.chat(stream=True).text.splitlines()]
    assert [line["done"] for line in lines] == [True]


def test_a_burst_of_503(talk: Any) -> None:
    talk.simulator.set_faults(FaultRule(Fault.BUSY, requests=(2,), burst=3))
    assert [talk.chat().status_code for _ in range(6)] == [200, 503, 503, 503, 200, 200]


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.STALL_MID_STREAM])
def test_a_stall_ends_with_the_client_or_its_time(talk: Any, fault: Fault) -> None:
    _first(talk, fault, seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        talk.client.post("/api/chat", json=talk.body(), timeout=0.2)
    _first(talk, fault, seconds=0.2)
    began = time.monotonic()
    reply = talk.chat().json()
    assert time.monotonic() - began >= 0.2
    assert json.loads(reply["message"]["content"])["spans"]


def test_pages_of_a_proxy(talk: Any) -> None:
    expected = {
        Fault.LOGIN_PAGE: (200, "text/html"),
        Fault.FORBIDDEN_PAGE: (403, "text/html"),
        Fault.EDGE_TIMEOUT: (524, "text/html"),
        Fault.RATE_LIMIT: (429, "application/json"),
    }
    for fault, (status, content_type) in expected.items():
        _first(talk, fault)
        response = talk.chat()
        assert response.status_code == status
        assert response.headers["Content-Type"].startswith(content_type)
        assert "Retry-After" not in response.headers
    _first(talk, Fault.LOGIN_REDIRECT)
    redirect = talk.chat()
    assert (redirect.status_code, "cloudflareaccess.com" in redirect.headers["Location"]) == (302, True)


def test_retry_after_in_seconds_and_as_a_date(talk: Any) -> None:
    _first(talk, Fault.RATE_LIMIT_SECONDS, seconds=7)
    assert talk.chat().headers["Retry-After"] == "7"
    _first(talk, Fault.RATE_LIMIT_DATE, seconds=60)
    moment = email.utils.parsedate_to_datetime(talk.chat().headers["Retry-After"])
    assert 55 < moment.timestamp() - time.time() < 62


def test_faults_can_be_set_over_http(talk: Any) -> None:
    rules = [{"fault": "busy", "next_requests": 1}, {"fault": "empty_answer", "requests": [2]}]
    assert talk.client.post("/simulator/faults", json={"rules": rules}).json() == {"rules": 2}
    assert talk.chat().status_code == 503
    assert talk.chat().json()["message"]["content"] == ""
    assert talk.chat().json()["message"]["content"] != ""
    assert talk.client.get("/simulator/summary").json()["faults"] == {"busy": 1, "empty_answer": 1}
    for wrong in ([{"fault": "nonsense"}], [{"fault": "busy", "probability": "often"}], "busy"):
        assert talk.client.post("/simulator/faults", json={"rules": wrong}).status_code == 400
    talk.client.post("/simulator/reset")
    assert talk.client.get("/simulator/requests").json() == {"requests": []}


def test_a_probability_strikes_its_share_and_the_same_requests_in_every_run() -> None:
    def struck(seed: int) -> list[int]:
        schedule = FaultSchedule((FaultRule(Fault.CRASH, probability=0.1),), seed)
        return [number for number in range(2000) if schedule.draw() is not None]

    assert struck(1) == struck(1) != struck(2)
    assert 140 < len(struck(1)) < 260


def test_preloading_does_not_use_up_numbered_faults(talk: Any) -> None:
    _first(talk, Fault.CRASH)
    assert talk.generate("").json()["done_reason"] == "load"
    assert talk.chat().status_code == 500
