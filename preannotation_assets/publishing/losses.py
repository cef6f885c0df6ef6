"""What a publication takes away from the one before it, where nothing that was asked has changed. Pure.

The answers of a model that was asked the same about the same pages may differ a little. That most of the
rows are gone has another reason: a server that answers otherwise, a release that finds less, questions that
have no answer any more. A loader clears the pages on which nothing was marked, so this is told, and by
default it stops the publication.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.errors import RowsLostError
from preannotation_assets.lake import Row
from preannotation_assets.manifests import Comparison, SuggestionsManifest

__all__ = [
    "EarlierRows",
    "PageText",
    "asks_the_same",
    "compare",
    "loss_words",
    "lost_share",
    "require_rows_kept",
]

PageText = tuple[str, int, str]
"""A page in one version: doc_id, page_num and the hash of its text."""

_MOST: Final = 0.5
_SETTING: Final = "PREANNOTATION_MOST_ROWS_LOST"


@dataclass(frozen=True, slots=True)
class EarlierRows:
    """How many rows each page had in the publication before, and which of these have the same text now."""

    rows: Mapping[PageText, int]
    unchanged: set[PageText] = field(default_factory=set)

    def noting(self, pages: Iterator[Row]) -> Iterator[Row]:
        """Passes the pages of the snapshot on and notes those that had rows before."""
        for page in pages:
            key = page["doc_id"], page["page_num"], page["text_sha256"]
            if key in self.rows:
                self.unchanged.add(key)
            yield page


def asks_the_same(before: SuggestionsManifest, now: SuggestionsManifest) -> bool:
    """Whether model, prompt and label scheme are those of the publication before, as far as it says."""
    schemes = {before.scheme_version, now.scheme_version} - {None}
    return len(schemes) <= 1 and all(
        getattr(before, name) == getattr(now, name) for name in ("model", "model_version", "prompt_version")
    )


def compare(
    before: EarlierRows, now: Mapping[PageText, int], failed: Set[tuple[str, int | None]]
) -> Comparison | None:
    """Counts the rows on the pages whose text is the same; None where there is no such page.

    ``failed`` are the doc_id and page_num of pages that have failed now.
    """
    if not before.unchanged:
        return None
    empty = [key for key in before.unchanged if not now.get(key)]
    failures = sum(key[:2] in failed for key in empty)
    return Comparison(
        pages=len(before.unchanged),
        rows_before=sum(before.rows[key] for key in before.unchanged),
        rows=sum(now.get(key, 0) for key in before.unchanged),
        pages_emptied=len(empty) - failures,
        pages_failed=failures,
    )


def lost_share(comparison: Comparison) -> float:
    """The share of the rows before that is gone; 0 where there are as many, or more."""
    lost = comparison.rows_before - comparison.rows
    return max(0, lost) / comparison.rows_before if comparison.rows_before else 0.0


def loss_words(comparison: Comparison | None) -> str | None:
    """A line where more than half of the rows are gone; None where not, or where nothing can be compared."""
    return _words(comparison) if comparison and lost_share(comparison) > _MOST else None


def _words(comparison: Comparison) -> str:
    return (
        f"of {comparison.rows_before} rows of the publication before {comparison.rows} are left on"
        f" {comparison.pages} pages whose text, model, prompt and label scheme are the same"
        f" ({comparison.pages_emptied} of them have no span any more, {comparison.pages_failed} failed)"
    )


def require_rows_kept(dataset: str, comparison: Comparison | None, most_lost: float) -> None:
    """Makes sure that no more than that share of the rows is lost.

    Raises:
        RowsLostError: more is.
    """
    if comparison is not None and lost_share(comparison) > most_lost:
        raise RowsLostError(
            f"nothing is published for {dataset}, what was published stays: {_words(comparison)}",
            f"look at some pages with preannotate try {dataset}; where it is right,"
            f" {_SETTING}=1 preannotate run {dataset} publishes it, and asks nothing that has an answer",
        )
