"""Numbers by which publications can be compared over time; Dagster plots those that are numbers alone."""

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS
from preannotation_assets.defs.assets.common import MetadataValues
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake import ObjectStore, read_table, read_table_as
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import RawModelOutputsManifest, SuggestionsManifest

__all__ = ["quality_numbers", "ratio"]

_TOKEN_COLUMNS = ("request_key", "prompt_tokens", "answer_tokens")


def quality_numbers(
    store: ObjectStore,
    manifest: SuggestionsManifest,
    outputs: RawModelOutputsManifest,
    rows_folder: str,
    outputs_folder: str,
) -> MetadataValues:
    """Shares from 0 to 1, the mean confidence of rows that have one, spans a page and tokens a suggestion.

    The tokens are of the answers that are kept, prompts included, each request once. None where there is
    nothing to divide by, or a server did not count.

    Raises:
        StorageError: the lake cannot be read.
    """
    quotes = manifest.quotes_by_outcome
    grounded = sum(quotes.get(each, 0) for each in QuoteOutcome if each.is_grounded)
    failed = len(manifest.failed_pages)
    tokens = _tokens(store, outputs_folder, len(outputs.part_rows))
    return {
        "grounded_share": ratio(grounded, sum(quotes.values())),
        "mean_confidence": _mean_confidence(store, rows_folder),
        "spans_a_page": ratio(manifest.rows, manifest.pages_processed),
        "failed_page_share": ratio(failed, failed + manifest.pages_processed),
        "tokens_a_suggestion": None if tokens is None else ratio(tokens, manifest.rows),
    }


def ratio(part: float, whole: float) -> float | None:
    """One divided by the other, always a float, so that all of them are plotted alike; None of nothing."""
    return round(float(part) / whole, 4) if whole else None


def _mean_confidence(store: ObjectStore, folder: str) -> float | None:
    total, count = 0.0, 0
    for entry in store.list(f"{folder}/"):
        known = [
            value
            for value in read_table(store, entry.key, ("confidence",))["confidence"].to_pylist()
            if value is not None
        ]
        total, count = total + sum(known), count + len(known)
    return ratio(total, count)


def _tokens(store: ObjectStore, folder: str, parts: int) -> int | None:
    by_request: dict[str, int] = {}
    for part in range(parts):
        table = read_table_as(store, part_key(folder, part), RAW_MODEL_OUTPUTS, _TOKEN_COLUMNS)
        for row in table.to_pylist():
            if row["prompt_tokens"] is None or row["answer_tokens"] is None:
                continue
            by_request[row["request_key"]] = row["prompt_tokens"] + row["answer_tokens"]
    return sum(by_request.values()) if by_request else None
