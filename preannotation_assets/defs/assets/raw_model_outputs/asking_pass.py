"""One pass over the chunks: what is open is asked, and what is known of all of them afterwards."""

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.asking.planning import Survey, survey_chunks
from preannotation_assets.defs.assets.raw_model_outputs.asking import (
    AskingAccount,
    AskingRun,
    ask_what_is_open,
)
from preannotation_assets.defs.assets.raw_model_outputs.collecting import SurveyedPass
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch

__all__ = ["ask_pass", "survey"]


def ask_pass(
    run: AskingRun, number: int, batch: OutputsBatch, index: AnswerIndex, since: int, *, is_warm: bool = False
) -> tuple[AskingAccount | None, SurveyedPass]:
    """Asks about what is open of one pass, and adds to the index what was answered.

    Raises:
        InferenceError: the run was stopped; what was answered is kept.
        StorageError: the lake cannot be read or written.
    """
    before = survey(batch, index)
    account = ask_what_is_open(run, batch, index, before, is_warm=is_warm)
    if account is None:
        return None, SurveyedPass(number, batch, before)
    index.add_folder(batch.store, batch.own_answers, since=since)
    return account, SurveyedPass(number, batch, survey(batch, index))


def survey(batch: OutputsBatch, index: AnswerIndex) -> Survey:
    """What is open of the chunks that a batch means."""
    return survey_chunks(batch.rows(), batch.template.fingerprint, index)
