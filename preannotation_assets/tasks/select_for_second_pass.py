"""Finds the chunks of one part whose answers are doubtful."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.answer_store.index import IndexedAnswer, read_answers
from preannotation_assets.contracts import AnswerStatus
from preannotation_assets.extraction.consistency import wants_second_pass
from preannotation_assets.extraction.suggesting import value_probabilities
from preannotation_assets.lake import FetchedBytes, StoreLocation, open_store

__all__ = ["DoubtfulRows", "SelectForSecondPass", "select_for_second_pass"]

_SCORED: Final = ("answer", "token_lengths", "token_logprobs", "logprob_source")


@dataclass(frozen=True, slots=True)
class SelectForSecondPass:
    """For every row of a part of the chunks, where the answer store keeps its answers, by request key.

    An answer is doubtful where the probability of one of its values is less than ``below``.
    """

    location: StoreLocation
    part: int
    answers: Mapping[int, Mapping[str, IndexedAnswer]]
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
    wanted = {key: answer for answers in task.answers.values() for key, answer in answers.items()}
    store = open_store(task.location)
    table = read_answers(store, wanted)
    doubtful = {
        row["request_key"]
        for row in table.select(["request_key", "status", *_SCORED]).to_pylist()
        if row["status"] == AnswerStatus.ANSWERED
        and wants_second_pass(value_probabilities(*(row[name] for name in _SCORED)), task.below)
    }
    rows = sorted(row for row, answers in task.answers.items() if doubtful & answers.keys())
    return DoubtfulRows(rows, store.fetched)
