"""Grounding: from what the model quotes to where it stands on the page."""

from collections import Counter
from collections.abc import Mapping, Sequence

from preannotation_assets.extraction.spans import (
    Grounding,
    GroundingResult,
    Quote,
    QuoteOutcome,
    Rejection,
)

from .assignment import assign
from .candidates import Candidate, Finding, find
from .doubts import without_doubtful
from .order import ChainLink, chain_costs, follow_the_page
from .page import Page
from .quotes import PreparedQuote, prepare
from .work import ChunkWork

__all__ = ["ChunkWork", "ground"]

_NOWHERE = Finding((), False)
# How many pairs of a quote and a place are weighed in all; more are thinned out.
_MOST_PAIRS = 50_000
_FEWEST_PLACES = 16


def ground(text: str, quotes: Sequence[Quote], work: ChunkWork | None = None) -> list[GroundingResult]:
    """Finds the place of every quote on a page.

    A quote is found by its letters: case, diacritics, punctuation, spaces and line ends may differ, and
    what OCR engines and models take for one another may be exchanged, at a price. Digits may not change.
    All quotes are then placed together: one quote of a label to one place, at the least total cost, with
    the order of the quotes as evidence where several places are equally good.

    The work is limited, and counted in steps: a quote that needs more repairs than that allows is found
    without repairs or not at all.

    Args:
        text: the page's text, any string.
        quotes: what the model marked, in its order.
        work: what finding them may cost; the usual, if it is not given.

    Returns:
        One result a quote, in the order of the quotes: a grounding with ``text[start:end]`` in code
        points, or a rejection with its reason.
    """
    page = Page(text)
    work = work or ChunkWork()
    # In the order of the quotes, not of a set: the first ones have the first claim to the work.
    written = dict.fromkeys(quote.text for quote in quotes)
    prepared = {quoted: prepare(quoted, page.table) for quoted in written}
    findings = _findings(page, quotes, prepared, work)
    contenders = _contenders(quotes, {quoted: found.candidates for quoted, found in findings.items()})
    in_order = follow_the_page(_links(quotes, contenders))
    if in_order:
        contenders = _contenders(quotes, {quoted: found.all for quoted, found in findings.items()})
    contenders = _thinned(quotes, contenders)
    costs = chain_costs(_links(quotes, contenders))
    places = assign(
        [
            {(quote.label, c.start, c.end): cost for c, cost in zip(candidates, own, strict=True)}
            for quote, candidates, own in zip(quotes, contenders, costs, strict=True)
        ],
        work.assignment,
    )
    results = [
        _result(prepared[quote.text], findings[quote.text], place)
        for quote, place in zip(quotes, places, strict=True)
    ]
    return without_doubtful(results, in_order)


def _links(quotes: Sequence[Quote], contenders: Sequence[Sequence[Candidate]]) -> list[ChainLink]:
    return [ChainLink(quote.label, candidates) for quote, candidates in zip(quotes, contenders, strict=True)]


def _findings(
    page: Page, quotes: Sequence[Quote], prepared: Mapping[str, PreparedQuote], work: ChunkWork
) -> dict[str, Finding]:
    """The places of every text: as many as its letters are quoted under one label, if there are."""
    asked = [(quote.label, prepared[quote.text].letters) for quote in quotes]
    copies = Counter(asked)
    wanted: dict[str, int] = {}
    for quote, letters in zip(quotes, asked, strict=True):
        wanted[quote.text] = max(wanted.get(quote.text, 0), copies[letters])
    return {
        written: find(page, quote, wanted[written], work) if quote.letters else _NOWHERE
        for written, quote in prepared.items()
    }


def _contenders(
    quotes: Sequence[Quote], places: Mapping[str, Sequence[Candidate]]
) -> Sequence[Sequence[Candidate]]:
    """The candidates of every quote; none for the copies of a quote that are more than its places."""
    copies: dict[tuple[str, str], int] = {}
    contenders: list[Sequence[Candidate]] = []
    for quote in quotes:
        key = quote.label, quote.text
        candidates = places[quote.text]
        before = copies.get(key, 0)
        contenders.append(candidates if before < len(candidates) else ())
        copies[key] = before + 1
    return contenders


def _thinned(
    quotes: Sequence[Quote], contenders: Sequence[Sequence[Candidate]]
) -> Sequence[Sequence[Candidate]]:
    """All candidates, or, where those are too many, for every quote a stretch around its own rank.

    Thousands of copies of one quote on thousands of places would cost their product; each of them needs
    only the places near the one it would get if all were in order.
    """
    total = sum(len(candidates) for candidates in contenders)
    if total <= _MOST_PAIRS:
        return contenders
    copies = Counter(quotes)
    ranks: Counter[Quote] = Counter()
    thinned: list[Sequence[Candidate]] = []
    for quote, candidates in zip(quotes, contenders, strict=True):
        width = max(_FEWEST_PLACES, len(candidates) * _MOST_PAIRS // total)
        middle = (2 * ranks[quote] + 1) * len(candidates) // (2 * copies[quote])
        first = max(0, min(middle - width // 2, len(candidates) - width))
        thinned.append(candidates[first : first + width])
        ranks[quote] += 1
    return thinned


def _result(quote: PreparedQuote, finding: Finding, place: tuple[str, int, int] | None) -> GroundingResult:
    if place is not None:
        found = finding.at(*place[1:])
        return Grounding(found.start, found.end, found.match, found.similarity)
    if not quote.verbatim:
        return Rejection(QuoteOutcome.EMPTY)
    if finding.candidates:
        return Rejection(QuoteOutcome.ALREADY_TAKEN)
    if finding.cut_off:
        return Rejection(QuoteOutcome.SEARCH_CUT_OFF)
    return Rejection(QuoteOutcome.VALUE_CHANGED if finding.value_changed else QuoteOutcome.NOT_FOUND)
