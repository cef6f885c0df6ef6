"""How a made-up batch is cut into parts."""

from typing import Final

__all__ = ["PART_ROWS", "part_rows"]

PART_ROWS: Final = 2_000


def part_rows(pages: int) -> list[int]:
    """How many of so many pages are in each part."""
    return [min(PART_ROWS, pages - first) for first in range(0, pages, PART_ROWS)]
