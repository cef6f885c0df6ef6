"""Which chunks ``raw_model_outputs`` asks about a second time: those with an improbable value."""

from dataclasses import dataclass

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.contracts import FIRST_PASS
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.assets.raw_model_outputs.placing import place_part
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.lake import FetchedBytes
from preannotation_assets.lake.layout import part_key
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
    parts, folder = range(len(batch.spool)), batch.new_plan()
    tasks = [
        SelectForSecondPass(
            batch.storage.location(),
            place_part([(FIRST_PASS, batch)], part, index, part_key(folder, part)),
            model_server.second_pass_below,
        )
        for part in parts
    ]
    found = engine.run(tasks, select_for_second_pass)
    doubtful = {part: selected.rows for part, selected in zip(parts, found, strict=True) if selected.rows}
    fetched = sum((part.fetched for part in found), FetchedBytes())
    return SecondPass(batch.second_pass(doubtful) if doubtful else None, fetched)
