"""Grounding: from what the model quotes to where it stands on the page."""

from collections import Counter
from collections.abc import Sequence

from preannotation_assets.extraction.spans import (
    Grounding,
    GroundingResult,
    Match,
    Quote,
    Rejection,
    RejectionReason,
)

from .assignment import assign
from .candidates import Finding, find
from .order import chain_costs
from .page import Page
from .quotes import prepare

__all__ = ["ground"]

NOTHING = Finding((), False)

def ground(text: str, quotes: Sequence[Quote]) -> list[GroundingResult]:
    """Finds the place of every quote on the page; one result a quote, in the order of the quotes."""
    page = Page(text)
    prepared = {t: prepare(t, page.table) for t in {quote.text for quote in quotes}}
    copies = Counter((quote.label, prepared[quote.text].letters) for quote in quotes)
    wanted = {}
    for quote in quotes:
        wanted[quote.text] = max(wanted.get(quote.text, 0), copies[quote.label, prepared[quote.text].letters])
    findings = {t: find(page, p, wanted[t]) if p.letters else NOTHING for t, p in prepared.items()}
    answers = [findings[q.text].candidates for q in quotes]
    costs = chain_costs(answers)
    options = [{(q.label, c.start, c.end): cost for c, cost in zip(cs, co)} for q, cs, co in zip(quotes, answers, costs)]
    chosen = assign(options)
    results = []
    for quote, place in zip(quotes, chosen):
        f = findings[quote.text]
        if place is None:
            if not prepared[quote.text].text: reason = RejectionReason.EMPTY
            elif f.candidates: reason = RejectionReason.ALREADY_TAKEN
            elif f.value_changed: reason = RejectionReason.VALUE_CHANGED
            else: reason = RejectionReason.NOT_FOUND
            results.append(Rejection(reason)); continue
        best = next(c for c in f.candidates if (quote.label, c.start, c.end) == place)
        results.append(Grounding(best.start, best.end, best.match, best.similarity))
    return results
