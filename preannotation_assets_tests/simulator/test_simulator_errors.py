"""The error table of Ollama, row by row, over HTTP."""

import json
from typing import Any

import pytest

from preannotation_assets.simulator import (
    AccessCredentials,
    Fault,
    FaultRule,
    SimulatedModel,
    SimulatorSettings,
)

LONG = [{"role": "user", "content": "word " * 500}]


def test_bad_bodies_are_400(talk: Any) -> None:
    for body in (b"{", b"", b"[1]"):
        response = talk.client.post("/api/chat", content=body)
        assert response.status_code == 400
        assert isinstance(response.json()["error"], str)


def test_wrong_method_and_path_are_texts(talk: Any) -> None:
    wrong_method = talk.client.get("/api/chat")
    assert (wrong_method.status_code, wrong_method.text) == (405, "405 method not allowed")
    wrong_path = talk.client.post("/api/nothing", json={})
    assert (wrong_path.status_code, wrong_path.text) == (404, "404 page not found")


def test_unknown_model_is_404_everywhere(talk: Any) -> None:
    for response in (talk.chat(model="x"), talk.generate("a", model="x"), talk.generate("", model="x")):
        assert response.status_code == 404
        assert response.json() == {"error": "model 'x' not found"}
    shown = talk.client.post("/api/show", json={"model": "x"})
    assert (shown.status_code, shown.json()) == (404, {"error": "model 'x:latest' not found"})


def test_what_is_no_model_name_is_400(talk: Any) -> None:
    for name, text in (("", "model is required"), (" ", "model is required"), ("a b", "invalid model name")):
        response = talk.chat(model=name)
        assert (response.status_code, response.json()) == (400, {"error": text})
        assert talk.client.post("/api/show", json={"model": name}).json() == {"error": text}
    assert talk.generate("a", model="").status_code == 404
    assert talk.generate("a", model="a//b").json() == {"error": "invalid model name"}


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"options": {"num_ctx": "4096"}}, 500, 'option "num_ctx" must be of type integer'),
        ({"options": {"temperature": "0"}}, 500, 'option "temperature" must be of type float32'),
        ({"options": {"use_mmap": 1}}, 500, 'option "use_mmap" must be of type boolean'),
        ({"options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
        ({"format": "xml"}, 500, 'invalid format: "xml"; expected "json" or a valid JSON Schema object'),
        ({"format": [1]}, 500, 'invalid format: [1]; expected "json" or a valid JSON Schema object'),
        ({"keep_alive": "300"}, 400, 'time: missing unit in duration "300"'),
        ({"keep_alive": "5x"}, 400, 'time: invalid duration "5x"'),
        ({"think": True}, 400, '"llama3.3:70b" does not support thinking'),
        ({"top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
    ],
)
def test_bad_fields(talk: Any, changes: dict[str, Any], status: int, text: str) -> None:
    response = talk.chat(**changes)
    assert (response.status_code, response.json()) == (status, {"error": text})


def test_unknown_options_and_think_false_are_accepted(talk: Any) -> None:
    assert talk.chat(options={"nonsense": "x", "num_ctx": 4096}, think=False).status_code == 200


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"properties": 3},
        {"type": "string", "pattern": "^\\d+$"},
        {"type": "string", "pattern": "[a-z]+"},
        {"type": "string", "maxLength": 2000},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#"},
        {"enum": []},
    ],
)
def test_schemas_that_the_runner_refuses(talk: Any, schema: dict[str, Any]) -> None:
    response = talk.chat(format=schema)
    assert response.status_code == 400
    inner = json.loads(response.json()["error"])["error"]
    assert inner["code"] == 400


def test_ignored_schema_keywords_are_accepted(talk: Any) -> None:
    schema = {"type": "string", "maxLength": 2001, "if": {"type": "string"}, "then": {"minLength": 5}}
    assert talk.chat(format=schema).status_code == 200


def test_too_long_prompt_names_both_counts(talk: Any) -> None:
    response = talk.chat("word " * 5000)
    assert response.status_code == 400
    inner = json.loads(response.json()["error"])["error"]
    assert inner["type"] == "exceed_context_size_error"
    assert inner["n_prompt_tokens"] > inner["n_ctx"] == 4096


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"format": {"type": "z"}}, 400), ({"options": {"num_ctx": 256}, "messages": LONG}, 400), ({}, 500)],
)
def test_an_error_instead_of_a_stream_comes_in_chunks(
    talk: Any, changes: dict[str, Any], status: int
) -> None:
    talk.simulator.set_faults(FaultRule(Fault.CRASH, probability=float(not changes)))
    response = talk.chat(stream=True, **changes)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/json")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert isinstance(response.json()["error"], str)
    whole = talk.chat(**changes)
    assert whole.headers["Content-Type"] == "application/json; charset=utf-8"
    assert int(whole.headers["Content-Length"]) == len(whole.content)


def test_errors_before_the_runner_are_the_same_with_and_without_stream(talk: Any) -> None:
    for stream in (False, True):
        response = talk.chat(stream=stream, model="x")
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert "Transfer-Encoding" not in response.headers


def test_load_failure_is_500_for_preload_and_request(talk: Any) -> None:
    talk.simulator.set_faults(FaultRule(Fault.LOAD_FAILURE, requests=(1,)))
    for response in (talk.generate(""), talk.chat()):
        assert response.status_code == 500
        assert response.json()["error"].startswith("llama-server process has terminated: ")
    assert talk.chat().status_code == 200


def test_cloud_models_are_403(start: Any) -> None:
    settings = SimulatorSettings(models=(SimulatedModel("gpt-oss:120b", is_cloud=True),))
    talk = start(settings)
    for name in ("gpt-oss:120b", "other:cloud", "other:70b-Cloud"):
        response = talk.chat(model=name)
        assert response.status_code == 403
        assert response.json() == {"error": "ollama cloud is disabled: remote model is unavailable"}
    listed = talk.client.get("/api/tags").json()["models"][0]
    assert listed["remote_host"] == "https://ollama.com:443"


def test_a_public_host_header_is_an_empty_403(talk: Any) -> None:
    response = talk.client.get("/api/version", headers={"Host": "models.example.com"})
    assert (response.status_code, response.text) == (403, "")
    for host in ("localhost:1", "gpu.internal", "192.168.0.7", "[::1]:11434"):
        assert talk.client.get("/api/version", headers={"Host": host}).status_code == 200


def test_access_credentials_are_required(start: Any) -> None:
    talk = start(SimulatorSettings(access=AccessCredentials("id", "secret")))
    headers = {"CF-Access-Client-Id": "id", "CF-Access-Client-Secret": "secret"}
    denied = talk.client.post("/api/chat", json=talk.body(), headers={**headers, "CF-Access-Client-Id": "no"})
    assert denied.status_code == 302
    assert "cloudflareaccess.com" in denied.headers["Location"]
    assert denied.headers["Location"].startswith(talk.simulator.url)
    page = talk.client.post("/api/chat", json=talk.body(), follow_redirects=True)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert talk.client.post("/api/chat", json=talk.body(), headers=headers).status_code == 200
    assert "secret" not in repr(AccessCredentials("id", "secret"))


def test_errors_never_repeat_the_prompt(talk: Any) -> None:
    page = "Confidential Zanzibar " * 4000
    for response in (talk.chat(page), talk.chat(page, keep_alive="9"), talk.chat(page, format={"type": "z"})):
        assert response.status_code == 400
        assert "Zanzibar" not in response.text
    assert "Zanzibar" not in talk.client.get("/simulator/requests").text
