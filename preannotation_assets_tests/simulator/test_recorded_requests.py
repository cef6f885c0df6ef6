"""The stand-in answers what was asked of a real Ollama as that did: status, content type and structure."""

from collections.abc import Iterator

import httpx
import pytest
from shared.recordings import RECORDED_MODEL, recordings
from shared.structures import structure

from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatedModel, SimulatorSettings

# Ones that depend on what a model writes, on a kill, and on what else is known of a model.
NOT_COMPARED = {"equal_tokens", "broken_stream", "show"}
CASES = sorted(recordings("ollama_go").keys() - NOT_COMPARED)


@pytest.fixture(scope="module", params=["ollama_go", "ollama_jinja"])
def stand_in(request: pytest.FixtureRequest) -> Iterator[tuple[str, httpx.Client]]:
    model = SimulatedModel(RECORDED_MODEL, is_jinja=request.param == "ollama_jinja")
    with (
        RunningSimulator(SimulatorSettings(habits=HabitRates.NONE, models=(model,))) as simulator,
        httpx.Client(base_url=simulator.url, timeout=60) as client,
    ):
        yield request.param, client


@pytest.mark.parametrize("case", CASES)
def test_the_stand_in_answers_as_the_real_one_did(stand_in: tuple[str, httpx.Client], case: str) -> None:
    path, client = stand_in
    recorded = recordings(path)[case]
    headers = {"Content-Type": "application/json"} if recorded.sent else {}
    method, address = recorded.request.method, recorded.request.path
    answered = client.request(method, address, content=recorded.sent or None, headers=headers)
    assert answered.status_code == recorded.status
    # aiohttp names the character set of text.
    content_type = answered.headers["content-type"]
    assert content_type in {recorded.headers["content-type"], "text/plain; charset=utf-8"}
    assert structure(answered.content) == structure(recorded.content)
