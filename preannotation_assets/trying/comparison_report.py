"""What ``preannotate compare-servers`` says, as lines for a terminal of 100 columns. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.trying.comparison import PageMarks, ServerFigures, agree
from preannotation_assets.trying.survey import BatchSize
from preannotation_assets.trying.terminal import Line, faint, heading
from preannotation_assets.trying.words import count_words, duration_words, rule
from preannotation_assets.visible_text import visible

__all__ = ["ComparedServer", "comparison_lines"]

_COLUMN: Final = 12
_TITLE: Final = 34
_UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True)
class ComparedServer:
    """A server, the model there, what it cost and what was suggested.

    ``name`` is the kind and the address, ``model`` the model's name and the beginning of its digest.
    """

    name: str
    model: str
    figures: ServerFigures
    marks: PageMarks


def comparison_lines(servers: Sequence[ComparedServer], size: BatchSize) -> Iterator[Line]:
    """Cost and agreement of every server; the first one is what the others are compared with."""
    yield heading(rule(f"{count_words(len(servers), 'server')}, the same pages"))
    for number, server in enumerate(servers, start=1):
        yield visible(f"{number}  {server.name}  {server.model}")
    yield ""
    yield faint(_row("", [str(number) for number in range(1, len(servers) + 1)]))
    for title, cell in _CELLS:
        yield _row(title, [cell(server.figures) for server in servers])
    about = "" if size.is_exact else "about "
    whole = f"hours for {about}{count_words(size.requests, 'request')}"
    yield _row(whole, [_number(server.figures.projected_hours(size.tokens), 2) for server in servers])
    yield from _remarks(servers)
    yield ""
    yield heading(rule("suggestions alike"))
    for number, server in enumerate(servers[1:], start=2):
        yield _agreement_words(servers[0].marks, server.marks, number)


def _agreement_words(first: PageMarks, second: PageMarks, number: int) -> str:
    found = agree(first, second)
    if found.share is None:
        return f"1 and {number}  no suggestions on {count_words(found.pages, 'page')} that both answered"
    return (
        f"1 and {number}  {found.share:.2f} of the spans: {found.shared:,} shared, "
        f"{found.only_first:,} of 1 only, {found.only_second:,} of {number} only; "
        f"{found.identical_pages} of {count_words(found.pages, 'page')} identical"
    )


def _remarks(servers: Sequence[ComparedServer]) -> Iterator[Line]:
    for number, server in enumerate(servers, start=1):
        figures = server.figures
        if figures.requests < 2 * figures.in_flight:
            requests = count_words(figures.requests, "request")
            yield faint(
                f"{number}: {requests} do not fill {figures.in_flight} in flight; a batch does better,"
                " try more --pages"
            )


def _row(title: str, cells: Sequence[str]) -> str:
    return title.ljust(_TITLE) + "".join(cell.rjust(_COLUMN) for cell in cells)


def _number(value: float | None, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value:,.{digits}f}"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0%}"


_CELLS: Final[Sequence[tuple[str, Callable[[ServerFigures], str]]]] = (
    ("requests in flight", lambda figures: f"{figures.in_flight:,}"),
    ("requests", lambda figures: f"{figures.requests:,}"),
    ("  failed", lambda figures: f"{figures.failed:,}"),
    ("time", lambda figures: duration_words(figures.seconds)),
    ("tokens in", lambda figures: _number(figures.prompt_tokens, 0)),
    ("  read before (prefix cache)", lambda figures: _share(figures.cached_share)),
    ("tokens out", lambda figures: _number(figures.answer_tokens, 0)),
    ("  a second", lambda figures: _number(figures.answer_tokens_per_second, 1)),
    ("GPU seconds a page, one GPU each", lambda figures: _number(figures.seconds_a_page, 2)),
)
