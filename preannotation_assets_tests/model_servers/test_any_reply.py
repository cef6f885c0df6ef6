"""Whatever a server sends is judged to a typed outcome, and what is kept of it can be written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.hostile_replies import OLLAMA, OPENAI, HostileReply

from preannotation_assets.asking.attempts import Attempt
from preannotation_assets.asking.work_queue import WorkItem
from preannotation_assets.contracts import ANSWERS, REQUESTS, AnswerStatus, AttemptOutcome
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.lake import table_of_rows
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.judging import judge_exchange
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import Software, Variant
from preannotation_assets.model_servers.outcomes import Answered, Outcome, Reason, Stop, Unusable
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from preannotation_assets.throttling.permit_messages import encode_line, message_fields

SCHEME = """
name: short
version: "1"
labels:
  - {name: vessel_name, definition: The name of a vessel.}
  - {name: port, definition: A port.}
"""
TEMPLATE = RequestTemplate(
    "m", "f" * 64, build_prompt(parse_label_scheme(SCHEME, "test")), ModelOptions(4096, 400)
)
SERVERS = [OllamaServer(), *(OpenAIServer(variant=Variant(software)) for software in Software)]
ITEM = WorkItem("key", 0, 30, "MV ORION left Hull and Hamburg", 9)
GOOD = '{"spans":[{"vessel_name":"ORION"},{"port":"Hull"}]}'

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**31 - 1, max_value=2**1100)
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.just(GOOD),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=3), children, max_size=4)
    ),
    max_leaves=8,
)
OLLAMA_REPLY = {
    "model": "m",
    "message": {"role": "assistant", "content": GOOD},
    "done": True,
    "done_reason": "stop",
    "total_duration": 9,
    "load_duration": 1,
    "prompt_eval_count": 5,
    "prompt_eval_duration": 2,
    "eval_count": 9,
    "eval_duration": 3,
    "logprobs": [{"token": GOOD[:20], "logprob": -1.5, "bytes": [1]}, {"token": GOOD[20:], "logprob": -0.5}],
}
OPENAI_REPLY = {
    "model": "m",
    "choices": [
        {
            "message": {"role": "assistant", "content": GOOD, "reasoning": None},
            "delta": {"content": GOOD},
            "finish_reason": "stop",
            "logprobs": {"content": OLLAMA_REPLY["logprobs"]},
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 1}},
    "timings": {"cache_n": 1, "prompt_ms": 1.5, "predicted_ms": 2, "draft_n_accepted": 0},
    "metrics": {"queue_time_ms": 1, "time_to_first_token_ms": 2, "generation_time_ms": 3},
    "error": None,
}


def _places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [before, *(place for key in keys for place in _places(value[key], (*before, key)))]


def _with(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    if not place:
        return other
    copied = value.copy()
    copied[place[0]] = _with(value[place[0]], place[1:], other)
    return copied


def _exchange(
    content: bytes, status: int = 200, media_type: str = "application/json", **more: Any
) -> Exchange:
    headers = {"content-type": media_type, **more}
    return Exchange("http://gpu", 1.7e9, 0.5, None, status, headers, content)


def _judged(server: ModelServer, exchange: Exchange) -> Outcome:
    """What it means, without the fence that would hide a fault; and whatever is kept of it is written."""
    assert type(server.read(exchange, TEMPLATE.model)) is not None
    outcome = judge_exchange(server, exchange, TEMPLATE)
    attempt = Attempt(ITEM, exchange, outcome, TEMPLATE, "run", 0)
    report = attempt.report(AttemptOutcome.ANSWERED)
    encode_line(message_fields(report))
    told = {name: getattr(report, name, None) for name in REQUESTS.names}
    told |= {"run_id": "run", "endpoint": "e", "started_at": 1}
    for rows, schema in (([attempt.row(AnswerStatus.ANSWERED, 1.7e9)], ANSWERS), ([told], REQUESTS)):
        table, unwritable = table_of_rows(rows, schema)
        assert (table.num_rows, unwritable) == (1, frozenset())
    if isinstance(outcome, Answered):
        reply = outcome.reply
        assert (reply.token_lengths is None) == (reply.token_logprobs is None)
        assert sum(reply.token_lengths or ()) in {0, len(reply.content)}
    return outcome


def _sent(payload: Any, *, streamed: bool, prefix: bytes) -> tuple[bytes, str]:
    line = json.dumps(payload).encode()
    if not streamed:
        return line, "application/json"
    return (prefix + line + b"\n") * 2, "text/event-stream" if prefix else "application/x-ndjson"


@given(data=st.data(), streamed=st.booleans(), other=ANY_JSON)
@pytest.mark.parametrize("server", SERVERS, ids=lambda server: type(server).__name__)
def test_any_value_at_any_place_of_a_reply(
    server: ModelServer, data: st.DataObject, streamed: bool, other: Any
) -> None:
    is_ollama = isinstance(server, OllamaServer)
    whole: Any = OLLAMA_REPLY if is_ollama else OPENAI_REPLY
    place = data.draw(st.sampled_from(_places(whole)))
    content, media_type = _sent(
        _with(whole, place, other), streamed=streamed, prefix=b"" if is_ollama else b"data: "
    )
    _judged(server, _exchange(content, media_type=media_type))
    for line in content.splitlines():
        assert isinstance(server.stream_delta(line), str)


@given(
    content=st.binary() | ANY_JSON.map(lambda value: json.dumps({"error": value}).encode()),
    status=st.integers(100, 999),
    media_type=st.sampled_from(["application/json", "application/x-ndjson", "text/event-stream", "text/html"])
    | st.text(),
    retry_after=st.text() | st.integers().map(str),
)
@pytest.mark.parametrize("server", SERVERS[:2], ids=lambda server: type(server).__name__)
def test_any_bytes_under_any_status(
    server: ModelServer, content: bytes, status: int, media_type: str, retry_after: str
) -> None:
    _judged(server, _exchange(content, status, media_type, **{"retry-after": retry_after}))


@given(content=st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("server", SERVERS[:2], ids=lambda server: type(server).__name__)
def test_any_list_of_models_has_a_digest_or_none(server: ModelServer, content: bytes) -> None:
    for body in (content, b'{"models":' + content + b"}", b'{"data":[' + content + b"]}"):
        digest = server.read_digest(_exchange(body), "m")
        assert digest is None or isinstance(digest, str)


@pytest.mark.parametrize(
    ("server", "reply"),
    [
        pytest.param(server, reply, id=f"{type(server).__name__}: {name}")
        for server, replies in ((SERVERS[0], OLLAMA), (SERVERS[1], OPENAI))
        for name, reply in replies.items()
    ],
)
def test_a_hostile_reply_means_what_becomes_of_its_text(server: ModelServer, reply: HostileReply) -> None:
    outcome = _judged(server, _exchange(reply.body, reply.status, reply.media_type))
    if isinstance(outcome, Stop):
        # Whether it is for this request or for all is seen by asking without a page.
        assert reply.becomes == "refused"
    elif isinstance(outcome, Answered):
        assert reply.becomes == "answered"
    else:
        assert outcome.reason == reply.becomes
    assert "ORION" not in repr(outcome)


class _Faulty(OllamaServer):
    def read(self, exchange: Exchange, model: str) -> Outcome:
        raise ZeroDivisionError("MV EVER GIVEN of the page")


def test_a_fault_of_the_judge_is_the_fate_of_one_text_and_told_by_its_kind_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert judge_exchange(_Faulty(), _exchange(b"{}"), TEMPLATE) == Unusable(Reason.INVALID_ANSWER)
    assert caplog.messages == ["a reply of http://gpu could not be judged (ZeroDivisionError)"]
    assert "EVER GIVEN" not in caplog.text
