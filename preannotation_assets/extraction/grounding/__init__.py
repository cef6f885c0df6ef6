"""Grounding: from what the model quotes to where it stands on the page.

What is made for every quote, hit or place is no frozen dataclass: one takes four times as long to make.
"""

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
from .order import chain_costs, follow_the_page
from .page import Page
from .quotes import PreparedQuote, prepare
from .work import ChunkWork

__all__ = ["ChunkWork", "ground"]

_NOWHERE = Finding((), False)
# How many pairs of a quote and a place are weighed in all; more are thinned out.
_MOST_PAIRS = 50_000
_FEWEST_PLACES = 16
# One of each reason: it takes longer to make one than to look most quotes up.
_EMPTY, _ALREADY_TAKEN, _SEARCH_CUT_OFF, _VALUE_CHANGED, _NOT_FOUND = map(
    Rejection,
    (
        QuoteOutcome.EMPTY,
        QuoteOutcome.ALREADY_TAKEN,
        QuoteOutcome.SEARCH_CUT_OFF,
        QuoteOutcome.VALUE_CHANGED,
        QuoteOutcome.NOT_FOUND,
    ),
)


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
    prepared: dict[str, PreparedQuote] = {}
    for _, written in quotes:
        if written not in prepared:
            prepared[written] = prepare(written)
    findings = _findings(page, quotes, prepared, work)
    contenders = _contenders(quotes, {quoted: found.candidates for quoted, found in findings.items()})
    in_order = follow_the_page(contenders)
    if in_order and any(found.others for found in findings.values()):
        contenders = _contenders(quotes, {quoted: found.all for quoted, found in findings.items()})
    contenders = _thinned(quotes, contenders)
    options, places = _options([label for label, _ in quotes], contenders)
    results = [
        _rejection(prepared[quote.text], findings[quote.text])
        if number is None
        else _grounding(spots, places[number])
        for quote, spots, number in zip(quotes, contenders, assign(options, work.assignment), strict=True)
    ]
    return without_doubtful(results, in_order)


def _findings(
    page: Page, quotes: Sequence[Quote], prepared: Mapping[str, PreparedQuote], work: ChunkWork
) -> dict[str, Finding]:
    """The places of every text: as many as its letters are quoted under one label, if there are."""
    asked = [(label, prepared[written].letters) for label, written in quotes]
    copies = Counter(asked)
    wanted = dict.fromkeys(prepared, 1)
    if len(copies) < len(asked):
        for (_, written), letters in zip(quotes, asked, strict=True):
            wanted[written] = max(wanted[written], copies[letters])
    return {
        written: find(page, quote, wanted[written], work) if quote.letters else _NOWHERE
        for written, quote in prepared.items()
    }


def _contenders(
    quotes: Sequence[Quote], places: Mapping[str, Sequence[Candidate]]
) -> Sequence[Sequence[Candidate]]:
    """The candidates of every quote; none for the copies of a quote that are more than its places."""
    if len(set(quotes)) == len(quotes):
        return [places[quote.text] for quote in quotes]
    copies: dict[Quote, int] = {}
    contenders: list[Sequence[Candidate]] = []
    for quote in quotes:
        candidates = places[quote.text]
        before = copies.get(quote, 0)
        contenders.append(candidates if before < len(candidates) else ())
        copies[quote] = before + 1
    return contenders


def _options(
    labels: Sequence[str], contenders: Sequence[Sequence[Candidate]]
) -> tuple[list[dict[int, float]], list[tuple[str, int, int]]]:
    """What every quote may take, as numbers of places, with the cost of each in the chain; and the places."""
    numbers: dict[tuple[str, int, int], int] = {}
    options = [
        {
            numbers.setdefault((label, spot.start, spot.end), len(numbers)): cost
            for spot, cost in zip(spots, own, strict=True)
        }
        for label, spots, own in zip(labels, contenders, chain_costs(labels, contenders), strict=True)
    ]
    return options, list(numbers)


def _thinned(
    quotes: Sequence[Quote], contenders: Sequence[Sequence[Candidate]]
) -> Sequence[Sequence[Candidate]]:
    """All candidates, or, where those are too many, for every quote a stretch around its own rank.

    Thousands of copies of one quote on thousands of places would cost their product; each of them needs
    only the places near the one it would get if all were in order.
    """
    total = sum(map(len, contenders))
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


def _grounding(spots: Sequence[Candidate], place: tuple[str, int, int]) -> Grounding:
    """The first of the candidates of a quote that is at its place."""
    _, start, end = place
    for spot in spots:
        if spot.start == start and spot.end == end:
            return Grounding(start, end, spot.match, spot.similarity)
    raise LookupError(start, end)


def _rejection(quote: PreparedQuote, finding: Finding) -> Rejection:
    """Why a quote has no place."""
    if not quote.verbatim:
        return _EMPTY
    if finding.candidates:
        return _ALREADY_TAKEN
    if finding.cut_off:
        return _SEARCH_CUT_OFF
    return _VALUE_CHANGED if finding.value_changed else _NOT_FOUND
