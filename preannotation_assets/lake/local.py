"""A local folder as an object store.

An object is a file. It is written to a temporary file in the same folder, synced to disk and renamed
over the old one, so that readers see the old content or the new, and a killed writer leaves only a
temporary file that no listing shows. Between the comparison and the renaming of a conditional write
nobody else may change the object: every change holds an advisory lock (flock) on one of 256 lock
files in the work area.
"""

import fcntl
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

from preannotation_assets.errors import ConflictError, ObjectNotFoundError, StorageError
from preannotation_assets.lake.fetched import FetchCounter, FetchedBytes
from preannotation_assets.lake.local_errors import describe, local_errors, read_block
from preannotation_assets.lake.local_ranges import FileRanges
from preannotation_assets.lake.local_rights import OPEN_TO_OTHERS, OWN, close_work_area
from preannotation_assets.lake.objects import (
    RESERVED_NAME,
    WORK_AREA,
    LocalRoot,
    ObjectEntry,
    ObjectStat,
    check_key,
    check_prefix,
    is_key,
)
from preannotation_assets.lake.probes import probe_conditional_writes, probe_writable
from preannotation_assets.lake.reading import ObjectReader

__all__ = ["LocalObjectStore", "StagedFile", "content_sha256", "open_source", "staged_file"]

