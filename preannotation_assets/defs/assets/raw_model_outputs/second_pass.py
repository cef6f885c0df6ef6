"""Which chunks ``raw_model_outputs`` asks about a second time: those with an improbable value."""

from collections import defaultdict
from dataclasses import dataclass

from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer
from preannotation_assets.asking.planning import chunk_request
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.lake import FetchedBytes
from preannotation_assets.tasks.engine import TaskEngine
from preannotation_assets.tasks.select_for_second_pass import SelectForSecondPass, select_for_second_pass

__all__ = ["SecondPass", "second_pass"]


@dataclass(frozen=True, slots=True)
class SecondPass:
    """The chunks to ask about again, at another temperature; None where there are none.

    ``fetched`` is what it took to find them.
    """

    batch: OutputsBatch | None
    fetched: FetchedBytes


def second_pass(
    batch: OutputsBatch, index: AnswerIndex, engine: TaskEngine, model_server: ModelServerResource
) -> SecondPass:
    """Finds the chunks to ask about again; none where the resource does not ask for a second pass.

    Chunks that failed have nothing to compare.
    """
    if model_server.second_pass_below is None:
        return SecondPass(None, FetchedBytes())
    answers: dict[int, dict[int, dict[str, IndexedAnswer]]] = defaultdict(dict)
    for chunk in batch.rows:
        leaves = index.leaves(chunk_request(chunk, batch.template.fingerprint))
        answers[chunk.part][chunk.row] = {request.request_key: answer for request, answer in leaves if answer}
    tasks = [
        SelectForSecondPass(batch.storage.location(), part, by_row, model_server.second_pass_below)
        for part, by_row in answers.items()
    ]
    found = engine.run(tasks, select_for_second_pass)
    doubtful = {(task.part, row) for task, part in zip(tasks, found, strict=True) for row in part.rows}
    fetched = sum((part.fetched for part in found), FetchedBytes())
    return SecondPass(batch.second_pass(doubtful) if doubtful else None, fetched)
