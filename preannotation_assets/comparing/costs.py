"""What each page of a batch cost, by the rows of the answer store that stand for its chunks."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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


def page_costs(
    batch: OutputsBatch, answered: AnsweredBatch, servers: Mapping[str, int]
) -> defaultdict[PageKey, PageCost]:
    """The cost of every page, all passes and all parts of what was split; nothing of a page without chunks.

    ``servers`` says how many have each model.

    Raises:
        StorageError: the answer store cannot be read.
    """
    requests: dict[PageKey, dict[str, IndexedAnswer]] = defaultdict(dict)
    tokens: dict[PageKey, int] = defaultdict(int)
    models: dict[str, str] = {}
    places = [batch.part_places(part).to_pylist() for part in range(len(batch.spool))]
    keys = {(chunk.part, chunk.row): _page_key(places[chunk.part][chunk.row]) for chunk in batch.rows()}
    for chunk in batch.rows():
        tokens[keys[chunk.part, chunk.row]] += chunk.estimated_tokens
    for asked in answered.passes:
        for chunk in asked.rows():
            new = _rows_of(chunk, asked.template.fingerprint, answered.index, models)
            models |= dict.fromkeys(new, asked.template.model)
            requests[keys[chunk.part, chunk.row]] |= new
    every = {key: answer for of_page in requests.values() for key, answer in of_page.items()}
    rows = {row["request_key"]: row for row in read_answers(batch.store, every).to_pylist()}
    seconds = read_server_seconds(batch.store, batch.layout.answers, every)
    costs = defaultdict(lambda: PageCost(0, 0, 0, 0, 0, 0.0, 0.0))
    for key, of_page in requests.items():
        paid = [rows[each] for each in of_page]
        shared_by = {each: servers[models[each]] for each in of_page}
        costs[key] = _cost(tokens[key], paid, seconds, shared_by, batch.run_id)
    return costs


def _page_key(place: Row) -> PageKey:
    return place["doc_id"], place["page_num"]


def _rows_of(
    chunk: ChunkRow, fingerprint: str, index: AnswerIndex, charged: Collection[str]
) -> dict[str, IndexedAnswer]:
    found = index.rows(chunk_request(chunk, fingerprint))
    return {key: answer for key, answer in found if key not in charged}


def _cost(
    page_tokens: int,
    rows: Sequence[Row],
    seconds: Mapping[str, float],
    shared_by: Mapping[str, int],
    run_id: str,
) -> PageCost:
    # Of a salvaged answer nothing is known by itself: what it took is told of the request that was cut off.
    paid = [row for row in rows if row["reason"] != SALVAGED]
    asked = sum(row["run_id"] == run_id for row in paid)
    taken = {row["request_key"]: seconds.get(row["request_key"]) for row in paid}
    return PageCost(
        page_tokens=page_tokens,
        asked=asked,
        found=len(paid) - asked,
        prompt_tokens=_sum(row["prompt_tokens"] for row in paid),
        answer_tokens=_sum(row["answer_tokens"] for row in paid),
        server_seconds=_sum(taken.values()),
        batch_seconds=_sum(None if value is None else value / shared_by[key] for key, value in taken.items()),
    )


def _sum(values: Iterable[Number | None]) -> Number | None:
    """None where any is unknown."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
