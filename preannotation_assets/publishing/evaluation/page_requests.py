"""What the requests of single pages took, by the answers that are there now."""

from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS, SALVAGED
from preannotation_assets.evaluation.empty_pages import PageRequests
from preannotation_assets.evaluation.pages import PageKey
from preannotation_assets.lake import ObjectStore, Row
from preannotation_assets.lake.batch import iterate_rows
from preannotation_assets.publishing.aligned_pages import page_key
from preannotation_assets.publishing.report.reading import Batch

__all__ = ["read_page_requests"]

_COLUMNS: Final = (
    "doc_id",
    "page_num",
    "request_key",
    "reason",
    "latency_seconds",
    "queue_seconds",
    "prompt_tokens",
    "answer_tokens",
)


@dataclass(slots=True)
class _Taken:
    requests: int = 0
    tokens: int | None = None
    seconds: float | None = None

    def add(self, row: Row) -> None:
        """Counts a request; what was salvaged is a part of one, which has its tokens and its time."""
        if row["prompt_tokens"] is not None and row["answer_tokens"] is not None:
            self.tokens = (self.tokens or 0) + row["prompt_tokens"] + row["answer_tokens"]
        if row["latency_seconds"] is not None:
            at_work = max(0.0, row["latency_seconds"] - (row["queue_seconds"] or 0.0))
            self.seconds = (self.seconds or 0.0) + at_work
        self.requests += row["reason"] != SALVAGED


def read_page_requests(
    store: ObjectStore, batch: Batch, wanted: Set[PageKey]
) -> dict[PageKey, PageRequests] | None:
    """What the wanted pages took, both passes and parts of split texts; None where no answers are there.

    A request that several pages share counts for the first of them alone. A key is held of each request.

    Raises:
        StorageError: the lake cannot be read.
    """
    if batch.outputs is None:
        return None
    taken: defaultdict[PageKey, _Taken] = defaultdict(_Taken)
    seen: set[str] = set()
    folder = batch.layout.stage("raw_model_outputs", batch.outputs.version)
    for row in iterate_rows(store, folder, len(batch.outputs.part_rows), RAW_MODEL_OUTPUTS, _COLUMNS):
        if row["request_key"] in seen:
            continue
        seen.add(row["request_key"])
        if page_key(row) in wanted:
            taken[page_key(row)].add(row)
    return {key: PageRequests(each.requests, each.tokens, each.seconds) for key, each in taken.items()}
