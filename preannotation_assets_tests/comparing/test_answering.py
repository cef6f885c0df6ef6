"""Reviewed pages answered with other settings: what a run would suggest, asked once, nothing left behind."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from shared.compared_servers import EXACT, SLOPPY, Servers, compared_servers, environment_for
from shared.page_requests import page_requests
from shared.reviewed_demo import LAYOUT, ReviewedDemo, review_demo

from preannotation_assets.comparing.answering import answer_reviewed_pages
from preannotation_assets.comparing.prepared import PreparedSettings, prepare
from preannotation_assets.comparing.reviewed import read_reviewed_pages
from preannotation_assets.errors import InferenceError
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.settings import Settings
from preannotation_assets.simulator import Fault, FaultRule, RequestRecord
from preannotation_assets.telemetry.stage_progress import LogAlone

PAGES = 12


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield compared_servers(stack)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReviewedDemo:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    demo = review_demo(tmp_path / "lake")
    demo.write_responses()
    return demo


def prepared_for(demo: ReviewedDemo, servers: Servers, model: str, **settings: str) -> PreparedSettings:
    root = demo.store.uri("x").removesuffix("/x")
    environment = {**environment_for(servers, model), "PREANNOTATION_ROOT": root, **settings}
    return prepare(Settings.from_environment(environment), LAYOUT.dataset)


def some_pages(demo: ReviewedDemo) -> list[ReviewedPage]:
    reviewed = read_reviewed_pages(demo.store, LAYOUT.dataset, lambda: None, "latest")
    assert len(reviewed) == demo.reviewed
    return [page for page in reviewed if len(page.text) < 5000][:PAGES]


def keys(demo: ReviewedDemo) -> set[str]:
    return {entry.key for entry in demo.store.list(f"{LAYOUT.work}/")}


def test_pages_are_asked_once_and_nothing_but_answers_is_left(demo: ReviewedDemo, servers: Servers) -> None:
    before, pages = keys(demo), some_pages(demo)
    asked_before = len(page_requests(servers[EXACT]))
    prepared = prepared_for(demo, servers, EXACT)
    first = answer_reviewed_pages(prepared, pages, LogAlone())
    assert [(page.page.doc_id, page.page.page_num) for page in first.pages] == [
        (page.doc_id, page.page_num) for page in pages
    ]
    for page, given in zip(first.pages, pages, strict=True):
        assert (page.page.text, page.page.gold) == (given.text, given.gold)
        assert page.page.failure is None
        places = {(span.start, span.end, span.label) for span in page.page.suggested}
        assert places == page.parts.keys()
    requests = len(page_requests(servers[EXACT])) - asked_before
    assert sum(page.cost.asked for page in first.pages) == requests > 0
    assert sum(len(page.page.suggested) for page in first.pages) > PAGES
    left = {key.removeprefix(f"{LAYOUT.work}/").partition("/")[0] for key in keys(demo) - before}
    assert left == {"answers", "requests", "lease.json"}

    again = answer_reviewed_pages(prepared, pages, LogAlone())
    assert len(page_requests(servers[EXACT])) - asked_before == requests
    assert sum(page.cost.asked for page in again.pages) == 0
    # The same but for who asked: also what it cost.
    assert again == replace(
        first,
        pages=tuple(
            replace(page, cost=replace(page.cost, asked=0, found=page.cost.asked + page.cost.found))
            for page in first.pages
        ),
    )


def tokens_told(requests: list[RequestRecord]) -> tuple[int, int]:
    return sum(each.prompt_tokens or 0 for each in requests), sum(
        each.output_tokens or 0 for each in requests
    )


@pytest.mark.parametrize("longest_answer", ["3072", "90"])
def test_costs_are_what_the_server_told_also_of_answers_that_were_cut_off(
    demo: ReviewedDemo, servers: Servers, longest_answer: str
) -> None:
    pages, before = some_pages(demo), len(page_requests(servers[SLOPPY]))
    prepared = prepared_for(demo, servers, SLOPPY, PREANNOTATION_NUM_PREDICT=longest_answer)
    found = answer_reviewed_pages(prepared, pages, LogAlone())
    told = page_requests(servers[SLOPPY])[before:]
    assert (len(told) > len(pages)) == (longest_answer == "90")
    costs = [page.cost for page in found.pages]
    assert sum(cost.asked for cost in costs) == len(told)
    assert tokens_told(told) == (
        sum(cost.prompt_tokens or 0 for cost in costs),
        sum(cost.answer_tokens or 0 for cost in costs),
    )
    # What the server worked, from the first request to the last, can only be more.
    seconds = [cost.server_seconds for cost in costs if cost.server_seconds is not None]
    assert len(seconds) == len(pages)
    worked = max(each.ended_at or 0 for each in told) - min(each.arrived_at for each in told)
    assert 0 < sum(seconds) < worked + 1


def test_a_second_pass_is_asked_and_costs(demo: ReviewedDemo, servers: Servers) -> None:
    pages = some_pages(demo)
    once = answer_reviewed_pages(prepared_for(demo, servers, SLOPPY), pages, LogAlone())
    prepared = prepared_for(demo, servers, SLOPPY, PREANNOTATION_SECOND_PASS_BELOW="0.9")
    twice = answer_reviewed_pages(prepared, pages, LogAlone())
    assert sum(page.cost.found for page in twice.pages) == sum(page.cost.asked for page in once.pages)
    assert 0 < sum(page.cost.asked for page in twice.pages) <= len(pages)
    assert {part.agreement for page in once.pages for part in page.parts.values()} == {None}
    assert {part.agreement for page in twice.pages for part in page.parts.values()} != {None}


def test_a_cascade_is_asked_as_a_run_asks_it(demo: ReviewedDemo, servers: Servers) -> None:
    pages = some_pages(demo)
    cascade = {
        "PREANNOTATION_CASCADE_MODEL": SLOPPY,
        "PREANNOTATION_CASCADE_URLS": servers[SLOPPY].url,
        "PREANNOTATION_CASCADE_THRESHOLD": "0.3",
        "PREANNOTATION_CASCADE_DOUBTS": "none",
    }
    before = {model: len(page_requests(server)) for model, server in servers.items()}
    both = answer_reviewed_pages(prepared_for(demo, servers, EXACT, **cascade), pages, LogAlone())
    asked = {model: len(page_requests(server)) - before[model] for model, server in servers.items()}
    with_text = sum(bool(page.text.strip()) for page in pages)
    assert asked[SLOPPY] == with_text
    assert 0 < asked[EXACT] < with_text
    assert sum(page.cost.asked for page in both.pages) == sum(asked.values())
    assert both.model_version.partition("/cas-")[2].startswith(f"{SLOPPY}-0.3-")

    # Where the small one's answer stands it is what the small one says alone, else what the large one says.
    large, small = (
        answer_reviewed_pages(prepared_for(demo, servers, model), pages, LogAlone())
        for model in (EXACT, SLOPPY)
    )
    assert sum(page.cost.asked for page in small.pages) == 0
    assert sum(page.cost.asked for page in large.pages) == with_text - asked[EXACT]
    for page, of_large, of_small in zip(both.pages, large.pages, small.pages, strict=True):
        was_doubted = page.cost.asked > 1
        assert page.page.suggested == (of_large if was_doubted else of_small).page.suggested
        if was_doubted and page.cost.answer_tokens is not None:
            assert page.cost.answer_tokens == sum(
                each.cost.answer_tokens or 0 for each in (of_large, of_small)
            )


def test_a_comparison_that_was_stopped_goes_on_where_it_stopped(demo: ReviewedDemo) -> None:
    pages = some_pages(demo)
    with ExitStack() as stack:
        servers = compared_servers(stack)
        prepared = prepared_for(demo, servers, EXACT, PREANNOTATION_MAX_IN_FLIGHT="1")
        servers[EXACT].set_faults(FaultRule(Fault.LOGIN_REDIRECT, requests=(8,), burst=1000))
        before = keys(demo)
        with pytest.raises(InferenceError, match="as a login page does"):
            answer_reviewed_pages(prepared, pages, LogAlone())
        answered = [each for each in page_requests(servers[EXACT]) if each.status == 200 and not each.fault]
        left = {key.removeprefix(f"{LAYOUT.work}/").partition("/")[0] for key in keys(demo) - before}
        assert left == {"answers", "requests", "lease.json"}
        servers[EXACT].set_faults()
        found = answer_reviewed_pages(prepared, pages, LogAlone())
    with_text = sum(bool(page.text.strip()) for page in pages)
    assert 0 < len(answered) < with_text
    assert sum(page.cost.found for page in found.pages) == len(answered)
    assert sum(page.cost.asked for page in found.pages) == with_text - len(answered)


def test_a_page_that_failed_is_told_and_its_cost_unknown(demo: ReviewedDemo) -> None:
    pages = some_pages(demo)
    with ExitStack() as stack:
        servers = compared_servers(stack)
        # The shortest pages come last, with all that they are split into.
        servers[EXACT].set_faults(FaultRule(Fault.INVALID_JSON, requests=(11,), burst=1000))
        prepared = prepared_for(
            demo, servers, EXACT, PREANNOTATION_MAX_IN_FLIGHT="1", PREANNOTATION_MAX_FAILURE_RATE="1"
        )
        found = answer_reviewed_pages(prepared, pages, LogAlone())
        servers[EXACT].set_faults(FaultRule(Fault.INVALID_JSON, probability=1.0))
        other = prepared_for(demo, servers, EXACT, PREANNOTATION_SEED="2")
        with pytest.raises(InferenceError, match=r"requests failed \(invalid_answer\)"):
            answer_reviewed_pages(other, pages[:1], LogAlone())
    failed = [page for page in found.pages if page.page.failure is not None]
    assert 0 < len(failed) < len(pages)
    for page in failed:
        assert (page.page.failure, page.page.suggested) == ("invalid_answer", ())
        assert page.cost.answer_tokens is None
