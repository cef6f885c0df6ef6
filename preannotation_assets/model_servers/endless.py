"""Answers that are not going to end: they repeat themselves. Pure."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

__all__ = [
    "EndlessWatch",
    "cannot_end",
    "ends_in_equal_tokens",
    "is_blank",
    "is_repeating",
    "repeats_the_page",
]

# An answer that ends in this many code points of one pattern was not going to end.
_RUN_LENGTH: Final = 600
_LONGEST_PATTERN: Final = 120
# Ollama ends an answer after 31 equal tokens by itself, white space around them not looked at.
_EQUAL_TOKENS: Final = 30
_LONGEST_TOKEN: Final = 20
# A token takes 120 to 350 bytes of a stream: most answers are shorter, and read once, when they are complete.
_BYTES_BETWEEN_LOOKS: Final = 16_384
# A string of an answer, the colon behind it if it is a key, or what is left of one that does not end: were
# that no match, every quotation mark in it would be tried as a beginning.
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:(?P<end>")(?P<colon>\s*:)?)?')
_WHITE_SPACE: Final = re.compile(r"\s+")


def is_repeating(content: str) -> bool:
    """Whether an answer ends in a run of one short pattern."""
    return len(content) >= _RUN_LENGTH and _pattern_length(content) is not None


def is_blank(content: str) -> bool:
    """Whether an answer that was cut off had not begun to say anything."""
    return not content.strip(" \t\r\n{")


def ends_in_equal_tokens(content: str) -> bool:
    """Whether an answer that the server broke off ends in one token again and again, or in white space."""
    written = content.rstrip()
    if len(content) - len(written) >= _EQUAL_TOKENS:
        return True
    return any(
        written[-step * _EQUAL_TOKENS :] == written[-step:] * _EQUAL_TOKENS
        for step in range(1, min(_LONGEST_TOKEN, len(written)) + 1)
    )


def cannot_end(content: str, page_text: str) -> bool:
    """Whether the answer to a page, as far as it has come, repeats what the page does not.

    A register may hold one port thirty times in a row: an answer that repeats whole quotes goes on as long
    as the page has each of them as often.
    """
    length = _pattern_length(content) if len(content) >= _RUN_LENGTH else None
    if length is None:
        return False
    begins = _run_start(content, length)
    quotes = Counter(
        found.group()
        for found in _STRING.finditer(content)
        if found.start() >= begins and found["end"] and not found["colon"]
    )
    repeated, folded = _repeated_quotes(quotes), _fold(page_text)
    return not repeated or any(folded.count(quote) < often for quote, often in repeated.items())


def repeats_the_page(content: str, page_text: str) -> bool:
    """Whether an answer that repeats itself does so because the page does: it was only too long."""
    return is_repeating(content) and not cannot_end(content, page_text)


class EndlessWatch:
    """Looks at a streamed answer while it comes.

    ``delta`` gives the text that a line of the stream adds, "" for none.
    """

    def __init__(self, delta: Callable[[bytes], str], page_text: str) -> None:
        self._delta = delta
        self._page_text = page_text
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._line = b""
        self._content = ""

    def sees_no_end(self, part: bytes) -> bool:
        """Takes the next bytes; whether the answer by now cannot end."""
        *lines, self._line = (self._line + part).split(b"\n")
        self._unread.extend(lines)
        self._unread_bytes += len(part)
        if self._unread_bytes < _BYTES_BETWEEN_LOOKS:
            return False
        self._content += "".join(map(self._delta, self._unread))
        self._unread.clear()
        self._unread_bytes = 0
        return cannot_end(self._content, self._page_text)


def _pattern_length(content: str) -> int | None:
    """The code points of the pattern that the last ones of a content repeat; None where they repeat none."""
    tail = content[-_RUN_LENGTH:]
    steps = range(1, _LONGEST_PATTERN + 1)
    return next((step for step in steps if tail[step:] == tail[:-step]), None)


def _run_start(content: str, length: int) -> int:
    """Where the run begins that repeats a pattern of a length to the end."""
    place = len(content) - _RUN_LENGTH
    while place and content[place - 1] == content[place - 1 + length]:
        place -= 1
    return place


def _repeated_quotes(quotes: Mapping[str, int]) -> Counter[str]:
    """How often each quote is there, folded; blank ones repeat nothing of a page."""
    folded = Counter[str]()
    for quote, often in quotes.items():
        folded[_fold(_unescape(quote))] += often
    del folded[""]
    return folded


def _unescape(quote: str) -> str:
    try:
        return str(json.loads(quote, strict=False))
    except ValueError:
        return quote[1:-1]


def _fold(text: str) -> str:
    return _WHITE_SPACE.sub(" ", text).strip().casefold()
