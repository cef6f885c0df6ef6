"""What is told of a dataset, or of documents, that the warehouse does not have."""

from collections.abc import Sequence
from typing import Final

from preannotation_assets.errors import BatchError
from preannotation_assets.publishing.shown_ids import shown_id
from preannotation_assets.visible_text import visible_line
from preannotation_assets.warehouse import Warehouse

__all__ = ["missing_words", "no_pages", "none_of"]

_MOST_NAMED: Final = 10
_QUOTATION_MARKS: Final = ('"', "'")


def no_pages(source: Warehouse, dataset: str) -> BatchError:
    """The error about a dataset without pages; names those that may have been meant.

    Raises:
        WarehouseError: the view cannot be evaluated.
    """
    names = [visible_line(name) for name in source.similar_names(dataset)]
    cure = (
        f"there is {', '.join(names)}"
        if names
        else "check the name of the dataset; preannotate datasets lists all"
    )
    return BatchError(f"the warehouse has no pages of {visible_line(dataset)}", cure)


def none_of(dataset: str, doc_ids: Sequence[str]) -> BatchError:
    """The error about documents of which the dataset has none."""
    return BatchError(
        f"all {len(doc_ids)} doc_ids are not in {visible_line(dataset)}", missing_words(doc_ids)
    )


def missing_words(missing: Sequence[str]) -> str:
    """The first ten ids that were not found, and what in the file may be the reason."""
    named = ", ".join(f"<{shown_id(doc_id)}>" for doc_id in missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    hints = [hint for hint, is_so in _HINTS if any(is_so(doc_id) for doc_id in missing)]
    return f"{named}{more}" + (f" ({'; '.join(hints)})" if hints else "")


def _is_padded(doc_id: str) -> bool:
    return doc_id != doc_id.strip()


def _is_quoted(doc_id: str) -> bool:
    bare = doc_id.strip()
    return bare.startswith(_QUOTATION_MARKS) and bare.endswith(_QUOTATION_MARKS)


def _is_header(doc_id: str) -> bool:
    return doc_id.strip().strip("\"'").split(",")[0].lower() in ("doc_id", "doc_ids", "id")


def _has_columns(doc_id: str) -> bool:
    return "," in doc_id or "\t" in doc_id.strip()


_HINTS: Final = (
    ("a line is the header of a CSV file", _is_header),
    ("there are blanks before or behind an id, which count", _is_padded),
    ("an id stands in quotation marks, which count", _is_quoted),
    ("a line has several columns; write the doc_id alone", _has_columns),
)
