"""A connection to the warehouse, and what DuckDB says in words that may be shown."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from preannotation_assets.errors import WarehouseError
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.temporary_folders import temporary_folder
from preannotation_assets.visible_text import visible_line

__all__ = ["ROWS_A_BATCH", "batches", "connect", "named_errors", "one_line"]

ROWS_A_BATCH: Final = 1000
_CATALOG: Final = "md_raw_ocr"
_LOCK_WAIT_SECONDS: Final = 10.0
_LOCK_POLL_SECONDS: Final = 0.25
_LONGEST_SAID: Final = 300
# Their messages are about statements and files, not about values.
_TELLING_ERRORS: Final = (
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.IOException,
)
_LOCKED: Final = "Could not set lock on file"
# Words of DuckDB's message, what they mean for the database, and what to do.
_ATTACH_FAULTS: Final = (
    (
        ("Failure while replaying WAL",),
        "was not closed by its last writer, and what it wrote cannot be read without writing",
        'open it once for writing: duckdb "{database}" -c CHECKPOINT, or connect in Python and close it',
    ),
    (
        ("is not a valid DuckDB database",),
        "is no DuckDB database",
        "set PREANNOTATION_DATABASE to one, or to md: for MotherDuck",
    ),
    (
        ("database file with version number",),
        f"was written by a version of DuckDB whose files {duckdb.__version__} cannot read",
        "upgrade the package duckdb, or export the pages there and import them into a new file",
    ),
    (
        ("Corrupt database file", "Could not read enough bytes", "Failed to deserialize"),
        "is damaged",
        "restore it, or copy the pages into a new file",
    ),
    (("Cannot open encrypted database",), "is encrypted", "copy the pages into a file that is not"),
)
_SECRET_OF_AN_ADDRESS: Final = re.compile(r"(?<=//)[^/@\s'\"]+@|(?<=\?)[^\s'\"]+")
# A view in a file could else have DuckDB fetch and load an extension, and with it reach any address.
_NO_EXTENSIONS: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
_TOKEN_VARIABLES: Final = ("motherduck_token", "MOTHERDUCK_TOKEN")


@contextmanager
def connect(
    settings: WarehouseSettings, connection_config: Mapping[str, str]
) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A connection with the database attached read-only, and the name of its catalog; closed at the end.

    Raises:
        WarehouseError: the database cannot be opened.
    """
    with (
        temporary_folder() as spill,
        duckdb.connect(
            config={
                "custom_user_agent": "preannotation_assets",
                "memory_limit": settings.memory_limit,
                # Every thread holds memory of its own, and what reads the rows is one thread.
                "threads": 1,
                "temp_directory": str(spill),
                **({} if settings.database.startswith("md:") else _NO_EXTENSIONS),
                **connection_config,
            }
        ) as connection,
    ):
        # It would be printed among what the command line says.
        connection.execute("SET enable_progress_bar = false")
        yield connection, _attach(connection, settings.database)


def _attach(connection: duckdb.DuckDBPyConnection, database: str) -> str:
    if database.startswith("md:"):
        catalog = database.removeprefix("md:").split("?")[0] or _CATALOG
        if not re.fullmatch(r"\w+", catalog):
            raise WarehouseError("the name of the MotherDuck database is not a plain name", "use md:NAME")
        _attach_motherduck(connection, catalog)
        return catalog
    _require_file(database)
    # With its type: a file of SQLite would have DuckDB download an extension.
    statement = f"ATTACH '{_quoted(database)}' AS {_CATALOG} (TYPE duckdb, READ_ONLY)"
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute(statement)
        except duckdb.Error as error:
            if _LOCKED not in str(error):
                raise _attach_error(database, error) from None
            if time.monotonic() > deadline:
                raise WarehouseError(
                    f"{database} is open for writing elsewhere", _lock_holder(error)
                ) from None
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return _CATALOG


def _attach_error(database: str, error: duckdb.Error) -> WarehouseError:
    said = str(error)
    for words, problem, cure in _ATTACH_FAULTS:
        if any(each in said for each in words):
            return WarehouseError(f"{database} {problem}", cure.format(database=database))
    return WarehouseError(f"{database} cannot be opened as a DuckDB database", one_line(error))


def _attach_motherduck(connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
    tokens = [os.environ[name] for name in _TOKEN_VARIABLES if os.environ.get(name)]
    if not tokens:
        # MotherDuck's client would open a web browser and wait.
        raise WarehouseError("there is no token for MotherDuck", "set motherduck_token")
    try:
        connection.execute(f"ATTACH 'md:{catalog}'")
    except duckdb.Error as error:
        said = one_line(error)
        for token in tokens:
            said = said.replace(token, "…")
        raise WarehouseError(f"MotherDuck's database {catalog} cannot be attached", said) from None


def _require_file(database: str) -> None:
    if not Path(database).is_file():
        raise WarehouseError(
            f"there is no DuckDB file {database}",
            "set PREANNOTATION_DATABASE to one, or to md: for MotherDuck",
        )


@contextmanager
def named_errors(problem: str) -> Iterator[None]:
    """Turns DuckDB's errors into ours. A conversion error quotes the value, so only its kind is told.

    What goes wrong after the first rows reaches us as an error of Arrow's reader.
    """
    try:
        yield
    except _TELLING_ERRORS as error:
        raise WarehouseError(problem, one_line(error)) from None
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if "Out of Memory" in str(error):
            raise WarehouseError(
                problem, "the view needs more memory: raise PREANNOTATION_MEMORY_LIMIT"
            ) from None
        raise WarehouseError(problem, f"DuckDB says {type(error).__name__}") from None


def batches(reader: pa.RecordBatchReader, problem: str) -> Iterator[pa.RecordBatch]:
    """The batches of a reader, with DuckDB's errors as ours that tell the problem."""
    while True:
        with named_errors(problem):
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


def _quoted(path: str) -> str:
    return path.replace("'", "''")


def one_line(error: Exception) -> str:
    """The first line of what DuckDB says, without the secrets that addresses of files may hold."""
    first = str(error).strip().split("\n")[0]
    return visible_line(_SECRET_OF_AN_ADDRESS.sub("\N{HORIZONTAL ELLIPSIS}", first), _LONGEST_SAID)


def _lock_holder(error: Exception) -> str:
    holder = re.search(r"\(PID (\d+)\)", str(error))
    return f"process {holder.group(1)} holds it; close that connection" if holder else "close that connection"
