"""The content of objects on S3: whole, or in ranges that are all of one content.

A body that breaks off is asked for again, 3 times: boto3 repeats a request that gives no reply, but
not the reading of a reply. No more of a body is read than its reply announces, and no more is announced
than was asked for.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from botocore.exceptions import ClientError

from preannotation_assets.errors import ConflictError, StorageError
from preannotation_assets.lake.fetched import FetchCounter
from preannotation_assets.lake.objects import ObjectStat
from preannotation_assets.lake.s3_errors import FAULTS, UNREACHABLE, S3Fault, describe, error_code, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

__all__ = ["SHA256", "S3Object", "S3Ranges", "bare", "fetch_whole", "utc"]

SHA256 = "sha256"
"""The name in an object's metadata of the SHA-256 of its content."""

_TAIL_BYTES = 64 * 1024
# Up to here one more request fetches the rest: another takes longer than so few bytes.
_SMALL_BYTES = 256 * 1024
_COPY_BYTES = 1 << 20
_BODY_PAUSES = (0.2, 1.0, 3.0)
_CHANGED = ("PreconditionFailed", "412")
_EMPTY = ("InvalidRange", "416")
_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-(?P<last>\d{1,18})/(?P<size>\d{1,18})", re.ASCII)
# RFC 9110, 8.8.3, with its quotes or without; a proxy that compresses makes a weak one of it.
_ETAG = re.compile(r'(?:W/)?"?([\x21\x23-\x7e]{1,256})"?')

Fetched = TypeVar("Fetched")


@dataclass(frozen=True, slots=True)
class S3Object:
    """Where one object is; ``name`` is its key within the bucket, ``key`` the one within the store."""

    client: "S3Client"
    bucket: str
    name: str
    key: str
    uri: str
    counter: FetchCounter

    def get(self) -> "GetObjectOutputTypeDef":
        """Ask for the whole object; botocore's errors pass through."""
        self.counter.add_request()
        return self.client.get_object(Bucket=self.bucket, Key=self.name)

    def get_tail(self) -> "GetObjectOutputTypeDef":
        """Ask for the last 64 KiB; botocore's errors pass through."""
        self.counter.add_request()
        return self.client.get_object(Bucket=self.bucket, Key=self.name, Range=f"bytes=-{_TAIL_BYTES}")

    def get_range(self, start: int, stop: int, etag: str) -> "GetObjectOutputTypeDef":
        """Ask for a range of the object with that etag; botocore's errors pass through."""
        self.counter.add_request()
        return self.client.get_object(
            Bucket=self.bucket, Key=self.name, Range=f"bytes={start}-{stop - 1}", IfMatch=f'"{etag}"'
        )

    def blocks(self, found: "GetObjectOutputTypeDef", most: int | None) -> Iterator[bytes]:
        """Yield the body of a reply, counted.

        Raises:
            StorageError: It is longer than ``most`` bytes, if given, or than it announces, or announces no
                length.
        """
        announced, received = found.get("ContentLength"), 0
        with closing(found["Body"]) as body:
            if announced is None:
                raise self.other_bytes("it announces no length")
            if most is not None and announced > most:
                raise self.other_bytes(f"{announced} where there are at most {most}")
            for block in body.iter_chunks(_COPY_BYTES):
                received += len(block)
                self.counter.add_bytes(len(block))
                if received > announced:
                    raise self.other_bytes(f"more than the {announced} that it announces")
                yield block

    def check(self, expected: str | None, digest: str) -> None:
        """Compare the SHA-256 of the whole content with the one it was written with.

        Raises:
            StorageError: They differ. Objects that others wrote have none and pass.
        """
        if expected is not None and expected != digest:
            raise StorageError(
                f"{self.uri} is damaged", "its content does not have the SHA-256 it was written with"
            )

    def other_bytes(self, reason: str) -> StorageError:
        """Return what is to be raised where a reply is not about what was asked for."""
        return StorageError(f"the store of {self.uri} gives other bytes than it is asked for", reason)


@dataclass(frozen=True, slots=True)
class _Part:
    """What a reply gives of an object: some of its bytes, or all.

    ``start`` counts from the object's beginning, ``size`` is that of the whole object, ``sha256`` what it was
    written with.
    """

    start: int
    content: bytes
    size: int
    etag: str
    sha256: str | None


def fetch_whole(source: S3Object, target: BinaryIO, most: int | None) -> ObjectStat:
    """Fill ``target`` with the object, which has at most ``most`` bytes, if given.

    Raises:
        ObjectNotFoundError: There is none.
        StorageError: The store refuses, fails or cannot be reached, or the object is damaged or larger.
    """
    return _repeated(source, lambda: _fetch_once(source, target, most))


def _repeated(source: S3Object, fetch: Callable[[], Fetched]) -> Fetched:
    """Fetch again, after a pause, while the body breaks off."""
    with translated(source.uri):
        for pause in _BODY_PAUSES:
            try:
                return fetch()
            except UNREACHABLE:
                time.sleep(pause)
        return fetch()


