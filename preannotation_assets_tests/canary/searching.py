"""Finds marker words in whatever was left behind, however it is written or packed."""

import base64
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from canary.markers import Marker

__all__ = ["ENCODINGS", "Search"]

_MAGIC: Final = re.compile(rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd|\x78[\x01\x5e\x9c\xda]")
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_MOST_INFLATED: Final = 64 * 1024**2
_DEEPEST: Final = 3
_BACKSLASHES: Final = re.compile(rb"\\{2,}")
_BREAK: Final = re.compile(rb"\r?\n|\\n")
_REPEATED_BYTE: Final = 1
_SQLITE: Final = b"SQLite format 3\0"
_PARQUET: Final = b"PAR1"

Forms: TypeAlias = tuple[bytes, ...]


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def _base64(text: str) -> Forms:
    """For each place that it may have in a group of three bytes, the characters that depend on it alone."""
    content = text.encode()
    return tuple(
        base64.b64encode(bytes(offset) + content)[-(-8 * offset // 6) : 8 * (offset + len(content)) // 6]
        for offset in range(3)
    )


def _url_safe_base64(text: str) -> Forms:
    return tuple(form.translate(bytes.maketrans(b"+/", b"-_")) for form in _base64(text))


ENCODINGS: Final[dict[str, Callable[[str], Forms]]] = {
    "UTF-8": lambda text: (text.encode(),),
    "UTF-8 read as Latin-1": lambda text: (text.encode().decode("latin-1").encode(),),
    "UTF-16": lambda text: (text.encode("utf-16-le"), text.encode("utf-16-be")),
    "JSON escapes": lambda text: (
        _escaped(text).encode(),
        _escaped(text).upper().replace("\\U", "\\u").encode(),
    ),
    "escaped bytes": lambda text: ("".join(f"\\x{byte:02x}" for byte in text.encode()).encode(),),
    "percent": lambda text: (quote(text).encode(),),
    "hex": lambda text: (text.encode().hex().encode(), text.encode().hex().upper().encode()),
    "base64": _base64,
    "URL-safe base64": _url_safe_base64,
}
"""How a text may be written; each takes the text and gives the bytes in all their forms."""


@dataclass(frozen=True, slots=True)
class _Needle:
    """One of the ``cores`` is in everything to be found; the ``windows`` say that it was no chance."""

    name: str
    cores: Forms
    windows: Forms


class Search:
    """Looks for markers in bytes and files, also in what is packed in them."""

    def __init__(self, markers: Iterable[Marker]) -> None:
        self._needles = [
            _Needle(
                f"{marker.name} as {name}",
                encode(form(marker.core)),
                tuple(chain.from_iterable(map(encode, map(form, marker.windows)))),
            )
            for marker in markers
            for name, encode in ENCODINGS.items()
            for form in (str.lower, str.upper)
        ]
        self._cores = {core for needle in self._needles for core in needle.cores}

    def in_bytes(self, content: bytes) -> set[str]:
        """Which markers are there, in which encoding; empty where none is."""
        return {name for layer in _layers(content, _DEEPEST) for name in self._in_layer(layer)}

    def in_file(self, path: Path) -> set[str]:
        """The same of a file; the tables of a SQLite database and of a Parquet file are read, too."""
        content = path.read_bytes()
        found = self.in_bytes(content)
        if content.startswith(_SQLITE):
            found |= {name for value in _sqlite_values(path) for name in self.in_bytes(value)}
        if content.startswith(_PARQUET):
            with suppress(OSError, pa.ArrowException):  # A damaged one holds no more than its bytes.
                found |= self.in_bytes(repr(pq.read_table(path).to_pylist()).encode())
        return found

    def in_folder(self, folder: Path, spared: Iterable[Path] = ()) -> dict[str, set[str]]:
        """The files below a folder that hold a marker, but for those at or below ``spared``."""
        left_out = tuple(spared)
        files = (path for path in folder.rglob("*") if path.is_file())
        hits = {
            path.relative_to(folder).as_posix(): self.in_file(path) | self.in_bytes(path.name.encode())
            for path in files
            if not any(path.is_relative_to(each) for each in left_out)
        }
        return {name: found for name, found in hits.items() if found}

    def _in_layer(self, layer: bytes) -> Iterator[str]:
        # What was escaped twice, and what was broken over lines.
        flat = _BREAK.sub(b"", _BACKSLASHES.sub(rb"\\", layer))
        for each in {layer, flat}:
            cores = {core for core in self._cores if core in each}
            for needle in self._needles:
                if cores & set(needle.cores) and any(window in each for window in needle.windows):
                    yield needle.name


def _layers(content: bytes, depth: int) -> Iterator[bytes]:
    """The content, and what is packed in it by gzip, zlib or zstd, wherever it begins."""
    yield content
    if not depth:
        return
    for packed in _MAGIC.finditer(content):
        inflated = _inflated(content[packed.start() :])
        if inflated:
            yield from _layers(inflated, depth - 1)


def _inflated(packed: bytes) -> bytes:
    """What it begins with, as far as that can be unpacked; empty where it only looks packed."""
    if packed.startswith(b"\x28"):
        return _zstd(packed)
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    parts = bytearray()
    with suppress(zlib.error):
        # In pieces: what came before damage counts.
        for start in range(0, len(packed), 4096):
            parts += unpacking.decompress(packed[start : start + 4096], _MOST_INFLATED)
            if unpacking.eof or len(parts) > _MOST_INFLATED:
                break
    return bytes(parts)


def _zstd(packed: bytes) -> bytes:
    """The first frame (RFC 8878, 3.1.1); Arrow refuses what has something else behind it."""
    with suppress(IndexError, OSError, pa.ArrowException):
        codec = pa.CompressedInputStream(pa.BufferReader(packed[: _zstd_frame_bytes(packed)]), "zstd")
        return bytes(codec.read(_MOST_INFLATED))
    return b""


def _zstd_frame_bytes(packed: bytes) -> int:
    """How long the frame is; IndexError where it is not whole."""
    descriptor = packed[4]
    is_single = bool(descriptor & 0b10_0000)
    content_size = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    end = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 0b11] + content_size
    is_last = False
    while not is_last:
        header = packed[end] | packed[end + 1] << 8 | packed[end + 2] << 16
        is_last, kind, size = bool(header & 1), header >> 1 & 0b11, header >> 3
        end += 3 + (1 if kind == _REPEATED_BYTE else size)
    return end + (4 if descriptor & 0b100 else 0)


def _sqlite_values(path: Path) -> Iterator[bytes]:
    """Every value of every table: a long one lies in pieces in the file."""
    with closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table.decode()}"'):
                yield from (value for value in row if isinstance(value, bytes))
