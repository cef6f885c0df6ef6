"""An S3-compatible store that refuses some keys and repeats the request in its refusal."""

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from canary.echo_server import EchoHandler, Reply, in_one_line, running

__all__ = ["echoing_store"]

_XML = "application/xml"


@dataclass(frozen=True, slots=True)
class _Object:
    """What is kept under a key."""

    content: bytes
    metadata: Mapping[str, str]

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


@dataclass(slots=True)
class _Bucket:
    """Objects by key, and what S3 replies to requests for them."""

    objects: dict[str, _Object] = field(default_factory=dict)

    def put(self, key: str, new: _Object, conditions: Message) -> Reply:
        """Keeps the object if ``If-None-Match`` and ``If-Match`` allow it."""
        held = self.objects.get(key)
        wanted = conditions.get("If-Match")
        if (conditions.get("If-None-Match") and held) or (wanted and (not held or held.etag != wanted)):
            return _error(412, "PreconditionFailed")
        self.objects[key] = new
        return Reply(200, headers={"ETag": new.etag})

    def get(self, key: str, byte_range: str) -> Reply:
        """The object, or the part of it that a ``Range`` header names."""
        held = self.objects.get(key)
        if held is None:
            return _error(404, "NoSuchKey")
        headers = {
            **held.metadata,
            "ETag": held.etag,
            "Last-Modified": "Mon, 02 Jan 2023 00:00:00 GMT",
        }
        size = len(held.content)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", byte_range)
        if not wanted:
            return Reply(200, held.content, "binary/octet-stream", headers=headers)
        first = int(wanted[1]) if wanted[1] else max(0, size - int(wanted[2]))
        last = min(int(wanted[2]), size - 1) if wanted[1] and wanted[2] else size - 1
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return Reply(206, held.content[first : last + 1], "binary/octet-stream", headers=headers)

    def list(self, prefix: str) -> Reply:
        """All keys that begin so."""
        listed = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(held.content)}</Size><ETag>{held.etag}</ETag>"
            "<LastModified>2023-01-02T00:00:00Z</LastModified></Contents>"
            for key, held in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
        return Reply(200, body.encode(), _XML)


def _error(status: int, said: str) -> Reply:
    body = f"<Error><Code>{said}</Code><Message>{said}</Message></Error>".encode()
    return Reply(status, body, _XML, reason=in_one_line(said))


def _content(body: bytes, encoding: str) -> bytes:
    """What was put; boto3 sends it in chunks with a checksum behind the last."""
    if "aws-chunked" not in encoding:
        return body
    content, rest = b"", body
    while (size := int(rest.partition(b"\r\n")[0].partition(b";")[0], 16)) > 0:
        rest = rest.partition(b"\r\n")[2]
        content, rest = content + rest[:size], rest[size + 2 :]
    return content


@contextmanager
def echoing_store(refused: str) -> Iterator[str]:
    """An S3-compatible store that refuses to write keys with ``refused`` in them, repeating the request."""
    bucket = _Bucket()
    # Conditions are compared and kept in one step, as on S3.
    one_at_a_time = threading.Lock()

    class Store(EchoHandler):
        def take(self) -> Reply:
            with one_at_a_time:
                return self._answered()

        def _answered(self) -> Reply:
            address = urlsplit(self.path)
            key = unquote(address.path).removeprefix("/bucket").strip("/")
            if self.command == "PUT":
                return self._put(key)
            if self.command == "DELETE":
                bucket.objects.pop(key, None)
                return Reply(204)
            if self.command == "POST":
                return Reply(200, b"<DeleteResult/>", _XML)
            if key:
                return bucket.get(key, self.headers.get("Range", ""))
            return bucket.list(parse_qs(address.query).get("prefix", [""])[0])

        def _put(self, key: str) -> Reply:
            if refused in key:
                said = escape("".join(character for character in self.sent() if character.isprintable()))
                return _error(403, said)
            metadata = {
                name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")
            }
            content = _content(self.body, self.headers.get("Content-Encoding", ""))
            return bucket.put(key, _Object(content, metadata), self.headers)

    with running(Store) as url:
        yield url
