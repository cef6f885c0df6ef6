"""Temporary folders: the one place that makes them. What is in them may be page text.

They lie in ``TMPDIR``, may be entered by this user only, and are locked (flock) while their process lives,
however it ends. So whoever makes one knows those of the dead from those of the living, and removes them.
"""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

from preannotation_assets.errors import StorageError

__all__ = [
    "nameless_file",
    "no_room",
    "no_room_for",
    "remove_abandoned_folders",
    "temporary_file",
    "temporary_folder",
    "tidy_once",
]

_PREFIX: Final = "preannotation-tmp-"
_FOLDER_ITSELF: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Lends a new folder, and removes it with what is in it; before the first, removes those of the dead.

    Raises:
        StorageError: no folder can be made, or there is no room for what the block writes into it.
    """
    try:
        tidy_once()
        folder, lock = _make()
    except OSError as error:
        raise no_room(error) from None
    try:
        yield folder
    except OSError as error:
        if error.errno in _FULL:
            raise no_room(error) from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def temporary_file(name: str) -> Iterator[Path]:
    """Lends an empty file for this user only, in a temporary folder of its own.

    Raises:
        StorageError: no folder can be made, or there is no room for what the block writes into it.
    """
    with temporary_folder() as folder:
        path = folder / name
        path.touch(0o600)
        yield path


@contextmanager
def nameless_file() -> Iterator[BinaryIO]:
    """Lends a file without a name, which goes with the process, however that ends.

    Raises:
        StorageError: none can be made, or there is no room for what the block writes into it.
    """
    with temporary_folder() as folder, tempfile.TemporaryFile(dir=folder) as file:
        yield file


def tidy_once() -> None:
    """Removes the folders whose processes died, once a process: all of TMPDIR is looked through for them.

    Raises:
        OSError: the folder of temporary files cannot be listed.
    """
    _tidied(tempfile.gettempdir())


@cache
def _tidied(_: str) -> int:
    return remove_abandoned_folders()


def remove_abandoned_folders() -> int:
    """Removes the folders whose processes died, and returns how many; those of other users stay.

    Raises:
        OSError: the folder of temporary files cannot be listed.
    """
    removed = 0
    with os.scandir(tempfile.gettempdir()) as entries:
        names = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
    for name in names:
        removed += _remove_if_abandoned(Path(name))
    return removed


def _make() -> tuple[Path, int]:
    """A new folder and the descriptor that locks it.

    Where the file system has no locks nobody can take one, and so nobody takes the folder for abandoned.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(FileNotFoundError, BlockingIOError):
            lock = os.open(folder, _FOLDER_ITSELF)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise
            except OSError:
                return folder, lock
            if folder.exists():
                return folder, lock
            os.close(lock)
        # Another process took it for abandoned before it was locked.


def _remove_if_abandoned(folder: Path) -> bool:
    """Removes a folder of this user that nobody has locked.

    A link is not followed: anybody may put one into a folder that all users share.
    """
    try:
        descriptor = os.open(folder, _FOLDER_ITSELF)
    except OSError:
        return False
    try:
        if not _is_own(descriptor):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    finally:
        os.close(descriptor)


def _is_own(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077


def no_room(error: OSError) -> StorageError:
    """What to raise where a temporary file cannot be made or written, for what the system said."""
    return no_room_for(errno.errorcode.get(error.errno or 0, type(error).__name__))


def no_room_for(code: str) -> StorageError:
    """The same, where another code says why."""
    return StorageError(
        f"there is no room for temporary files ({code})", "free some in TMPDIR, or set it to another folder"
    )
