"""The rows of docs/runbook.md, and how a line there stands for what the program says."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["ROWS", "Row", "stands_for"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "runbook.md"
_PLACEHOLDERS: Final = {
    "ADDRESS": r"https?://[\w.:\[\]-]+",
    "DATASET": r"[\w.-]+",
    "MODEL": r"[\w.:/-]+",
    "FILE": r"\S.*?",
    "STORE": r"\S+",
    "RUN": r"[\w-]+",
    "N": r"[\w.,]+",
    "DETAIL": r".+?",
}
_PLACEHOLDER: Final = re.compile(rf"\b({'|'.join(_PLACEHOLDERS)})\b")
_BETWEEN_CELLS: Final = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Row:
    """A case, the line that is said, and what the page advises."""

    case: str
    said: str
    why: str
    cure: str

    @property
    def commands(self) -> list[str]:
        """What is in backticks in the last column."""
        return re.findall(r"`([^`]+)`", self.cure)


def read_rows(page: str) -> list[Row]:
    """Every row of the page's tables, but for their heads."""
    rows = []
    for line in page.splitlines():
        if not line.startswith("| ") or line.startswith("| case |"):
            continue
        case, said, why, cure = (
            cell.strip().replace(r"\|", "|") for cell in _BETWEEN_CELLS.split(line)[1:-1]
        )
        assert said.startswith("`"), line
        assert said.endswith("`"), line
        rows.append(Row(case, said[1:-1], why, cure))
    return rows


def stands_for(said: str, line: str) -> bool:
    """Whether a line of the page is what the program said, with something for each word in capitals."""
    parts = _PLACEHOLDER.split(said)
    pattern = "".join(
        _PLACEHOLDERS[part] if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
    return re.fullmatch(pattern, line) is not None


ROWS: Final = read_rows(PAGE.read_text("utf-8"))
