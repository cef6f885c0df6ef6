"""The plain data that passes between the steps of extraction.

All offsets are Python string indices, that is Unicode code points, and every ``end`` is exclusive.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "Chunk",
    "Grounding",
    "GroundingResult",
    "Match",
    "Quote",
    "QuoteOutcome",
    "Rejection",
    "Span",
]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a page: ``page_text[start:end]`` is its text.

    ``estimated_tokens`` is the calibrated estimate it was cut by; how far estimates are off is in
    docs/chunking.md.
    """

    start: int
    end: int
    estimated_tokens: int


class Quote(NamedTuple):
    """What the model marked: a label, and the text it says it read."""

    label: str
    text: str


class Match(StrEnum):
    """How a quote was found on the page, best first."""

    EXACT = "exact"
    FOLDED = "folded"
    FUZZY = "fuzzy"


class Grounding(NamedTuple):
    """Where a quote stands: ``text[start:end]``.

    ``similarity`` is 1.0 for an exact match and falls towards 0 with every repair the match needed.
    """

    start: int
    end: int
    match: Match
    similarity: float


class QuoteOutcome(StrEnum):
    """What became of a quote: kept, or why it is no suggestion. The values are in files and manifests."""

    KEPT = "kept"
    # It has no place on the page.
    UNKNOWN_LABEL = "unknown_label"
    EMPTY = "empty"
    NOT_FOUND = "not_found"
    VALUE_CHANGED = "value_changed"
    ALREADY_TAKEN = "already_taken"
    SEARCH_CUT_OFF = "search_cut_off"
    # It has one, and is left out all the same.
    INVALID_VALUE = "invalid_value"
    EXACT_DUPLICATE = "exact_duplicate"
    SEEN_BY_TWO_CHUNKS = "seen_by_two_chunks"
    CUT_BY_BORDER = "cut_by_border"
    OVERLAP = "overlap"

    @property
    def is_grounded(self) -> bool:
        """Whether the quote was found on its page, kept or not."""
        # No default: mypy refuses a member that is in neither case.
        match self:
            case (
                QuoteOutcome.KEPT
                | QuoteOutcome.INVALID_VALUE
                | QuoteOutcome.EXACT_DUPLICATE
                | QuoteOutcome.SEEN_BY_TWO_CHUNKS
                | QuoteOutcome.CUT_BY_BORDER
                | QuoteOutcome.OVERLAP
            ):
                return True
            case (
                QuoteOutcome.UNKNOWN_LABEL
                | QuoteOutcome.EMPTY
                | QuoteOutcome.NOT_FOUND
                | QuoteOutcome.VALUE_CHANGED
                | QuoteOutcome.ALREADY_TAKEN
                | QuoteOutcome.SEARCH_CUT_OFF
            ):
                return False


@dataclass(frozen=True, slots=True)
class Rejection:
    """A quote that was not grounded, and why."""

    reason: QuoteOutcome


GroundingResult = Grounding | Rejection


@dataclass(frozen=True, slots=True)
class Span:
    """A grounded quote in page offsets, with the chunk that saw it.

    ``confidence`` is in [0, 1], or None where it is unknown. ``answered_at`` is microseconds since
    the Unix epoch, UTC. ``chunk_start`` and ``chunk_end`` are the page offsets of the text the model
    was shown. ``answer_index`` is the quote's place in that chunk's answer.
    """

    label: str
    start: int
    end: int
    confidence: float | None
    similarity: float
    chunk_start: int
    chunk_end: int
    answered_at: int
    answer_index: int = 0
