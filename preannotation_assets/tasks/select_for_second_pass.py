"""Finds the chunks of one part whose answers are doubtful."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.answer_store.index import read_answers
from preannotation_assets.answer_store.placed_requests import read_placed
from preannotation_assets.contracts import AnswerStatus
from preannotation_assets.extraction.consistency import wants_second_pass
from preannotation_assets.extraction.suggesting import value_probabilities
from preannotation_assets.lake import FetchedBytes, StoreLocation, open_store

__all__ = ["DoubtfulRows", "SelectForSecondPass", "select_for_second_pass"]

_SCORED: Final = ("answer", "token_lengths", "token_logprobs", "logprob_source")


@dataclass(frozen=True, slots=True)
class SelectForSecondPass:
    """A part of the chunks, by where the requests are that stand for its chunks (COLLECTING_PLAN).

    An answer is doubtful where the probability of one of its values is less than ``below``.
    """

    location: StoreLocation
    plan_key: str
    below: float


@dataclass(frozen=True, slots=True)
class DoubtfulRows:
    """The rows with a doubtful answer, in order."""

    rows: Sequence[int]
    fetched: FetchedBytes


def select_for_second_pass(task: SelectForSecondPass) -> DoubtfulRows:
    """Reads the answers of one part and judges their values.

    Raises:
        StorageError: the answer store cannot be read.
    """
    store = open_store(task.location)
    placed = read_placed(store, task.plan_key)
    table = read_answers(store, {request.request_key: request.answer for request in placed})
    doubtful = {
        row["request_key"]
        for row in table.select(["request_key", "status", *_SCORED]).to_pylist()
        if row["status"] == AnswerStatus.ANSWERED
        and wants_second_pass(value_probabilities(*(row[name] for name in _SCORED)), task.below)
    }
    rows = sorted({request.row for request in placed if request.request_key in doubtful})
    return DoubtfulRows(rows, store.fetched)
