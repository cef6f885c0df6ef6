"""Warm-ups over HTTP: within the cap, once a slot, and never in the way of an answer."""

from dataclasses import replace
from typing import Any

import pytest
from shared.asking_runs import LIMITS, MODEL

from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.simulator import Fault, FaultRule, RequestRecord, RunningSimulator
from preannotation_assets.throttling.permit_messages import PermitReport

WINDOWED = replace(MODEL, has_sliding_window=True)
PAGES = [f"MV STAR {number} left Kiel. " + "plain words of a page " * 300 for number in range(8)]


def _split(server: RunningSimulator) -> tuple[list[RequestRecord], list[RequestRecord]]:
    """The warm-ups, and the requests about pages."""
    records = [record for record in server.requests() if not record.is_load_only]
    least = min(record.prompt_tokens for record in records)
    return (
        [record for record in records if record.prompt_tokens == least],
        [record for record in records if record.prompt_tokens > least],
    )


def test_every_slot_reads_the_constant_part_once_and_keeps_it(
    simulator: Any, new_run: Any, template_with_example: RequestTemplate
) -> None:
    server = simulator(slots=2, models=(WINDOWED,))
    told: list[PermitReport] = []
    run = new_run(
        server,
        limits=replace(LIMITS, max_in_flight=2, warm_ups=2),
        observers=[lambda _, report: told.append(report)],
    )
    run.template = template_with_example
    run.ask(PAGES)
    warm_ups, pages = _split(server)
    assert run.statuses() == {"answered": len(PAGES)}
    assert (len(warm_ups), len(pages)) == (2, len(PAGES))
    assert server.summary().peak_in_flight <= 2
    constant = warm_ups[0].prompt_tokens
    for slot in {record.slot for record in warm_ups}:
        used = sorted((r for r in warm_ups + pages if r.slot == slot), key=lambda r: r.slot_taken_at or 0.0)
        first = next(index for index, record in enumerate(used) if record in warm_ups)
        # The next that came into this slot, unless nothing else did.
        assert all(record.cached_tokens >= constant - 4 for record in used[first + 1 : first + 2])
    totals = run.progress.totals[server.url]
    assert (totals.warm_ups, totals.warm_up_tokens) == (2, 2 * constant)
    assert totals.prompt_tokens == 2 * constant + sum(row["prompt_tokens"] for row in run.rows)
    assert sum(report.warm_up_seconds is not None for report in told) == 2
    assert {report.warm_up_prompt_tokens for report in told} == {None, constant}


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.NOT_DONE, Fault.LOGIN_PAGE])
def test_a_warm_up_that_fails_costs_nothing_else(
    simulator: Any, new_run: Any, template_with_example: RequestTemplate, fault: Fault
) -> None:
    server = simulator(faults=(FaultRule(fault, requests=(1,)),))
    run = new_run(server, limits=replace(LIMITS, max_in_flight=1, warm_ups=1))
    run.template = template_with_example
    run.ask(PAGES[:3])
    assert run.statuses() == {"answered": 3}
    assert {row["attempts"] for row in run.rows} == {1}
    assert sum(run.progress.repeated.values()) == 0


def test_where_a_warm_up_is_lost_nothing_is_sent_beside_it(
    simulator: Any, new_run: Any, template_with_example: RequestTemplate
) -> None:
    server = simulator(faults=(FaultRule(Fault.SOCKET_RESET, requests=(1,)),))
    run = new_run(server, limits=replace(LIMITS, max_in_flight=1, warm_ups=1))
    run.template = template_with_example
    run.ask(PAGES[:2])
    assert run.statuses() == {"answered": 2}
    assert run.progress.repeated == {"connection_lost": 1}
    assert run.progress.totals[server.url].warm_ups == 0
    assert server.summary().peak_in_flight == 1
    assert len(server.requests()) == 3


def test_a_prompt_without_an_answer_at_its_end_is_not_warmed_up(simulator: Any, new_run: Any) -> None:
    server = simulator()
    run = new_run(server, limits=replace(LIMITS, warm_ups=4))
    run.ask(PAGES)
    assert run.statuses() == {"answered": len(PAGES)}
    assert len(server.requests()) == len(PAGES)
