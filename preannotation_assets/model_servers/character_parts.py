"""Tokens that are parts of a character, told without their bytes: where the tokens around them stand. Pure.

A server that has only texts for its tokens writes such a part as replacement characters (Ollama's Go
runner) or as an empty text (llama-server). The character itself is in the answer, so what stands between the
tokens that are whole is it: its place is known, how probable it was is not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Placed", "ScoredText", "place_around_parts"]

Placed = tuple[int, float | None]
"""Code points of the answer and the log-probability of what wrote them; None where it is unknown."""

_PARTS: Final = re.compile("(\N{REPLACEMENT CHARACTER}+)")
_FIRST_OF_SEVERAL_BYTES: Final = "\x80"


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A token's text as the server gives it, and its log-probability."""

    text: str
    logprob: float


@dataclass(slots=True)
class _Gap:
    """Between two whole texts: ``least`` to ``most`` characters, ``length`` of them by the answer."""

    least: int = 0
    most: int = 0
    length: int = 0


@dataclass(slots=True)
class _Layout:
    """Whole texts with gaps between them, one text more than gaps; ``owners`` are the tokens of each."""

    texts: list[str] = field(default_factory=lambda: [""])
    gaps: list[_Gap] = field(default_factory=list)
    # For each piece of a token: the token, the text or gap that it belongs to, and its code points in a text.
    pieces: list[tuple[int, int, int | None]] = field(default_factory=list)

    def add_text(self, token: int, text: str) -> None:
        if len(self.gaps) == len(self.texts):
            self.texts.append("")
        self.texts[-1] += text
        self.pieces.append((token, len(self.texts) - 1, len(text)))

    def add_part(self, token: int, least: int, most: int) -> None:
        if len(self.gaps) < len(self.texts):
            self.gaps.append(_Gap())
        gap = self.gaps[-1]
        gap.least = max(gap.least, least)
        gap.most += most
        self.pieces.append((token, len(self.gaps) - 1, None))


def place_around_parts(tokens: Sequence[ScoredText], content: str) -> list[Placed] | None:
    """The tokens of ``content``, in order, with what is between whole ones as one of unknown probability.

    What a server takes away before and behind an answer may be among the tokens. None where the whole texts
    do not stand in the content in their order.
    """
    texts = [token.text for token in tokens]
    first = next((index for index, text in enumerate(texts) if text), len(texts))
    last = next((index for index in range(len(texts), first, -1) if texts[index - 1]), first)
    layout = _lay_out(texts[first:last])
    if not layout.gaps or not content:
        return None
    if len(layout.gaps) == len(layout.texts):
        layout.texts.append("")
    skipped = _skipped(layout.texts[0], content)
    if skipped is None or not _fit(layout, skipped, content):
        return None
    return _placed(layout, tokens[first:last], skipped, len(content))


def _lay_out(texts: Sequence[str]) -> _Layout:
    layout = _Layout()
    for token, text in enumerate(texts):
        if not text:
            layout.add_part(token, 0, 1)
        for piece in filter(None, _PARTS.split(text)):
            if _PARTS.fullmatch(piece):
                layout.add_part(token, 1, len(piece))
            else:
                layout.add_text(token, piece)
    return layout


def _skipped(text: str, content: str) -> int | None:
    """How much of the first text stands before the content; None where the content does not begin in it."""
    starts = [start for start, character in enumerate(text) if character == content[0]]
    return next((start for start in [*starts, len(text)] if content.startswith(text[start:])), None)


def _fit(layout: _Layout, skipped: int, content: str) -> bool:
    """Finds the shortest length of each gap with which the text behind it stands in the content."""
    place = len(layout.texts[0]) - skipped
    for index, gap in enumerate(layout.gaps):
        behind = layout.texts[index + 1]
        is_last = index == len(layout.gaps) - 1
        for length in range(gap.most + 1):
            end = place + length
            if end > len(content) or (length and content[end - 1] < _FIRST_OF_SEVERAL_BYTES):
                return False
            fits = behind.startswith(content[end:]) if is_last else content.startswith(behind, end)
            if fits and length >= gap.least:
                gap.length, place = length, end + len(behind)
                break
        else:
            return False
    return True


def _placed(layout: _Layout, tokens: Sequence[ScoredText], skipped: int, length: int) -> list[Placed]:
    placed: list[Placed] = []
    last_pieces = {(which, size is None): number for number, (_, which, size) in enumerate(layout.pieces)}
    pending, is_known, own, position = 0.0, True, 0, -skipped
    for number, (token, which, size) in enumerate(layout.pieces):
        if size is None:
            is_last = last_pieces[which, True] == number
            added = layout.gaps[which].length if is_last else 0
            is_known = is_known and not layout.gaps[which].length
        else:
            added = size
        own += max(0, min(position + added, length) - max(position, 0))
        position += added
        if number + 1 < len(layout.pieces) and layout.pieces[number + 1][0] == token:
            continue
        pending += tokens[token].logprob if position > 0 else 0.0
        if own:
            placed.append((own, pending if is_known else None))
            pending, is_known, own = 0.0, True, 0
    return placed
