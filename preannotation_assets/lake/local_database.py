"""A database of this process alone, on disk: what is looked up by key and need not be in memory."""

import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, Final, TypeAlias

from preannotation_assets.temporary_folders import no_room_for, temporary_folder

__all__ = ["LocalDatabase", "Value"]

Value: TypeAlias = str | int | float | None
"""What a column holds."""

_FILE: Final = "keys.sqlite"
_CACHE_KIB: Final = 16 * 1024
_ROWS_AT_ONCE: Final = 1_000


class LocalDatabase:
    """Tables of SQLite in a temporary file, of which at most 16 MiB are in memory.

    It goes with the process, however that ends, so nothing is committed, synced or rolled back. One thread
    may use it at a time. Closing it, or dropping it, removes the file.
    """

    def __init__(self, *tables: str) -> None:
        """Makes it, with the tables that these statements create.

        Raises:
            StorageError: there is no room for temporary files.
        """
        with ExitStack() as making:
            path = making.enter_context(temporary_folder()) / _FILE
            # All that is added is one transaction without an end: what fits into memory is never written.
            connection = sqlite3.connect(path, check_same_thread=False)
            self._connection = making.enter_context(closing(connection))
            for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            for table in tables:
                connection.execute(table)
            self._close = weakref.finalize(self, making.pop_all().close)

    def close(self) -> None:
        """Removes it; a second time does nothing."""
        self._close()

    def execute_each(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        """Does one statement with the values of each row; returns how many rows it changed.

        Raises:
            StorageError: there is no room for what it writes.
        """
        try:
            return self._connection.executemany(statement, rows).rowcount
        except sqlite3.OperationalError as error:
            no_room_for(error.sqlite_errorname).raise_alone()

    def each(self, query: str, values: Sequence[Value] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows that a query finds, one after the other; nothing may be added to their table meanwhile."""
        found = self._connection.execute(query, values)
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            yield from rows

    def rows(self, query: str, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        return self._connection.execute(query, values).fetchall()
