"""How an answer is set: JSON over many lines, a character over several tokens."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

__all__ = ["Piece", "bytewise", "spread"]

Piece: TypeAlias = tuple[str, float | None]
"""A piece of an answer and its quality, None outside of quotes."""

_OPENING, _CLOSING = frozenset("{["), frozenset("}]")
_INDENT = "  "
_ONE_TOKEN_BYTES = 2
_PUNCTUATION = ("\u2000", "\u206f")


def spread(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces of a JSON text with line breaks and blanks between its parts, as small models set it."""
    depth = 0
    for text, quality in pieces:
        is_part = quality is None and text != '"'
        if is_part and text in _OPENING:
            depth += 1
            yield f"{text}\n{_INDENT * depth}", None
        elif is_part and text in _CLOSING:
            depth -= 1
            yield f"\n{_INDENT * depth}{text}", None
        elif is_part and text.startswith(","):
            yield f",\n{_INDENT * depth}{_spaced_name(text[1:])}", None
        else:
            yield _spaced_name(text) if is_part else text, quality


def bytewise(text: str) -> Iterator[str]:
    """A token's text as the tokens that are generated for it.

    Characters of three bytes or more, but for common punctuation, take one token less than they have bytes,
    and all but the last of these tokens are empty.
    """
    if all(_extra_tokens(character) == 0 for character in text):
        yield text
        return
    for character in text:
        yield from [""] * _extra_tokens(character)
        yield character


def _extra_tokens(character: str) -> int:
    if character.isascii() or _PUNCTUATION[0] <= character <= _PUNCTUATION[1]:
        return 0
    return max(len(character.encode("utf-8", "surrogatepass")) - _ONE_TOKEN_BYTES, 0)


def _spaced_name(text: str) -> str:
    return f"{text[:-1]} : " if text.startswith('"') and text.endswith('":') else text
