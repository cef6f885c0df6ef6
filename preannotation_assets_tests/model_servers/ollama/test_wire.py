"""Request bodies and replies: what must be in every request, and what is made of any reply."""

import json
from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.suggesting import value_probabilities
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.ollama.wire import (
    chat_body,
    join_stream,
    parse_reply,
    preload_body,
    warm_up_body,
)
from preannotation_assets.model_servers.outcomes import Reason, Unusable, judge_reply
from preannotation_assets.model_servers.template import RequestTemplate, request_key

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
KEYS = ("message", "done", "done_reason", "total_duration", "eval_count", "logprobs", "eval_duration")


def _reply(tokens: list[str], **more: Any) -> dict[str, Any]:
    scores = [{"token": token, "logprob": -0.5 * place} for place, token in enumerate(tokens)]
    return {
        "message": {"role": "assistant", "content": "".join(tokens)},
        "done": True,
        "done_reason": "stop",
        "logprobs": scores,
        **more,
    }


def test_a_request_is_never_truncated_shifted_or_thought_about(template: RequestTemplate) -> None:
    body = chat_body(template, "PAGE", "30m", stream=False)
    assert (body["truncate"], body["shift"], body["think"], body["logprobs"]) == (False, False, False, True)
    options = body["options"]
    assert isinstance(options, dict)
    assert options["num_predict"] > 0
    assert body["format"] == template.prompt.answer_schema


def test_requests_start_with_the_same_bytes_and_end_with_the_page(template: RequestTemplate) -> None:
    first, second = (
        json.dumps(chat_body(template, text, "30m", stream=False)) for text in ("ONE PAGE", "OTHER TEXT")
    )
    assert first[: first.index("ONE PAGE")] == second[: second.index("OTHER TEXT")]
    messages = chat_body(template, "ONE PAGE", "30m", stream=False)["messages"]
    assert isinstance(messages, list)
    assert "ONE PAGE" in messages[-1]["content"]
    assert not any("ONE PAGE" in message["content"] for message in messages[:-1])


def test_no_two_requests_differ_in_what_reloads_the_model(template_with_example: RequestTemplate) -> None:
    def reloading(body: dict[str, object]) -> tuple[object, ...]:
        options = body["options"]
        assert isinstance(options, dict)
        return body["model"], options["num_ctx"], body["shift"], options.keys()

    plain, varied = (
        chat_body(template_with_example, "x", "30m", stream=False, variation=number) for number in (0, 1)
    )
    warm_up = warm_up_body(template_with_example, "30m")
    assert warm_up is not None
    assert (
        reloading(plain)
        == reloading(varied)
        == reloading(warm_up)
        == reloading(preload_body(template_with_example, "30m"))
    )
    assert plain["options"] != varied["options"]


def test_a_key_changes_with_the_question_and_with_nothing_else(template: RequestTemplate) -> None:
    other = RequestTemplate("llama3.3:70b", "f" * 64, template.prompt, template.options)
    same = RequestTemplate(template.model, template.digest, template.prompt, template.options)
    assert other.fingerprint != template.fingerprint == same.fingerprint
    assert request_key(template.fingerprint, "a") != request_key(template.fingerprint, "b")


@given(tokens=st.lists(st.text(min_size=1), min_size=1))
def test_token_lengths_are_offsets_of_the_content(tokens: list[str]) -> None:
    reply = parse_reply(_reply(tokens))
    assert reply is not None
    assert reply.token_lengths is not None
    assert sum(reply.token_lengths) == len(reply.content)
    assert len(reply.token_lengths) == len(tokens)


@given(tokens=st.lists(st.text(min_size=1), min_size=2))
def test_scores_that_do_not_join_to_the_content_are_unknown(tokens: list[str]) -> None:
    payload = _reply(tokens)
    payload["logprobs"].pop()
    reply = parse_reply(payload)
    assert reply is not None
    assert (reply.token_lengths, reply.token_logprobs) == (None, None)


@given(tokens=st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_a_stream_joins_to_the_reply_that_would_have_come_whole(tokens: list[str]) -> None:
    whole = _reply(tokens, eval_count=len(tokens), total_duration=3_000_000_000)
    pieces: list[dict[str, Any]] = [
        {"message": {"content": token}, "done": False, "logprobs": [score]}
        for token, score in zip(tokens, whole["logprobs"], strict=True)
    ]
    last = {key: value for key, value in whole.items() if key not in ("message", "logprobs")}
    assert parse_reply(join_stream([*pieces, last])) == parse_reply(whole)
    broken = parse_reply(join_stream(pieces))
    assert broken is not None
    assert not broken.done


def test_durations_are_seconds_and_the_wait_is_what_they_leave() -> None:
    times = {
        "total_duration": 9_000_000_000,
        "load_duration": 1_000_000_000,
        "prompt_eval_duration": 2_000_000_000,
        "eval_duration": 4_000_000_000,
    }
    reply = parse_reply(_reply(["{}"], **times))
    assert reply is not None
    assert (reply.total_seconds, reply.queue_seconds, reply.answer_seconds) == (9, 2, 4)
    assert parse_reply(_reply(["{}"])).queue_seconds is None  # type: ignore[union-attr]


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(), JSON_VALUES))
def test_any_object_is_a_reply_or_none(payload: dict[str, Any]) -> None:
    reply = parse_reply(payload)
    assert reply is None or isinstance(reply.content, str)
    joined = parse_reply(join_stream([payload]))
    assert joined is None or isinstance(joined.content, str)


