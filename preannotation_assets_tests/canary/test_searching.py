"""The search of the canary finds what it looks for: otherwise finding nothing would prove nothing."""

import gzip
import json
import random
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from canary.markers import PAGE_MARKERS, SECRET_MARKERS, Marker
from canary.searching import ENCODINGS, Search

MARKERS = (*PAGE_MARKERS, *SECRET_MARKERS)
SEARCH = Search(MARKERS)
NOISE = random.Random(1).randbytes(20_000)


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "bare": bytes,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zstd": zstd,
    "gzip in zlib": lambda content: zlib.compress(gzip.compress(content)),
    "cut off gzip": lambda content: gzip.compress(content + NOISE)[:-1000],
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("marker", PAGE_MARKERS, ids=lambda marker: marker.unit)
def test_eight_characters_are_found_in_every_encoding_and_packing(
    marker: Marker, encoding: str, packing: str
) -> None:
    for form in chain.from_iterable(map(ENCODINGS[encoding], marker.windows)):
        planted = PACKINGS[packing](b"before " + form + b" after")
        assert any(name.startswith(marker.name) for name in SEARCH.in_bytes(NOISE + planted + NOISE))


@pytest.mark.parametrize("marker", MARKERS, ids=lambda marker: marker.name)
def test_every_marker_is_told_by_its_name(marker: Marker) -> None:
    found = SEARCH.in_bytes(f"a {marker.word[3:]} b".encode())
    assert f"{marker.name} as UTF-8" in found
    assert all(name.startswith(f"{marker.name} as ") for name in found)


def test_what_was_escaped_twice_or_broken_over_lines_is_found() -> None:
    escaped_twice = json.dumps(json.dumps(MARKERS[1].word))
    for text in (escaped_twice, "QZXWVQ\nZXWVQZ"):
        assert SEARCH.in_bytes(text.encode())


@pytest.mark.parametrize("value", [MARKERS[0].word, zlib.compress(NOISE + MARKERS[1].word.encode())])
def test_a_database_s_values_are_read(tmp_path: Path, value: str | bytes) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE t(a, b)")
        database.execute("INSERT INTO t VALUES (1, ?)", [value])
    assert list(SEARCH.in_folder(tmp_path)) == ["a.db"]


def test_a_parquet_file_is_decoded_and_a_file_s_name_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [MARKERS[0].word] * 3}), tmp_path / "a.parquet", compression="snappy")
    (tmp_path / MARKERS[0].word).touch()
    assert sorted(SEARCH.in_folder(tmp_path)) == [MARKERS[0].word, "a.parquet"]
    assert SEARCH.in_folder(tmp_path, [tmp_path / "a.parquet", tmp_path / MARKERS[0].word]) == {}


def test_seven_characters_and_noise_are_no_marker() -> None:
    assert SEARCH.in_bytes(NOISE * 10 + MARKERS[0].word[:7].encode()) == set()
