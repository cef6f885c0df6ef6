"""The view of pages, and what is asked of it; the view of responses beside it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from preannotation_assets.errors import WarehouseError
from preannotation_assets.extraction.pages import SourceRow
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.visible_text import visible_line
from preannotation_assets.warehouse.connecting import ROWS_A_BATCH, batches, connect, named_errors, one_line
from preannotation_assets.warehouse.page_order import PAGE_COLUMNS, rows_in_order
from preannotation_assets.warehouse.responses import RESPONSES_VIEW, read_responses

__all__ = ["DatasetSummary", "PageHash", "Warehouse", "open_warehouse"]

_INTEGER_TYPES: Final = frozenset(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
)

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
    with connect(settings, connection_config) as (connection, catalog):
        view = f'"{catalog}".main.vw_argilla_pages'
        _check_columns(connection, view)
        # A column may compare its strings in a way of its own, as COLLATE NOCASE does.
        view = f"(SELECT * REPLACE (doc_id COLLATE C AS doc_id) FROM {view})"  # noqa: S608
        condition = settings.batch_condition or _DEFAULT_CONDITION
        yield Warehouse(connection, catalog, view, condition, settings.dataset_pattern)


class Warehouse:
    """An open connection to the view of pages."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        catalog: str,
        view: str,
        condition: str,
        dataset_pattern: str,
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._view = view
        self._condition = condition
        self._name = "regexp_extract(doc_id, $pattern, 1)" if dataset_pattern else _DEFAULT_NAME
        self._name_parameters = {"pattern": dataset_pattern} if dataset_pattern else {}

    def read_pages(self, dataset: str, doc_ids: Sequence[str] | None = None) -> Iterator[SourceRow]:
        """The rows of a dataset by doc_id and page_num, in one pass over the view (``page_order.py``).

        Raises:
            WarehouseError: the batch condition or the view cannot be evaluated, or a row has no doc_id.
            StorageError: there is no room for a temporary file.
        """
        query = f"SELECT {', '.join(PAGE_COLUMNS)} FROM {self._view} WHERE ({self._condition})"  # noqa: S608
        if doc_ids is not None:
            self._connection.register("wanted_doc_ids", pa.table({"doc_id": pa.array(doc_ids, pa.string())}))
            query += " AND doc_id IN (SELECT wanted.doc_id FROM wanted_doc_ids AS wanted)"
        with named_errors("the pages cannot be read"):
            reader = self._evaluate(query, dataset).to_arrow_reader(ROWS_A_BATCH)
        yield from rows_in_order(batches(reader, "the pages cannot be read"))

    def page_hashes(self, dataset: str) -> Iterator[PageHash]:
        """The rows of a dataset as ``read_pages`` has them, without their texts, in no order.

        Raises:
            WarehouseError: the batch condition or the view cannot be evaluated.
        """
        query = f"SELECT {', '.join(PageHash._fields)} FROM {self._view} WHERE ({self._condition})"  # noqa: S608
        with named_errors("the pages cannot be read"):
            reader = self._evaluate(query, dataset).to_arrow_reader(ROWS_A_BATCH)
        for batch in batches(reader, "the pages cannot be read"):
            columns = [batch.column(name).to_pylist() for name in PageHash._fields]
            for doc_id, page_num, sha256 in zip(*columns, strict=True):
                yield PageHash(doc_id, None if page_num is None else int(page_num), sha256)

    def responses(self, dataset: str) -> pa.Table | None:
        """What experts answered about the pages of a dataset; None where there is no view of responses.

        Raises:
            WarehouseError: the batch condition or the view cannot be evaluated, or lacks a column.
        """
        named = {"catalog": self._catalog, "view": RESPONSES_VIEW}
        query = (
            "SELECT 1 FROM information_schema.tables WHERE lower(table_catalog) = lower($catalog)"
            " AND table_schema = 'main' AND lower(table_name) = $view"
        )
        with named_errors("the views cannot be listed"):
            if self._connection.execute(query, named).fetchone() is None:
                return None
        view = f'"{self._catalog}".main.{RESPONSES_VIEW}'
        return read_responses(lambda query: self._evaluate(query, dataset), view, self._condition)

    def has_pages(self, dataset: str) -> bool:
        """Whether there is any page of a dataset.

        Raises:
            WarehouseError: the batch condition or the view cannot be evaluated.
        """
        query = f"SELECT 1 FROM {self._view} WHERE ({self._condition}) LIMIT 1"  # noqa: S608
        with named_errors("the pages cannot be read"):
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
        with named_errors("the pages cannot be counted"):
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
        with named_errors("the pages cannot be read"):
            rows = self._connection.execute(query, {"dataset": dataset}).fetchall()
        return [name for (name,) in rows]

    def _summaries(self, condition: str, parameters: Mapping[str, str]) -> list[DatasetSummary]:
        query = f"""
            SELECT dataset, count(*), bit_xor(page_hash)::VARCHAR, sum(page_hash::HUGEINT)::VARCHAR
            FROM (SELECT {self._name} AS dataset, {_PAGE_HASH} AS page_hash FROM {self._view})
            WHERE {condition} GROUP BY dataset ORDER BY dataset"""  # noqa: S608
        with named_errors("the datasets cannot be listed"):
            rows = self._connection.execute(query, {**self._name_parameters, **parameters}).fetchall()
        return [DatasetSummary(name, pages, f"{pages}-{xor}-{total}") for name, pages, xor, total in rows]


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
            f"create it as sql/motherduck/PREANNOTATION_SCHEMA.md says; {one_line(error)}",
        ) from None
    types = {name: str(data_type) for name, data_type, *_ in described}
    missing = [name for name in PAGE_COLUMNS if name not in types]
    if missing:
        raise WarehouseError(
            f"the view lacks the column(s) {', '.join(missing)}", "it needs " + ", ".join(PAGE_COLUMNS)
        )
    for name in PAGE_COLUMNS:
        good = types[name] in _INTEGER_TYPES if name == "page_num" else types[name] == "VARCHAR"
        if not good:
            wanted = "an integer" if name == "page_num" else "VARCHAR"
            # The type of an enumeration quotes its values.
            found = visible_line(types[name].partition("(")[0])
            raise WarehouseError(f"the view's column {name} is {found}", f"make it {wanted}")
