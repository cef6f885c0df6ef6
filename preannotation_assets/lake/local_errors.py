"""The operating system's errors as the package's own: one line each, with the place and the code."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from preannotation_assets.errors import StorageError

__all__ = ["describe", "local_errors", "read_block"]

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def local_errors(place: str) -> Iterator[None]:
    """Raise a StorageError about ``place`` for an OSError in the block."""
    try:
        yield
    except OSError as error:
        raise describe(place, error) from None


def read_block(source: BinaryIO, place: str, size: int) -> bytes:
    """Read so many bytes at most; raises a StorageError about ``place`` for an OSError.

    What becomes of the bytes is not about ``place``: the disk that they are copied to may be full.
    """
    with local_errors(place):
        return source.read(size)


def describe(place: str, error: OSError) -> StorageError:
    """Say in one line what an OSError means for a place."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    if error.errno in _DENIED:
        return StorageError(f"access to {place} is denied ({name})")
    if error.errno in _NO_FOLDER:
        return StorageError(f"a file stands where {place} needs a folder ({name})")
    if error.errno == errno.EISDIR:
        return StorageError(f"{place} is a folder ({name})")
    if error.errno in _FULL:
        return StorageError(f"there is no space left for {place} ({name})")
    return StorageError(f"{place} cannot be used ({name})")