def test_half_a_surrogate_pair_cannot_stop_the_journal() -> None:
    reply = parse_reply(_reply(["a\ud83d", "b"]))
    assert reply is not None
    reply.content.encode("utf-8")
    assert reply.token_lengths == (2, 1)


def test_a_warm_up_reads_what_every_request_begins_with_and_reloads_nothing(
    template_with_example: RequestTemplate,
) -> None:
    body = warm_up_body(template_with_example, "30m")
    assert body is not None
    page = chat_body(template_with_example, "PAGE", "30m", stream=False)
    messages, warm = page["messages"], body["messages"]
    assert isinstance(messages, list)
    assert warm == messages[:-1]
    assert messages[-2]["role"] == "assistant"
    different = {key for key in page if page[key] != body[key]}
    assert different == {"messages", "options", "logprobs"}
    assert body["options"] == {**page["options"], "num_predict": 1}  # type: ignore[dict-item]


@pytest.mark.parametrize("stream", [False, True])
def test_a_look_whether_requests_are_let_through_is_one_of_them_for_a_token(
    template: RequestTemplate, stream: bool
) -> None:
    probe = OllamaServer().probe_request(template, stream=stream).body
    asked = OllamaServer().chat_request(template, "", stream=stream).body
    assert asked is not None
    assert probe == {**asked, "options": {**asked["options"], "num_predict": 1}}  # type: ignore[dict-item]


def test_a_prompt_that_does_not_end_in_an_answer_is_no_beginning_of_others(template: RequestTemplate) -> None:
    assert [message.role for message in template.prompt.constant_messages] == ["system"]
    assert warm_up_body(template, "30m") is None


@pytest.mark.parametrize("token", ["....", "0", " ab", "\n", "A.S."])
def test_an_answer_that_ollama_ends_after_31_equal_tokens_is_endless_and_counted(token: str) -> None:
    tokens = ['{"', "spans", '":["', *[token] * 31]
    payload = {**_reply(tokens), "done": False}
    del payload["done_reason"]
    pieces = [{"message": {"content": each}, "done": False} for each in tokens]
    scored = [
        {**piece, "logprobs": [score]} for piece, score in zip(pieces, payload["logprobs"], strict=True)
    ]
    for reply in map(parse_reply, (payload, join_stream(pieces), join_stream(scored))):
        outcome = judge_reply(reply)
        assert outcome == Unusable(Reason.ENDLESS_ANSWER)
        assert isinstance(outcome, Unusable)
        assert outcome.reply
        assert outcome.reply.answer_tokens == 34
    bare = parse_reply({key: payload[key] for key in ("message", "done")})
    assert bare is not None
    assert bare.answer_tokens is None


def test_a_count_that_no_column_holds_is_unknown() -> None:
    message = {"role": "assistant", "content": "{}"}
    reply = parse_reply(
        {"message": message, "done": True, "prompt_eval_count": 2**31, "eval_count": 2**31 - 1}
    )
    assert reply is not None
    assert (reply.prompt_tokens, reply.answer_tokens) == (None, 2**31 - 1)


def test_a_character_in_parts_takes_the_confidence_of_its_own_value_only() -> None:
    content = '{"spans":[{"vessel_name":"ORION"},{"owner":"龍 Line"},{"port":"Hull"}]}'
    tokens = [
        *('{"spans":[{"vessel_name":"', "ORION", '"},{"owner":"'),
        *("\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}", " Line", '"},{"port":"', "Hull", '"}]}'),
    ]
    payload = _reply(tokens)
    payload["message"]["content"] = content
    reply = parse_reply(payload)
    assert reply is not None
    ship, owner, port = value_probabilities(content, reply.token_lengths, reply.token_logprobs)
    assert owner is None
    assert (ship, port) == (pytest.approx(exp(-0.5)), pytest.approx(exp(-3.5)))


@pytest.mark.parametrize("done", [{}, {"done": False}, {"done": None}])
@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_reply_that_says_why_it_ended_has_ended(done: dict[str, Any], reason: str) -> None:
    payload = {key: value for key, value in _reply(["{}"]).items() if key != "done"}
    reply = parse_reply({**payload, **done, "done_reason": reason})
    assert reply is not None
    assert (reply.done, reply.done_reason) == (True, reason)
    first = {"message": {"content": "{"}, "done": False}
    pieces = [first, {"message": {"content": "}"}, "done_reason": reason}]
    joined = parse_reply(join_stream(pieces))
    assert joined is not None
    assert (joined.done, joined.content) == (True, "{}")


@pytest.mark.parametrize("odd", [2**31, 2**70, -1, 3.5, True, float("nan"), "7", None, [], {"a": 1}])
def test_a_count_that_is_none_is_unknown(odd: object) -> None:
    reply = parse_reply(_reply(["{}"], prompt_eval_count=odd, eval_count=odd))
    assert reply is not None
    assert (reply.prompt_tokens, reply.answer_tokens) == (None, None)


@pytest.mark.parametrize("odd", [2**1100, -1, True, float("inf"), float("nan"), "1s", None, [], 10**30])
def test_a_duration_that_is_none_is_unknown(odd: object) -> None:
    reply = parse_reply(_reply(["{}"], total_duration=odd, eval_duration=odd, prompt_eval_duration=10**9))
    assert reply is not None
    assert (reply.total_seconds, reply.answer_seconds, reply.queue_seconds) == (None, None, None)
    assert reply.prompt_seconds == 1.0
