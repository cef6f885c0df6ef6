"""Each text gets another hostile reply: its own fate is as it should be, and that of the others is theirs."""

import json
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import pytest
from shared.asking_runs import MODEL
from shared.hostile_replies import OLLAMA, OPENAI, HostileReply, front, hostile_page

from preannotation_assets.errors import AccessDeniedError, EndpointError
from preannotation_assets.extraction.answers import parse_answer
from preannotation_assets.extraction.suggesting import value_probabilities
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import Software, Variant
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.simulator import CharacterParts, Fault, FaultRule, HabitRates
from preannotation_assets.simulator.openai import (
    Flavour,
    OpenAiSettings,
    RunningOpenAiSimulator,
    ServedModel,
)
from preannotation_assets.throttling.dispatcher import Limits

LIMITS = Limits(max_in_flight=4, max_failure_rate=1.0, linger_seconds=0.05, first_rest_seconds=0.05)
POLICY = RetryPolicy(attempts=2, first_backoff=0.01, longest_backoff=0.02)
GOOD = [f"Log {number}: MV OCEAN STAR left Rotterdam for Hamburg." for number in range(8)]
VLLM = OpenAIServer(variant=Variant(Software.VLLM))
KINDS: Mapping[str, ModelServer] = {
    "ollama": OllamaServer(),
    Flavour.VLLM: VLLM,
    Flavour.LLAMA: OpenAIServer(variant=Variant(Software.LLAMA_CPP)),
}


def _ask(new_run: Any, url: str, server: ModelServer, texts: list[str]) -> Any:
    run = new_run(limits=LIMITS, policy=POLICY, server=server)
    run.endpoints = [url]
    run.ask(texts)
    return run


def _fates(run: Any) -> list[str]:
    rows = {row["request_key"]: row for row in run.rows}
    return [rows[leaf.request_key]["reason"] or rows[leaf.request_key]["status"] for (leaf,) in run.leaves]


@pytest.mark.parametrize(("server", "replies"), [(OllamaServer(), OLLAMA), (VLLM, OPENAI)])
def test_every_text_has_the_fate_of_its_own_reply(
    simulator: Any, new_run: Any, server: ModelServer, replies: Mapping[str, HostileReply]
) -> None:
    texts = [hostile_page(number) for number in range(len(replies))]
    settings = OpenAiSettings(model=ServedModel((MODEL.name,)), habits=HabitRates.NONE)
    with (
        RunningOpenAiSimulator(settings) as openai,
        front(openai.url if server is VLLM else simulator().url, replies) as standing,
    ):
        run = _ask(new_run, standing.url, server, texts + GOOD)
    assert dict(zip(replies, _fates(run), strict=False)) == {
        name: reply.becomes for name, reply in replies.items()
    }
    assert _fates(run)[len(replies) :] == ["answered"] * len(GOOD)
    # As it was, and once more: varied, later, or behind a look at whether others are denied too.
    assert max(standing.asked.values()) <= 2


def test_what_is_unknown_of_an_answer_is_null_and_the_rest_of_it_is_kept(
    simulator: Any, new_run: Any
) -> None:
    names = list(OLLAMA)
    wanted = ["a count that no column holds", "a log-probability that no float holds", "parts of characters"]
    texts = [hostile_page(names.index(name)) for name in wanted]
    with front(simulator().url, OLLAMA) as standing:
        run = _ask(new_run, standing.url, OllamaServer(), texts)
    rows = {row["request_key"]: row for row in run.rows}
    count, absurd, parts = (rows[leaf.request_key] for (leaf,) in run.leaves)
    assert (count["prompt_tokens"], count["answer_tokens"]) == (None, None)
    assert list(map(isfinite, absurd["token_logprobs"])) == [True, False]
    # The place of the character in two parts is known, its probability is not.
    assert parts["token_lengths"] == [43, 1, 4]
    assert list(map(isfinite, parts["token_logprobs"])) == [True, False, True]


NAMES = '{"spans":[{"vessel_name":"漢字 MARU"},{"port":"Rotterdam"},{"port":"Hamburg"}]}'
FIREWALL = {"page": HostileReply("refused", b"<html>blocked</html>", 403, "text/html")}


@pytest.mark.parametrize("others", [0, 7])
def test_a_page_that_a_firewall_blocks_is_refused_alone_whether_or_not_others_were_answered(
    simulator: Any, new_run: Any, others: int
) -> None:
    with front(simulator().url, FIREWALL) as standing:
        run = _ask(new_run, standing.url, OllamaServer(), [hostile_page(0), *GOOD[:others]])
    assert _fates(run) == ["refused", *["answered"] * others]
    assert standing.asked["page"] == 2
    assert run.stop_message is None


@pytest.mark.parametrize("fault", [Fault.LOGIN_REDIRECT, Fault.LOGIN_PAGE, Fault.FORBIDDEN_PAGE])
def test_a_login_before_all_requests_stops_the_run_after_one_look(
    simulator: Any, new_run: Any, fault: Fault
) -> None:
    server = simulator(faults=(FaultRule(fault, probability=1.0),))
    run = new_run(server)
    with pytest.raises(AccessDeniedError, match="login page"):
        run.ask(GOOD)
    assert run.rows == []
    # Those in flight at the first denial, and one probe for all of them.
    assert len(server.requests()) <= LIMITS.max_in_flight + 2


def test_a_login_that_comes_up_during_the_run_stops_it_and_keeps_what_was_answered(
    simulator: Any, new_run: Any
) -> None:
    server = simulator(faults=(FaultRule(Fault.FORBIDDEN_PAGE, requests=(5,), burst=1000),))
    run = new_run(server)
    with pytest.raises(AccessDeniedError, match="login page"):
        run.ask(GOOD)
    assert run.statuses() == {"answered": 4}
    assert "login page" in run.stop_message


