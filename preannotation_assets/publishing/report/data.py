"""A page as the report shows it, what is counted of many, and how both are packed into the HTML. Pure."""

import base64
import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from preannotation_assets.extraction.segments import Mark
from preannotation_assets.publishing.shown_ids import shown_id

__all__ = ["BINS", "Counts", "PageState", "RejectedQuote", "ReportedPage", "ReportedSpan", "packed"]

BINS: Final = 20
"""Of the confidences from 0 to 1."""

# What the browser reckons a page's height by before it has drawn it.
_LINE_CHARACTERS: Final = 110
_THOUSANDTHS: Final = 1000
# With the pages of the demo the highest level takes three times as long, for 0.5 % less.
_PACKING: Final = 6


class PageState(StrEnum):
    """Where a page stands; ``CHANGED`` is one whose text is not, or not as it is now, what was published."""

    MARKED = "marked"
    WITHOUT_SPANS = "without_spans"
    FAILED = "failed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class ReportedSpan(Mark):
    """A published span; its confidence is None where it is unknown."""

    confidence: float | None


@dataclass(frozen=True, slots=True)
class RejectedQuote:
    """A quote of the model that became no suggestion; ``outcome`` is a ``QuoteOutcome``."""

    label: str
    quote: str
    outcome: str


@dataclass(frozen=True, slots=True)
class ReportedPage:
    """A page. ``reason`` says why it failed; one that could not be read has no text."""

    doc_id: str
    page_num: int | None
    state: PageState
    text: str
    spans: Sequence[ReportedSpan]
    rejected: Sequence[RejectedQuote]
    reason: str | None

    @property
    def marks(self) -> list[object]:
        """What is needed to filter and sort pages; confidences are in thousandths."""
        lines = sum(1 + len(line) // _LINE_CHARACTERS for line in self.text.split("\n"))
        return [
            shown_id(self.doc_id),
            self.page_num,
            self.state,
            self.reason and shown_id(self.reason),
            lines,
            len(self.rejected),
            [[span.label, span.start, span.end, _thousandths(span.confidence)] for span in self.spans],
        ]

    @property
    def content(self) -> list[object]:
        """What is needed to show the page."""
        return [self.text, [[each.label, each.quote, each.outcome] for each in self.rejected]]


@dataclass(slots=True)
class Counts:
    """What is counted of pages; ``confidences`` by BINS, ``lowest`` is the least confidence that is known."""

    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    confidences: list[int] = field(default_factory=lambda: [0] * BINS)
    unknown: int = 0
    with_rejected: int = 0
    lowest: float | None = None

    @property
    def pages(self) -> int:
        """All of them."""
        return self.states.total()

    def add(self, page: ReportedPage) -> None:
        """Counts one page more."""
        self.states[page.state] += 1
        self.with_rejected += bool(page.rejected)
        if page.reason:
            self.reasons[shown_id(page.reason)] += 1
        self.labels.update(span.label for span in page.spans)
        self.outcomes.update(each.outcome for each in page.rejected)
        for span in page.spans:
            self._add_confidence(span.confidence)

    def _add_confidence(self, confidence: float | None) -> None:
        if confidence is None:
            self.unknown += 1
            return
        self.confidences[min(BINS - 1, max(0, int(confidence * BINS)))] += 1
        self.lowest = confidence if self.lowest is None else min(self.lowest, confidence)

    def take_in(self, other: "Counts") -> None:
        """Adds what was counted of other pages."""
        for mine, theirs in (
            (self.states, other.states),
            (self.reasons, other.reasons),
            (self.labels, other.labels),
            (self.outcomes, other.outcomes),
        ):
            mine.update(theirs)
        self.confidences = [one + two for one, two in zip(self.confidences, other.confidences, strict=True)]
        self.unknown += other.unknown
        self.with_rejected += other.with_rejected
        self.lowest = min((each for each in (self.lowest, other.lowest) if each is not None), default=None)


def packed(document: object) -> str:
    """A JSON document as gzip in base64, whose characters mean nothing to HTML."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8"), _PACKING, mtime=0)).decode("ascii")


def _thousandths(confidence: float | None) -> int | None:
    return None if confidence is None else round(confidence * _THOUSANDTHS)
