"""Reads the model's answer: quotes with the place of each value in the raw answer.

The place is needed to know which tokens, and so which log-probabilities, belong to a value.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from json import JSONDecodeError, JSONDecoder
from typing import Final

__all__ = ["AnswerFault", "AnsweredQuote", "ParsedAnswer", "parse_answer"]

# Not strict: a raw line break inside a string harms nobody.
_DECODER: Final = JSONDecoder(strict=False)

_OPENING: Final = re.compile(r'\s*\{\s*"spans"\s*:\s*\[\s*')
_ITEM_OPENING: Final = re.compile(r'\{\s*"')
_COLON: Final = re.compile(r'\s*:\s*"')
_NEXT_MEMBER: Final = re.compile(r'\s*,\s*"')
_ITEM_CLOSING: Final = re.compile(r"\s*\}\s*")
_COMMA: Final = re.compile(r",\s*")
# JSON can escape half of a pair; it is no text, and no file can hold it.
_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_CLOSING: Final = re.compile(r"\]\s*\}\s*")


class AnswerFault(StrEnum):
    """What is wrong with an answer as a whole."""

    EMPTY = "empty_answer"
    INVALID = "invalid_answer"


@dataclass(frozen=True, slots=True)
class AnsweredQuote:
    """A label and its quote.

    ``answer[value_start:value_end]`` is the quote as JSON writes it, without the quotation marks.
    """

    label: str
    text: str
    value_start: int
    value_end: int


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """The quotes up to the first thing that is wrong; ``fault`` is None where nothing is."""

    quotes: tuple[AnsweredQuote, ...]
    fault: AnswerFault | None


class _MalformedError(Exception):
    """The text is not what the answer schema asks for."""


def parse_answer(answer: str) -> ParsedAnswer:
    """Reads ``{"spans": [{LABEL: QUOTE}, ...]}``; never raises, whatever the answer is.

    An answer that was cut off, or turns wrong on its way, gives the quotes that were complete before
    and a fault. Labels are taken as they come.
    """
    if not answer.strip():
        return ParsedAnswer((), AnswerFault.EMPTY)
    quotes: list[AnsweredQuote] = []
    try:
        position = _expect(_OPENING, answer, 0)
        while not (closing := _CLOSING.match(answer, position)):
            if quotes:
                position = _expect(_COMMA, answer, position)
            position = _read_item(answer, position, quotes)
        complete = closing.end() == len(answer)
    except _MalformedError:
        complete = False
    return ParsedAnswer(tuple(quotes), None if complete else AnswerFault.INVALID)


def _read_item(answer: str, position: int, quotes: list[AnsweredQuote]) -> int:
    """Appends the members of one object and returns where it ends."""
    position = _expect(_ITEM_OPENING, answer, position)
    while True:
        label, position = _read_string(answer, position)
        value_start = _expect(_COLON, answer, position)
        text, position = _read_string(answer, value_start)
        quotes.append(AnsweredQuote(label, text, value_start, position - 1))
        following = _NEXT_MEMBER.match(answer, position)
        if not following:
            return _expect(_ITEM_CLOSING, answer, position)
        position = following.end()


def _read_string(answer: str, start: int) -> tuple[str, int]:
    """A JSON string whose opening quotation mark stands before ``start``; and where it ends."""
    try:
        text, end = _DECODER.raw_decode(answer, start - 1)
    except JSONDecodeError:
        raise _MalformedError from None
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text), end


def _expect(pattern: re.Pattern[str], answer: str, position: int) -> int:
    found = pattern.match(answer, position)
    if not found:
        raise _MalformedError
    return found.end()
