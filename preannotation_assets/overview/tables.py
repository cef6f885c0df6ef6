"""An overview of datasets as lines of text: columns for a terminal, tabs for another program."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from preannotation_assets.overview.datasets import DatasetOverview
from preannotation_assets.publishing.shown_ids import shown_id

__all__ = ["aligned", "moment", "overview_cells", "tab_separated"]

_HEAD: Final = ("dataset", "state", "pages", "rows", "failed pages", "published", "in work")
_NUMBERS: Final = frozenset(("pages", "rows", "failed pages"))


def overview_cells(overviews: Iterable[DatasetOverview]) -> list[Sequence[str]]:
    """A row of names, then one a dataset; a cell is empty where there is nothing to be known."""
    return [_HEAD, *map(_cells, overviews)]


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell, two blanks between them, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(_pad, row, widths, cells[0])).rstrip() for row in cells]


def tab_separated(cells: Sequence[Sequence[str]]) -> list[str]:
    """The cells with tabs between them: none holds one, as ids are shown with visible signs only."""
    return ["\t".join(row) for row in cells]


def moment(time: datetime | None) -> str:
    """A time to the minute, as ISO 8601 with its zone; empty where there is none."""
    return time.strftime("%Y-%m-%dT%H:%MZ") if time else ""


def _cells(overview: DatasetOverview) -> Sequence[str]:
    manifest = overview.manifest
    return (
        shown_id(overview.dataset),
        overview.state.value,
        str(overview.pages),
        str(manifest.rows) if manifest else "",
        str(len(manifest.failed_pages)) if manifest else "",
        moment(overview.published_at),
        f"run {shown_id(overview.run_at_work)}" if overview.run_at_work else "",
    )


def _pad(cell: str, width: int, name: str) -> str:
    return cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
