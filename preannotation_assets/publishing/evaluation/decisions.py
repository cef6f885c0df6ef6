"""What experts did to each suggestion, as a table in the lake."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from preannotation_assets.contracts import DECISIONS
from preannotation_assets.evaluation.actions import ADDED
from preannotation_assets.evaluation.judging import JudgedPage
from preannotation_assets.evaluation.pages import PageKey
from preannotation_assets.lake import ObjectStore, Row, write_batches
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest

__all__ = ["write_decisions"]

_ROWS_A_BATCH = 5000


def write_decisions(
    store: ObjectStore,
    layout: DatasetLayout,
    pages: Sequence[JudgedPage],
    hashes: Mapping[PageKey, str],
    published: SuggestionsManifest,
) -> None:
    """Replaces the table; ``hashes`` are those of the pages' texts.

    Raises:
        StorageError: the lake cannot be written.
    """
    made_by: dict[str, object] = {"model": published.model, "model_version": published.model_version}
    write_batches(store, layout.decisions, DECISIONS, _batches(pages, hashes, made_by))


def _batches(
    pages: Sequence[JudgedPage], hashes: Mapping[PageKey, str], made_by: dict[str, object]
) -> Iterator[pa.RecordBatch]:
    held: list[Row] = []
    for page in pages:
        key: dict[str, object] = {
            "doc_id": page.doc_id,
            "page_num": page.page_num,
            "text_sha256": hashes[page.doc_id, page.page_num],
        }
        held += [key | row | made_by for row in _rows(page)]
        if len(held) >= _ROWS_A_BATCH:
            yield pa.RecordBatch.from_pylist(held, schema=DECISIONS)
            held = []
    yield pa.RecordBatch.from_pylist(held, schema=DECISIONS)


def _rows(page: JudgedPage) -> Iterator[dict[str, object]]:
    for decision in page.actions.decisions:
        suggestion, gold = decision.suggestion, decision.gold
        yield {
            "action": decision.fate,
            "label": suggestion.label,
            "start": suggestion.start,
            "end": suggestion.end,
            "confidence": suggestion.confidence,
            "gold_label": gold and gold.label,
            "gold_start": gold and gold.start,
            "gold_end": gold and gold.end,
        }
    for mark, loss in zip(page.actions.added, page.losses, strict=True):
        yield {
            "action": ADDED,
            "gold_label": mark.label,
            "gold_start": mark.start,
            "gold_end": mark.end,
            "loss": loss,
        }
