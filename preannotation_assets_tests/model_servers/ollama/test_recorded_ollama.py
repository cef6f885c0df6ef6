"""What a real Ollama answered on both of its chat paths is understood."""

from typing import Final

import pytest
from shared.recordings import RECORDED_MODEL, Recording, fetch_from, recordings

from preannotation_assets.errors import EndpointError, ModelError
from preannotation_assets.extraction.answers import parse_answer
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.outcomes import (
    Answered,
    Outcome,
    Reason,
    Refused,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
)

PATHS: Final = ("ollama_go", "ollama_jinja")
# The second is the reason, or the kind of the error that stops the run.
EXPECTED: Final = {
    "chat": (Answered, None),
    "chat_again": (Answered, None),
    "chat_stream": (Answered, None),
    "chat_length": (TooLong, Reason.ANSWER_TOO_LONG),
    "chat_length_stream": (TooLong, Reason.ANSWER_TOO_LONG),
    "prompt_too_long": (TooLong, Reason.CONTEXT_EXCEEDED),
    "prompt_too_long_stream": (TooLong, Reason.CONTEXT_EXCEEDED),
    "unknown_model": (Stop, ModelError),
    "thinking": (Stop, EndpointError),
    "wrong_type": (Unavailable, Reason.SERVER_ERROR),
    "keep_alive_without_unit": (Refused, None),
    "refused_schema": (Stop, EndpointError),
    "malformed_model": (Stop, EndpointError),
    "unknown_path": (Stop, EndpointError),
}


def read(recording: Recording) -> Outcome:
    return OllamaServer().read(recording.exchange(), RECORDED_MODEL)


def meaning(outcome: Outcome) -> tuple[type, object]:
    match outcome:
        case Stop(error):
            return Stop, type(error)
        case Unavailable(reason) | Unusable(reason) | TooLong(reason):
            return type(outcome), reason
    return type(outcome), None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", EXPECTED)
def test_a_recorded_answer_means_what_it_meant(path: str, case: str) -> None:
    assert meaning(read(recordings(path)[case])) == EXPECTED[case]


@pytest.mark.parametrize("path", PATHS)
def test_the_figures_and_probabilities_of_an_answer_are_read(path: str) -> None:
    recorded = recordings(path)
    for case in ("chat", "chat_stream"):
        outcome = read(recorded[case])
        assert isinstance(outcome, Answered)
        reply = outcome.reply
        assert parse_answer(reply.content).fault is None
        assert reply.token_lengths is not None
        assert sum(reply.token_lengths) == len(reply.content)
        assert None not in {
            reply.prompt_tokens,
            reply.answer_tokens,
            reply.prompt_seconds,
            reply.answer_seconds,
        }
        assert (reply.queue_seconds or 0) >= 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", ["hard_characters", "hard_characters_bounded"])
def test_probabilities_join_over_quotation_marks_and_other_scripts(path: str, case: str) -> None:
    """It is no answer of ours, but its content and scores come the same way."""
    outcome = read(recordings(path)[case])
    assert isinstance(outcome, Unusable)
    assert outcome.reply is not None
    assert outcome.reply.token_lengths is not None
    assert sum(outcome.reply.token_lengths) == len(outcome.reply.content)


@pytest.mark.parametrize("path", PATHS)
def test_the_model_is_known_by_its_digest(path: str) -> None:
    recorded = recordings(path)
    identity = OllamaServer().identify("http://recorded", RECORDED_MODEL, fetch_from(recorded, "preload"))
    assert identity.version == "0.33.0"
    assert len(identity.digest) == 64


def test_equal_tokens_end_an_answer_on_the_path_of_go_templates() -> None:
    outcome = read(recordings("ollama_go")["equal_tokens"])
    assert isinstance(outcome, Unusable)
    assert outcome.reason in {Reason.NOT_DONE, Reason.ENDLESS_ANSWER}


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_breaks_is_asked_again_whatever_its_error_says(path: str) -> None:
    """Ollama puts the last errors of other requests into it, a prompt that was too long among them."""
    outcome = read(recordings(path)["broken_stream"])
    assert not isinstance(outcome, Answered | TooLong | Stop)
