"""The body of a reply, inflated and bounded, whatever the server sends. Pure."""

import zlib
from typing import Final

__all__ = ["MOST_REPLY_BYTES", "ReplyBody", "UnreadableBodyError"]

MOST_REPLY_BYTES: Final = 32 * 2**20
"""Ample: an answer of 3,072 tokens has about 3 MB, streamed and with log-probabilities."""

_PLAIN: Final = frozenset({"", "identity"})
_DEFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})
# zlib's window bits for a header of gzip or zlib, whichever it is.
_EITHER_HEADER: Final = 32 + zlib.MAX_WBITS


class UnreadableBodyError(Exception):
    """The body has more bytes than any answer, or a coding that nobody asked for."""


class ReplyBody:
    """Collects a body of at most ``most_bytes`` inflated bytes.

    ``encoding`` is the reply's Content-Encoding. Requests ask for ``identity``; a proxy that compresses all
    the same is understood as long as it deflates.
    """

    def __init__(self, encoding: str, most_bytes: int) -> None:
        self._parts: list[bytes] = []
        self._left = most_bytes
        coding = encoding.strip().lower()
        if coding not in _PLAIN | _DEFLATED:
            raise UnreadableBodyError
        self._inflating = zlib.decompressobj(_EITHER_HEADER) if coding in _DEFLATED else None

    def add(self, part: bytes) -> bytes:
        """The bytes of a part as they are when inflated.

        Raises:
            UnreadableBodyError: there are more than allowed, or they cannot be inflated.
        """
        plain = part if self._inflating is None else _inflate(self._inflating, part, self._left + 1)
        if len(plain) > self._left:
            raise UnreadableBodyError
        self._left -= len(plain)
        self._parts.append(plain)
        return plain

    def whole(self) -> bytes:
        """All that came.

        Raises:
            UnreadableBodyError: the end of the deflated bytes is missing.
        """
        if self._inflating and not self._inflating.eof:
            raise UnreadableBodyError
        return b"".join(self._parts)

    def whole_lines(self) -> bytes:
        """All that came up to the last end of a line, where more was to come."""
        return b"".join(self._parts).rpartition(b"\n")[0]


def _inflate(inflating: "zlib._Decompress", part: bytes, most_bytes: int) -> bytes:
    try:
        return inflating.decompress(part, most_bytes)
    except zlib.error:
        raise UnreadableBodyError from None
