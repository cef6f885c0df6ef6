"""The formats of answers, written and read: ``{"spans":[{LABEL:QUOTE},{LABEL:[QUOTE,QUOTE]},...]}``.

Quotes stand in reading order; neighbours of one label may share a list. Where the model is asked to rate
its answers, every quote has a list of its own with a digit: ``{"spans":[{LABEL:[QUOTE,8]},...]}``.
docs/answers.md has what this costs beside other formats. Reading keeps the place of each value in the
raw answer, which tells the tokens, and so the log-probabilities, that belong to it.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from json import JSONDecodeError, JSONDecoder
from operator import itemgetter
from typing import Final

from preannotation_assets.extraction.surrogates import without_surrogates

__all__ = [
    "EXAMPLE_DIGIT",
    "SELF_REPORTED_DIGITS",
    "AnswerFault",
    "AnsweredQuote",
    "ParsedAnswer",
    "fits_labels",
    "is_empty_answer",
    "parse_answer",
    "readable_quotes",
    "write_answer",
    "write_rated_answer",
]

SELF_REPORTED_DIGITS: Final = tuple(range(10))
"""What a model can say about its own answer: 9 where it is surely right, 0 where it hardly can be."""
EXAMPLE_DIGIT: Final = 9
"""The digit of every quote of a few-shot example: label schemes have none, and people checked them."""

# Not strict: a raw line break inside a string harms nobody.
_DECODER: Final = JSONDecoder(strict=False)

_OPENING: Final = re.compile(r'\s*\{\s*"spans"\s*:\s*\[\s*')
_ITEM_OPENING: Final = re.compile(r'\{\s*"')
_COLON: Final = re.compile(r'\s*:\s*(?P<list>\[\s*)?"')
_DIGIT: Final = re.compile(r"\s*,\s*(?P<digit>[0-9])\s*\]")
_NEXT_QUOTE: Final = re.compile(r'\s*,\s*"')
_LIST_CLOSING: Final = re.compile(r"\s*\]")
_NEXT_MEMBER: Final = re.compile(r'\s*,\s*"')
_ITEM_CLOSING: Final = re.compile(r"\s*\}\s*")
_COMMA: Final = re.compile(r",\s*")
_CLOSING: Final = re.compile(r"\]\s*\}\s*")


class AnswerFault(StrEnum):
    """What is wrong with an answer as a whole."""

    EMPTY = "empty_answer"
    INVALID = "invalid_answer"


@dataclass(frozen=True, slots=True)
class AnsweredQuote:
    """A label and its quote.

    ``self_reported`` is the model's own word for how sure it is, 0 to 9; None where it gave none.
    ``item`` counts the objects of the answer, from 0: quotes of one object have the same.

    ``answer[value_start:value_end]`` is the quote as JSON writes it, without the quotation marks.
    ``answer[:value_end] + closing`` is a whole answer that ends with this quote.
    """

    label: str
    text: str
    value_start: int
    value_end: int
    closing: str
    self_reported: int | None
    item: int


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """The quotes up to the first thing that is wrong; ``fault`` is None where nothing is."""

    quotes: tuple[AnsweredQuote, ...]
    fault: AnswerFault | None


@dataclass(frozen=True, slots=True)
class _Place:
    """The label that quotes stand behind, and the number of its object."""

    label: str
    item: int


class _MalformedError(Exception):
    """The text is not what the answer schema asks for."""


def write_answer(quotes: Iterable[tuple[str, str]]) -> str:
    """The answer with these labels and quotes, in their order, as the model is asked to write it."""
    spans = []
    for label, run in groupby(quotes, key=itemgetter(0)):
        texts = [text for _, text in run]
        spans.append({label: texts[0] if len(texts) == 1 else texts})
    return _write(spans)


def write_rated_answer(quotes: Iterable[tuple[str, str]]) -> str:
    """The same where the model is asked for a digit behind every quote: ``EXAMPLE_DIGIT`` each time."""
    return _write([{label: [text, EXAMPLE_DIGIT]} for label, text in quotes])


def _write(spans: Sequence[object]) -> str:
    return json.dumps({"spans": spans}, ensure_ascii=False, separators=(",", ":"))


def is_empty_answer(answer: str) -> bool:
    """Whether an answer is whole and names nothing; it is not read beyond its first quote."""
    opening = _OPENING.match(answer)
    return opening is not None and _CLOSING.fullmatch(answer, opening.end()) is not None


def parse_answer(answer: str) -> ParsedAnswer:
    """Reads an answer of either format, with blanks in it or without; never raises, whatever it is.

    An answer that was cut off, or turns wrong on its way, gives the quotes that were complete before
    and a fault; a quote behind which the answer was cut off has no digit. Labels are taken as they come.
    """
    if not answer.strip():
        return ParsedAnswer((), AnswerFault.EMPTY)
    quotes: list[AnsweredQuote] = []
    try:
        position = _expect(_OPENING, answer, 0)
        items = 0
        while not (closing := _CLOSING.match(answer, position)):
            if quotes:
                position = _expect(_COMMA, answer, position)
            position = _read_item(answer, position, items, quotes)
            items += 1
        complete = closing.end() == len(answer)
    except _MalformedError:
        complete = False
    return ParsedAnswer(tuple(quotes), None if complete else AnswerFault.INVALID)


def readable_quotes(quotes: Sequence[AnsweredQuote], labels: Collection[str]) -> list[AnsweredQuote]:
    """The quotes of the objects that have labels of the scheme only.

    Another key beside a label says that the object is not what was asked for: in
    ``{"label":"port","text":"Hull"}`` Hull is no ``text``, even where the scheme has that label.
    """
    doubtful = {quote.item for quote in quotes if quote.label not in labels}
    return [quote for quote in quotes if quote.item not in doubtful]


def fits_labels(quotes: Sequence[AnsweredQuote], labels: Collection[str]) -> bool:
    """Whether the quotes of an answer are one for this scheme: some of them can be read, or there are none.

    Where only some can, they count and the others are dropped. An answer without any was made to another
    schema; that nothing of it can be read does not mean that there is nothing on the page.
    """
    return not quotes or bool(readable_quotes(quotes, labels))


def _read_item(answer: str, position: int, item: int, quotes: list[AnsweredQuote]) -> int:
    """Appends the members of one object and returns where it ends."""
    position = _expect(_ITEM_OPENING, answer, position)
    while True:
        label, position = _read_string(answer, position)
        position = _read_value(answer, position, _Place(label, item), quotes)
        following = _NEXT_MEMBER.match(answer, position)
        if not following:
            return _expect(_ITEM_CLOSING, answer, position)
        position = following.end()


def _read_value(answer: str, position: int, place: _Place, quotes: list[AnsweredQuote]) -> int:
    """Appends what stands behind a label, a quote with a digit or without or a list; returns its end."""
    opening = _COLON.match(answer, position)
    if not opening:
        raise _MalformedError
    position = opening.end()
    text, end = _read_string(answer, position)
    if opening["list"] is None:
        quotes.append(AnsweredQuote(place.label, text, position, end - 1, '"}]}', None, place.item))
        return end
    rating = _DIGIT.match(answer, end)
    if rating:
        digit = rating["digit"]
        closing = f'",{digit}]}}]}}'
        quotes.append(AnsweredQuote(place.label, text, position, end - 1, closing, int(digit), place.item))
        return rating.end()
    return _read_list(answer, position, place, quotes)


def _read_list(answer: str, position: int, place: _Place, quotes: list[AnsweredQuote]) -> int:
    """Appends the quotes of a list of which the first one begins at ``position``; returns its end."""
    while True:
        text, end = _read_string(answer, position)
        quotes.append(AnsweredQuote(place.label, text, position, end - 1, '"]}]}', None, place.item))
        following = _NEXT_QUOTE.match(answer, end)
        if not following:
            return _expect(_LIST_CLOSING, answer, end)
        position = following.end()


def _read_string(answer: str, start: int) -> tuple[str, int]:
    """A JSON string whose opening quotation mark stands before ``start``; and where it ends."""
    try:
        text, end = _DECODER.raw_decode(answer, start - 1)
    except JSONDecodeError:
        raise _MalformedError from None
    return without_surrogates(text), end


def _expect(pattern: re.Pattern[str], answer: str, position: int) -> int:
    found = pattern.match(answer, position)
    if not found:
        raise _MalformedError
    return found.end()
