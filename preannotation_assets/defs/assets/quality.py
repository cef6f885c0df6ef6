"""Numbers by which publications can be compared over time; Dagster plots those that are numbers alone."""

from preannotation_assets.defs.assets.common import MetadataValues
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.manifests import SuggestionsManifest

__all__ = ["quality_numbers", "ratio"]


def quality_numbers(manifest: SuggestionsManifest) -> MetadataValues:
    """Shares from 0 to 1, the mean confidence of rows that have one, spans a page and tokens a suggestion.

    None where there is nothing to divide by, or a server did not count.
    """
    quotes = manifest.quotes_by_outcome
    grounded = sum(quotes.get(each, 0) for each in QuoteOutcome if each.is_grounded)
    failed = len(manifest.failed_pages)
    return {
        "grounded_share": ratio(grounded, sum(quotes.values())),
        "mean_confidence": manifest.mean_confidence,
        "spans_a_page": ratio(manifest.rows, manifest.pages_processed),
        "failed_page_share": ratio(failed, failed + manifest.pages_processed),
        "tokens_a_suggestion": None if manifest.tokens is None else ratio(manifest.tokens, manifest.rows),
    }


def ratio(part: float, whole: float) -> float | None:
    """One divided by the other, always a float, so that all of them are plotted alike; None of nothing."""
    return round(float(part) / whole, 4) if whole else None
