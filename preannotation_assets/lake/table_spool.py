"""Tables of this process alone, on disk: what is gone through more than once and need not be in memory."""

import weakref
from contextlib import ExitStack
from typing import Final

import pyarrow as pa

from preannotation_assets.temporary_folders import no_room, temporary_folder

__all__ = ["TableSpool"]

_FILE: Final = "tables.arrow"


class TableSpool:
    """Tables in a temporary file, by number from 0; none is in memory. Dropping it removes the file."""

    def __init__(self) -> None:
        """Makes an empty one.

        Raises:
            StorageError: there is no room for temporary files.
        """
        with ExitStack() as making:
            self._path = str(making.enter_context(temporary_folder()) / _FILE)
            # A file of Arrow's own: nothing of Python's is read or written through.
            self._file = making.enter_context(pa.OSFile(self._path, "wb"))
            weakref.finalize(self, making.pop_all().close)
        self._places: list[int] = []

    def __len__(self) -> int:
        return len(self._places)

    def append(self, table: pa.Table) -> None:
        """Adds a table.

        Raises:
            StorageError: there is no room for it.
        """
        try:
            self._places.append(self._file.tell())
            with pa.ipc.new_stream(self._file, table.schema) as stream:
                stream.write_table(table)
        except OSError as error:
            raise no_room(error) from None

    def read(self, number: int) -> pa.Table:
        """The table of that number."""
        with pa.OSFile(self._path, "rb") as file:
            file.seek(self._places[number])
            with pa.ipc.open_stream(file) as stream:
                return stream.read_all()
