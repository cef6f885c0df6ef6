"""Ids and names from outside as a terminal, a log or metadata may show them."""

from collections import Counter
from typing import Final

from preannotation_assets.visible_text import visible_line

__all__ = ["counted", "shown_id", "shown_page"]

_LONGEST: Final = 200


def shown_id(text: str) -> str:
    """A doc_id, span_id, label or reason in one line of at most 200 characters, none of which is obeyed."""
    return visible_line(text, _LONGEST)


def counted(reasons: Counter[str]) -> str:
    """Reasons with their counts, the most frequent first."""
    return ", ".join(f"{count} {shown_id(reason)}" for reason, count in reasons.most_common())


def shown_page(doc_id: str, page_num: int | None) -> str:
    """A page by its document and number."""
    return f"{shown_id(doc_id)} page {page_num}"
