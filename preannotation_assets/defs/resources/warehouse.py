"""The warehouse as a Dagster resource."""

from collections.abc import Iterator
from contextlib import contextmanager

from dagster_duckdb import DuckDBResource

from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.warehouse import Warehouse, open_warehouse

__all__ = ["WarehouseResource"]


class WarehouseResource(WarehouseSettings, DuckDBResource):
    """Where the pages come from: a DuckDB file, or MotherDuck by ``md:`` (token: ``motherduck_token``).

    dagster-duckdb's own connection opens the database for writing and retries a wrong path for 100 s,
    so this one attaches it read-only to an empty in-memory database.
    """

    @contextmanager
    def open(self) -> Iterator[Warehouse]:
        """A connection with the pages attached read-only; closed at the end.

        Raises:
            WarehouseError: the database, the view or one of its columns is not as it must be.
        """
        with open_warehouse(self, self.connection_config) as warehouse:
            yield warehouse
