"""Before the first request: which server, which weights, and whether it keeps to a schema, over HTTP."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from preannotation_assets.errors import AccessDeniedError, EndpointError, InferenceError, ModelError
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.http_client import ChatClient, Timeouts
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.outcomes import Stop
from preannotation_assets.model_servers.preflight import ModelIdentity, identify_model
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.simulator import Fault, FaultRule
from preannotation_assets.simulator.openai import Flavour, GrammarBackend, ServedModel

JSON = "application/json"
MODEL = "llama-3.3-70b"
KEY = "PREANNOTATION_SERVER_API_KEY"
CHAT = "/v1/chat/completions"
LIST = {"data": [{"id": "m", "owned_by": "library"}]}
TIMEOUTS = Timeouts(connect=2.0, first_token=20.0)
IMPATIENT = RetryPolicy(first_backoff=0.01)


def identify(
    *urls: str, model: str = MODEL, revision: str = "", environment: Mapping[str, str] | None = None
) -> ModelIdentity:
    return identify_model(OpenAIServer(revision), urls, model, environment or {}, TIMEOUTS, IMPATIENT)


def refusal(kind: type[InferenceError], *urls: str, **how: Any) -> str:
    with pytest.raises(kind) as raised:
        identify(*urls, **how)
    assert type(raised.value) is kind
    assert "\n" not in str(raised.value)
    assert raised.value.cure
    return str(raised.value)


def test_vllm_with_what_its_operator_should_know(stand_in: Callable[..., Any]) -> None:
    server = stand_in(window=8192)
    identity = identify(server.url)
    assert dict(identity.versions) == {server.url: "vllm 0.32.0"}
    assert identity.context_tokens == 8192
    assert identity.variant == "vllm response_format.json_schema"
    notes = "\n".join(identity.notes)
    for told in ("PREANNOTATION_SERVER_REVISION", "ngram", "--enable-prompt-tokens-details"):
        assert told in notes


def test_vllm_as_it_should_be_started_has_nothing_to_be_told(stand_in: Callable[..., Any]) -> None:
    server = stand_in(
        speculates=True,
        tells_cached_tokens=True,
        backend=GrammarBackend.GUIDANCE,
        disables_whitespace=True,
        model=ServedModel(names=(MODEL, f"{MODEL}@4f2a")),
    )
    assert identify(server.url).notes == ()


def test_llama_server_s_window_is_that_of_a_slot(stand_in: Callable[..., Any]) -> None:
    identity = identify(stand_in(flavour=Flavour.LLAMA, window=4096, most_sequences=2).url, revision="r1")
    assert identity.context_tokens == 4096
    assert identity.variant == "llama.cpp response_format.json_schema"
    assert identity.versions[0][1].startswith("llama.cpp b")
    assert [note for note in identity.notes if "2 requests at once" not in note] == []


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_model_that_is_not_there_is_told_with_those_that_are(
    stand_in: Callable[..., Any], flavour: Flavour
) -> None:
    # llama-server would answer for it, with what it has.
    said = refusal(ModelError, stand_in(flavour=flavour).url, model="large")
    assert f"no model large: set PREANNOTATION_MODEL; it has {MODEL}" in said


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_key_is_asked_for_and_never_repeated(stand_in: Callable[..., Any], flavour: Flavour) -> None:
    server = stand_in(flavour=flavour, api_key="right")
    named = {"PREANNOTATION_SERVER_URLS": f"{server.url}/v1"}
    assert identify(server.url, environment={**named, KEY: "right"}).digest
    for environment in (named, {**named, KEY: "hunter2"}, {KEY: "right"}):
        said = refusal(AccessDeniedError, server.url, environment=environment)
        assert KEY in said
        assert "hunter2" not in said


def test_two_machines_with_the_same_weights_in_other_folders(stand_in: Callable[..., Any]) -> None:
    urls = [stand_in(model=ServedModel((MODEL,), root=root)).url for root in ("/a", "/b")]
    assert "PREANNOTATION_SERVER_REVISION" in refusal(ModelError, *urls)
    assert identify(*urls, revision="r1").digest
    assert identify(*urls, revision="r1").digest != identify(*urls, revision="r2").digest


def test_two_kinds_of_servers_are_not_asked_alike(stand_in: Callable[..., Any]) -> None:
    model = ServedModel((MODEL,), root="/a")
    urls = [stand_in(flavour=flavour, model=model).url for flavour in Flavour]
    assert "not" in refusal(ModelError, *urls, revision="r1")


def test_weights_that_are_served_under_another_hash_than_configured(stand_in: Callable[..., Any]) -> None:
    url = stand_in(model=ServedModel((MODEL, f"{MODEL}@4f2a"))).url
    assert identify(url, revision="4f2a").digest == identify(url).digest
    assert "4f2a, not 77b0" in refusal(ModelError, url, revision="77b0")


def answer(content: str, **more: Any) -> tuple[int, str, str]:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return 200, JSON, json.dumps({"model": "m", "choices": [choice], **more})


def only_honouring(field: str) -> Callable[[dict[str, Any]], tuple[int, str, str]]:
    """A server that knows one of the forms and ignores the others, as servers do."""

    def reply(body: dict[str, Any]) -> tuple[int, str, str]:
        forms = {
            "json_schema": body.get("response_format", {}).get("json_schema", {}).get("schema"),
            "structured_outputs": body.get("structured_outputs", {}).get("json"),
            "guided_json": body.get("guided_json"),
            "json_object": body.get("response_format", {}).get("schema"),
        }
        schema = forms[field]
        if schema is None:
            return answer("Yes.")
        return answer(json.dumps({key: value["enum"][0] for key, value in schema["properties"].items()}))

    return reply


@pytest.mark.parametrize(
    ("field", "variant"),
    [
        ("json_schema", "unknown response_format.json_schema"),
        ("structured_outputs", "unknown structured_outputs.json"),
        ("guided_json", "unknown guided_json"),
        ("json_object", "unknown response_format.json_object"),
    ],
)
def test_the_form_is_found_that_a_server_keeps_to(
    scripted: Callable[..., Any], field: str, variant: str
) -> None:
    server = scripted({"/v1/models": (200, JSON, json.dumps(LIST)), CHAT: only_honouring(field)})
    assert identify(server.url, model="m").variant == variant


def test_a_form_that_is_refused_is_followed_by_the_next(scripted: Callable[..., Any]) -> None:
    honouring = only_honouring("guided_json")

    def reply(body: dict[str, Any]) -> tuple[int, str, str]:
        return honouring(body) if "guided_json" in body else (400, JSON, '{"error":{"message":"unknown"}}')

    server = scripted({"/v1/models": (200, JSON, json.dumps(LIST)), CHAT: reply})
    assert identify(server.url, model="m").variant == "unknown guided_json"


def test_a_gateway_that_passes_no_schema_on_is_told(scripted: Callable[..., Any]) -> None:
    server = scripted({"/v1/models": (200, JSON, json.dumps(LIST)), CHAT: answer('{"answer": "yes"}')})
    said = refusal(EndpointError, server.url, model="m")
    assert "keeps to a JSON schema in none of 4 forms" in said
    assert len(server.bodies[CHAT]) == 4


def test_a_model_that_thinks_all_the_same_is_told(scripted: Callable[..., Any]) -> None:
    message = {"role": "assistant", "content": None, "reasoning_content": "Let me see"}
    thinking = {"model": "m", "choices": [{"message": message, "finish_reason": "length"}]}
    server = scripted({"/v1/models": (200, JSON, json.dumps(LIST)), CHAT: (200, JSON, json.dumps(thinking))})
    assert "think before it answers" in refusal(EndpointError, server.url, model="m")


def test_blanks_without_end_do_not_hide_that_the_schema_is_kept_to(scripted: Callable[..., Any]) -> None:
    choice = {"message": {"content": '{\n "tide_k7"' + "\n" * 60}, "finish_reason": "length"}
    runaway = json.dumps({"model": "m", "choices": [choice]})
    listed = {"data": [{"id": "m", "owned_by": "vllm"}]}
    server = scripted({"/v1/models": (200, JSON, json.dumps(listed)), CHAT: (200, JSON, runaway)})
    identity = identify(server.url, model="m")
    assert any("disable_any_whitespace" in note for note in identity.notes)


def test_a_gateway_that_answers_under_another_name_is_named(scripted: Callable[..., Any]) -> None:
    honouring = only_honouring("json_schema")

    def reply(body: dict[str, Any]) -> tuple[int, str, str]:
        status, media_type, text = honouring(body)
        return status, media_type, text.replace('"model": "m"', '"model": "vendor/m-2"')

    server = scripted({"/v1/models": (200, JSON, json.dumps(LIST)), CHAT: reply})
    identity = identify(server.url, model="m")
    assert identity.variant.endswith(" vendor/m-2")
    assert any("answers as vendor/m-2" in note for note in identity.notes)


@pytest.mark.parametrize(
    ("status", "media_type", "text", "told"),
    [
        (200, "text/html", "<html>log in</html>", "CF_ACCESS_CLIENT_ID"),
        (403, "text/html", "<html>no</html>", "CF_ACCESS_CLIENT_ID"),
        (401, JSON, '{"error":"Unauthorized"}', KEY),
    ],
)
def test_what_stands_before_a_server_is_told(
    scripted: Callable[..., Any], status: int, media_type: str, text: str, told: str
) -> None:
    server = scripted({"/v1/models": (status, media_type, text)})
    assert told in refusal(AccessDeniedError, server.url, model="m")


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_with_others_is_waited_for(scripted: Callable[..., Any], status: int) -> None:
    honouring = only_honouring("json_schema")
    busy = iter([(status, JSON, '{"error":{"message":"busy"}}')] * 3)
    server = scripted(
        {"/v1/models": (200, JSON, json.dumps(LIST)), CHAT: lambda body: next(busy, None) or honouring(body)}
    )
    assert identify(server.url, model="m").variant == "unknown response_format.json_schema"
    assert len(server.bodies[CHAT]) == 4


def test_a_login_page_before_completions_only_is_told(scripted: Callable[..., Any]) -> None:
    listed = (200, JSON, json.dumps(LIST))
    server = scripted({"/v1/models": listed, CHAT: (200, "text/html", "<html>log in</html>")})
    assert "CF_ACCESS_CLIENT_ID" in refusal(AccessDeniedError, server.url, model="m")


def test_a_reply_that_is_not_encoded_as_it_says_is_told_in_one_line(scripted: Callable[..., Any]) -> None:
    server = scripted({"/v1/models": (200, f"{JSON}\r\ncontent-encoding: gzip", json.dumps(LIST))})
    assert "in a coding that nobody asked for" in refusal(EndpointError, server.url, model="m")


@pytest.mark.parametrize("path", ["/version", "/metrics"])
def test_what_is_not_told_in_time_is_not_needed(path: str) -> None:
    def fetch(request: HttpRequest) -> Exchange:
        if request.path == path:
            raise EndpointError("cannot be reached (ReadTimeout)", "start it")
        listed = json.dumps({"data": [{"id": "m", "owned_by": "vllm"}]})
        replies = {
            "/v1/models": (200, JSON, listed),
            CHAT: only_honouring("json_schema")(dict(request.body or {})),
        }
        status, media_type, text = replies.get(request.path, (404, JSON, "{}"))
        headers = {"content-type": media_type}
        return Exchange("http://a", 0.0, 0.0, None, status, headers, text.encode(), request=request)

    assert OpenAIServer().identify("http://a", "m", fetch).version == "vllm"


@pytest.mark.parametrize("name", ["m-2\nWARNING all is lost", "m-2 \ud800", " m-2 "])
def test_a_name_in_a_reply_is_shown_in_one_line(scripted: Callable[..., Any], name: str) -> None:
    honouring = only_honouring("json_schema")

    def reply(body: dict[str, Any]) -> tuple[int, str, str]:
        status, media_type, text = honouring(body)
        return status, media_type, text.replace('"m"', json.dumps(name))

    server = scripted({"/v1/models": (200, JSON, json.dumps(LIST)), CHAT: reply})
    identity = identify(server.url, model="m")
    assert all(shown.isprintable() for shown in (identity.variant, *identity.notes))
    asked = OpenAIServer().for_variant(identity.variant)
    exchange = Exchange(
        server.url, 0.0, 0.0, None, 200, {"content-type": JSON}, answer("{}", model=name)[2].encode()
    )
    assert not isinstance(asked.read(exchange, "m"), Stop)


@pytest.mark.parametrize(
    "reply",
    [(200, JSON, "{}"), (200, JSON, "7"), (404, JSON, "{}"), (503, JSON, '{"error":{"code":503}}')],
)
def test_what_is_no_such_server_is_told(scripted: Callable[..., Any], reply: tuple[int, str, str]) -> None:
    said = refusal(EndpointError, scripted({"/v1/models": reply}).url, model="m")
    assert "/v1/models" in said
    assert "OpenAI-compatible" in said


def test_the_digest_by_now_is_that_of_the_preflight_until_the_weights_change(
    stand_in: Callable[..., Any], template: RequestTemplate
) -> None:
    server, kind = stand_in(), OpenAIServer()
    known = replace(template, digest=identify(server.url).digest)

    async def digests() -> tuple[str | None, str | None]:
        async with ChatClient(kind, TIMEOUTS, {}, frozenset()) as client:
            before = await client.digest(server.url, known)
            server.set_faults(FaultRule(Fault.DIGEST_CHANGE, requests=(1,)))
            await client.send(server.url, known, "a page", 0, 20.0)
            return before, await client.digest(server.url, known)

    before, after = asyncio.run(digests())
    assert before == known.digest
    assert after not in {None, known.digest}
