"""Strings for the simple anchored patterns of a JSON schema.

The grammar that Ollama's runner makes of a schema knows literals, classes, groups, alternatives,
``.`` and counts, between ``^`` and ``$``; anything else it refuses, and so does this module.
"""

import re

from preannotation_assets.simulator.refusals import schema_refused

__all__ = ["check_pattern", "matches_pattern", "shortest_match"]

_REFUSED_ESCAPES = frozenset("dDwWsSbB")
_COUNT = re.compile(r"\{(\d+)(?:,\d*)?\}")


def check_pattern(pattern: str) -> None:
    """Raise ``RefusedError`` (400) for a pattern that is broken, unanchored or has a class escape."""
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise schema_refused("pattern must start with '^' and end with '$'")
    _Reader(pattern[1:-1]).read()
    try:
        re.compile(pattern)
    except re.error:
        raise schema_refused("pattern is not a regular expression") from None


def matches_pattern(pattern: str, text: str) -> bool:
    """Whether the whole of ``text`` matches."""
    return re.fullmatch(pattern, text) is not None


def shortest_match(pattern: str) -> str:
    """A short string that matches a pattern which ``check_pattern`` accepts."""
    return _Reader(pattern[1:-1]).read()


class _Reader:
    """Reads a pattern once from left to right and writes one short match."""

    def __init__(self, pattern: str) -> None:
        """Start at the beginning."""
        self._pattern = pattern
        self._position = 0

    def read(self) -> str:
        text = self._alternatives()
        if self._position < len(self._pattern):
            raise schema_refused("unbalanced parentheses in pattern")
        return text

    def _alternatives(self) -> str:
        texts = [self._sequence()]
        while self._peek() == "|":
            self._position += 1
            texts.append(self._sequence())
        return min(texts, key=len)

    def _sequence(self) -> str:
        parts = []
        while self._peek() not in {"", "|", ")"}:
            item = self._item()
            parts.append(item * self._least_count())
        return "".join(parts)

    def _item(self) -> str:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character in "*+?{}^$":
            raise schema_refused(f"unsupported '{character}' in pattern")
        return "x" if character == "." else character

    def _group(self) -> str:
        if self._peek() == "?":
            if not self._pattern.startswith("?:", self._position):
                raise schema_refused("unsupported group in pattern")
            self._position += len("?:")
        text = self._alternatives()
        if self._next() != ")":
            raise schema_refused("unbalanced parentheses in pattern")
        return text

    def _class(self) -> str:
        start = self._position - 1
        if self._peek() == "^":
            self._position += 1
        while self._peek() not in {"]", ""}:
            if self._next() == "\\":
                self._escape()
        if self._next() != "]":
            raise schema_refused("unbalanced square brackets in pattern")
        try:
            members = re.compile(self._pattern[start : self._position])
        except re.error:
            raise schema_refused("bad square brackets in pattern") from None
        printable = "aA0 xX1" + "".join(map(chr, range(33, 0x180)))
        member = next(filter(members.fullmatch, printable), None)
        if member is None:
            raise schema_refused("square brackets in pattern that hold nothing")
        return member

    def _escape(self) -> str:
        character = self._next()
        if character in _REFUSED_ESCAPES or not character:
            raise schema_refused(f"unsupported escape '\\{character}' in pattern")
        return {"n": "\n", "t": "\t", "r": "\r"}.get(character, character)

    def _least_count(self) -> int:
        character = self._peek()
        if character in {"*", "?"}:
            self._position += 1
            return 0
        if character == "+":
            self._position += 1
            return 1
        count = _COUNT.match(self._pattern, self._position)
        if count is None:
            return 1
        self._position = count.end()
        return int(count[1])

    def _peek(self) -> str:
        return self._pattern[self._position : self._position + 1]

    def _next(self) -> str:
        character = self._peek()
        self._position += 1
        return character
