"""An open object: read in pieces, at any place, like a file."""

import io
from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Protocol

__all__ = ["ByteRanges", "ObjectReader"]

_READ_AHEAD = 16 * 1024
# Ranges with no more than this between them are fetched with one request.
_MOST_BETWEEN = 8 * 1024


class ByteRanges(Protocol):
    """One object, whose bytes are fetched range by range and stay the same all along."""

    @property
    def size(self) -> int:
        """The bytes of the object."""

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to before ``stop``, with ``0 <= start < stop <= size``."""

    def close(self) -> None:
        """Give up what is held open."""


class ObjectReader(io.BufferedIOBase):
    """A seekable binary file over an object; it never gives bytes of two different contents.

    What is asked for is fetched with one request, and at least 16 KiB of it, so that small readings
    one after the other make few. One thread may use it at a time, as with any file.
    """

    def __init__(self, ranges: ByteRanges) -> None:
        """Take the open object, which is closed with the reader."""
        self._ranges = ranges
        self._position = 0
        self._held = b""
        self._held_start = 0
        self._prepared: list[tuple[int, bytes]] = []

    @property
    def size(self) -> int:
        """The bytes of the object."""
        return self._ranges.size

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the position in bytes, which may lie behind the end."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in bytes and return it; nothing is fetched.

        Raises:
            ValueError: The position is negative, or ``whence`` is unknown.
        """
        self._check_open()
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"the position {offset} is negative")
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}
        if whence not in origins:
            raise ValueError(f"whence is {whence}, not 0, 1 or 2")
        self._position = max(0, origins[whence] + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end; all that is left where it is negative or None.

        Raises:
            ConflictError: The object was replaced since it was opened.
            ObjectNotFoundError: It was deleted since.
            StorageError: The store refuses, fails or cannot be reached.
        """
        self._check_open()
        left = max(0, self.size - self._position)
        count = left if size is None or size < 0 else min(size, left)
        if count == 0:
            return b""
        content = self._take(self._position, self._position + count)
        self._position += count
        return content

    def read1(self, size: int = -1) -> bytes:
        """Return the same as ``read``."""
        return self.read(size)

    def prepare(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch ranges of bytes, start and end, that will be read; those close together with one request.

        They are kept until others are prepared, or the object is closed. What is no range of the object is
        left out. Errors are those of ``read``.
        """
        self._check_open()
        wanted = sorted(item for item in ranges if 0 <= item[0] < item[1] <= self.size)
        self._prepared = [(start, self._take(start, stop)) for start, stop in _joined(wanted)]

    def close(self) -> None:
        """Close the object; a second time does nothing."""
        if not self.closed:
            self._held = b""
            self._prepared = []
            self._ranges.close()
        super().close()

    def _take(self, start: int, stop: int) -> bytes:
        number = bisect_right(self._prepared, start, key=itemgetter(0)) - 1
        if number >= 0:
            first, content = self._prepared[number]
            if stop <= first + len(content):
                return content[start - first : stop - first]
        skipped = start - self._held_start
        if skipped < 0 or stop > self._held_start + len(self._held):
            kept = self._held[skipped:] if skipped >= 0 else b""
            end = min(max(stop, start + _READ_AHEAD), self.size)
            self._held = kept + self._ranges.fetch(start + len(kept), end)
            self._held_start, skipped = start, 0
        return self._held[skipped : skipped + stop - start]

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the object is closed")


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted ranges, joined where little lies between them."""
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and start - joined[-1][1] <= _MOST_BETWEEN:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
