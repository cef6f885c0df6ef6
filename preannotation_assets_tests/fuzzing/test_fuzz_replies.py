"""Whatever a model server replies, it is judged or told as a typed error, and what is kept can be kept."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.recordings import RECORDED_MODEL, Recording, recordings

from fuzzing.mutations import fuzz, refusal, spoilt_bytes, spoilt_json
from preannotation_assets.asking.attempts import Attempt
from preannotation_assets.asking.work_queue import WorkItem
from preannotation_assets.contracts import ANSWERS, REQUESTS, AnswerStatus, AttemptOutcome
from preannotation_assets.errors import PreannotationError
from preannotation_assets.extraction.prompt import Prompt
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.outcomes import Outcome, Stop, reply_of
from preannotation_assets.model_servers.prometheus import read_gauges
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.statuses import parse_retry_after
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

SERVERS: Mapping[str, tuple[ModelServer, str]] = {
    "ollama_go": (OllamaServer(), "/api/chat"),
    "ollama_jinja": (OllamaServer(), "/api/chat"),
    "vllm": (OpenAIServer(), "/v1/chat/completions"),
    "llama_cpp": (OpenAIServer(), "/v1/chat/completions"),
}
RECORDED = {name: recordings(name) for name in SERVERS}
STATUSES = st.sampled_from([200, 200, 200, 400, 401, 403, 404, 408, 413, 422, 429, 500, 503, 524])
MEDIA_TYPES = st.sampled_from(
    ["application/json", "application/x-ndjson", "text/event-stream", "text/html", "", "é;;"]
)


def documents(content: bytes) -> list[Any]:
    """The JSON values of a body, be they one, one a line, or one an event."""
    lines = (
        [line.removeprefix(b"data:").strip() for line in content.splitlines()]
        if b"\n" in content
        else [content]
    )
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def replies(server: str) -> list[Recording]:
    return [
        one for one in RECORDED[server].values() if one.request.path == SERVERS[server][1] and one.content
    ]


@st.composite
def spoilt_replies(draw: st.DrawFn, server: str) -> tuple[Recording, bytes]:
    """A recorded reply with its body spoilt, as JSON (each line for itself) or as bytes."""
    recorded = draw(st.sampled_from(replies(server)))
    found = documents(recorded.content)
    if not found or draw(st.booleans()):
        return recorded, draw(spoilt_bytes([one.content for one in replies(server)]))
    if len(found) == 1:
        return recorded, draw(spoilt_json(found))
    place = draw(st.integers(0, len(found) - 1))
    lines = [json.dumps(each).encode() for each in found]
    lines[place] = draw(spoilt_json([found[place]]))
    prefix = b"data: " if b"data:" in recorded.content else b""
    return recorded, b"\n".join(prefix + line for line in lines) + b"\n"


def template(server: ModelServer) -> RequestTemplate:
    return RequestTemplate(
        RECORDED_MODEL, "0" * 12, Prompt("", "", (), {}, 0, frozenset()), ModelOptions(12_288, 3_072)
    )


def assert_can_be_kept(server: ModelServer, exchange: Exchange, outcome: Outcome) -> None:
    """Rows of the answer store and of the table of requests are made of what the server said."""
    attempt = Attempt(WorkItem("key", 0, 4, "text", 1), exchange, outcome, template(server), "run", 0)
    row = attempt.row(AnswerStatus.ANSWERED, 1.0)
    written = pa.Table.from_pylist([row], schema=ANSWERS)
    assert written["answer"][0].as_py() == row["answer"]
    report = attempt.report(AttemptOutcome.ANSWERED)
    fields = {name: getattr(report, name) for name in REQUESTS.names if hasattr(report, name)}
    pa.Table.from_pylist([{**fields, "endpoint": "e", "run_id": "r", "started_at": 1}], schema=REQUESTS)
    json.dumps(fields).encode("utf-8")


@pytest.mark.parametrize("name", SERVERS)
@given(data=st.data())
@fuzz(120)
def test_a_spoilt_reply_is_judged_and_what_is_kept_of_it_can_be_written(
    name: str, data: st.DataObject
) -> None:
    server, _ = SERVERS[name]
    recorded, content = data.draw(spoilt_replies(name))
    status = data.draw(st.just(recorded.status) | STATUSES)
    kept = data.draw(st.booleans())
    headers = recorded.headers if kept else {"content-type": data.draw(MEDIA_TYPES)}
    exchange = replace(
        recorded.exchange(),
        lost=None,
        content=content,
        status=status,
        headers=headers,
        given_up=data.draw(st.booleans()),
    )
    outcome = server.read(exchange, RECORDED_MODEL)
    if isinstance(outcome, Stop):
        assert str(outcome.error).isprintable()
        assert len(str(outcome.error)) < 1000
    for line in content.splitlines():
        assert isinstance(server.stream_delta(line), str)
    if reply_of(outcome) is not None or not isinstance(outcome, Stop):
        assert_can_be_kept(server, exchange, outcome)


@pytest.mark.parametrize("name", SERVERS)
@given(data=st.data())
@fuzz(60)
def test_a_server_that_describes_itself_in_a_spoilt_way_is_known_or_refused(
    name: str, data: st.DataObject
) -> None:
    server, chat = SERVERS[name]
    by_path = {
        one.request.path: one for one in RECORDED[name].values() if one.key == "right" and not one.lost
    }
    spoilt_path = data.draw(st.sampled_from(sorted(by_path)))
    recorded = by_path[spoilt_path]
    found = documents(recorded.content)
    samples = spoilt_bytes([recorded.content])
    content = data.draw(spoilt_json(found) | samples if found else samples)

    def fetch(request: HttpRequest) -> Exchange:
        if request.path == chat:
            return RECORDED[name]["probe" if "probe" in RECORDED[name] else "chat"].exchange()
        one = by_path.get(request.path, recorded)
        return replace(one.exchange(), content=content) if request.path == spoilt_path else one.exchange()

    def identify() -> None:
        identity = server.identify("http://recorded", RECORDED_MODEL, fetch)
        assert identity.digest.isascii()
        assert 0 < len(identity.digest) <= 100
        assert all(line.isprintable() for line in (identity.version, *identity.notes))
        server.for_variant(identity.variant)

    error = refusal(identify, PreannotationError)
    assert len(str(error)) < 1000
    told = server.read_digest(replace(recorded.exchange(), content=content), RECORDED_MODEL)
    assert told is None or told.isascii()


@given(spoilt_bytes([RECORDED["vllm"]["metrics"].content, RECORDED["llama_cpp"]["metrics"].content]))
@fuzz(100)
def test_spoilt_metrics_give_finite_numbers_or_nothing(content: bytes) -> None:
    wanted = {"vllm:num_requests_running", "vllm:num_requests_waiting", "llamacpp:requests_processing"}
    gauges = read_gauges(content, wanted)
    assert set(gauges) <= wanted
    OpenAIServer().read_load(Exchange("http://a", 0, 0, None, 200, {}, content))


@given(
    spoilt_bytes(
        [
            b"120",
            b"Wed, 21 Oct 2015 07:28:00 GMT",
            b"Wednesday, 21-Oct-15 07:28:00 GMT",
            b"Wed Oct 21 07:28:00 2015",
        ]
    )
)
@fuzz(300)
def test_a_spoilt_retry_after_is_a_wait_or_nothing(header: bytes) -> None:
    seconds = parse_retry_after(header.decode("latin-1"))
    assert seconds is None or seconds >= 0
