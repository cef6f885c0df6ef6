"""A bucket on S3, or on a server that speaks its protocol, as an object store.

boto3 is used because pyarrow's S3 client has no conditional writes; no Hadoop jars are needed.
Every write is one ``put_object``, so there are no multipart uploads that could be orphaned, and an
object has at most 5 GiB. The SHA-256 of the content and a name of the write stand in the object's
metadata: the first is checked when it is read, the second tells after a lost reply if it was done.
"""

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from uuid import uuid4

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from preannotation_assets.errors import ConditionalWritesError, ConflictError, StorageError
from preannotation_assets.lake.fetched import FetchCounter, FetchedBytes
from preannotation_assets.lake.local import content_sha256, open_source, staged_file
from preannotation_assets.lake.local_errors import local_errors
from preannotation_assets.lake.local_rights import OWN
from preannotation_assets.lake.objects import (
    ObjectEntry,
    ObjectStat,
    RequestLimits,
    S3Root,
    StoreLocation,
    check_key,
    check_prefix,
    is_key,
)
from preannotation_assets.lake.probes import (
    CONDITIONAL_WRITES_CURE,
    probe_conditional_writes,
    probe_writable,
)
from preannotation_assets.lake.reading import ObjectReader
from preannotation_assets.lake.s3_bodies import SHA256, S3Object, S3Ranges, bare, fetch_whole, utc
from preannotation_assets.lake.s3_errors import (
    FAULTS,
    NO_OBJECT,
    S3Fault,
    describe,
    error_code,
    is_refusal,
    is_unsupported,
    may_be_done,
    translated,
)
from preannotation_assets.s3_endpoint import check_endpoint

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, ObjectTypeDef, PutObjectRequestTypeDef

__all__ = ["S3ObjectStore", "open_s3_store"]

_WRITE_ID = "write-id"
_PUT_BYTES = 5 * 1024**3
_DELETE_THREADS = 8
_DELETE_BATCH = 1000
_PROBE_LIMITS = RequestLimits(connect_timeout=5.0, read_timeout=15.0, max_attempts=3)
# At lower levels these log headers, bodies, and the replies that they could not read.
_SILENT_BELOW = {"boto3": logging.WARNING, "botocore": logging.WARNING, "urllib3": logging.ERROR}


@dataclass(frozen=True, slots=True)
class _Condition:
    """What must hold of the object when it is written: one header of the request."""

    header: Literal["IfMatch", "IfNoneMatch"]
    value: str

    @property
    def name(self) -> str:
        """The header as HTTP writes it."""
        return "If-Match" if self.header == "IfMatch" else "If-None-Match"


_ABSENT = _Condition("IfNoneMatch", "*")


@dataclass(frozen=True, slots=True)
class _Held:
    """What a HEAD request tells of an object; ``write_id`` is None where others wrote it."""

    stat: ObjectStat
    write_id: str | None


def open_s3_store(root: S3Root, location: StoreLocation, limits: RequestLimits) -> "S3ObjectStore":
    """Open a bucket with boto3's standard credential chain; no request is made to S3 yet.

    Raises:
        SettingsError: The endpoint is malformed or carries credentials.
        StorageError: AWS_PROFILE names an unknown profile.
    """
    check_endpoint(location.endpoint_url)
    for name, level in _SILENT_BELOW.items():
        logging.getLogger(name).setLevel(level)
    try:
        session = Session()
        work, probe = (_client(session, location, each) for each in (limits, _probe_limits(limits)))
    except BotoCoreError as error:
        describe(root.uri, error).raise_alone()
    return S3ObjectStore(root, work, probe)


def _probe_limits(limits: RequestLimits) -> RequestLimits:
    """Return limits under which a dead server is reported within seconds."""
    return RequestLimits(
        min(limits.connect_timeout, _PROBE_LIMITS.connect_timeout),
        min(limits.read_timeout, _PROBE_LIMITS.read_timeout),
        min(limits.max_attempts, _PROBE_LIMITS.max_attempts),
    )