_LOCKS = f"{WORK_AREA}/{RESERVED_NAME}locks"
_FOLDER_ATTEMPTS = 100
_COPY_BYTES = 1 << 20
_NOT_TO_EXECUTE = 0o666
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalObjectStore:
    """The objects below one folder; see ObjectStore for what the methods promise.

    The etag is the SHA-256 of the content, which survives a copy of the folder and is exact where
    times and inodes are not; so ``stat`` reads the file, and ``list``, which gives no etags, does not.
    A key cannot be the folder of another key, which S3 would allow.
    """

    def __init__(self, root: LocalRoot) -> None:
        """Take the folder, which need not exist yet."""
        self._root = root.path
        self._area = root.path / WORK_AREA
        self._counter = FetchCounter()

    @property
    def fetched(self) -> FetchedBytes:
        """What was fetched of objects so far: by ``read``, ``read_into``, ``open`` and ``download``."""
        return self._counter.fetched

    @property
    def largest_object_bytes(self) -> None:
        """Nothing but the space limits a file."""
        return None

    def uri(self, key: str) -> str:
        """Return the absolute path of a key."""
        return str(self._path(key))

    def read(self, key: str, most_bytes: int | None = None) -> bytes:
        """Return the whole object; raises ObjectNotFoundError, and StorageError where it is larger."""
        with self._source(key) as source:
            size = os.fstat(source.fileno()).st_size
            if most_bytes is not None and size > most_bytes:
                raise StorageError(f"{self.uri(key)} has {size} bytes where there are at most {most_bytes}")
            content = source.read()
        self._count(len(content))
        return content

    def open(self, key: str) -> ObjectReader:
        """Open the object for reading in pieces; it stays the same whatever becomes of the key."""
        source = self._open(key)
        return ObjectReader(FileRanges(source, self.uri(key), self._counter))

    def read_into(self, key: str, target: BinaryIO) -> None:
        """Write the whole object into an empty file; raises ObjectNotFoundError."""
        with self._open(key) as source:
            while block := read_block(source, self.uri(key), _COPY_BYTES):
                target.write(block)
        self._count(target.tell())

    def download(self, key: str, path: Path) -> ObjectStat:
        """Copy the object to ``path``, whole or not at all; raises ObjectNotFoundError."""
        with self._source(key) as source, local_errors(str(path)), staged_file(path.parent, OWN) as target:
            etag = _copy(source, target.stream)
            target.replace(path)
            stat = _object_stat(key, source, etag)
        self._count(stat.size)
        return stat

    def stat(self, key: str) -> ObjectStat | None:
        """Return what is known of the object, or None where there is none."""
        try:
            with self._source(key) as source:
                etag = content_sha256(source)
                return _object_stat(key, source, etag)
        except ObjectNotFoundError:
            return None

    def write(self, key: str, data: bytes) -> str:
        """Write the object whole and return its etag."""
        return self._write(key, io.BytesIO(data))

    def upload(self, key: str, path: Path) -> str:
        """Write the content of a file as the object, whole, and return its etag."""
        with open_source(path) as source:
            return self._write(key, source)

    def upload_if(self, key: str, path: Path, expected: str | None) -> str:
        """Upload only if the object's etag is still ``expected``; return the new etag.

        Raises:
            ConflictError: The object is another, or exists although None was expected.
        """
        target = self._path(key)
        with open_source(path) as source, local_errors(str(target)), self._staged(target) as staged:
            etag = _copy(source, staged.stream)
            with self._lock(key):
                current = self.stat(key)
                if (current.etag if current else None) != expected:
                    raise ConflictError(f"{target} was written by somebody else", "read it again and repeat")
                staged.replace(target)
        return etag

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """Yield every object whose key begins with ``prefix``, sorted by key."""
        beginning = len(str(self._root / "_")) - 1
        for path in self._files(check_prefix(prefix)):
            key = str(path)[beginning:]
            entry = self._entry(key, path) if is_key(key) else None
            if entry is not None:
                yield entry

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects, and the folders that became empty; a missing one is fine."""
        for key in keys:
            path = self._path(key)
            with local_errors(str(path)), self._lock(key):
                if path.is_dir():
                    continue
                with suppress(FileNotFoundError, NotADirectoryError):
                    path.unlink()
                    self._remove_empty_folders(path.parent)

    def check_writable(self) -> None:
        """Write, list, read back and delete a probe object in the work area, and close that to others.

        Raises:
            StorageError: The folder cannot be used; one line names it and says why.
        """
        probe_writable(self, str(self._root))
        with local_errors(str(self._area)):
            close_work_area(self._area)

    def check_conditional_writes(self) -> None:
        """Try on a probe object whether ``upload_if`` refuses what it must not do.

        Raises:
            ConditionalWritesError: The file system's locks (flock) do not keep others out.
            StorageError: The folder cannot be used.
        """
        probe_conditional_writes(self, str(self._root))

    def sweep_unfinished(self, prefix: str, older_than: datetime) -> int:
        """Remove temporary files of dead writers under ``prefix``; return how many.

        A writer holds a lock on its temporary file as long as it lives, so a live one keeps its file
        however old it is.
        """
        removed = 0
        for path in self._files(check_prefix(prefix)):
            if path.name.startswith(RESERVED_NAME) and _is_abandoned(path, older_than):
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _entry(self, key: str, path: Path) -> ObjectEntry | None:
        """What is known of a file without reading it; None where it is gone or no regular file."""
        with local_errors(str(path)):
            try:
                status = path.stat()
            except _ABSENT:
                return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return ObjectEntry(key, status.st_size, _modified_at(status))

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    @contextmanager
    def _source(self, key: str) -> Iterator[BinaryIO]:
        with local_errors(str(self._path(key))), self._open(key) as source:
            yield source

    def _open(self, key: str) -> BinaryIO:
        path = self._path(key)
        with local_errors(str(path)):
            try:
                return path.open("rb")
            except _ABSENT:
                raise ObjectNotFoundError(f"there is no object {path}") from None

    def _count(self, size: int) -> None:
        self._counter.add_request()
        self._counter.add_bytes(size)

    def _write(self, key: str, source: BinaryIO) -> str:
        target = self._path(key)
        with local_errors(str(target)), self._staged(target) as staged:
            etag = _copy(source, staged.stream)
            with self._lock(key):
                staged.replace(target)
        return etag

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """Hold the lock file of the key, which it shares with 1/256 of all keys."""
        bucket = hashlib.sha256(key.encode()).hexdigest()[:2]
        path = self._root / _LOCKS / f"{bucket}.lock"
        with _open_in_folder(path, "ab", self._rights(path)) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _staged(self, target: Path) -> AbstractContextManager["StagedFile"]:
        return staged_file(target.parent, self._rights(target))

    def _rights(self, path: Path) -> int:
        """The rights of new folders on the way to a path; its file gets the same but for executing.

        Readers of other users may open what is published. What lies in the work area is as open as that
        folder itself, which is its owner's alone when it is made here.
        """
        if not path.is_relative_to(self._area):
            return OPEN_TO_OTHERS
        if not self._area.is_dir():
            _create_folder(self._area.parent, OPEN_TO_OTHERS)
            _create_folder(self._area, OWN)
        return stat.S_IMODE(self._area.stat().st_mode) & OPEN_TO_OTHERS

    def _files(self, prefix: str) -> Iterator[Path]:
        folder = self._root / prefix.rpartition("/")[0]
        with local_errors(str(folder)):
            yield from _walk(folder, f"{self._root}/{prefix}")

    def _remove_empty_folders(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                # Not empty, or another process was faster: either way there is nothing left to do.
                return
            folder = folder.parent


def content_sha256(source: BinaryIO) -> str:
    """Return the SHA-256 of what is left to read, in hexadecimal digits."""
    digest = hashlib.sha256()
    while block := source.read(_COPY_BYTES):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def open_source(path: Path) -> Iterator[BinaryIO]:
    """Open a local file that is about to be uploaded.

    Raises:
        StorageError: The file cannot be read.
    """
    try:
        source = path.open("rb")
    except OSError as error:
        raise describe(str(path), error) from None
    with source:
        yield source


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A temporary file that may take another file's place, open for reading and writing."""

    path: Path
    stream: BinaryIO

    def replace(self, target: Path) -> None:
        """Sync the file to disk and rename it to ``target``, in the same folder."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.path.replace(target)
        _sync_folder(target.parent)


@contextmanager
def staged_file(folder: Path, rights: int) -> Iterator[StagedFile]:
    """Open a temporary file in ``folder``, which is created; it goes away unless it was renamed.

    ``rights`` are those of folders, as far as the umask leaves them. The file stays locked (flock) while its
    writer lives.
    """
    path = folder / f"{RESERVED_NAME}{uuid4().hex}.tmp"
    try:
        with _open_in_folder(path, "x+b", rights) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield StagedFile(path, stream)
    finally:
        path.unlink(missing_ok=True)


def _open_in_folder(path: Path, mode: str, rights: int) -> BinaryIO:
    """Open a file for writing and create the folders above it.

    A delete may take an empty folder away between its creation and the opening: try again.
    """
    for _ in range(_FOLDER_ATTEMPTS):
        with suppress(FileNotFoundError):
            _create_folder(path.parent, rights)
            return cast(BinaryIO, open(path, mode, opener=partial(os.open, mode=rights & _NOT_TO_EXECUTE)))
    raise StorageError(f"{path.parent} is removed again and again while it is being written to")


def _create_folder(folder: Path, rights: int) -> None:
    if not folder.is_dir():
        _create_folder(folder.parent, rights)
        folder.mkdir(rights, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy what is left to read and return its SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    while block := source.read(_COPY_BYTES):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()


def _object_stat(key: str, source: BinaryIO, etag: str) -> ObjectStat:
    status = os.fstat(source.fileno())
    return ObjectStat(key, status.st_size, etag, _modified_at(status))


def _modified_at(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _walk(folder: Path, beginning: str) -> Iterator[Path]:
    """Yield the files below ``folder`` whose path begins so, in the order of their whole paths."""
    try:
        with os.scandir(folder) as entries:
            # With its slash a folder sorts among the files as the keys below it do.
            names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = f"{folder}/{name}"
        if not (path.startswith(beginning) or beginning.startswith(path)):
            continue
        if name.endswith("/"):
            yield from _walk(Path(path), beginning)
        elif path.startswith(beginning):
            yield Path(path)


def _is_abandoned(path: Path, older_than: datetime) -> bool:
    """Tell whether a temporary file is that old, ours to write, and its writer dead: its lock is free."""
    try:
        with path.open("r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(stream.fileno()).st_mtime < older_than.timestamp()
    except (BlockingIOError, FileNotFoundError, PermissionError):
        return False
