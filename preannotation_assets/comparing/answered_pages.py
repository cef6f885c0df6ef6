"""Reviewed pages as a run with some settings would mark them, and what that costs."""

from collections.abc import Mapping
from dataclasses import dataclass

from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.extraction.calibrated import ConfidenceParts

__all__ = ["AnsweredPage", "AnsweredPages", "PageCost", "Place"]

Place = tuple[int, int, str]
"""Start, end and label of a span of a page."""


@dataclass(frozen=True, slots=True)
class PageCost:
    """What the requests about a page took; requests that several pages share are told of the first of them.

    ``page_tokens`` is the estimate for the page's chunks, the size that is known before asking. ``asked``
    counts the requests that had to be made now, ``found`` those whose answers were in the answer store.
    ``prompt_tokens`` and ``answer_tokens`` are the server's counts, ``server_seconds`` its share of time
    (``read_server_seconds``): GPU seconds, if it is one GPU with nothing else to do; ``batch_seconds`` what
    the page adds to the time of a batch, as the servers of a model share its pages. Each is None where it is
    unknown of any request, as of one that failed, or of an answer that was stored without its times.
    """

    page_tokens: int
    asked: int
    found: int
    prompt_tokens: int | None
    answer_tokens: int | None
    server_seconds: float | None
    batch_seconds: float | None


@dataclass(frozen=True, slots=True)
class AnsweredPage:
    """A reviewed page with what these settings suggest in the place of what was published.

    ``parts`` are what the confidence of each kept span was made of, before any calibration; spans that are
    held back have theirs too, those of unknown confidence have none.
    """

    page: ReviewedPage
    parts: Mapping[Place, ConfidenceParts]
    cost: PageCost


@dataclass(frozen=True, slots=True)
class AnsweredPages:
    """All reviewed pages, in their order. ``model_version`` is what a run would publish."""

    model: str
    model_version: str
    prompt_version: str
    pages: tuple[AnsweredPage, ...]
