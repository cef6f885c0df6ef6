"""What is made of completions, whole and streamed, and of anything else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.contracts import LogprobSource
from preannotation_assets.model_servers.openai.replies import (
    BrokenStreamError,
    event_delta,
    join_events,
    parse_reply,
    thought_instead,
)
from preannotation_assets.model_servers.openai.variant import Software, Variant
from preannotation_assets.model_servers.reply import ChatReply

VLLM = Variant(Software.VLLM)
LLAMA_CPP = Variant(Software.LLAMA_CPP)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
ANSWER = '{"spans":[]}'


def tokens(*scored: tuple[str, float]) -> dict[str, Any]:
    return {"content": [{"token": token, "logprob": logprob, "bytes": []} for token, logprob in scored]}


def completion(content: str | None = ANSWER, logprobs: Any = None, **more: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": "stop",
        "logprobs": logprobs,
    }
    return {"object": "chat.completion", "model": "m", "choices": [choice], **more}


def read(payload: dict[str, Any], variant: Variant = VLLM) -> ChatReply:
    reply = parse_reply(payload, variant)
    assert reply is not None
    return reply


def scores(payload: dict[str, Any], variant: Variant = VLLM) -> Any:
    reply = read(payload, variant)
    return reply.token_lengths, reply.token_logprobs


def test_a_completion_of_vllm() -> None:
    usage = {
        "prompt_tokens": 900,
        "completion_tokens": 3,
        "total_tokens": 903,
        "prompt_tokens_details": {"cached_tokens": 896},
    }
    metrics = {"time_to_first_token_ms": 750.0, "generation_time_ms": 125.0, "queue_time_ms": 250.0}
    reply = read(
        completion(
            logprobs=tokens(('{"spans', -0.5), ('":[]}', -0.25), ("<|im_end|>", -0.125)),
            usage=usage,
            metrics=metrics,
        )
    )
    assert reply == ChatReply(
        content=ANSWER,
        done=True,
        done_reason="stop",
        prompt_tokens=900,
        answer_tokens=3,
        total_seconds=None,
        load_seconds=None,
        prompt_seconds=0.5,
        answer_seconds=0.125,
        queue_seconds=0.25,
        token_lengths=(7, 5),
        token_logprobs=(-0.5, -0.25),
        cached_tokens=896,
        logprob_source=LogprobSource.MASKED,
    )


def test_a_completion_of_llama_server() -> None:
    timings = {"cache_n": 1984, "prompt_n": 46, "prompt_ms": 3512.0, "predicted_n": 7, "predicted_ms": 1075.0}
    usage = {"completion_tokens": 7, "prompt_tokens": 2030, "total_tokens": 2037}
    scored = tokens(('{"', -0.3), ("spans", -0.2), ('":[]}', -0.1), ("", -0.01))
    reply = read(completion(logprobs=scored, timings=timings, usage=usage), LLAMA_CPP)
    assert (reply.prompt_seconds, reply.answer_seconds, reply.queue_seconds) == (3.512, 1.075, None)
    assert reply.cached_tokens == 1984
    assert (reply.token_lengths, reply.token_logprobs) == ((2, 5, 5), (-0.3, -0.2, -0.1))
    assert reply.logprob_source is None


def test_parts_of_a_character_are_one_token_with_the_sum_of_their_log_probabilities() -> None:
    scored = tokens(("a", -1.0), ("", -0.5), ("", -0.25), ("🚢", -0.125), ("b", -2.0), ("<|im_end|>", -9.0))
    assert scores(completion("a🚢b", scored)) == ((1, 1, 1), (-1.0, -0.875, -2.0))


def test_blanks_that_a_server_takes_off_an_answer_are_no_part_of_its_tokens() -> None:
    scored = tokens(("\n ", -3.0), (' {"a"', -1.0), (":1}", -0.5), ("\n", -2.0), ("<|im_end|>", 0.0))
    assert scores(completion('{"a":1}', scored)) == ((4, 3), (-1.0, -0.5))


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": []},
        tokens(("another text", -1.0)),
        tokens(('{"spans', -1.0)),
        {"content": [{"token": ANSWER}]},
        {"content": [{"token": 7, "logprob": -1.0}]},
        {"content": [{"token": ANSWER, "logprob": True}]},
        {"content": ["x"]},
    ],
)
def test_tokens_that_are_not_those_of_the_answer_are_unknown(logprobs: object) -> None:
    assert scores(completion(logprobs=logprobs)) == (None, None)
    assert read(completion(logprobs=logprobs)).logprob_source is None


def test_scores_of_drafted_tokens_are_not_believed() -> None:
    scored = tokens((ANSWER, 0.0))
    drafted = completion(logprobs=scored, timings={"draft_n": 8, "draft_n_accepted": 5})
    refused = completion(logprobs=scored, timings={"draft_n": 8, "draft_n_accepted": 0})
    assert scores(drafted, LLAMA_CPP) == (None, None)
    assert scores(refused, LLAMA_CPP) == ((12,), (0.0,))


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thoughts_are_no_answer(field: str) -> None:
    payload = completion(None)
    payload["choices"][0]["message"][field] = ANSWER
    assert read(payload).content == ""
    assert thought_instead(payload)
    payload["choices"][0]["message"]["content"] = ANSWER
    assert not thought_instead(payload)


def test_half_of_a_pair_is_a_replacement_character_in_answer_and_tokens() -> None:
    payload = completion('"\ud83d"', tokens(('"', -1.0), ('\ud83d"', -1.0)))
    assert read(payload).content == '"\N{REPLACEMENT CHARACTER}"'
    assert scores(payload) == ((1, 2), (-1.0, -1.0))


def events(*chunks: object, end: str = "data: [DONE]\n\n") -> bytes:
    return ("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end).encode()


def chunk(content: str | None, reason: str | None = None, logprobs: Any = None) -> dict[str, Any]:
    delta = {"content": content} if content is not None else {}
    return {
        "object": "chat.completion.chunk",
        "model": "m",
        "usage": None,
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": logprobs}],
    }


USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}


def test_a_stream_of_vllm_has_its_reason_in_the_last_piece() -> None:
    stream = events(
        chunk(""),
        chunk('{"spans', None, tokens(('{"spans', -0.5))),
        chunk('":[]}', "stop", tokens(('":[]}', -0.25), ("<|im_end|>", -0.125))),
        USAGE,
    )
    reply = read(join_events(stream))
    assert (reply.content, reply.done_reason) == (ANSWER, "stop")
    assert (reply.prompt_tokens, reply.answer_tokens) == (9, 4)
    assert (reply.token_lengths, reply.token_logprobs) == ((7, 5), (-0.5, -0.25))


def test_a_stream_of_llama_server_has_its_reason_and_timings_in_chunks_of_their_own() -> None:
    timings = {"prompt_ms": 10.0, "predicted_ms": 20.0}
    stream = b": keep-alive\r\n\r\n" + events(
        chunk(None), chunk(ANSWER), chunk(None, "length"), {**USAGE, "timings": timings}
    ).replace(b"\n", b"\r\n")
    reply = read(join_events(stream), LLAMA_CPP)
    assert (reply.content, reply.done_reason) == (ANSWER, "length")
    assert (reply.prompt_seconds, reply.answer_seconds, reply.answer_tokens) == (0.01, 0.02, 4)


def test_a_stream_without_a_reason_has_not_ended_whatever_it_says() -> None:
    assert not read(join_events(events(chunk('{"spans"'), USAGE))).done
    assert not read(join_events(events(chunk('{"spans"'), end=""))).done


def test_an_error_in_a_stream_stays_in_it() -> None:
    error = {"error": {"message": "EngineCore encountered an issue", "code": 500}}
    assert join_events(events(chunk("{"), error))["error"] == error["error"]


def test_an_event_that_is_no_object_breaks_a_stream() -> None:
    for broken in (b"data: {\n\n", b"data: 7\n\n", events(chunk("a")) + b"data: \xff\n\n"):
        with pytest.raises(BrokenStreamError):
            join_events(broken)


def test_the_text_of_a_line() -> None:
    lines = events(chunk("a"), chunk(None, "stop"), USAGE).splitlines()
    assert [event_delta(line) for line in lines] == ["a", "", "", "", "", "", "", ""]


@given(st.binary())
def test_no_bytes_are_too_strange(content: bytes) -> None:
    assert isinstance(event_delta(content), str)
    for stream in (content, b"data: " + content):
        try:
            joined = join_events(stream)
        except BrokenStreamError:
            continue
        parse_reply(joined, VLLM)
        thought_instead(joined)


NAMES = st.sampled_from(
    [
        *("choices", "message", "delta", "content", "finish_reason", "logprobs", "usage", "timings"),
        *(
            "metrics",
            "prompt_tokens_details",
            "cached_tokens",
            "prompt_tokens",
            "prompt_ms",
            "draft_n_accepted",
        ),
    ]
)
SHAPES = st.recursive(
    JSON_VALUES,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(NAMES, children),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, SHAPES), st.sampled_from([VLLM, LLAMA_CPP]))
def test_no_object_is_too_strange(payload: dict[str, Any], variant: Variant) -> None:
    reply = parse_reply(payload, variant)
    thought_instead(payload)
    if reply is not None:
        assert (reply.token_lengths is None) == (reply.token_logprobs is None)
        assert sum(reply.token_lengths or ()) in {0, len(reply.content)}
    joined = join_events(json.dumps({"x": payload}).encode() + b"\ndata: " + json.dumps(payload).encode())
    parse_reply(joined, variant)


@given(st.lists(st.tuples(st.text(max_size=3), st.floats(max_value=0, allow_nan=False)), min_size=1))
def test_tokens_of_an_answer_add_up_to_it(scored: list[tuple[str, float]]) -> None:
    content = "".join(token for token, _ in scored)
    reply = read(completion(content, tokens(*scored, ("<|im_end|>", -1.0))))
    if reply.token_lengths is not None:
        assert sum(reply.token_lengths) == len(content)
        assert 0 not in reply.token_lengths


def test_numbers_that_no_column_holds_are_unknown() -> None:
    usage = {"prompt_tokens": 2**31, "completion_tokens": 2**31 - 1}
    metrics = {"queue_time_ms": 10**400}
    reply = read(completion(logprobs=tokens((ANSWER, -(10**400))), usage=usage, metrics=metrics))
    assert (reply.prompt_tokens, reply.answer_tokens, reply.queue_seconds) == (None, 2**31 - 1, None)
    assert reply.content == ANSWER
