"""The lake: objects in a local folder or on S3, and the tables and documents kept in them."""

from functools import lru_cache

from preannotation_assets.lake.evolution import conform
from preannotation_assets.lake.fetched import FetchedBytes
from preannotation_assets.lake.local import LocalObjectStore
from preannotation_assets.lake.objects import (
    DEFAULT_LIMITS,
    ObjectEntry,
    ObjectStat,
    ObjectStore,
    RequestLimits,
    S3Root,
    StoreLocation,
    parse_root,
)
from preannotation_assets.lake.reading import ObjectReader
from preannotation_assets.lake.row_tables import table_of_rows
from preannotation_assets.lake.tables import (
    Row,
    TableStat,
    read_json,
    read_json_lists,
    read_listed_table,
    read_rows_as,
    read_table,
    read_table_as,
    write_batches,
    write_json,
    write_table,
)

__all__ = [
    "DEFAULT_LIMITS",
    "FetchedBytes",
    "ObjectEntry",
    "ObjectReader",
    "ObjectStat",
    "ObjectStore",
    "RequestLimits",
    "Row",
    "StoreLocation",
    "TableStat",
    "conform",
    "open_for_publishing",
    "open_store",
    "parse_root",
    "read_json",
    "read_json_lists",
    "read_listed_table",
    "read_rows_as",
    "read_table",
    "read_table_as",
    "table_of_rows",
    "write_batches",
    "write_json",
    "write_table",
]


def open_store(location: StoreLocation, limits: RequestLimits = DEFAULT_LIMITS) -> ObjectStore:
    """Open the store at a location; no request is made yet.

    Raises:
        SettingsError: The root or the endpoint is malformed.
    """
    root = parse_root(location.root)
    if isinstance(root, S3Root):
        # boto3 takes as long to import as Arrow, and a folder does without it.
        from preannotation_assets.lake.s3 import open_s3_store  # noqa: PLC0415

        return open_s3_store(root, location, limits)
    return LocalObjectStore(root)


def open_for_publishing(location: StoreLocation) -> ObjectStore:
    """Open the store for a run that asks or publishes, once it is known to be fit for that.

    Whether it can be written is tried each time, whether it has conditional writes once in a process.

    Raises:
        SettingsError: The root or the endpoint is malformed.
        ConditionalWritesError: The store has no conditional writes, or half of them.
        StorageError: The store cannot be used.
    """
    store = open_store(location)
    store.check_writable()
    _check_conditional_writes(location)
    return store


@lru_cache(maxsize=64)
def _check_conditional_writes(location: StoreLocation) -> None:
    """Only a success is remembered."""
    open_store(location).check_conditional_writes()
