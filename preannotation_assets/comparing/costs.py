"""What each page of a batch cost, by the rows of the answer store that stand for its chunks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, read_answers
from preannotation_assets.answer_store.server_time import read_server_seconds
from preannotation_assets.asking.planning import ChunkRow, chunk_request
from preannotation_assets.comparing.answered_pages import PageCost
from preannotation_assets.contracts import SALVAGED
from preannotation_assets.defs.assets.raw_model_outputs.answering import AnsweredBatch
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.evaluation.pages import PageKey
from preannotation_assets.lake import Row

__all__ = ["page_costs"]

Number = TypeVar("Number", int, float)


def page_costs(batch: OutputsBatch, answered: AnsweredBatch) -> defaultdict[PageKey, PageCost]:
    """The cost of every page, both passes and all parts of what was split; nothing of a page without chunks.

    Raises:
        StorageError: the answer store cannot be read.
    """
    passes = [batch, *([answered.doubtful] if answered.doubtful else [])]
    requests: dict[PageKey, dict[str, IndexedAnswer]] = defaultdict(dict)
    tokens: dict[PageKey, int] = defaultdict(int)
    charged: set[str] = set()
    places = [table.to_pylist() for table in batch.places]
    for asked in passes:
        for chunk in asked.rows:
            place = places[chunk.part][chunk.row]
            key = place["doc_id"], place["page_num"]
            tokens[key] += chunk.estimated_tokens if asked is batch else 0
            new = _rows_of(chunk, asked.template.fingerprint, answered.index, charged)
            charged |= new.keys()
            requests[key] |= new
    every = {key: answer for of_page in requests.values() for key, answer in of_page.items()}
    rows = {row["request_key"]: row for row in read_answers(batch.store, every).to_pylist()}
    seconds = read_server_seconds(batch.store, batch.layout.answers, every)
    costs = defaultdict(lambda: PageCost(0, 0, 0, 0, 0, 0.0))
    for key, of_page in requests.items():
        costs[key] = _cost(tokens[key], [rows[each] for each in of_page], seconds, batch.run_id)
    return costs


def _rows_of(
    chunk: ChunkRow, fingerprint: str, index: AnswerIndex, charged: set[str]
) -> dict[str, IndexedAnswer]:
    found = index.rows(chunk_request(chunk, fingerprint))
    return {key: answer for key, answer in found if key not in charged}


def _cost(page_tokens: int, rows: Sequence[Row], seconds: Mapping[str, float], run_id: str) -> PageCost:
    # Of a salvaged answer nothing is known by itself: what it took is told of the request that was cut off.
    paid = [row for row in rows if row["reason"] != SALVAGED]
    asked = sum(row["run_id"] == run_id for row in paid)
    return PageCost(
        page_tokens=page_tokens,
        asked=asked,
        found=len(paid) - asked,
        prompt_tokens=_sum(row["prompt_tokens"] for row in paid),
        answer_tokens=_sum(row["answer_tokens"] for row in paid),
        server_seconds=_sum(seconds.get(row["request_key"]) for row in paid),
    )


def _sum(values: Iterable[Number | None]) -> Number | None:
    """None where any is unknown."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
