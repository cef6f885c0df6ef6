"""The excerpts of a reviewed page that can be examples: a text with the quotes that are right about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.evaluation.examples.shown import Shown, shown_by, shown_on
from preannotation_assets.evaluation.pages import PageKey, ReviewedPage
from preannotation_assets.extraction.answer_format import QUOTES, AnswerFormat
from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.labels import Example, LabelScheme
from preannotation_assets.extraction.labels.checks import ReadExample, faults_of_examples
from preannotation_assets.extraction.labels.models import MOST_EXAMPLE_SPANS, MOST_QUOTE_CHARACTERS
from preannotation_assets.extraction.prompt import example_tokens
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import Grounding, Match, Quote

__all__ = ["Candidate", "CandidateRules", "candidates_of"]

# Shares of the wanted size: where a page cut into pieces of one size has a span across a border, the next
# one is tried.
_SIZES: Final = (1.0, 0.9, 0.8, 0.7)


@dataclass(frozen=True, slots=True)
class CandidateRules:
    """What examples are for, and how large their texts may be, in estimated tokens."""

    scheme: LabelScheme
    excerpt_tokens: int
    answer_format: AnswerFormat = QUOTES


@dataclass(frozen=True, slots=True)
class Candidate:
    """An excerpt ``page_text[start:end]`` that can be an example.

    ``tokens`` is the estimate for the two messages that it is in a prompt. ``shown`` is all that it shows.
    """

    page: PageKey
    start: int
    end: int
    example: Example
    tokens: int
    shown: frozenset[Shown]


def candidates_of(page: ReviewedPage, rules: CandidateRules) -> list[Candidate]:
    """The excerpts of a page that can be examples, in its order; they do not overlap.

    A page within the wanted size is one excerpt, a longer one is cut where the chunker would, never through a
    span. Left out is what a label scheme would refuse or a reader would not believe: an excerpt with a quote
    that the grounder does not find exactly where the span is, with spans that overlap though the scheme
    forbids it, or with a value that breaks its label's rule.
    """
    known = set(rules.scheme.label_names)
    gold = [mark for mark in (_stripped(page.text, each) for each in page.gold) if mark.label in known]
    placed = shown_on(page, gold, known)
    found = []
    for start, end in _excerpts(page.text, gold, rules.excerpt_tokens):
        example = _example(page.text, start, end, gold)
        if example is not None and _is_usable(example, start, gold, rules.scheme):
            tokens = example_tokens(example, rules.answer_format)
            key = page.doc_id, page.page_num
            found.append(Candidate(key, start, end, example, tokens, shown_by(placed, start, end)))
    return found


def _stripped(text: str, mark: Mark) -> Mark:
    """Without white space at the ends, which a label scheme does not keep; blank spans stay as they are."""
    span = text[mark.start : mark.end]
    if not span.strip():
        return mark
    start = mark.start + len(span) - len(span.lstrip())
    return Mark(start, start + len(span.strip()), mark.label)


def _excerpts(text: str, gold: Sequence[Mark], tokens: int) -> list[tuple[int, int]]:
    """Pieces without white space around them that no span reaches out of."""
    whole: list[tuple[int, int]] = []
    for share in _SIZES:
        pieces = _pieces(text, max(1, int(tokens * share)))
        found = [piece for piece in pieces if _is_whole(piece, gold)]
        if len(found) == len(pieces):
            return found
        whole = whole or found
    return whole


def _pieces(text: str, tokens: int) -> list[tuple[int, int]]:
    pieces = []
    for chunk in chunk_page(text, ChunkLimits(max_tokens=tokens, overlap_tokens=0)):
        piece = text[chunk.start : chunk.end]
        if piece.strip():
            start = chunk.start + len(piece) - len(piece.lstrip())
            pieces.append((start, start + len(piece.strip())))
    return pieces


def _is_whole(piece: tuple[int, int], gold: Sequence[Mark]) -> bool:
    start, end = piece
    return not any(
        mark.start < end and start < mark.end and not (start <= mark.start and mark.end <= end)
        for mark in gold
    )


def _example(text: str, start: int, end: int, gold: Sequence[Mark]) -> Example | None:
    """The excerpt with its quotes in reading order; None where it cannot be written down."""
    inside = [mark for mark in gold if start <= mark.start and mark.end <= end]
    inside.sort(key=lambda mark: (mark.start, mark.end, mark.label))
    quotes = [(mark.label, text[mark.start : mark.end]) for mark in inside]
    too_long = any(len(quote) > MOST_QUOTE_CHARACTERS or not quote.strip() for _, quote in quotes)
    if too_long or len(quotes) > MOST_EXAMPLE_SPANS or not _is_unicode(text[start:end]):
        return None
    return Example(text=text[start:end], spans=tuple({label: quote} for label, quote in quotes))


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_usable(example: Example, start: int, gold: Sequence[Mark], scheme: LabelScheme) -> bool:
    """Whether every quote is found exactly where its span is, and the scheme would take the example."""
    quotes = [Quote(*item) for span in example.spans for item in span.items()]
    wanted = sorted(
        (mark.start - start, mark.end - start)
        for mark in gold
        if start <= mark.start and mark.end <= start + len(example.text)
    )
    results = ground(example.text, quotes)
    exact = [result for result in results if isinstance(result, Grounding) and result.match is Match.EXACT]
    if [(result.start, result.end) for result in exact] != wanted:
        return False
    read = ReadExample(example.text, dict(enumerate(quotes)))
    labels = dict(enumerate(scheme.labels))
    faults = faults_of_examples({0: read}, labels, set(scheme.label_names), overlaps_allowed=scheme.overlaps)
    return next(faults, None) is None
