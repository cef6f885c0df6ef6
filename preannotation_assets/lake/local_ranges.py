"""The ranges of an open file: a renaming over it or its deletion does not change what is read."""

import os
from typing import BinaryIO

from preannotation_assets.errors import StorageError
from preannotation_assets.lake.fetched import FetchCounter
from preannotation_assets.lake.local_errors import local_errors

__all__ = ["FileRanges"]


class FileRanges:
    """An open file as ByteRanges."""

    def __init__(self, source: BinaryIO, place: str, counter: FetchCounter) -> None:
        """Take the open file, which is closed with this; ``place`` is its path."""
        self._source = source
        self._place = place
        self._counter = counter
        self._size = os.fstat(source.fileno()).st_size

    @property
    def size(self) -> int:
        """The bytes of the file when it was opened."""
        return self._size

    def fetch(self, start: int, stop: int) -> bytes:
        """Return a range; raises StorageError, also where the file became shorter."""
        self._counter.add_request()
        with local_errors(self._place):
            self._source.seek(start)
            content = self._source.read(stop - start)
        self._counter.add_bytes(len(content))
        if len(content) < stop - start:
            raise StorageError(f"{self._place} became shorter while it was read")
        return content

    def close(self) -> None:
        """Close the file."""
        self._source.close()
