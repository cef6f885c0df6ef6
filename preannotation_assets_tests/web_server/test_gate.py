"""Who is let through to Dagster's web server, as requests look that browsers really send."""

import subprocess
import sys
from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from preannotation_assets.web_server.gate import LOOPBACK, Gate

HERE = "http://127.0.0.1:3000"
JSON = {"content-type": "application/json"}


@pytest.fixture
def reached() -> list[str]:
    return []


@pytest.fixture
def client(reached: list[str]) -> TestClient:
    """A server that notes what reaches it, behind the gate."""

    async def note(request: Request) -> PlainTextResponse:
        reached.append(f"{request.method} {request.url.path}")
        return PlainTextResponse("reached")

    async def speak(websocket: WebSocket) -> None:
        reached.append("websocket")
        await websocket.accept()
        await websocket.close()

    routes = [WebSocketRoute("/graphql", speak), Route("/{path:path}", note, methods=["GET", "POST", "PUT"])]
    app = Starlette(routes=routes)
    app.add_middleware(Gate, names={*LOOPBACK, "Dagster.Example.com"})
    return TestClient(app, base_url=HERE)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:3000"},
        {"host": "LOCALHOST:8080"},
        {"host": "[::1]:3000"},
        {"host": "dagster.example.com", "origin": "https://dagster.example.com"},
        {"origin": HERE, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
    ],
)
def test_the_interface_asks_by_post_from_its_own_page(
    client: TestClient, reached: list[str], headers: Mapping[str, str]
) -> None:
    reply = client.post("/graphql", json={"query": "{version}"}, headers=headers)
    assert (reply.status_code, reply.text) == (200, "reached")
    # Nobody can show it in a frame of another site.
    assert reply.headers["x-frame-options"] == "SAMEORIGIN"
    assert reached == ["POST /graphql"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example:3000",
     "dagster.example.com.evil.example", "127.0.0.1:3000@evil.example", "[::1", "", "10.0.0.7:3000",
     "evil.example@127.0.0.1:3000", "127.0.0.1:3000/evil.example", "127.0.0.1#evil.example",
     "127.0.0.1?evil.example",
     "localhost:x", "localhost:1:2", "[localhost]"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/logs/a.err", "/graphql"])
def test_a_name_that_is_not_its_own_reaches_nothing(
    client: TestClient, reached: list[str], host: str, path: str
) -> None:
    assert client.get(path, headers={"host": host}).status_code == 421
    assert client.post("/graphql", json={}, headers={"host": host}).status_code == 421
    assert reached == []


def test_two_names_at_once_reach_nothing(client: TestClient, reached: list[str]) -> None:
    headers = [("host", "127.0.0.1:3000"), ("host", "evil.example")]
    assert client.get("/", headers=headers).status_code == 421
    assert reached == []


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://evil.example:3000", "null", "http://127.0.0.1:8080", "http://localhost:3000",
     "http://127.0.0.1:3000.evil.example", "file://", "chrome-extension://127.0.0.1:3000", "http://[", ""],
)  # fmt: skip
def test_other_sites_reach_nothing_also_those_of_this_machine(
    client: TestClient, reached: list[str], origin: str
) -> None:
    assert client.post("/graphql", json={}, headers={"origin": origin}).status_code == 403
    assert (
        client.post("/report_asset_check/suggestions", json={}, headers={"origin": origin}).status_code == 403
    )
    assert client.get("/", headers={"origin": origin}).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/graphql", headers={"origin": origin}):
        pytest.fail("it was accepted")
    assert reached == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_names_no_origin_says_that_another_site_asks(
    client: TestClient, reached: list[str], site: str
) -> None:
    image = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert client.get("/logs/a.err", headers=image).status_code == 403
    assert client.post("/graphql", json={}, headers=image).status_code == 403
    form = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert client.post("/graphql", json={}, headers=form).status_code == 403
    assert reached == []
    # A link in a mail.
    assert client.get("/runs/1", headers=form).status_code == 200


@pytest.mark.parametrize("path", ["/graphql?query=mutation{wipe}", "/graphql/", "/prefix/graphql"])
@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/avif,image/webp,*/*"])
def test_no_query_comes_by_get(client: TestClient, reached: list[str], path: str, accept: str) -> None:
    assert client.get(path, headers={"accept": accept}).status_code == 405
    assert client.head(path, headers={"accept": accept}).status_code == 405
    assert reached == []


def test_the_page_for_queries_is_shown(client: TestClient, reached: list[str]) -> None:
    assert client.get("/graphql", headers={"accept": "text/html,*/*"}).status_code == 200
    assert reached == ["GET /graphql"]


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/plain;application/json", "text/plain; charset=application/json",
     "application/graphql", "application/x-www-form-urlencoded",
     "multipart/form-data; boundary=application/json", ""],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/graphql?query=mutation{wipe}", "/report_asset_check/suggestions?passed=true"]
)
def test_no_post_is_of_a_kind_that_any_site_may_send(
    client: TestClient, reached: list[str], path: str, kind: str
) -> None:
    assert client.post(path, content=b'{"query": "{}"}', headers={"content-type": kind}).status_code == 415
    assert reached == []


def test_there_is_no_other_method(client: TestClient, reached: list[str]) -> None:
    assert client.put("/graphql", json={}).status_code == 405
    assert client.options("/graphql", headers={"access-control-request-method": "POST"}).status_code == 405
    assert reached == []


def test_live_logs_come_over_a_websocket_of_its_own_page(client: TestClient, reached: list[str]) -> None:
    with client.websocket_connect("/graphql", headers={"origin": HERE, "host": "127.0.0.1:3000"}):
        pass
    assert reached == ["websocket"]


def test_without_a_proxy_that_is_named_it_listens_on_this_machine_only() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "preannotation_assets.web_server", "--host", "0.0.0.0"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("web_server: error: the web server asks nobody who they are")
    assert "--name" in refused.stderr
