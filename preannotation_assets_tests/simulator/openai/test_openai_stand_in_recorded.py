"""The stand-in answers what was asked of a real vLLM and a real llama.cpp server as those did.

The same status and media type, and nothing that the real one does not have; real ones tell more.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from shared.recordings import RECORDED_MODEL, Recording, recordings
from shared.structures import is_part_of, structure

from preannotation_assets.simulator import HabitRates
from preannotation_assets.simulator.openai import Flavour, OpenAiSettings, RunningOpenAiSimulator
from preannotation_assets.simulator.openai.settings import ServedModel

KEY = "the right one"
FLAVOURS = {"vllm": Flavour.VLLM, "llama_cpp": Flavour.LLAMA}
# The recorded llama.cpp is newer than the one that the stand-in has its habits from.
NEWER = {"malformed", "models_wrong_key", "wrong_type"}
NOT_COMPARED = {
    ("vllm", "broken_stream"),
    *(("llama_cpp", case) for case in NEWER),
}
CASES = sorted(
    {(server, case) for server in FLAVOURS for case in recordings(server)} - NOT_COMPARED,
)


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, httpx.Client]]:
    with ExitStack() as stack:
        running: dict[str, httpx.Client] = {}
        for server, flavour in FLAVOURS.items():
            model = ServedModel(names=(RECORDED_MODEL,))
            settings = OpenAiSettings(
                flavour=flavour, model=model, api_key=KEY, window=2048, habits=HabitRates.NONE
            )
            simulator = stack.enter_context(RunningOpenAiSimulator(settings))
            running[server] = stack.enter_context(httpx.Client(base_url=simulator.url, timeout=60))
        yield running


def headers_of(recorded: Recording) -> dict[str, str]:
    headers = {"Content-Type": "application/json"} if recorded.sent else {}
    if recorded.key == "none":
        return headers
    return headers | {"Authorization": f"Bearer {KEY if recorded.key == 'right' else 'wrong'}"}


@pytest.mark.parametrize(("server", "case"), CASES)
def test_the_stand_in_answers_as_the_real_one_did(
    clients: dict[str, httpx.Client], server: str, case: str
) -> None:
    recorded = recordings(server)[case]
    method, address = recorded.request.method, recorded.request.path
    answered = clients[server].request(
        method, address, content=recorded.sent or None, headers=headers_of(recorded)
    )
    assert answered.status_code == recorded.status
    media_type = recorded.exchange().content_type
    assert answered.headers.get("content-type", "").split(";")[0] == media_type
    assert is_part_of(structure(answered.content), structure(recorded.content))
