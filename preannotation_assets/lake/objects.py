"""The object store as the pipeline sees it: one interface, whatever lies beneath.

Keys are relative paths with ``/`` between the segments, below the root of the store. An object is
written whole or not at all, and a reader sees the old object or the new one, never a mixture.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote

from preannotation_assets.errors import SettingsError, StorageError
from preannotation_assets.lake.fetched import FetchedBytes
from preannotation_assets.lake.reading import ObjectReader

__all__ = [
    "DEFAULT_LIMITS",
    "RESERVED_NAME",
    "WORK_AREA",
    "LocalRoot",
    "ObjectEntry",
    "ObjectStat",
    "ObjectStore",
    "RequestLimits",
    "S3Root",
    "StoreLocation",
    "check_key",
    "check_prefix",
    "is_key",
    "parse_root",
]

WORK_AREA = "argilla/work"
"""The prefix of everything the loader must not see."""

RESERVED_NAME = ".preannotation-"
"""Temporary files and locks of the local store begin so; no segment of a key may."""

_SEGMENT_BYTES = 255
_KEY_BYTES = 1024
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """What a listing tells of one object, without looking into it.

    ``size`` is in bytes, ``modified_at`` in UTC.
    """

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What the store knows of one object.

    ``size`` is in bytes, ``modified_at`` in UTC. ``etag`` is opaque and without quotes: the SHA-256 of
    the content in a local folder, the server's own ETag on S3. It is only good for comparing with
    etags of the same store.
    """

    key: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where a store is; plain data without secrets, so that a Spark executor can open it again.

    ``root`` is what ``parse_root`` takes. Where ``endpoint_url`` or ``region`` is None, boto3's
    standard chain decides, as it always does for the credentials.
    """

    root: str
    endpoint_url: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How long and how often one request to S3 is tried; times in seconds.

    ``max_attempts`` counts the first attempt too; boto3 waits up to 20 seconds between two.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_attempts: int = 10


DEFAULT_LIMITS = RequestLimits()


@dataclass(frozen=True, slots=True)
class LocalRoot:
    """A folder of this machine, absolute."""

    path: Path

    @property
    def uri(self) -> str:
        """The absolute path."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class S3Root:
    """A bucket and a prefix without slashes at its ends; the prefix may be empty."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The ``s3://`` address, without a slash at the end."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"


class ObjectStore(Protocol):
    """Objects under keys, in a local folder or on S3.

    Every method raises StorageError when the store refuses, fails or cannot be reached, and when a
    key is not valid. Instances may be shared by threads, but not sent to other processes: those open
    their own from the StoreLocation.
    """

    @property
    def largest_object_bytes(self) -> int | None:
        """The most bytes an object may have; None where only the space limits it."""

    @property
    def fetched(self) -> FetchedBytes:
        """What was fetched of objects so far: by ``read``, ``read_into``, ``open`` and ``download``."""

    def uri(self, key: str) -> str:
        """Return the absolute path or the ``s3://`` address of a key."""

    def read(self, key: str, most_bytes: int | None = None) -> bytes:
        """Return the whole object; raises ObjectNotFoundError.

        Where ``most_bytes`` is given, a larger object is a StorageError, and is not fetched.
        """

    def open(self, key: str) -> ObjectReader:
        """Open the object for reading in pieces; raises ObjectNotFoundError.

        The caller closes the reader. It gives the bytes of one content only: where that cannot be had
        any more (S3), its ``read`` raises ConflictError for an object that was replaced meanwhile, and
        ObjectNotFoundError for one that was deleted.
        """

    def read_into(self, key: str, target: BinaryIO) -> None:
        """Write the whole object into an empty file; raises ObjectNotFoundError."""

    def download(self, key: str, path: Path) -> ObjectStat:
        """Copy the object to ``path``, whole or not at all; raises ObjectNotFoundError."""

    def stat(self, key: str) -> ObjectStat | None:
        """Return what is known of the object, or None where there is none."""

    def write(self, key: str, data: bytes) -> str:
        """Write the object whole and return its etag."""

    def upload(self, key: str, path: Path) -> str:
        """Write the content of a file as the object, whole, and return its etag."""

    def upload_if(self, key: str, path: Path, expected: str | None) -> str:
        """Upload only if the object is still the expected one; return the new etag.

        ``expected`` is the etag the object must have, or None where there must be no object. Raises
        ConflictError when it is another or gone, ConditionalWritesError where the store does not know such
        writes, and plain StorageError when the outcome cannot be known.
        """

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """Yield every object whose key begins with ``prefix``, sorted by key in code point order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; a missing one is fine."""

    def check_writable(self) -> None:
        """Write, list, read back and delete a probe object in the work area.

        Raises StorageError with one line that names the address and what is wrong with it.
        """

    def check_conditional_writes(self) -> None:
        """Try on a probe object whether the store refuses what ``upload_if`` must not do.

        Raises ConditionalWritesError with one line that says what is missing.
        """

    def sweep_unfinished(self, prefix: str, older_than: datetime) -> int:
        """Remove what killed writers left under ``prefix`` before ``older_than``; return the count."""


