"""Before the first request: one clear line for everything that stands in the way."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from preannotation_assets.errors import AccessDeniedError, EndpointError, InferenceError, ModelError
from preannotation_assets.inference.client import Timeouts
from preannotation_assets.inference.preflight import check_model_name, identify_model, preload
from preannotation_assets.inference.protocol import RequestTemplate
from preannotation_assets.simulator import Fault, FaultRule, SimulatedModel
from preannotation_assets.simulator.settings import AccessCredentials

MODEL = "llama3.3:70b"
TIMEOUTS = Timeouts(connect=2.0)


@pytest.fixture
def closed_port() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # Bound but not listening: a connection is refused, and nobody else gets the port.
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _refusal(kind: type[InferenceError], *endpoints: str, model: str = MODEL) -> str:
    with pytest.raises(kind) as raised:
        identify_model(endpoints, model, {}, TIMEOUTS)
    assert type(raised.value) is kind
    assert "\n" not in str(raised.value)
    assert raised.value.cure
    return str(raised.value)


def test_the_model_is_known_by_its_digest(simulator: Any) -> None:
    servers = simulator(), simulator()
    identity = identify_model([server.url for server in servers], MODEL, {}, TIMEOUTS)
    assert identity.digest == SimulatedModel(MODEL).digest()
    assert dict(identity.versions) == dict.fromkeys((server.url for server in servers), "0.33.0")
    assert not servers[0].summary().requests


def test_nobody_there(closed_port: str) -> None:
    said = _refusal(EndpointError, closed_port)
    assert closed_port in said
    assert "OLLAMA_HOST" in said


def test_no_such_model(simulator: Any) -> None:
    assert "ollama pull mistral:7b" in _refusal(ModelError, simulator().url, model="mistral:7b")


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "deepseek-v3:cloud"])
def test_pages_are_sent_to_no_cloud(closed_port: str, model: str) -> None:
    assert "confidential" in _refusal(ModelError, closed_port, model=model)


def test_names_that_only_look_like_cloud_are_fine() -> None:
    for model in ("cloudy:7b", "cloud:70b", MODEL):
        check_model_name(model)


def test_too_old_to_refuse_prompts_that_are_too_long(simulator: Any) -> None:
    assert "0.12.6" in _refusal(EndpointError, simulator(version="0.12.5").url)
    identify_model([simulator(version="0.12.6").url], MODEL, {}, TIMEOUTS)
    identify_model([simulator(version="0.0.0").url], MODEL, {}, TIMEOUTS)


def test_not_the_same_model_everywhere(simulator: Any) -> None:
    changed = simulator(faults=(FaultRule(Fault.DIGEST_CHANGE, requests=(1,)),))
    same = simulator()
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "stream": False}
    httpx.post(f"{changed.url}/api/chat", json=body, timeout=10).raise_for_status()
    said = _refusal(ModelError, same.url, changed.url)
    assert "not the same on all endpoints" in said
    assert same.url in said


def test_a_login_page_before_the_server(simulator: Any) -> None:
    credentials = AccessCredentials("id", "secret")
    server = simulator(access=credentials)
    assert "CF_ACCESS_CLIENT_ID" in _refusal(AccessDeniedError, server.url)
    headers = {"CF-Access-Client-Id": "id", "CF-Access-Client-Secret": "secret"}
    assert identify_model([server.url], MODEL, headers, TIMEOUTS).digest
    wrong = {**headers, "CF-Access-Client-Secret": "hunter2"}
    with pytest.raises(AccessDeniedError) as raised:
        identify_model([server.url], MODEL, wrong, TIMEOUTS)
    assert "hunter2" not in str(raised.value)


def test_preloading_loads_once_everywhere_and_requests_do_not_reload(
    simulator: Any, new_run: Any, template: RequestTemplate
) -> None:
    servers = simulator(), simulator()
    preload([server.url for server in servers], template, {}, TIMEOUTS)
    assert [server.summary().loads for server in servers] == [1, 1]
    run = new_run(*servers)
    run.ask([f"MV STAR {number}" for number in range(12)])
    assert [server.summary().loads for server in servers] == [1, 1]


def test_a_model_that_cannot_be_loaded(simulator: Any, template: RequestTemplate) -> None:
    server = simulator(faults=(FaultRule(Fault.LOAD_FAILURE, probability=1.0),))
    with pytest.raises(EndpointError, match="500"):
        preload([server.url], template, {}, TIMEOUTS)
