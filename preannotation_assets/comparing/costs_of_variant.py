"""What settings cost on all reviewed pages, and would cost on the whole batch. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.comparing.answered_pages import AnsweredPage, PageCost
from preannotation_assets.trying.projection import Measure, project

__all__ = ["Hours", "VariantCosts", "costs_of"]

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours for the whole batch; ``lowest`` and ``highest`` bound 90 %, None where one page was timed."""

    hours: float
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class VariantCosts:
    """Requests that had to be made and that were found, and means a page; None where nothing is known.

    Tokens are of the ``counted_pages``, whose every request the server counted, seconds of the
    ``timed_pages``: what is known of others is not guessed. ``server_seconds_a_page`` are GPU seconds, if
    each server is one GPU with nothing else to do.
    """

    asked: int
    found: int
    counted_pages: int
    prompt_tokens_a_page: float | None
    answer_tokens_a_page: float | None
    timed_pages: int
    server_seconds_a_page: float | None
    batch_hours: Hours | None


def costs_of(pages: Sequence[AnsweredPage], batch_tokens: int | None) -> VariantCosts:
    """Adds up; ``batch_tokens`` is the estimate for all chunks of the batch."""
    costs = [page.cost for page in pages]
    prompts = [cost.prompt_tokens for cost in costs if cost.prompt_tokens is not None]
    answers = [cost.answer_tokens for cost in costs if cost.answer_tokens is not None]
    seconds = [cost.server_seconds for cost in costs if cost.server_seconds is not None]
    return VariantCosts(
        asked=sum(cost.asked for cost in costs),
        found=sum(cost.found for cost in costs),
        counted_pages=min(len(prompts), len(answers)),
        prompt_tokens_a_page=_mean(prompts),
        answer_tokens_a_page=_mean(answers),
        timed_pages=len(seconds),
        server_seconds_a_page=_mean(seconds),
        batch_hours=_hours(costs, batch_tokens),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _hours(costs: Sequence[PageCost], batch_tokens: int | None) -> Hours | None:
    measures = [
        Measure(cost.page_tokens, cost.answer_tokens, 0.0, cost.batch_seconds)
        for cost in costs
        if cost.batch_seconds is not None and cost.page_tokens
    ]
    found = None if batch_tokens is None else project(measures, batch_tokens)
    if found is None:
        return None
    lowest = None if found.lowest is None else found.lowest / _HOUR
    highest = None if found.highest is None else found.highest / _HOUR
    return Hours(found.seconds / _HOUR, lowest, highest)
