"""Before the first request: one clear line for everything that stands in the way."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from shared.http_servers import QuietHandler, serving

from preannotation_assets.errors import AccessDeniedError, EndpointError, InferenceError, ModelError
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.outcomes import Outcome
from preannotation_assets.model_servers.preflight import identify_model
from preannotation_assets.model_servers.preloading import preload
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.simulator import Fault, FaultRule, SimulatedModel
from preannotation_assets.simulator.settings import AccessCredentials

OLLAMA = OllamaServer()
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
        identify_model(OLLAMA, endpoints, model, {}, TIMEOUTS)
    assert type(raised.value) is kind
    assert "\n" not in str(raised.value)
    assert raised.value.cure
    return str(raised.value)


def test_the_model_is_known_by_its_digest(simulator: Any) -> None:
    servers = simulator(), simulator()
    identity = identify_model(OLLAMA, [server.url for server in servers], MODEL, {}, TIMEOUTS)
    assert identity.digest == SimulatedModel(MODEL).digest()
    assert dict(identity.versions) == dict.fromkeys((server.url for server in servers), "0.33.0")
    assert not servers[0].summary().requests


def test_nobody_there(closed_port: str) -> None:
    said = _refusal(EndpointError, closed_port)
    assert closed_port in said
    assert "OLLAMA_HOST" in said


def test_an_address_with_the_path_of_another_api(simulator: Any) -> None:
    assert _refusal(EndpointError, f"{simulator().url}/v1").endswith(
        "leave /v1 out of its address: that is the path of another API"
    )


def test_no_such_model(simulator: Any) -> None:
    assert "ollama pull mistral:7b" in _refusal(ModelError, simulator().url, model="mistral:7b")


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "deepseek-v3:cloud"])
def test_pages_are_sent_to_no_cloud(closed_port: str, model: str) -> None:
    assert "confidential" in _refusal(ModelError, closed_port, model=model)


def test_names_that_only_look_like_cloud_are_fine() -> None:
    for model in ("cloudy:7b", "cloud:70b", MODEL):
        OLLAMA.check_model_name(model)


def test_too_old_to_refuse_prompts_that_are_too_long(simulator: Any) -> None:
    assert "0.12.6" in _refusal(EndpointError, simulator(version="0.12.5").url)
    identify_model(OLLAMA, [simulator(version="0.12.6").url], MODEL, {}, TIMEOUTS)
    identify_model(OLLAMA, [simulator(version="0.0.0").url], MODEL, {}, TIMEOUTS)


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
    token = {"CF_ACCESS_CLIENT_ID": "id", "CF_ACCESS_CLIENT_SECRET": "secret"}
    environment = {**token, "OLLAMA_HOST": server.url}
    assert identify_model(OLLAMA, [server.url], MODEL, environment, TIMEOUTS).digest
    wrong = {**environment, "CF_ACCESS_CLIENT_SECRET": "hunter2"}
    with pytest.raises(AccessDeniedError) as raised:
        identify_model(OLLAMA, [server.url], MODEL, wrong, TIMEOUTS)
    assert "hunter2" not in str(raised.value)


def test_preloading_loads_once_everywhere_and_requests_do_not_reload(
    simulator: Any, new_run: Any, template: RequestTemplate
) -> None:
    servers = simulator(), simulator()
    preload(OLLAMA, [server.url for server in servers], template, {}, TIMEOUTS)
    assert [server.summary().loads for server in servers] == [1, 1]
    run = new_run(*servers)
    run.ask([f"MV STAR {number}" for number in range(12)])
    assert [server.summary().loads for server in servers] == [1, 1]


def test_a_model_that_cannot_be_loaded_is_given_up_after_the_attempts(
    simulator: Any, template: RequestTemplate
) -> None:
    server = simulator(faults=(FaultRule(Fault.LOAD_FAILURE, probability=1.0),))
    policy = RetryPolicy(attempts=3, first_backoff=0.01)
    with pytest.raises(EndpointError, match="in 3 attempts \\(status 500\\)"):
        preload(OLLAMA, [server.url], template, {}, TIMEOUTS, policy)


@dataclass
class Scripted:
    """A server whose answers to POST are given beforehand: status and content; the last one stays."""

    answers: list[tuple[int, str]]
    url: str = ""
    asked: int = 0


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    with ExitStack() as stack:

        def start(*answers: tuple[int, str]) -> Scripted:
            script = Scripted(list(answers))

            class Handler(QuietHandler):
                def answer(self) -> None:
                    self.taken()
                    if self.command != "POST":
                        self.reply(501, "text/html", b"")
                        return
                    status, content = script.answers[min(script.asked, len(script.answers) - 1)]
                    script.asked += 1
                    kind = "application/json" if content.startswith("{") else "text/html"
                    self.reply(status, kind, content.encode())

            script.url = stack.enter_context(serving(Handler))
            return script

        yield start


BUSY = (503, '{"error": "server busy, please try again."}')
CRASH = (500, '{"error": "llama-server process has terminated"}')
LOADED = (200, '{"done": true, "done_reason": "load"}')
IMPATIENT = RetryPolicy(attempts=2, first_backoff=0.01, longest_backoff=0.03)


def test_a_server_that_is_busy_is_waited_for_however_often(
    scripted: Callable[..., Scripted], template: RequestTemplate
) -> None:
    server, other = scripted(*[BUSY] * 7, CRASH, BUSY, LOADED), scripted(LOADED)
    preload(OLLAMA, [server.url, other.url], template, {}, TIMEOUTS, IMPATIENT)
    assert (server.asked, other.asked) == (10, 1)


def test_a_server_that_stays_busy_is_given_up_when_the_time_for_loading_is_over(
    scripted: Callable[..., Scripted], template: RequestTemplate
) -> None:
    server = scripted(BUSY)
    with pytest.raises(EndpointError, match="status 503"):
        preload(OLLAMA, [server.url], template, {}, replace(TIMEOUTS, load=0.5), IMPATIENT)
    assert server.asked > 3


class _Unforeseeing(OllamaServer):
    """A kind of server that does not foresee what comes back."""

    def read(self, exchange: Exchange, model: str) -> Outcome:
        raise KeyError(model)


def test_a_reply_that_nobody_foresaw_ends_the_load_in_one_line(
    scripted: Callable[..., Scripted], template: RequestTemplate
) -> None:
    server = scripted((418, '{"error": "short and stout"}'))
    with pytest.raises(EndpointError, match="answers /api/chat with status 418"):
        preload(_Unforeseeing(), [server.url], template, {}, TIMEOUTS, IMPATIENT)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, "<html>Sign in</html>"), AccessDeniedError),
        ((403, "<html>Forbidden</html>"), AccessDeniedError),
        ((404, '{"error": "model not found"}'), EndpointError),
        ((400, '{"error": "invalid keep_alive"}'), EndpointError),
    ],
)
def test_what_no_patience_can_help_is_not_asked_again(
    scripted: Callable[..., Scripted],
    template: RequestTemplate,
    answer: tuple[int, str],
    kind: type[InferenceError],
) -> None:
    server, busy = scripted(answer), scripted(BUSY)
    patient = RetryPolicy(first_backoff=60.0)
    began = time.monotonic()
    with pytest.raises(kind):
        preload(OLLAMA, [server.url, busy.url], template, {}, TIMEOUTS, patient)
    assert server.asked == 1
    # The other endpoint is not waited for either.
    assert time.monotonic() - began < 20
