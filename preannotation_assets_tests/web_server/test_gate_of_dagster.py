"""Dagster's own application, with the gate and without: what is claimed of it is so, and the gate ends it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_webserver.app import create_app_from_workspace_process_context
from httpx import Response
from starlette.testclient import TestClient

from preannotation_assets.web_server.gate import LOOPBACK, Gate

HERE = "http://127.0.0.1:3000"
MUTATION = "mutation { setNuxSeen }"
DONE = {"data": {"setNuxSeen": True}}
BODY = json.dumps({"query": MUTATION}).encode()
EVIL = {"origin": "http://evil.example"}
# Each of them any site may have a browser send, without asking first (CORS calls them simple).
WAYS: dict[str, Callable[[TestClient], Response]] = {
    "a picture": lambda client: client.get("/graphql", params={"query": MUTATION}),
    "a form": lambda client: client.post("/graphql", params={"query": MUTATION}, headers=EVIL),
    "a disguised body": lambda client: client.post(
        "/graphql", content=BODY, headers=EVIL | {"content-type": "text/plain;application/json"}
    ),
}


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[tuple[TestClient, TestClient]]:
    """Without the gate, and with it."""
    with (
        DagsterInstance.local_temp(str(tmp_path)) as instance,
        WorkspaceProcessContext(instance, None) as context,
    ):
        plain, gated = (create_app_from_workspace_process_context(context) for _ in range(2))
        gated.add_middleware(Gate, names=LOOPBACK)
        yield TestClient(plain, base_url=HERE), TestClient(gated, base_url=HERE)


@pytest.mark.parametrize("way", WAYS)
def test_dagster_alone_obeys_any_site_and_behind_the_gate_it_does_not(
    clients: tuple[TestClient, TestClient], way: str
) -> None:
    plain, gated = clients
    assert WAYS[way](plain).json() == DONE
    assert WAYS[way](gated).status_code in (403, 405, 415)


def test_dagster_alone_answers_to_any_name_and_behind_the_gate_it_does_not(
    clients: tuple[TestClient, TestClient],
) -> None:
    plain, gated = clients
    rebound = {"host": "evil.example:3000", "origin": "http://evil.example:3000"}
    assert plain.post("/graphql", json={"query": MUTATION}, headers=rebound).json() == DONE
    assert gated.post("/graphql", json={"query": MUTATION}, headers=rebound).status_code == 421
    own = {"origin": HERE}
    assert gated.post("/graphql", json={"query": MUTATION}, headers=own).json() == DONE
