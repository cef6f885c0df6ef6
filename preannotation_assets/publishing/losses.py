"""What a publication takes away from the one before it, where nothing that was asked has changed. Pure.

The answers of a model that was asked the same about the same pages may differ a little. That most of the
rows are gone has another reason: a server that answers otherwise, a release that finds less, questions that
have no answer any more. A loader clears the pages on which nothing was marked, so this is told, and by
default it stops the publication.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from preannotation_assets.errors import RowsLostError, VerificationError
from preannotation_assets.lake import Row
from preannotation_assets.manifests import Comparison, SuggestionsManifest
from preannotation_assets.publishing.page_walk import PageWalk, WalkedPage

__all__ = [
    "RowComparison",
    "asks_the_same",
    "loss_words",
    "lost_share",
    "require_rows_kept",
]

_MOST: Final = 0.5
_SETTING: Final = "PREANNOTATION_MOST_ROWS_LOST"


@dataclass(slots=True)
class RowComparison:
    """Counts the rows of a publication beside those of the one before, as the pages are walked through."""

    pages: int = 0
    rows_before: int = 0
    rows: int = 0
    pages_emptied: int = 0
    pages_failed: int = 0
    is_readable: bool = True

    def reading(self, earlier: Iterable[Row]) -> Iterator[Row]:
        """The rows of the publication before; where they cannot be read on, they end and nothing is told."""
        try:
            yield from earlier
        except VerificationError:
            self.is_readable = False

    def noting(self, walk: PageWalk) -> PageWalk:
        """Passes the pages on and counts those that had rows before and have the same text now."""
        for walked in walk:
            if walked.page is not None and walked.earlier:
                self._count(walked, walked.page["text_sha256"])
            yield walked

    def _count(self, walked: WalkedPage, text_sha256: str) -> None:
        before, now = (
            sum(row["text_sha256"] == text_sha256 for row in rows) for rows in (walked.earlier, walked.rows)
        )
        if not before:
            return
        self.pages += 1
        self.rows_before += before
        self.rows += now
        if not now:
            self.pages_failed += bool(walked.failed)
            self.pages_emptied += not walked.failed

    def result(self) -> Comparison | None:
        """What was counted; None where there was no such page."""
        if not self.pages or not self.is_readable:
            return None
        return Comparison(
            pages=self.pages,
            rows_before=self.rows_before,
            rows=self.rows,
            pages_emptied=self.pages_emptied,
            pages_failed=self.pages_failed,
        )


def asks_the_same(before: SuggestionsManifest, now: SuggestionsManifest) -> bool:
    """Whether model, prompt and label scheme are those of the publication before, as far as it says."""
    schemes = {before.scheme_version, now.scheme_version} - {None}
    return len(schemes) <= 1 and all(
        getattr(before, name) == getattr(now, name) for name in ("model", "model_version", "prompt_version")
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
