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
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.settings import Settings
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


def test_costs_are_what_the_server_told(demo: ReviewedDemo, servers: Servers) -> None:
    pages = some_pages(demo)
    before = len(page_requests(servers[SLOPPY]))
    found = answer_reviewed_pages(prepared_for(demo, servers, SLOPPY), pages, LogAlone())
    told = page_requests(servers[SLOPPY])[before:]
    assert sum(page.cost.answer_tokens or 0 for page in found.pages) == sum(
        each.output_tokens for each in told
    )
    assert all(page.cost.server_seconds is not None for page in found.pages)