def _fetch_once(source: S3Object, target: BinaryIO, most: int | None) -> ObjectStat:
    # Translated here, so that only a broken body is asked for again.
    with translated(source.uri):
        found = source.get()
        stat = ObjectStat(source.key, found["ContentLength"], bare(found["ETag"]), utc(found["LastModified"]))
    target.seek(0)
    target.truncate()
    digest = hashlib.sha256()
    for block in source.blocks(found, most):
        digest.update(block)
        target.write(block)
    source.check(found["Metadata"].get(SHA256), digest.hexdigest())
    return stat


class S3Ranges:
    """One content of an object as ByteRanges.

    The opening fetches the last 64 KiB, where a Parquet file has its footer; later requests name the
    etag of that reply. An object of up to 64 KiB is so fetched with one request, one of up to 256 KiB
    with two, and both are then checked as a whole.
    """

    def __init__(self, source: S3Object) -> None:
        """Fetch the end of the object.

        Raises:
            ObjectNotFoundError: There is none.
            StorageError: The store refuses, fails or cannot be reached, or the object is damaged.
        """
        self._source = source
        self._tail = _repeated(source, self._fetch_tail)
        self._held, self._held_start = self._tail.content, self._tail.start
        self._check_whole()

    @property
    def size(self) -> int:
        """The bytes of the object."""
        return self._tail.size

    def fetch(self, start: int, stop: int) -> bytes:
        """Return a range.

        Raises:
            ConflictError: The object is another now.
            ObjectNotFoundError: It is gone.
            StorageError: The store refuses, fails or cannot be reached, or the object is damaged.
        """
        if start < self._held_start and self._tail.size <= _SMALL_BYTES:
            self._held = self._fetch(0, self._held_start) + self._held
            self._held_start = 0
            self._check_whole()
        before = b"" if start >= self._held_start else self._fetch(start, min(stop, self._held_start))
        first = max(0, start - self._held_start)
        return before + self._held[first : max(first, stop - self._held_start)]

    def close(self) -> None:
        """Let go of what is held in memory."""
        self._held = b""

    def _fetch_tail(self) -> _Part:
        with translated(self._source.uri):
            try:
                found = self._source.get_tail()
            except ClientError as error:
                # An empty object has no last byte.
                if error_code(error) not in _EMPTY:
                    raise
                found = self._source.get()
        # A server that does not know ranges gives the whole object.
        return self._part(found, _TAIL_BYTES if "ContentRange" in found else None)

    def _fetch(self, start: int, stop: int) -> bytes:
        return _repeated(self._source, lambda: self._fetch_range(start, stop))

    def _fetch_range(self, start: int, stop: int) -> bytes:
        found = self._ask_for(start, stop)
        if not isinstance(found, dict):
            if error_code(found) in _CHANGED:
                raise self._replaced()
            raise describe(self._source.uri, found)
        part = self._part(found, stop - start)
        if part.etag != self._tail.etag:
            # A server that ignores If-Match.
            raise self._replaced()
        if (part.start, len(part.content)) != (start, stop - start):
            raise self._source.other_bytes("its range is another")
        return part.content

    def _ask_for(self, start: int, stop: int) -> "GetObjectOutputTypeDef | S3Fault":
        """Return the reply, or the fault: what is raised while it is handled would hold its words."""
        try:
            return self._source.get_range(start, stop, self._tail.etag)
        except FAULTS as fault:
            return fault

    def _part(self, found: "GetObjectOutputTypeDef", most: int | None) -> _Part:
        """Read a reply with at most so many bytes of the object; botocore's errors pass through."""
        content = b"".join(self._source.blocks(found, most))
        start, size = 0, len(content)
        if "ContentRange" in found:
            place = _CONTENT_RANGE.fullmatch(found["ContentRange"])
            if place is None or int(place["last"]) - int(place["first"]) != len(content) - 1:
                raise self._source.other_bytes("its range is another")
            start, size = int(place["first"]), int(place["size"])
        return _Part(start, content, size, bare(found["ETag"]), found["Metadata"].get(SHA256))

    def _check_whole(self) -> None:
        if self._held_start == 0:
            self._source.check(self._tail.sha256, hashlib.sha256(self._held).hexdigest())

    def _replaced(self) -> ConflictError:
        return ConflictError(f"{self._source.uri} was replaced while it was read", "read it again")


def bare(etag: str) -> str:
    """Return an etag without its quotes, and without the mark of a weak one.

    Raises:
        ValueError: It has no form of an etag; the message does not repeat it.
    """
    found = _ETAG.fullmatch(etag)
    if not found:
        raise ValueError("no etag")
    return found[1]


def utc(moment: datetime) -> datetime:
    """Return whole seconds, as replies to HEAD have them; radosgw's listings have milliseconds too."""
    return moment.astimezone(UTC).replace(microsecond=0)
