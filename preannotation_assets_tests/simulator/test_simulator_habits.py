"""What a model may do to its answer (blanks, fences, loops, nothing) and what the server makes of it."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from preannotation_assets.errors import SettingsError
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    SimulatedModel,
    SimulatorSettings,
    TimeModel,
)
from preannotation_assets.simulator.answer_text import AnswerToken
from preannotation_assets.simulator.generation import LimitedAnswer, give_up_repeats

MODEL = "llama3.3:70b"
COUNTS = {"prompt_eval_count", "eval_count", "total_duration", "eval_duration", "done_reason"}


def _start(start: Any, **model: Any) -> Any:
    models = (SimulatedModel(MODEL, **model),)
    return start(SimulatorSettings(models=models, habits=HabitRates.NONE))


def _lines(response: httpx.Response) -> list[Any]:
    return [json.loads(line) for line in response.text.splitlines()]


def _content(lines: list[Any]) -> str:
    return "".join(line["message"]["content"] for line in lines)


def _tokens(lines: list[Any]) -> list[str]:
    return [entry["token"] for line in lines for entry in line.get("logprobs", [])]


def _always(talk: Any, fault: Fault) -> None:
    talk.simulator.set_faults(FaultRule(fault, probability=1.0))


def test_blanks_change_the_text_and_not_what_it_says(start: Any, talk: Any) -> None:
    spread = _lines(_start(start, writes_blanks=True).chat(logprobs=True))
    dense = _lines(talk.chat(logprobs=True))
    assert _content(spread).startswith(
        '{\n  "spans" : [\n    {\n      "vessel_name" : "EVER GOLDEN"\n    },\n'
    )
    assert json.loads(_content(spread)) == json.loads(_content(dense))
    assert "".join(_tokens(spread)) == _content(spread)
    assert spread[-1]["eval_count"] > 1.3 * dense[-1]["eval_count"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("preamble", "before", "after"),
    [
        ("\n", ["\n"], []),
        ("```json\n", ["```json\n"], ["\n", "```"]),
        (" \n```\n", [" \n", "```\n"], ["\n", "```"]),
    ],
)
def test_the_jinja_path_leaves_a_preamble_out_of_the_text_only(
    start: Any, preamble: str, before: list[str], after: list[str], stream: bool
) -> None:
    talk = _start(start, is_jinja=True, preamble=preamble)
    lines = _lines(talk.chat(logprobs=True, stream=stream))
    content = _content(lines)
    assert json.loads(content)["spans"][0] == {"vessel_name": "EVER GOLDEN"}
    assert _tokens(lines)[: len(before)] == before
    assert "".join(_tokens(lines)) == "".join([*before, content, *after])
    assert _content(_lines(talk.chat(stream=stream))) == content


def test_only_chats_take_the_jinja_path(start: Any) -> None:
    talk = _start(start, is_jinja=True, preamble="```json\n")
    reply = talk.generate("<page>M/V QUIET BAY</page>", format="json", logprobs=True).json()
    assert "".join(entry["token"] for entry in reply["logprobs"]) == reply["response"]


@pytest.mark.parametrize("stream", [False, True])
def test_31_equal_tokens_end_an_answer_without_a_reason(talk: Any, stream: bool) -> None:
    _always(talk, Fault.EQUAL_TOKENS)
    response = talk.chat(logprobs=True, stream=stream)
    lines = _lines(response)
    assert response.status_code == 200
    assert not any(line["done"] for line in lines)
    assert all(COUNTS.isdisjoint(line) for line in lines)
    assert _tokens(lines)[-31:] == ["..."] * 31
    assert _tokens(lines)[-32] != "..."
    assert _content(lines) == "".join(_tokens(lines))


@pytest.mark.parametrize(
    ("texts", "passed_on"),
    [
        (["{", *[",", " ,", ",\n"] * 11], 32),
        (["{", *[",", "", ","] * 16], 48),
        (["\n"] * 40, 30),
        ([*[","] * 31, "}"], None),
        (["a", "b"] * 40, None),
    ],
)
def test_which_tokens_are_equal(texts: list[str], passed_on: int | None) -> None:
    tokens = tuple(AnswerToken(text, None) for text in texts)
    answer = give_up_repeats(LimitedAnswer(tokens, "stop", len(tokens) + 1, is_shifted=False))
    assert answer.is_done == (passed_on is None)
    assert answer.tokens == tokens[:passed_on]


def test_the_jinja_path_does_not_count_equal_tokens(start: Any) -> None:
    talk = _start(start, is_jinja=True)
    _always(talk, Fault.EQUAL_TOKENS)
    reply = talk.chat(options={"num_ctx": 4096, "num_predict": 300}).json()
    assert (reply["done"], reply["done_reason"], reply["eval_count"]) == (True, "length", 300)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "page", "repeated"),
    [
        (Fault.ENDLESS_OBJECTS, "M/V QUIET BAY and M/V OTHER", '{"vessel_name":"QUIET BAY"},'),
        (Fault.ENDLESS_OBJECTS, "nothing here", '{"vessel_name":"A.S."},'),
        (Fault.ENDLESS_CHARACTERS, "M/V QUIET BAY", "A.S.A.S.A.S."),
    ],
)
def test_endless_answers_run_to_the_length(
    talk: Any, fault: Fault, page: str, repeated: str, stream: bool
) -> None:
    _always(talk, fault)
    lines = _lines(
        talk.chat(page, stream=stream, format=SCHEMA, options={"num_ctx": 4096, "num_predict": 900})
    )
    last = lines[-1]
    assert (last["done"], last["done_reason"], last["eval_count"]) == (True, "length", 900)
    assert _content(lines)[-600:].count(repeated) > 10
    assert "OTHER" not in _content(lines)


def test_an_endless_answer_ends_where_the_schema_has_no_more_room(talk: Any) -> None:
    _always(talk, Fault.ENDLESS_OBJECTS)
    reply = talk.chat().json()
    assert reply["done_reason"] == "stop"
    assert len(json.loads(reply["message"]["content"])["spans"]) == 64


def test_a_model_that_answers_an_empty_list_to_every_page(talk: Any) -> None:
    _always(talk, Fault.EMPTY_LIST)
    for _ in range(2):
        reply = talk.chat(logprobs=True).json()
        assert reply["message"]["content"] == '{"spans":[]}'
        assert (reply["done_reason"], reply["eval_count"]) == ("stop", len(reply["logprobs"]) + 1)


def test_num_predict_0_does_not_end(talk: Any) -> None:
    for stream in (False, True):
        with pytest.raises(httpx.ReadTimeout):
            talk.client.post(
                "/api/chat",
                json=talk.body(stream=stream, options={"num_ctx": 4096, "num_predict": 0}),
                timeout=0.3,
            )
    assert talk.chat(options={"num_ctx": 4096, "num_predict": -1}).json()["done_reason"] == "stop"


def test_long_replies_come_in_chunks(talk: Any) -> None:
    short, long = talk.chat("M/V QUIET BAY"), talk.chat(logprobs=True)
    assert len(short.content) <= 2_048 < len(long.content)
    assert int(short.headers["Content-Length"]) == len(short.content)
    assert long.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in long.headers
    assert json.loads(long.json()["message"]["content"])["spans"]


def test_a_slot_hardly_writes_while_another_reads(start: Any) -> None:
    def eval_seconds(share: float) -> float:
        times = TimeModel(
            load_seconds=0,
            prefill_rate=2_000,
            decode_rate=100,
            slowdown_per_slot=0,
            decode_share_while_reading=share,
        )
        settings = SimulatorSettings(slots=2, speed=1.0, time=times, habits=HabitRates.NONE)
        return asyncio.run(_ask_beside_a_long_page(start(settings)))

    assert eval_seconds(0.01) > eval_seconds(1.0) + 0.3


async def _ask_beside_a_long_page(talk: Any) -> float:
    """The seconds of decoding that are told of an answer while a page of 1,500 tokens is read."""
    async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=20) as client:
        async with client.stream("POST", "/api/chat", json=talk.body(stream=True)) as writing:
            lines = writing.aiter_lines()
            await anext(lines)
            reading = asyncio.create_task(client.post("/api/chat", json=talk.body("word " * 1_500)))
            last = [json.loads(line) async for line in lines][-1]
        await reading
    return float(last["eval_duration"]) / 1e9


def test_a_share_of_decoding_is_a_share() -> None:
    for share in (0.0, -1.0, 1.5):
        with pytest.raises(SettingsError):
            TimeModel(decode_share_while_reading=share)


SCHEMA = {
    "type": "object",
    "properties": {
        "spans": {
            "type": "array",
            "items": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {label: {"type": "string", "minLength": 1, "maxLength": 200}},
                        "required": [label],
                        "additionalProperties": False,
                    }
                    for label in ("vessel_name", "port")
                ]
            },
        }
    },
    "required": ["spans"],
    "additionalProperties": False,
}
