"""Runs that ask the stand-in for vLLM and llama-server: every text gets its answer, whatever goes wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from shared.asking_runs import LIMITS

from preannotation_assets.contracts import LogprobSource
from preannotation_assets.errors import AccessDeniedError, EndpointError
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import Software, Variant
from preannotation_assets.model_servers.preflight import identify_model
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.simulator import Fault, FaultRule
from preannotation_assets.simulator.openai import BatchTimes, Flavour, GrammarBackend
from preannotation_assets.throttling.permit_messages import PermitReport

TEXTS = [f"Vessel: MV STAR {number}\nPort: Rotterdam\nFlag: Panama" for number in range(12)]


FAULTS = [
    Fault.CRASH_MID_GENERATION,
    Fault.ERROR_MID_STREAM,
    Fault.NOT_DONE,
    Fault.SOCKET_RESET,
    Fault.BUSY,
    Fault.RATE_LIMIT_SECONDS,
    Fault.WHITESPACE,
    Fault.EMPTY_ANSWER,
    Fault.INVALID_JSON,
]


def ready(url: str, template: RequestTemplate) -> OpenAIServer:
    """The server as the preflight finds that it must be asked."""
    identity = identify_model(OpenAIServer(), [url], template.model, {}, Timeouts())
    return OpenAIServer().for_variant(identity.variant)


@pytest.fixture
def run_with(
    stand_in: Callable[..., Any], new_run: Any, template: RequestTemplate
) -> Callable[..., tuple[Any, Any]]:
    """Starts a stand-in and makes a run that asks it."""

    def start(
        *, is_streamed: bool = False, faults: tuple[FaultRule, ...] = (), **settings: Any
    ) -> tuple[Any, Any]:
        server = stand_in(**settings)
        kind = ready(server.url, template)
        server.reset()
        server.set_faults(*faults)
        streamed = frozenset({server.url} if is_streamed else ())
        return server, replace(new_run(server), template=template, server=kind, streamed=streamed)

    return start


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("flavour", list(Flavour))
def test_every_text_is_answered_with_its_tokens(
    run_with: Callable[..., tuple[Any, Any]], flavour: Flavour, is_streamed: bool
) -> None:
    _, run = run_with(is_streamed=is_streamed, flavour=flavour)
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    source = LogprobSource.MASKED if flavour is Flavour.VLLM else None
    for row in run.rows:
        assert json.loads(row["answer"])["spans"]
        assert sum(row["token_lengths"]) == len(row["answer"])
        assert len(row["token_lengths"]) == len(row["token_logprobs"])
        assert row["prompt_tokens"] > 0
        assert row["answer_tokens"] > 0
        assert row["logprob_source"] == source


@pytest.mark.parametrize("backend", list(GrammarBackend))
def test_quotes_with_quotation_marks_backslashes_and_line_breaks_survive(
    run_with: Callable[..., tuple[Any, Any]], backend: GrammarBackend
) -> None:
    # The stand-in's xgrammar cuts a bounded string at the first of them, as the real one does.
    _, run = run_with(backend=backend)
    run.ask(['Vessel: MV "SEA \\\\ QUEEN" of Panama\nPort of registry:\n"Rotterdam"'])
    (row,) = run.rows
    assert row["status"] == "answered"
    json.loads(row["answer"])


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("flavour", list(Flavour))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_another_attempt_and_no_answer(
    run_with: Callable[..., tuple[Any, Any]], flavour: Flavour, is_streamed: bool, fault: Fault
) -> None:
    rule = FaultRule(fault, requests=(3,), seconds=0.05)
    _, run = run_with(is_streamed=is_streamed, faults=(rule,), flavour=flavour, restart_seconds=0.05)
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    # llama-server's grammar lets nobody write blanks without end.
    is_impossible = fault is Fault.WHITESPACE and flavour is Flavour.LLAMA
    assert (sum(row["attempts"] for row in run.rows) > len(TEXTS)) is not is_impossible


@pytest.mark.parametrize("flavour", list(Flavour))
@pytest.mark.parametrize(("window", "lines"), [(900, 48), (3000, 12)])
def test_a_text_whose_prompt_or_answer_does_not_fit_the_window_is_split(
    run_with: Callable[..., tuple[Any, Any]], flavour: Flavour, window: int, lines: int
) -> None:
    _, run = run_with(flavour=flavour, window=window)
    reports: list[PermitReport] = []
    text = "\n".join(f"{line} {number}" for number in range(lines) for line in TEXTS)
    replace(run, observers=(lambda _, report: reports.append(report),)).ask([text])
    assert "context_exceeded" in {report.reason for report in reports}
    assert reports[-1].outcome == "answered"


def test_a_key_that_is_refused_stops_the_run(
    stand_in: Callable[..., Any], new_run: Any, template: RequestTemplate
) -> None:
    server = stand_in(api_key="right")
    run = replace(new_run(server), template=template, server=OpenAIServer())
    with pytest.raises(AccessDeniedError, match="PREANNOTATION_SERVER_API_KEY"):
        run.ask(TEXTS[:1])


@pytest.mark.parametrize(
    ("setting", "software", "is_streamed"),
    [
        ("logprobs", Software.VLLM, False),
        ("stream_options", Software.VLLM, True),
        ("response_format", Software.LLAMA_CPP, False),
    ],
)
def test_a_setting_that_the_server_refuses_to_everybody_stops_the_run_at_once(
    scripted: Callable[..., Any], new_run: Any, template_with_example: RequestTemplate, setting: str,
    software: Software, is_streamed: bool,
) -> None:  # fmt: skip
    def reply(body: dict[str, Any]) -> tuple[int, str, str]:
        if setting in body:
            return 400, "application/json", json.dumps({"error": {"message": f"{setting} is not supported"}})
        message = {"role": "assistant", "content": '{"'}
        return 200, "application/json", json.dumps({"choices": [{"message": message}]})

    server = scripted({"/v1/chat/completions": reply})
    run = replace(
        new_run(),
        endpoints=[server.url],
        template=template_with_example,
        server=OpenAIServer(variant=Variant(software)),
        streamed=frozenset([server.url] if is_streamed else []),
    )
    with pytest.raises(EndpointError, match="status 400"):
        run.ask(TEXTS)
    assert run.rows == []
    # Those in flight at the first refusal, and one look for all of them.
    assert len(server.bodies["/v1/chat/completions"]) <= LIMITS.max_in_flight + 1


def test_a_schema_is_sent_in_the_same_bytes_and_the_instructions_are_cached(
    run_with: Callable[..., tuple[Any, Any]],
) -> None:
    server, run = run_with(tells_cached_tokens=True, times=BatchTimes(compile_seconds=1.0))
    run.ask(TEXTS)
    records = [record for record in server.requests() if record.output_tokens]
    assert len(records) == len(TEXTS)
    shared = sum(record.cached_tokens > 0 for record in records)
    assert shared >= len(TEXTS) - 6
