"""What checks report with: a share with its words, and a table of offenders. Ids and counts only."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetsDefinition,
    MetadataValue,
    PreviewWarning,
    TableColumn,
    TableRecord,
    TableSchema,
)

from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.manifests import FailedPage
from preannotation_assets.publishing.shown_ids import shown_id

__all__ = [
    "FAILURES_ALLOWED",
    "MOST_LISTED",
    "Share",
    "check_specs",
    "failed_page_table",
    "offender_table",
    "share_result",
]

FAILURES_ALLOWED: Final = 0.01
MOST_LISTED: Final = 20
"""How many offenders a check lists."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share, from 0 to 1; None of nothing."""
        return round(self.count / self.total, 4) if self.total else None

    def __str__(self) -> str:
        percent = f" ({self.count / self.total:.1%})" if self.total else ""
        return f"{self.count} of {self.total}{percent}"


def check_specs(asset: AssetsDefinition, descriptions: Mapping[str, str]) -> list[AssetCheckSpec]:
    """One result a check and dataset; without partitions a dataset's failure would be hidden by the next run.

    That checks have partitions is new in Dagster 1.13, which warns that it may change.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        return [
            AssetCheckSpec(name, asset=asset, description=description, partitions_def=DATASETS)
            for name, description in descriptions.items()
        ]


def share_result(
    name: str, share: Share, *, passed: bool, words: str, offenders: MetadataValue | None = None
) -> AssetCheckResult:
    """A warning where it did not pass, with what it means and what to do in ``words``."""
    shown = {} if offenders is None or passed else {"offenders": offenders}
    return AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=AssetCheckSeverity.WARN,
        description=None if passed else words,
        metadata={"count": share.count, "of": share.total, "share": share.value, **shown},
    )


def offender_table(
    columns: Sequence[str], rows: Sequence[Sequence[str | int | float | None]]
) -> MetadataValue:
    """The rows as they may be shown."""
    records = [
        TableRecord(
            {
                column: shown_id(cell) if isinstance(cell, str) else cell
                for column, cell in zip(columns, row, strict=True)
            }
        )
        for row in rows
    ]
    return MetadataValue.table(records, TableSchema([TableColumn(name) for name in columns]))


def failed_page_table(pages: Sequence[FailedPage]) -> MetadataValue:
    """Which pages failed, and why."""
    rows = [(page.doc_id, page.page_num, page.reason) for page in pages[:MOST_LISTED]]
    return offender_table(("doc_id", "page_num", "reason"), rows)
