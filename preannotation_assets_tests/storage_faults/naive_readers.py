"""Readers that know nothing of the publisher, and a judge of what they saw."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import util
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from published_batches import BATCHES, LAYOUT, expected_table
from pyarrow import fs
from s3_servers.fixtures import plain_client
from s3_servers.rados_gateway import ACCESS_KEY, SECRET_KEY

__all__ = [
    "Anomaly",
    "Reader",
    "Readings",
    "duckdb_reader",
    "httpfs_extension",
    "judge",
    "pyarrow_reader",
    "read_often",
    "whole_reader",
]

Reader = Callable[[], pa.Table]


class Anomaly(StrEnum):
    """What no reader may ever see."""

    MIXTURE = "rows of two runs"
    DUPLICATES = "a row twice"
    GAP = "rows are missing"
    ALTERED = "a row is not as it was published"
    UNKNOWN = "no batch that was ever published"


@dataclass(slots=True)
class Readings:
    """What a number of readings gave. ``refused`` counts those that ended with an error, by its type."""

    seen: dict[str, int] = field(default_factory=dict)
    anomalies: dict[Anomaly, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    changes: int = 0
    last: str = ""

    def add(self, table: pa.Table) -> None:
        anomaly = judge(table)
        if anomaly is not None:
            self.anomalies[anomaly] = self.anomalies.get(anomaly, 0) + 1
            return
        name = table["model_version"][0].as_py()
        self.seen[name] = self.seen.get(name, 0) + 1
        self.changes += name != self.last
        self.last = name

    def refuse(self, error: Exception) -> None:
        name = type(error).__name__
        self.refused[name] = self.refused.get(name, 0) + 1


def judge(table: pa.Table) -> Anomaly | None:
    """Compares what was read with the batch it says it is of."""
    versions = set(table["model_version"].to_pylist())
    if len(versions) > 1:
        return Anomaly.MIXTURE
    batch = BATCHES.get(next(iter(versions), ""))
    if batch is None:
        return Anomaly.UNKNOWN
    expected = expected_table(batch)
    if table.num_rows > len(set(table["span_id"].to_pylist())):
        return Anomaly.DUPLICATES
    if table.num_rows < expected.num_rows:
        return Anomaly.GAP
    order = [("doc_id", "ascending"), ("page_num", "ascending"), ("start", "ascending")]
    return None if table.sort_by(order).equals(expected) else Anomaly.ALTERED


def read_often(read: Reader, times: int, loud: tuple[type[Exception], ...]) -> Readings:
    """Reads again and again; an error of a ``loud`` kind is counted, any other passes through."""
    readings = Readings()
    for _ in range(times):
        try:
            readings.add(read())
        except loud as error:
            readings.refuse(error)
    return readings


def whole_reader(address: tuple[str, int], root: str) -> Reader:
    """One GET of the whole object."""
    client = plain_client(address)
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    key = f"{prefix}/{LAYOUT.published_suggestions}"

    def read() -> pa.Table:
        return pq.read_table(io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read()))

    return read


def pyarrow_reader(address: tuple[str, int], root: str) -> Reader:
    """The folder as a data set, in ranges, with pyarrow's own S3 client."""
    store = fs.S3FileSystem(
        access_key=ACCESS_KEY, secret_key=SECRET_KEY, endpoint_override=f"{address[0]}:{address[1]}",
        scheme="http", region="us-east-1",
    )  # fmt: skip
    folder = f"{root.removeprefix('s3://')}/{LAYOUT.published}"
    return lambda: ds.dataset(folder, filesystem=store, format="parquet").to_table()


def httpfs_extension() -> Path | None:
    """DuckDB's S3 reader from the package duckdb-extension-httpfs; None where that is not installed."""
    found = util.find_spec("duckdb_extension_httpfs")
    if found is None or found.origin is None:
        return None
    return next(iter(Path(found.origin).parent.rglob("httpfs.duckdb_extension")), None)


def duckdb_reader(address: tuple[str, int], root: str) -> Reader:
    """DuckDB's glob over the folder, in ranges; needs the extension."""
    connection = duckdb.connect(config={"threads": "1"})
    connection.execute(f"LOAD '{httpfs_extension()}'")
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{ACCESS_KEY}', SECRET '{SECRET_KEY}', REGION 'us-east-1', "
        f"ENDPOINT '{address[0]}:{address[1]}', URL_STYLE 'path', USE_SSL false)"
    )
    query = f"SELECT * FROM read_parquet('{root}/{LAYOUT.published}/*.parquet')"

    def read() -> pa.Table:
        table: pa.Table = connection.execute(query).to_arrow_table()
        return table.cast(expected_table(BATCHES["small"]).schema)

    return read
