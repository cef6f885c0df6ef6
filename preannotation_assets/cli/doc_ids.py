"""The documents that a run is narrowed to, in a file."""

from collections.abc import Sequence
from pathlib import Path

from preannotation_assets.errors import SettingsError
from preannotation_assets.warehouse import Warehouse

__all__ = ["has_any", "read_doc_ids"]


def read_doc_ids(path: Path) -> list[str]:
    """The ids in a file, one a line; blank lines do not count.

    Raises:
        SettingsError: the file cannot be read, or holds no id.
    """
    try:
        # Windows programs begin a file with a byte order mark.
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file of doc_ids {path} cannot be read ({type(error).__name__})") from None
    doc_ids = list(dict.fromkeys(line.strip("\r") for line in lines if line.strip()))
    if not doc_ids:
        raise SettingsError(f"the file of doc_ids {path} is empty", "put one doc_id on each line")
    return doc_ids


def has_any(source: Warehouse, dataset: str, doc_ids: Sequence[str]) -> bool:
    """Whether the dataset has a page of any of them; no text is read.

    Raises:
        WarehouseError: the batch condition or the view cannot be evaluated.
    """
    wanted = frozenset(doc_ids)
    return any(page.doc_id in wanted for page in source.page_hashes(dataset))
