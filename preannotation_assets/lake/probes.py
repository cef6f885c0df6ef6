"""What is tried on a probe object before a run relies on a store: that it can be used, and heeds conditions.

Probes lie in the work area. A process that is killed leaves one, which a later probing removes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias
from uuid import uuid4

from preannotation_assets.errors import (
    ConditionalWritesError,
    ConflictError,
    ObjectNotFoundError,
    StorageError,
)
from preannotation_assets.lake.objects import WORK_AREA, ObjectStore
from preannotation_assets.temporary_folders import temporary_folder

__all__ = ["CONDITIONAL_WRITES_CURE", "PROBE_AREA", "probe_conditional_writes", "probe_writable"]

PROBE_AREA: Final = f"{WORK_AREA}/_probes/"

CONDITIONAL_WRITES_CURE: Final = (
    "without If-Match and If-None-Match two runs could ask about one dataset and publish over each other; "
    "use a server that has both (docs/storage.md), or a folder"
)

_PROBE_LIFETIME: Final = timedelta(days=1)
_CONTENDERS: Final = 4
_NO_ETAG: Final = "0" * 32

# Takes the etag that the probe must have, None for no object; returns the new one, None where it was refused.
_Write: TypeAlias = Callable[[str | None], str | None]


def probe_writable(store: ObjectStore, root_uri: str) -> None:
    """Write, list, read back and delete a probe object, and delete probes of processes long dead.

    Raises:
        StorageError: One of these steps failed, or what was read is not what was written.
    """
    try:
        same = _round_trip(store)
    except StorageError as error:
        raise StorageError(_unusable(root_uri, error), error.cure) from None
    if not same:
        raise StorageError(f"the storage root {root_uri} does not give back what was written to it")


def probe_conditional_writes(store: ObjectStore, root_uri: str) -> None:
    """Do on a probe object what the lease and the publication rely on ``upload_if`` to do and to refuse.

    13 writes where etags are taken with quotes. Of 4 that write at once, one may win: a store that compares
    and writes in two steps is caught so where time passes between the two, and else is not.

    Raises:
        ConditionalWritesError: The store does what it must refuse, or refuses what it must do.
        StorageError: The store fails or cannot be reached.
    """
    key = _probe_key()
    try:
        with temporary_folder() as folder:
            fault = _fault(store, key, folder)
    except ConditionalWritesError as error:
        raise ConditionalWritesError(_unusable(root_uri, error), error.cure) from None
    except StorageError as error:
        raise StorageError(_unusable(root_uri, error), error.cure) from None
    finally:
        store.delete([key])
    if fault:
        raise ConditionalWritesError(
            f"the storage root {root_uri} cannot be used: the store {fault}", CONDITIONAL_WRITES_CURE
        )


def _unusable(root_uri: str, error: StorageError) -> str:
    return f"the storage root {root_uri} cannot be used: {error.problem}"


def _probe_key() -> str:
    return f"{PROBE_AREA}{uuid4().hex}"


def _round_trip(store: ObjectStore) -> bool:
    key = _probe_key()
    content = key.encode()
    store.write(key, content)
    found = list(store.list(PROBE_AREA))
    try:
        same = store.read(key) == content
    except ObjectNotFoundError:
        same = False
    expired = datetime.now(UTC) - _PROBE_LIFETIME
    store.delete([key, *(stat.key for stat in found if stat.modified_at < expired)])
    return same and any(stat.key == key for stat in found)


def _fault(store: ObjectStore, key: str, folder: Path) -> str:
    """What the store does wrong; empty where nothing."""

    def write(expected: str | None) -> str | None:
        # Another content each time, and so another etag.
        content = folder / uuid4().hex
        content.write_bytes(content.name.encode())
        try:
            return store.upload_if(key, content, expected)
        except ConflictError:
            return None

    fault = _creation_fault(write) or _replacement_fault(write, store, key)
    if fault:
        return fault
    last = store.stat(key)
    store.delete([key])
    if last is None or write(last.etag):
        return "writes with If-Match where the object was deleted"
    if _winners(write, None) > 1:
        return "lets several writers at once create one object, each with If-None-Match"
    return ""


def _creation_fault(write: _Write) -> str:
    if not write(None):
        return "refuses If-None-Match where there is no object"
    if write(None):
        return "ignores If-None-Match: it writes over an object that is there"
    return ""


def _replacement_fault(write: _Write, store: ObjectStore, key: str) -> str:
    if write(_NO_ETAG):
        return "ignores If-Match: it writes over an object with another etag"
    before = store.stat(key)
    after = write(before.etag) if before else None
    if before is None or after is None:
        return "refuses If-Match with the object's own etag"
    found = store.stat(key)
    if found is None or found.etag != after:
        return "says that it wrote with If-Match, and did not"
    if write(before.etag):
        return "ignores If-Match: it writes over an object with a newer etag"
    if _winners(write, after) > 1:
        return "lets several writers at once replace one object, each with If-Match"
    return ""


def _winners(write: _Write, expected: str | None) -> int:
    """How many of several writers at once are told that they have written."""
    with ThreadPoolExecutor(_CONTENDERS) as pool:
        return sum(etag is not None for etag in pool.map(write, [expected] * _CONTENDERS))
