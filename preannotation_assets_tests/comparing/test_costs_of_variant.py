"""What settings cost on reviewed pages and on the batch: means of what is known."""

import pytest

from preannotation_assets.comparing.answered_pages import AnsweredPage, PageCost
from preannotation_assets.comparing.costs_of_variant import costs_of
from preannotation_assets.evaluation.pages import ReviewedPage


def pages(*costs: PageCost) -> list[AnsweredPage]:
    return [
        AnsweredPage(ReviewedPage("doc", number, "", (), ()), {}, cost) for number, cost in enumerate(costs)
    ]


def test_what_is_unknown_of_a_page_is_left_out_and_counted() -> None:
    found = costs_of(
        pages(
            PageCost(100, 1, 0, 300, 30, 2.0, 1.0),
            PageCost(200, 0, 2, 500, 50, None, None),
            PageCost(300, 1, 1, None, None, 4.0, 2.0),
        ),
        batch_tokens=None,
    )
    assert (found.asked, found.found) == (2, 3)
    assert (found.counted_pages, found.prompt_tokens_a_page, found.answer_tokens_a_page) == (2, 400, 40)
    assert (found.timed_pages, found.server_seconds_a_page, found.batch_hours) == (2, 3.0, None)


def test_hours_are_the_rate_of_the_timed_pages_times_the_batch() -> None:
    # 0.02 s a token on both pages, so nothing is left to an interval; a blank page has no say.
    timed = pages(
        PageCost(100, 1, 0, 1, 1, 9.0, 2.0),
        PageCost(300, 1, 0, 1, 1, 9.0, 6.0),
        PageCost(0, 0, 0, 0, 0, 0.0, 0.0),
    )
    hours = costs_of(timed, 720_000).batch_hours
    assert hours is not None
    assert (hours.hours, hours.lowest, hours.highest) == (pytest.approx(4.0),) * 3


def test_of_nothing_nothing_is_known() -> None:
    found = costs_of(pages(PageCost(10, 0, 1, None, None, None, None)), 1000)
    assert (found.server_seconds_a_page, found.prompt_tokens_a_page, found.batch_hours) == (None, None, None)