def _client(session: Session, location: StoreLocation, limits: RequestLimits) -> "S3Client":
    """Return a client, which unlike its session threads may share.

    Checksums only where the protocol requires them: other servers than AWS answer 411 to the
    trailing ones that boto3 adds by itself. The payload is signed instead, over http and https.
    """
    return session.client(
        "s3",
        endpoint_url=location.endpoint_url,
        region_name=location.region,
        config=Config(
            connect_timeout=limits.connect_timeout,
            read_timeout=limits.read_timeout,
            retries={"total_max_attempts": limits.max_attempts, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class S3ObjectStore:
    """The objects below a prefix of one bucket; see ObjectStore for what the methods promise."""

    def __init__(self, root: S3Root, client: "S3Client", probe_client: "S3Client") -> None:
        """Take one client for the work and one that gives up soon, for ``check_writable``."""
        self._root = root
        self._client = client
        self._probe_client = probe_client
        self._counter = FetchCounter()

    @property
    def fetched(self) -> FetchedBytes:
        """What was fetched of objects so far: by ``read``, ``read_into``, ``open`` and ``download``."""
        return self._counter.fetched

    @property
    def largest_object_bytes(self) -> int:
        """5 GiB: the limit of a single put."""
        return _PUT_BYTES

    def uri(self, key: str) -> str:
        """Return the ``s3://`` address of a key."""
        return f"{self._root.uri}/{check_key(key)}"

    def read(self, key: str, most_bytes: int | None = None) -> bytes:
        """Return the whole object; raises ObjectNotFoundError, and StorageError where it is larger."""
        content = io.BytesIO()
        fetch_whole(self._object(key), content, most_bytes)
        return content.getvalue()

    def open(self, key: str) -> ObjectReader:
        """Open the object for reading in pieces; its last 64 KiB are fetched at once.

        Raises:
            ObjectNotFoundError: There is none.
        """
        return ObjectReader(S3Ranges(self._object(key)))

    def read_into(self, key: str, target: BinaryIO) -> None:
        """Write the whole object into an empty file; raises ObjectNotFoundError."""
        fetch_whole(self._object(key), target, None)

    def download(self, key: str, path: Path) -> ObjectStat:
        """Copy the object to ``path``, whole or not at all; raises ObjectNotFoundError."""
        with local_errors(str(path)), staged_file(path.parent, OWN) as staged:
            stat = fetch_whole(self._object(key), staged.stream, None)
            staged.replace(path)
        return stat

    def stat(self, key: str) -> ObjectStat | None:
        """Return what is known of the object, or None where there is none.

        A HEAD request cannot tell a missing bucket from a missing object; ``check_writable`` can.
        """
        held = self._head(key)
        return held.stat if held else None

    def write(self, key: str, data: bytes) -> str:
        """Write the object whole and return its etag."""
        return self._write(key, io.BytesIO(data))

    def upload(self, key: str, path: Path) -> str:
        """Write the content of a file as the object, whole, and return its etag."""
        with open_source(path) as source:
            return self._write(key, source)

    def upload_if(self, key: str, path: Path, expected: str | None) -> str:
        """Upload only if the object's etag is still ``expected``; return the new etag.

        When the request was refused or its reply did not come, the object's metadata tell whether it
        is this write that the object holds: a request whose reply was lost is repeated by boto3 and
        then refused because of its own first attempt. A deleted object is looked for first, because some
        servers (MinIO before September 2025) write where If-Match finds none.

        Raises:
            ConflictError: The object is another or gone, or exists although None was expected.
            ConditionalWritesError: The store does not know such writes.
            StorageError: The store failed, and the object is not this write; where the store could
                not be reached at all, the write may still be done later.
        """
        if expected is not None and self._head(key) is None:
            raise self._conflict(key)
        write_id = uuid4().hex
        with open_source(path) as source:
            for condition in _conditions(expected):
                outcome = self._put_if(key, source, write_id, condition)
                if isinstance(outcome, str):
                    return outcome
                etag = self._settle(key, expected, write_id, condition, outcome)
                if etag is not None:
                    return etag
        raise ConflictError(f"{self.uri(key)} refuses the conditional write though it is unchanged")

    def list(self, prefix: str) -> Iterator[ObjectEntry]:
        """Yield every object whose key begins with ``prefix``, sorted by key.

        S3 lists in the order of UTF-8 bytes, which is that of code points. Objects that were put
        below the root by others under names that are no valid keys are passed over.
        """
        beginning = f"{self._root.prefix}/" if self._root.prefix else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._root.bucket, Prefix=beginning + check_prefix(prefix)
        )
        with translated(f"{self._root.uri}/{prefix}"):
            for page in pages:
                for entry in _entries(page):
                    key = entry["Key"].removeprefix(beginning)
                    if is_key(key):
                        yield ObjectEntry(key, entry["Size"], utc(entry["LastModified"]))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects, 8 at a time; a missing one is fine.

        One request an object: the bulk request needs a checksum of a kind that depends on the server
        (MD5 or CRC), this one works on all.
        """
        remaining = iter(keys)
        with ThreadPoolExecutor(_DELETE_THREADS) as pool:
            while batch := tuple(islice(remaining, _DELETE_BATCH)):
                for _ in pool.map(self._delete, batch):
                    pass

    def check_writable(self) -> None:
        """Write, list, read back and delete a probe object in the work area, with few retries.

        Raises:
            StorageError: The bucket cannot be used; one line names it and says why.
        """
        probe_writable(self._probing(), self._root.uri)

    def check_conditional_writes(self) -> None:
        """Try on a probe object whether the store refuses what ``upload_if`` must not do.

        Raises:
            ConditionalWritesError: It has no conditional writes, or half of them; one line says what lacks.
            StorageError: The bucket cannot be used.
        """
        probe_conditional_writes(self._probing(), self._root.uri)

    def sweep_unfinished(self, prefix: str, older_than: datetime) -> int:  # noqa: ARG002
        """Do nothing and return 0: a put that was cut off leaves nothing."""
        check_prefix(prefix)
        return 0

    def _probing(self) -> "S3ObjectStore":
        return S3ObjectStore(self._root, self._probe_client, self._probe_client)

    def _name(self, key: str) -> str:
        """Return the key within the bucket."""
        check_key(key)
        return f"{self._root.prefix}/{key}" if self._root.prefix else key

    def _write(self, key: str, source: BinaryIO) -> str:
        with translated(self.uri(key)):
            return self._put(key, source, uuid4().hex, None)

    def _put(self, key: str, source: BinaryIO, write_id: str, condition: _Condition | None) -> str:
        """Send one put_object that streams from ``source``; botocore's errors pass through."""
        size = source.seek(0, io.SEEK_END)
        if size > _PUT_BYTES:
            raise StorageError(f"{self.uri(key)} would have {size} bytes, a single put takes {_PUT_BYTES}")
        source.seek(0)
        digest = content_sha256(source)
        source.seek(0)
        request: PutObjectRequestTypeDef = {
            "Bucket": self._root.bucket,
            "Key": self._name(key),
            "Body": source,
            "Metadata": {SHA256: digest, _WRITE_ID: write_id},
        }
        if condition is not None:
            request[condition.header] = condition.value
        return bare(self._client.put_object(**request)["ETag"])

    def _put_if(self, key: str, source: BinaryIO, write_id: str, condition: _Condition) -> str | S3Fault:
        """Return the new etag, or the fault: what is raised while it is handled would hold its words."""
        try:
            return self._put(key, source, write_id, condition)
        except FAULTS as fault:
            return fault

    def _settle(
        self, key: str, expected: str | None, write_id: str, condition: _Condition, fault: S3Fault
    ) -> str | None:
        """Find out what became of a conditional put that gave a fault.

        Returns the etag if it was done after all, None if it was refused though the object is the
        expected one, so that the condition may be sent in its other form.
        """
        refused = is_refusal(fault)
        if is_unsupported(fault):
            raise ConditionalWritesError(
                f"the store of {self.uri(key)} takes no write with {condition.name} ({error_code(fault)})",
                CONDITIONAL_WRITES_CURE,
            )
        if not (refused or may_be_done(fault)):
            raise describe(self.uri(key), fault)
        held = self._head(key)
        if held is not None and held.write_id == write_id:
            return held.stat.etag
        if (held.stat.etag if held else None) != expected:
            raise self._conflict(key)
        if refused:
            return None
        raise describe(self.uri(key), fault)

    def _conflict(self, key: str) -> ConflictError:
        return ConflictError(f"{self.uri(key)} was written by somebody else", "read it again and repeat")

    def _head(self, key: str) -> _Held | None:
        with translated(self.uri(key)):
            try:
                head = self._client.head_object(Bucket=self._root.bucket, Key=self._name(key))
            except ClientError as error:
                if error_code(error) in NO_OBJECT:
                    return None
                raise
            stat = ObjectStat(key, head["ContentLength"], bare(head["ETag"]), utc(head["LastModified"]))
            return _Held(stat, head["Metadata"].get(_WRITE_ID))

    def _object(self, key: str) -> S3Object:
        return S3Object(self._client, self._root.bucket, self._name(key), key, self.uri(key), self._counter)

    def _delete(self, key: str) -> None:
        with translated(self.uri(key)):
            self._client.delete_object(Bucket=self._root.bucket, Key=self._name(key))


def _entries(page: "ListObjectsV2OutputTypeDef") -> Sequence["ObjectTypeDef"]:
    """What a page of a listing holds.

    Boto3 takes a login page under status 200 for a listing of nothing, and one that does not say where the
    next begins for the last: answers that are passed over would be paid for again.

    Raises:
        KeyError: the reply is no page of a listing, or does not say where the next one begins.
    """
    if page["IsTruncated"] and not page.get("NextContinuationToken"):
        raise KeyError("NextContinuationToken")
    return page.get("Contents", [])


def _conditions(expected: str | None) -> tuple[_Condition, ...]:
    """Return the forms of the condition, to be tried in turn while the object is the expected one.

    RFC 9110 wants an etag in quotes, and AWS takes both forms. radosgw compares the header with the
    bare etag and so refuses the quoted one; it gets the bare one next. The other order would be
    unsafe: a server that drops a malformed header would write without any condition.
    A repetition also meets the 409 that S3 answers while another conditional write is under way.
    """
    if expected is None:
        return (_ABSENT, _ABSENT)
    quoted = _Condition("IfMatch", f'"{expected}"')
    return (quoted, _Condition("IfMatch", expected), quoted)
