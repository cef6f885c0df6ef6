"""The warehouse: pages from MotherDuck or from a local DuckDB file, read only. Without Dagster."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from preannotation_assets.errors import WarehouseError
from preannotation_assets.extraction.pages import SourceRow
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.temporary_folders import temporary_folder
from preannotation_assets.visible_text import visible_line

__all__ = ["DatasetSummary", "PageHash", "Warehouse", "open_warehouse"]

_CATALOG: Final = "md_raw_ocr"
_LOCK_WAIT_SECONDS: Final = 10.0
_LOCK_POLL_SECONDS: Final = 0.25
_ROWS_A_BATCH: Final = 1000
_LONGEST_SAID: Final = 300
_INTEGER_TYPES: Final = frozenset(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
)
_COLUMNS: Final = ("doc_id", "page_num", "text", "text_sha256")
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

# Where a doc_id has a /, what stands before it is the dataset: vessels_ocr_1 must not take in
# vessels_ocr_1_march/a. Where it has none, the dataset ends before something that cannot be the rest of a
# longer name: vessels_ocr_1 takes in vessels_ocr_1-a and not vessels_ocr_10.
_DEFAULT_CONDITION: Final = (
    "doc_id = $dataset OR starts_with(doc_id, $dataset || '/') OR "
    "(NOT contains(doc_id, '/') AND starts_with(doc_id, $dataset) AND "
    r"regexp_matches(substr(doc_id, length($dataset) + 1, 1), '^[^\p{L}\p{N}]$', 's'))"
)
_DEFAULT_NAME: Final = (
    "CASE WHEN NOT starts_with(doc_id, 'vessels_ocr_') THEN '' "
    "WHEN contains(doc_id, '/') THEN split_part(doc_id, '/', 1) "
    r"ELSE regexp_extract(doc_id, '^(vessels_ocr_[\p{L}\p{N}]+)', 1) END"
)
# Of digits of an MD5, which is the same in every version of DuckDB; its hash() is not.
_PAGE_HASH: Final = "md5_number_lower(concat_ws(chr(31), doc_id, page_num, text_sha256))"
_ALIKE: Final = 0.9
_MOST_ALIKE: Final = 5


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset the view holds. ``fingerprint`` changes when any of its pages does."""

    dataset: str
    pages: int
    fingerprint: str


class PageHash(NamedTuple):
    """A row of the view without its text; what is None is missing there."""

    doc_id: str | None
    page_num: int | None
    text_sha256: str | None


@contextmanager
def open_warehouse(
    settings: WarehouseSettings, connection_config: Mapping[str, str] = MappingProxyType({})
) -> Iterator["Warehouse"]:
    """A connection with the pages attached read-only; closed at the end.

    ``connection_config`` holds any other options of DuckDB. Of a file, no extension is loaded that does not
    come with DuckDB, unless it says so; MotherDuck's client is one.

    Raises:
        WarehouseError: the database, the view or one of its columns is not as it must be.
    """
    with (
        temporary_folder() as spill,
        duckdb.connect(
            config={
                "custom_user_agent": "preannotation_assets",
                "memory_limit": settings.memory_limit,
                # Every thread pins memory of its own while sorting: with 4 of them 1 GB is too little
                # for a million pages of 3 kB, with one 0.6 GB is enough, and it is no slower.
                "threads": 1,
                "temp_directory": str(spill),
                **({} if settings.database.startswith("md:") else _NO_EXTENSIONS),
                **connection_config,
            }
        ) as connection,
    ):
        # It would be printed among what the command line says.
        connection.execute("SET enable_progress_bar = false")
        view = f'"{_attach(connection, settings.database)}".main.vw_argilla_pages'
        _check_columns(connection, view)
        # A column may compare its strings in a way of its own, as COLLATE NOCASE does.
        view = f"(SELECT * REPLACE (doc_id COLLATE C AS doc_id) FROM {view})"  # noqa: S608
        condition = settings.batch_condition or _DEFAULT_CONDITION
        yield Warehouse(connection, view, condition, settings.dataset_pattern)