def test_a_denial_of_a_moment_costs_no_answer(simulator: Any, new_run: Any) -> None:
    run = new_run(simulator(faults=(FaultRule(Fault.LOGIN_REDIRECT, requests=(3,)),)))
    run.ask(GOOD)
    assert run.statuses() == {"answered": len(GOOD)}
    assert run.progress.repeated == {"refused": 1}


def test_where_more_and_more_is_denied_the_run_ends_by_its_failure_rate(simulator: Any, new_run: Any) -> None:
    denied = [hostile_page(0).replace("Hull", f"port {number}") for number in range(200)]
    with front(simulator().url, FIREWALL) as standing:
        run = new_run(policy=POLICY)
        run.endpoints = [standing.url]
        with pytest.raises(Exception, match=r"of the last 20 chunks failed \(refused 20 times"):
            run.ask(denied)
    # Two for each that failed, and those that were under way.
    assert standing.asked["page"] <= 2 * 20 + 2 * 8


@pytest.mark.parametrize("server", [OllamaServer(), VLLM])
def test_a_refusal_in_words_that_are_used_of_all_is_believed_only_if_all_meet_it(
    simulator: Any, new_run: Any, server: ModelServer
) -> None:
    words = b'{"error":"cannot parse the option schema of MV ORION, nor its logprobs"}'
    replies = {"page": HostileReply("refused", words, 400)}
    settings = OpenAiSettings(model=ServedModel((MODEL.name,)), habits=HabitRates.NONE)
    with (
        RunningOpenAiSimulator(settings) as openai,
        front(openai.url if server is VLLM else simulator().url, replies) as standing,
    ):
        run = _ask(new_run, standing.url, server, [hostile_page(0), *GOOD])
    assert run.statuses() == {"refused": 1, "answered": len(GOOD)}


@pytest.mark.parametrize("fault", [Fault.NOT_DONE, Fault.INVALID_JSON, Fault.EMPTY_ANSWER, Fault.WHITESPACE])
def test_a_text_whose_answers_are_none_each_time_costs_fourteen_requests_at_most(
    simulator: Any, new_run: Any, fault: Fault
) -> None:
    server = simulator(faults=(FaultRule(fault, probability=1.0),))
    run = new_run(server, limits=LIMITS)
    text = "".join(f"MV STAR {line} left Hull on {line % 28 + 1} March 1999.\n" for line in range(50))
    run.ask([text])
    assert len(server.requests()) == 14
    assert len(run.leaves[0]) == 4
    assert {row["status"] for row in run.rows} == {"failed"}


def test_an_answer_that_was_only_too_long_does_not_count_as_none(simulator: Any, new_run: Any) -> None:
    said = '{"spans":[' + '{"port":"Hull"},' * 130
    reply = {"message": {"role": "assistant", "content": said}, "done": True, "done_reason": "length"}
    replies = {"page": HostileReply("endless_answer", json.dumps(reply).encode())}
    with front(simulator().url, replies) as standing:
        run = _ask(
            new_run, standing.url, OllamaServer(), [hostile_page(0) + "\n" + "Hull in the log.\n" * 300]
        )
    # Its part of the page is cut in two while it has as many of them, and twice more when it has not.
    splits = [leaf.unusable_splits for leaf in run.leaves[0]]
    assert (splits[:3], set(splits[3:])) == ([2, 2, 1], {0})
    assert len(splits) >= 5
    assert [row["reason"] for row in run.rows if row["status"] == "failed"] == ["endless_answer"]


def test_a_refused_setting_still_stops_the_run(simulator: Any, new_run: Any, template: Any) -> None:
    run = new_run(simulator())
    run.template = replace(
        template,
        prompt=replace(
            template.prompt,
            answer_schema={**template.prompt.answer_schema, "type": "string", "pattern": "\\d"},
        ),
    )
    with pytest.raises(EndpointError, match="schema"):
        run.ask(GOOD[:2])


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("parts", list(CharacterParts))
@pytest.mark.parametrize("kind", list(KINDS))
def test_characters_in_parts_take_the_confidence_of_their_own_values_only(
    simulator: Any, new_run: Any, kind: str, parts: CharacterParts, is_streamed: bool
) -> None:
    text = "MV OCEAN STAR left Rotterdam for Hamburg, the MV 漢字 MARU left Antwerp."
    settings = OpenAiSettings(
        model=ServedModel((MODEL.name,)),
        habits=HabitRates.NONE,
        character_parts=parts,
        flavour=Flavour.VLLM if kind == "ollama" else Flavour(kind),
        fixed_answer=NAMES,
    )
    with RunningOpenAiSimulator(settings) as openai:
        url = simulator(character_parts=parts).url if kind == "ollama" else openai.url
        run = new_run(limits=LIMITS, policy=POLICY, server=KINDS[kind])
        run.endpoints = [url]
        run.streamed = frozenset([url] if is_streamed else [])
        run.ask([text])
    (row,) = run.rows
    found = value_probabilities(row["answer"], row["token_lengths"], row["token_logprobs"])
    quotes = parse_answer(row["answer"]).quotes
    assert len(quotes) >= 3
    known = {quote.text: probability is not None for quote, probability in zip(quotes, found, strict=True)}
    assert {name for name, is_known in known.items() if not is_known} <= {
        name for name in known if not name.isascii()
    }
    assert known["Rotterdam"]
