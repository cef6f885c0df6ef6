"""Keys that were seen, on disk."""

from typing import Final, Self

from preannotation_assets.lake.local_database import LocalDatabase

__all__ = ["KeySet"]

_KEYS: Final = "CREATE TABLE keys (key TEXT PRIMARY KEY) WITHOUT ROWID"


class KeySet:
    """A set of keys that is not in memory; one thread may use it at a time. A context manager."""

    def __init__(self) -> None:
        """Makes an empty one.

        Raises:
            StorageError: there is no room for temporary files.
        """
        self._database = LocalDatabase(_KEYS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def add(self, key: str) -> bool:
        """Adds a key; whether it was not there before.

        Raises:
            StorageError: there is no room for temporary files.
        """
        return self._database.execute_each("INSERT OR IGNORE INTO keys VALUES (?)", [(key,)]) > 0
