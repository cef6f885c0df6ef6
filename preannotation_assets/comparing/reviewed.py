"""The pages that settings are compared on: those that `preannotate evaluate` would count."""

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from preannotation_assets.errors import BatchError
from preannotation_assets.evaluation.held_out import digest_of
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.evaluation.responses import parse_gold_rule
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.lake import ObjectStore
from preannotation_assets.publishing.evaluation.evaluating import ReviewedPages, find_responses, verified
from preannotation_assets.publishing.evaluation.reading import published_pages
from preannotation_assets.publishing.report.reading import read_batch

__all__ = ["not_learned_from", "read_reviewed_pages"]


def read_reviewed_pages(
    store: ObjectStore, dataset: str, ask_warehouse: Callable[[], pa.Table | None], gold: str
) -> list[ReviewedPage]:
    """Every page with a response that counts, its gold by the rule ``gold``, and what was published of it.

    Raises:
        BatchError: the dataset is not published, or no page of it was reviewed.
        SettingsError: the rule for the gold is none.
        StorageError: the lake cannot be read.
        VerificationError: the published Parquet is not the one that its manifest names.
        WarehouseError: the view of responses cannot be read.
    """
    rule = parse_gold_rule(gold)
    batch = read_batch(store, dataset)
    _, responses = find_responses(store, batch.layout, ask_warehouse)
    walk = ReviewedPages(rule, dict(responses))
    with verified(store, batch) as published:
        pages = list(filter(None, map(walk.of, published_pages(store, batch, published))))
    if not pages:
        raise BatchError(
            f"no page of {dataset} has a response that counts", "preannotate evaluate says which there are"
        )
    return pages


def not_learned_from(pages: Sequence[ReviewedPage], schemes: Iterable[LabelScheme]) -> list[ReviewedPage]:
    """The pages of documents that no example of any of the schemes came from.

    Raises:
        BatchError: there are none.
    """
    learned_from = frozenset[str]().union(*(scheme.learned_from for scheme in schemes))
    left = [page for page in pages if digest_of(page.doc_id) not in learned_from]
    if not left:
        raise BatchError(
            f"all {len(pages)} reviewed page(s) are of documents that examples of a label scheme came from",
            "have pages of other documents reviewed",
        )
    return left
