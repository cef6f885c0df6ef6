"""The content of objects on S3: whole, or in ranges that are all of one content.

A body that breaks off is asked for again, 3 times: boto3 repeats a request that gives no reply, but
not the reading of a reply.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from preannotation_assets.errors import ConflictError, StorageError
from preannotation_assets.lake.fetched import FetchCounter
from preannotation_assets.lake.objects import ObjectStat
from preannotation_assets.lake.s3_errors import UNREACHABLE, describe, error_code, translated

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

    def blocks(self, found: "GetObjectOutputTypeDef") -> Iterator[bytes]:
        """Yield the body of a reply, counted."""
        with closing(found["Body"]) as body:
            for block in body.iter_chunks(_COPY_BYTES):
                self.counter.add_bytes(len(block))
                yield block

    def check(self, found: "GetObjectOutputTypeDef", digest: str) -> None:
        """Compare the SHA-256 of the whole content with the one it was written with.

        Raises:
            StorageError: They differ. Objects that others wrote have none and pass.
        """
        if found["Metadata"].get(SHA256, digest) != digest:
            raise StorageError(
                f"{self.uri} is damaged", "its content does not have the SHA-256 it was written with"
            )


def fetch_whole(source: S3Object, target: BinaryIO) -> ObjectStat:
    """Fill ``target`` with the object.

    Raises:
        ObjectNotFoundError: There is none.
        StorageError: The store refuses, fails or cannot be reached, or the object is damaged.
    """
    return _repeated(source, lambda: _fetch_once(source, target))


def _repeated(source: S3Object, fetch: Callable[[], Fetched]) -> Fetched:
    """Fetch again, after a pause, while the body breaks off."""
    for pause in _BODY_PAUSES:
        try:
            return fetch()
        except UNREACHABLE:
            time.sleep(pause)
    with translated(source.uri):
        return fetch()


def _fetch_once(source: S3Object, target: BinaryIO) -> ObjectStat:
    # Translated here, so that only a broken body is asked for again.
    with translated(source.uri):
        found = source.get()
    target.seek(0)
    target.truncate()
    digest = hashlib.sha256()
    for block in source.blocks(found):
        digest.update(block)
        target.write(block)
    source.check(found, digest.hexdigest())
    return ObjectStat(source.key, found["ContentLength"], bare(found["ETag"]), utc(found["LastModified"]))


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
        self._reply, self._held = _repeated(source, self._fetch_tail)
        self._etag = bare(self._reply["ETag"])
        self._size = _whole_size(self._reply)
        self._held_start = self._size - len(self._held)
        self._check_whole()

    @property
    def size(self) -> int:
        """The bytes of the object."""
        return self._size

    def fetch(self, start: int, stop: int) -> bytes:
        """Return a range.

        Raises:
            ConflictError: The object is another now.
            ObjectNotFoundError: It is gone.
            StorageError: The store refuses, fails or cannot be reached, or the object is damaged.
        """
        if start < self._held_start and self._size <= _SMALL_BYTES:
            self._held = self._fetch(0, self._held_start) + self._held
            self._held_start = 0
            self._check_whole()
        before = b"" if start >= self._held_start else self._fetch(start, min(stop, self._held_start))
        first = max(0, start - self._held_start)
        return before + self._held[first : max(first, stop - self._held_start)]

    def close(self) -> None:
        """Let go of what is held in memory."""
        self._held = b""

    def _fetch_tail(self) -> "tuple[GetObjectOutputTypeDef, bytes]":
        with translated(self._source.uri):
            try:
                found = self._source.get_tail()
            except ClientError as error:
                # An empty object has no last byte.
                if error_code(error) not in _EMPTY:
                    raise
                found = self._source.get()
        return found, b"".join(self._source.blocks(found))

    def _fetch(self, start: int, stop: int) -> bytes:
        return _repeated(self._source, lambda: self._fetch_range(start, stop))

    def _fetch_range(self, start: int, stop: int) -> bytes:
        uri = self._source.uri
        try:
            found = self._source.get_range(start, stop, self._etag)
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in _CHANGED:
                raise _replaced(uri) from error
            raise describe(uri, error) from error
        if bare(found["ETag"]) != self._etag:
            # A server that ignores If-Match.
            found["Body"].close()
            raise _replaced(uri)
        if not found.get("ContentRange", "").startswith(f"bytes {start}-{stop - 1}/"):
            found["Body"].close()
            raise StorageError(f"the store of {uri} gives other bytes than it is asked for")
        return b"".join(self._source.blocks(found))

    def _check_whole(self) -> None:
        if self._held_start == 0:
            self._source.check(self._reply, hashlib.sha256(self._held).hexdigest())


def _whole_size(found: "GetObjectOutputTypeDef") -> int:
    """Return the size of the object of which a reply has a part, or all."""
    _, slash, size = found.get("ContentRange", "").rpartition("/")
    return int(size) if slash else found["ContentLength"]


def _replaced(uri: str) -> ConflictError:
    return ConflictError(f"{uri} was replaced while it was read", "read it again")


def bare(etag: str) -> str:
    """Return an etag without its quotes."""
    return etag.strip('"')


def utc(moment: datetime) -> datetime:
    """Return whole seconds, as replies to HEAD have them; radosgw's listings have milliseconds too."""
    return moment.astimezone(UTC).replace(microsecond=0)
