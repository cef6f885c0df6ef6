"""The ways in which a model can be asked to answer; everything that differs between them is here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.extraction.answer_schema import build_answer_schema, build_rated_answer_schema
from preannotation_assets.extraction.answers import write_answer, write_rated_answer

__all__ = ["QUOTES", "RATED_QUOTES", "AnswerFormat", "answer_format"]


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """A format of answers.

    ``version`` is the first part of the prompt's version. ``instructions`` is the file in ``prompts/`` that
    tells the model of the format. ``build_schema`` makes the JSON schema for some labels;
    ``write_example`` writes the answer with some labels and quotes, for few-shot examples.
    """

    version: str
    instructions: str
    build_schema: Callable[[Sequence[str]], dict[str, object]]
    write_example: Callable[[Iterable[tuple[str, str]]], str]


QUOTES: Final = AnswerFormat("spans-2", "spans-2-quotes.txt", build_answer_schema, write_answer)
"""Labels and quotes."""

RATED_QUOTES: Final = AnswerFormat(
    "spans-2-self", "spans-2-self.txt", build_rated_answer_schema, write_rated_answer
)
"""Labels and quotes, and behind each a digit for how sure the model says it is."""


def answer_format(*, self_reported: bool) -> AnswerFormat:
    """The format to ask for: with the model's own word for its confidence, or without."""
    return RATED_QUOTES if self_reported else QUOTES
