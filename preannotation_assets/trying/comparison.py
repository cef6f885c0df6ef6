"""The same pages at several servers: what they cost there, and how far the suggestions agree. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.trying.page_asker import TriedPage

__all__ = ["Agreement", "PageKey", "PageMarks", "ServerFigures", "agree", "figures_of", "marks_of"]

PageKey = tuple[str, int]
"""doc_id and page_num."""

PageMarks = Mapping[PageKey, frozenset[tuple[int, int, str]] | None]
"""Start, end and label of the suggestions of each page; None where a request of the page failed."""

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """What asking about some pages took at one server, with so many requests in flight.

    ``seconds`` is wall time from the first request to the last byte; ``page_tokens`` is the estimate for the
    texts that were answered. Tokens in and out are the server's own counts over all requests, None where it
    gave none.
    """

    in_flight: int
    seconds: float
    pages: int
    requests: int
    failed: int
    page_tokens: int
    prompt_tokens: int | None
    answer_tokens: int | None
    cached_tokens: int | None

    @property
    def answer_tokens_per_second(self) -> float | None:
        """Tokens written a second, over all requests in flight."""
        return None if self.answer_tokens is None else _ratio(self.answer_tokens, self.seconds)

    @property
    def seconds_a_page(self) -> float | None:
        """Seconds of the server for a page: GPU seconds, if it is one GPU and does nothing else."""
        return _ratio(self.seconds, self.pages)

    @property
    def cached_share(self) -> float | None:
        """Of the tokens of the prompts, those that the server had read before."""
        if self.cached_tokens is None or self.prompt_tokens is None:
            return None
        return _ratio(self.cached_tokens, self.prompt_tokens)

    def projected_hours(self, page_tokens: int) -> float | None:
        """Hours for texts of so many estimated tokens, at the rate of these pages."""
        rate = _ratio(self.seconds, self.page_tokens)
        return None if rate is None else rate * page_tokens / _HOUR


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two servers suggest the same for the pages that both answered.

    ``shared`` spans have the same start, end and label; ``only_first`` and ``only_second`` are the others.
    """

    pages: int
    identical_pages: int
    shared: int
    only_first: int
    only_second: int

    @property
    def share(self) -> float | None:
        """Twice the shared spans over all spans of both (Dice, 1945); None where there are none."""
        return _ratio(2 * self.shared, 2 * self.shared + self.only_first + self.only_second)


def agree(first: PageMarks, second: PageMarks) -> Agreement:
    """Compares the suggestions of two servers."""
    both = [
        (marks, others)
        for page, marks in first.items()
        if marks is not None and (others := second.get(page)) is not None
    ]
    return Agreement(
        pages=len(both),
        identical_pages=sum(marks == others for marks, others in both),
        shared=sum(len(marks & others) for marks, others in both),
        only_first=sum(len(marks - others) for marks, others in both),
        only_second=sum(len(others - marks) for marks, others in both),
    )


def marks_of(tried: Sequence[TriedPage]) -> PageMarks:
    """What was suggested."""
    return {(page.page.doc_id, page.page.page_num): _marks(page) for page in tried}


def figures_of(tried: Sequence[TriedPage], in_flight: int, seconds: float) -> ServerFigures:
    """What it took."""
    asked = [item for page in tried for item in page.asked]
    answered = [item for item in asked if item.reply and item.reason is None]
    replies = [item.reply for item in asked if item.reply]
    return ServerFigures(
        in_flight=in_flight,
        seconds=seconds,
        pages=sum(page.suggestions is not None for page in tried),
        requests=len(asked),
        failed=len(asked) - len(answered),
        page_tokens=sum(item.chunk.estimated_tokens for item in answered),
        prompt_tokens=_total(reply.prompt_tokens for reply in replies),
        answer_tokens=_total(reply.answer_tokens for reply in replies),
        cached_tokens=_total(reply.cached_tokens for reply in replies),
    )


def _marks(tried: TriedPage) -> frozenset[tuple[int, int, str]] | None:
    if tried.suggestions is None:
        return None
    return frozenset((span.start, span.end, span.label) for span in tried.suggestions.spans)


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum; None where a count is unknown, or where there is none."""
    known = list(counts)
    return None if not known or None in known else sum(count or 0 for count in known)


def _ratio(amount: float, divisor: float) -> float | None:
    return amount / divisor if divisor > 0 else None
