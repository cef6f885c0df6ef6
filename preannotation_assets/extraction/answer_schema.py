"""The JSON schema that an answer must fit.

It keeps to what the grammars of model servers can say; each kind of server has a check of its own for that.
"""

from collections.abc import Sequence
from typing import Final

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.answers import SELF_REPORTED_DIGITS
from preannotation_assets.extraction.delimiting import break_control_tokens
from preannotation_assets.extraction.labels import MOST_QUOTE_CHARACTERS

__all__ = [
    "MOST_ITEMS",
    "MOST_QUOTES_IN_A_LIST",
    "TAKEN_NAMES",
    "build_answer_schema",
    "build_rated_answer_schema",
]

MOST_ITEMS: Final = 800
"""The most objects of an answer."""
MOST_QUOTES_IN_A_LIST: Final = 100
"""The most quotes of one label that may follow one another in one list."""

_DEFINITIONS: Final = "#/$defs/"
# Older converters follow and move these wherever they stand, among the names of properties too.
TAKEN_NAMES: Final = frozenset({"$ref", "$defs"})
"""What JSON schemas call their own; no key of an answer can be called so."""


def build_answer_schema(labels: Sequence[str]) -> dict[str, object]:
    """The schema of ``{"spans":[{LABEL:QUOTE}, {LABEL:[QUOTE, QUOTE]}, ...]}``.

    Every object has one key, because not every server keeps the order of keys (Ollama's jinja path sorts
    them). The quotes are defined once and referred to, so that the grammar holds their bounded repetitions
    once and not once a label.

    Raises:
        LabelSchemeError: a label that the schema cannot express.
    """
    quote = {"$ref": f"{_DEFINITIONS}quote"}
    several = {"type": "array", "minItems": 1, "maxItems": MOST_QUOTES_IN_A_LIST, "items": quote}
    return _build(labels, {"anyOf": [quote, several]})


def build_rated_answer_schema(labels: Sequence[str]) -> dict[str, object]:
    """The schema of ``{"spans":[{LABEL:[QUOTE,DIGIT]}, ...]}``, with a digit from 0 to 9.

    ``prefixItems`` alone is a grammar of exactly that many items (llama.cpp, as above); the bounds say the
    same to everybody else.

    Raises:
        LabelSchemeError: a label that the schema cannot express.
    """
    rated = [{"$ref": f"{_DEFINITIONS}quote"}, {"enum": list(SELF_REPORTED_DIGITS)}]
    return _build(labels, {"type": "array", "prefixItems": rated, "minItems": 2, "maxItems": 2})


def _build(labels: Sequence[str], quotes: dict[str, object]) -> dict[str, object]:
    """The schema in which ``quotes`` is what stands behind a label."""
    _require_names(labels)
    return {
        "type": "object",
        "properties": {
            "spans": {
                "type": "array",
                "maxItems": MOST_ITEMS,
                "items": {"anyOf": [_one_key(label) for label in labels]},
            }
        },
        "required": ["spans"],
        "additionalProperties": False,
        "$defs": {
            "quote": {"type": "string", "minLength": 1, "maxLength": MOST_QUOTE_CHARACTERS},
            "quotes": quotes,
        },
    }


def _require_names(labels: Sequence[str]) -> None:
    for number, label in enumerate(labels, start=1):
        if break_control_tokens(label) != label:
            raise LabelSchemeError(
                f"label {number} holds what a model may read as the end of a message",
                "name it without <...> and [...]",
            )
        if label in TAKEN_NAMES:
            raise LabelSchemeError(
                f"label {number} is called {label}, which JSON schemas use themselves", "give it another name"
            )


def _one_key(label: str) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {label: {"$ref": f"{_DEFINITIONS}quotes"}},
        "required": [label],
        "additionalProperties": False,
    }
