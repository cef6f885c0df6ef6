"""The warehouse as a Dagster resource."""

from collections.abc import Iterator
from contextlib import contextmanager

from dagster_duckdb import DuckDBResource
from pydantic import Field

from preannotation_assets.warehouse import (
    DEFAULT_DATASET_PATTERN,
    DEFAULT_MEMORY_LIMIT,
    Warehouse,
    open_warehouse,
)

__all__ = ["WarehouseResource"]


class WarehouseResource(DuckDBResource):
    """Where the pages come from: a DuckDB file, or MotherDuck by ``md:`` (token: ``motherduck_token``).

    dagster-duckdb's own connection opens the database for writing and retries a wrong path for 100 s,
    so this one attaches it read-only to an empty in-memory database.
    """

    batch_condition: str = Field(
        default="",
        description="SQL over doc_id that says which pages are of the batch $dataset; empty for the default.",
    )
    dataset_pattern: str = Field(
        default=DEFAULT_DATASET_PATTERN,
        description="A regular expression (RE2) whose first group is the dataset in a doc_id.",
    )
    memory_limit: str = Field(
        default=DEFAULT_MEMORY_LIMIT, description="What DuckDB may hold before it spills to disk."
    )

    @contextmanager
    def open(self) -> Iterator[Warehouse]:
        """A connection with the pages attached read-only; closed at the end.

        Raises:
            WarehouseError: the database, the view or one of its columns is not as it must be.
        """
        with open_warehouse(
            self.database,
            self.batch_condition,
            self.dataset_pattern,
            self.memory_limit,
            self.connection_config,
        ) as warehouse:
            yield warehouse
