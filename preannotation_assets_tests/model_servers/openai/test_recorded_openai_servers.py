"""What a real vLLM and a real llama.cpp server answered is understood."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from shared.recordings import RECORDED_MODEL, Recording, fetch_from, recordings

from preannotation_assets.errors import AccessDeniedError, EndpointError, ModelError
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import Software, Variant
from preannotation_assets.model_servers.outcomes import (
    Answered,
    Outcome,
    Reason,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
)

SERVERS: Final = {"llama_cpp": Software.LLAMA_CPP, "vllm": Software.VLLM}
# The second is the reason, or the kind of the error that stops the run.
OF_ALL: Final = {
    "chat": (Answered, None),
    "chat_again": (Answered, None),
    "chat_stream": (Answered, None),
    "chat_length": (TooLong, Reason.ANSWER_TOO_LONG),
    "chat_length_stream": (TooLong, Reason.ANSWER_TOO_LONG),
    "prompt_too_long": (TooLong, Reason.CONTEXT_EXCEEDED),
    "prompt_too_long_stream": (TooLong, Reason.CONTEXT_EXCEEDED),
    "wrong_key": (Stop, AccessDeniedError),
    "no_key": (Stop, AccessDeniedError),
    "refused_schema": (Stop, EndpointError),
    "wrong_type": (Stop, EndpointError),
}
EXPECTED: Final = [
    *((server, case, *meant) for server in SERVERS for case, meant in OF_ALL.items()),
    ("vllm", "unknown_model", Stop, ModelError),
    ("vllm", "broken_stream", Unavailable, Reason.SERVER_ERROR),
]


def read(server: str, recording: Recording) -> Outcome:
    return OpenAIServer(variant=Variant(SERVERS[server])).read(recording.exchange(), RECORDED_MODEL)


def meaning(outcome: Outcome) -> tuple[type, object]:
    match outcome:
        case Stop(error):
            return Stop, type(error)
        case Unavailable(reason) | Unusable(reason) | TooLong(reason):
            return type(outcome), reason
    return type(outcome), None


@pytest.mark.parametrize(("server", "case", "kind", "reason"), EXPECTED)
def test_a_recorded_answer_means_what_it_meant(server: str, case: str, kind: type, reason: object) -> None:
    assert meaning(read(server, recordings(server)[case])) == (kind, reason)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", ["chat", "chat_stream"])
def test_the_figures_and_probabilities_of_an_answer_are_read(server: str, case: str) -> None:
    outcome = read(server, recordings(server)[case])
    assert isinstance(outcome, Answered)
    reply = outcome.reply
    assert reply.token_lengths is not None
    assert sum(reply.token_lengths) == len(reply.content)
    assert None not in {reply.prompt_tokens, reply.answer_tokens}


@pytest.mark.parametrize("server", SERVERS)
def test_llama_cpp_ignores_a_wrong_name_and_vllm_does_not(server: str) -> None:
    recorded = recordings(server)["unknown_model"]
    assert recorded.status == (200 if server == "llama_cpp" else 404)
    outcome = OpenAIServer(variant=Variant(SERVERS[server])).read(recorded.exchange(), "no-such-model")
    assert meaning(outcome) == (Stop, ModelError)


def text_of(recording: Recording) -> str:
    choice: dict[str, Any] = json.loads(recording.content)["choices"][0]
    content: str = choice["message"]["content"]
    return content


@pytest.mark.parametrize("server", SERVERS)
def test_a_quotation_mark_survives_without_bounds_of_the_length(server: str) -> None:
    """And, where the member keeps bounds, with them."""
    recorded = recordings(server)
    free = json.loads(text_of(recorded["hard_characters"]), strict=False)["text"]
    assert '"' in free
    bounded = text_of(recorded["hard_characters_bounded"])
    keeps = "\\" in bounded
    assert keeps == Variant(SERVERS[server]).keeps_escapes_in_bounded_strings


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_and_its_limits_are_known(server: str) -> None:
    recorded = recordings(server)
    software = SERVERS[server]
    fetch = fetch_from(recorded, "probe")
    identity = OpenAIServer().identify("http://recorded", RECORDED_MODEL, fetch)
    assert identity.context_tokens == 2048
    assert identity.version.startswith(software)
    assert Variant.parse(identity.variant).software is software
    assert len(identity.digest) == 64


@pytest.mark.parametrize("server", SERVERS)
def test_a_wrong_key_is_told_before_the_first_question(server: str) -> None:
    recorded = recordings(server)
    recorded["v1_models"] = replace(recorded["models_wrong_key"], key="right")
    fetch = fetch_from(recorded, "wrong_key")
    with pytest.raises(AccessDeniedError):
        OpenAIServer().identify("http://recorded", RECORDED_MODEL, fetch)