class Warehouse:
    """An open connection to the view of pages."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, view: str, condition: str, dataset_pattern: str
    ) -> None:
        self._connection = connection
        self._view = view
        self._condition = condition
        self._name = "regexp_extract(doc_id, $pattern, 1)" if dataset_pattern else _DEFAULT_NAME
        self._name_parameters = {"pattern": dataset_pattern} if dataset_pattern else {}

    def read_pages(self, dataset: str, doc_ids: Sequence[str] | None = None) -> Iterator[SourceRow]:
        """The rows of a dataset, sorted by doc_id and page_num, in one streaming pass.

        Raises:
            WarehouseError: the batch condition or the view cannot be evaluated, or a row has no doc_id.
        """
        selection = f"SELECT {', '.join(_COLUMNS)} FROM {self._view} WHERE ({self._condition})"  # noqa: S608
        if doc_ids is not None:
            self._connection.register("wanted_doc_ids", pa.table({"doc_id": pa.array(doc_ids, pa.string())}))
            selection += " AND doc_id IN (SELECT wanted.doc_id FROM wanted_doc_ids AS wanted)"
        query = f"{selection} ORDER BY doc_id, page_num"
        with _named_errors("the pages cannot be read"):
            reader = self._evaluate(query, dataset).to_arrow_reader(_ROWS_A_BATCH)
        for batch in _batches(reader):
            yield from _source_rows(batch)

    def page_hashes(self, dataset: str) -> Iterator[PageHash]:
        """The rows of a dataset as ``read_pages`` has them, without their texts, in no order.

        Raises:
            WarehouseError: the batch condition or the view cannot be evaluated.
        """
        query = f"SELECT {', '.join(PageHash._fields)} FROM {self._view} WHERE ({self._condition})"  # noqa: S608
        with _named_errors("the pages cannot be read"):
            reader = self._evaluate(query, dataset).to_arrow_reader(_ROWS_A_BATCH)
        for batch in _batches(reader):
            columns = [batch.column(name).to_pylist() for name in PageHash._fields]
            for doc_id, page_num, sha256 in zip(*columns, strict=True):
                yield PageHash(doc_id, None if page_num is None else int(page_num), sha256)

    def has_pages(self, dataset: str) -> bool:
        """Whether there is any page of a dataset.

        Raises:
            WarehouseError: the batch condition or the view cannot be evaluated.
        """
        query = f"SELECT 1 FROM {self._view} WHERE ({self._condition}) LIMIT 1"  # noqa: S608
        with _named_errors("the pages cannot be read"):
            return self._evaluate(query, dataset).fetchone() is not None

    def _evaluate(self, query: str, dataset: str) -> duckdb.DuckDBPyConnection:
        """Runs a query with the batch condition, which must not end it and begin another statement."""
        statements = self._connection.extract_statements(query)
        if len(statements) != 1:
            raise WarehouseError(
                "the batch condition is more than a condition", "write one SQL expression over doc_id"
            )
        # DuckDB refuses a parameter that the query does not use.
        parameters = {"dataset": dataset} if "$dataset" in self._condition else {}
        return self._connection.execute(statements[0], parameters)

    def list_datasets(self) -> list[DatasetSummary]:
        """The datasets of the view, by the dataset pattern.

        The fingerprint is made of ids and text hashes: no text is read.

        Raises:
            WarehouseError: the pattern or the view cannot be evaluated.
        """
        return self._summaries("dataset <> ''", {})

    def find_dataset(self, dataset: str) -> DatasetSummary | None:
        """One dataset as ``list_datasets`` has it; None where that does not list it.

        Raises:
            WarehouseError: the pattern or the view cannot be evaluated.
        """
        found = self._summaries("dataset = $wanted AND dataset <> ''", {"wanted": dataset})
        return found[0] if found else None

    def probe(self) -> str:
        """Something that differs where pages came or went; of a table it costs next to nothing.

        Raises:
            WarehouseError: the view cannot be evaluated.
        """
        with _named_errors("the pages cannot be counted"):
            row = self._connection.execute(f"SELECT count(*) FROM {self._view}").fetchone()  # noqa: S608
        return str(row[0]) if row else ""

    def similar_names(self, dataset: str) -> list[str]:
        """What the first parts of doc_ids are called that begin like a dataset, or are spelt much like it.

        Raises:
            WarehouseError: the view cannot be evaluated.
        """
        query = f"""
            SELECT name FROM (SELECT DISTINCT split_part(doc_id, '/', 1) AS name FROM {self._view})
            WHERE starts_with(name, $dataset) OR jaro_winkler_similarity(name, $dataset) > {_ALIKE}
            ORDER BY jaro_winkler_similarity(name, $dataset) DESC, name LIMIT {_MOST_ALIKE}"""  # noqa: S608
        with _named_errors("the pages cannot be read"):
            rows = self._connection.execute(query, {"dataset": dataset}).fetchall()
        return [name for (name,) in rows]

    def _summaries(self, condition: str, parameters: Mapping[str, str]) -> list[DatasetSummary]:
        query = f"""
            SELECT dataset, count(*), bit_xor(page_hash)::VARCHAR, sum(page_hash::HUGEINT)::VARCHAR
            FROM (SELECT {self._name} AS dataset, {_PAGE_HASH} AS page_hash FROM {self._view})
            WHERE {condition} GROUP BY dataset ORDER BY dataset"""  # noqa: S608
        with _named_errors("the datasets cannot be listed"):
            rows = self._connection.execute(query, {**self._name_parameters, **parameters}).fetchall()
        return [DatasetSummary(name, pages, f"{pages}-{xor}-{total}") for name, pages, xor, total in rows]


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
    return WarehouseError(f"{database} cannot be opened as a DuckDB database", _one_line(error))


def _attach_motherduck(connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
    tokens = [os.environ[name] for name in _TOKEN_VARIABLES if os.environ.get(name)]
    if not tokens:
        # MotherDuck's client would open a web browser and wait.
        raise WarehouseError("there is no token for MotherDuck", "set motherduck_token")
    try:
        connection.execute(f"ATTACH 'md:{catalog}'")
    except duckdb.Error as error:
        said = _one_line(error)
        for token in tokens:
            said = said.replace(token, "…")
        raise WarehouseError(f"MotherDuck's database {catalog} cannot be attached", said) from None


def _require_file(database: str) -> None:
    if not Path(database).is_file():
        raise WarehouseError(
            f"there is no DuckDB file {database}",
            "set PREANNOTATION_DATABASE to one, or to md: for MotherDuck",
        )


def _check_columns(connection: duckdb.DuckDBPyConnection, view: str) -> None:
    try:
        described = connection.execute(f"DESCRIBE {view}").fetchall()
    except duckdb.Error as error:
        if "requires the extension" in str(error):
            # Without DuckDB's words: they repeat the address, which may be a signed one.
            raise WarehouseError(
                "the view needs an extension of DuckDB, such as one that reads over the network",
                "let it read tables, or files of this machine",
            ) from None
        raise WarehouseError(
            f"there is no usable view {view.replace(chr(34), '')}",
            f"create it as sql/motherduck/PREANNOTATION_SCHEMA.md says; {_one_line(error)}",
        ) from None
    types = {name: str(data_type) for name, data_type, *_ in described}
    missing = [name for name in _COLUMNS if name not in types]
    if missing:
        raise WarehouseError(
            f"the view lacks the column(s) {', '.join(missing)}", "it needs " + ", ".join(_COLUMNS)
        )
    for name in _COLUMNS:
        good = types[name] in _INTEGER_TYPES if name == "page_num" else types[name] == "VARCHAR"
        if not good:
            wanted = "an integer" if name == "page_num" else "VARCHAR"
            # The type of an enumeration quotes its values.
            found = visible_line(types[name].partition("(")[0])
            raise WarehouseError(f"the view's column {name} is {found}", f"make it {wanted}")


@contextmanager
def _named_errors(problem: str) -> Iterator[None]:
    """Turns DuckDB's errors into ours. A conversion error quotes the value, so only its kind is told.

    What goes wrong after the first rows reaches us as an error of Arrow's reader.
    """
    try:
        yield
    except _TELLING_ERRORS as error:
        raise WarehouseError(problem, _one_line(error)) from None
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if "Out of Memory" in str(error):
            raise WarehouseError(problem, "sorting needs more than the warehouse's memory_limit") from None
        raise WarehouseError(problem, f"DuckDB says {type(error).__name__}") from None


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        with _named_errors("the pages cannot be read"):
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


def _source_rows(batch: pa.RecordBatch) -> Iterator[SourceRow]:
    columns = [batch.column(name).to_pylist() for name in _COLUMNS]
    for doc_id, page_num, text, sha256 in zip(*columns, strict=True):
        if doc_id is None:
            raise WarehouseError(
                "the batch has a row without a doc_id", "leave it out of the view or of the batch condition"
            )
        # HUGEINT comes as a decimal.
        yield SourceRow(doc_id, None if page_num is None else int(page_num), text, sha256)


def _quoted(path: str) -> str:
    return path.replace("'", "''")


def _one_line(error: Exception) -> str:
    """The first line of what DuckDB says, without the secrets that addresses of files may hold."""
    first = str(error).strip().split("\n")[0]
    return visible_line(_SECRET_OF_AN_ADDRESS.sub("\N{HORIZONTAL ELLIPSIS}", first), _LONGEST_SAID)


def _lock_holder(error: Exception) -> str:
    holder = re.search(r"\(PID (\d+)\)", str(error))
    return f"process {holder.group(1)} holds it; close that connection" if holder else "close that connection"