def check_key(key: str) -> str:
    """Return the key if it is valid.

    A valid key is relative, has no empty, ``.`` or ``..`` segment, no control character, no
    surrogate and no segment that begins with RESERVED_NAME; a segment has at most 255 bytes of UTF-8
    and the key at most 1,024, which every file system and S3 can hold.

    Raises:
        StorageError: The key is not valid.
    """
    for segment in key.split("/"):
        _check_segment(key, segment)
    if len(key.encode()) > _KEY_BYTES:
        raise _invalid(key, f"it is longer than {_KEY_BYTES} bytes")
    return key


def is_key(key: str) -> bool:
    """Tell whether ``check_key`` takes the key."""
    try:
        check_key(key)
    except StorageError:
        return False
    return True


def check_prefix(prefix: str) -> str:
    """Return the prefix if it can begin a valid key; it may be empty or end with ``/``.

    Raises:
        StorageError: No valid key begins so.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def _check_segment(key: str, segment: str) -> None:
    if segment in ("", ".", ".."):
        raise _invalid(key, "a segment is empty, '.' or '..'")
    if _CONTROL.search(segment):
        raise _invalid(key, "it has a control character")
    if segment.startswith(RESERVED_NAME):
        raise _invalid(key, f"names that begin with {RESERVED_NAME} are reserved")
    try:
        size = len(segment.encode())
    except UnicodeEncodeError:
        raise _invalid(key, "it has a lone surrogate") from None
    if size > _SEGMENT_BYTES:
        raise _invalid(key, f"a segment is longer than {_SEGMENT_BYTES} bytes")


def _expanded(root: str) -> Path:
    try:
        return Path(root).expanduser()
    except RuntimeError:
        SettingsError(
            "nobody knows the home folder in the storage root", "write the whole path"
        ).raise_alone()


def _invalid(key: str, reason: str) -> StorageError:
    return StorageError(f"the object key {key!a} is not valid", reason)


def parse_root(root: str) -> LocalRoot | S3Root:
    """Read a root: ``s3://bucket[/prefix]``, ``file:///folder`` or the path of a folder.

    A relative path is taken from the current folder, ``~`` is the user's home.

    Raises:
        SettingsError: The scheme is another, the bucket or the whole root is empty or malformed.
    """
    if not root.strip():
        raise SettingsError("the storage root is empty", "give a folder or s3://bucket/prefix")
    scheme = _SCHEME.match(root)
    if scheme is None:
        return LocalRoot(_expanded(root).absolute())
    rest = root[scheme.end() :]
    if scheme[1].lower() == "s3":
        return _parse_s3(rest)
    if scheme[1].lower() == "file":
        return _parse_file(rest)
    raise SettingsError(
        f"the storage root has the unknown scheme {scheme[1]}://", "use s3://bucket/prefix or a folder"
    )


def _parse_s3(rest: str) -> S3Root:
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise SettingsError("the storage root names no valid bucket", "use s3://bucket/prefix")
    prefix = prefix.strip("/")
    try:
        check_prefix(prefix)
    except StorageError as error:
        raise SettingsError("the storage root has an invalid prefix", error.cure) from None
    return S3Root(bucket, prefix)


def _parse_file(rest: str) -> LocalRoot:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise SettingsError(
            "the storage root is a file:// address of another machine", "use file:///folder or a plain path"
        )
    return LocalRoot(Path("/" + unquote(path)))
