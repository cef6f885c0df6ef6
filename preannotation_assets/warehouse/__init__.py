"""The warehouse: pages and responses from MotherDuck or a DuckDB file, read only. Without Dagster."""

from preannotation_assets.warehouse.pages import DatasetSummary, PageHash, Warehouse, open_warehouse

__all__ = ["DatasetSummary", "PageHash", "Warehouse", "open_warehouse"]
