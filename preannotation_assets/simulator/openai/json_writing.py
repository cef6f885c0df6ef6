"""The text of an answer in JSON as a server's grammar makes the model write it."""

import json
import re
from collections.abc import Iterator, Sequence

from preannotation_assets.simulator.answer_text import AnswerToken, cut_tokens
from preannotation_assets.simulator.habits import Answer
from preannotation_assets.simulator.openai.grammar import Grammar
from preannotation_assets.simulator.schema import Filled, QuotedText, fill_schema
from preannotation_assets.simulator.values import JsonObject

__all__ = ["json_answer"]

_ANY_OBJECT: JsonObject = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}
_NOT_IN_BOUNDED = re.compile(r'["\\\r\n]')


def json_answer(grammar: Grammar, answers: Sequence[Answer]) -> tuple[AnswerToken, ...]:
    """The tokens of an answer that keeps to ``grammar`` and carries ``answers``.

    Raises ``RefusedError`` for a schema that only endless values satisfy.
    """
    filled = fill_schema(grammar.schema if grammar.schema is not None else _ANY_OBJECT, answers)
    return cut_tokens(list(_write(filled, grammar)))


def _write(filled: Filled, grammar: Grammar) -> Iterator[tuple[str, float | None]]:
    blank = " " if grammar.is_spaced else ""
    if isinstance(filled, QuotedText):
        yield from _write_quote(filled, grammar)
    elif isinstance(filled, dict):
        yield "{", None
        for position, (name, value) in enumerate(filled.items()):
            comma = f",{blank}" if position else ""
            yield f"{comma}{json.dumps(name, ensure_ascii=False)}:{blank}", None
            yield from _write(value, grammar)
        yield "}", None
    elif isinstance(filled, list):
        yield "[", None
        for position, item in enumerate(filled):
            if position:
                yield f",{blank}", None
            yield from _write(item, grammar)
        yield "]", None
    else:
        yield json.dumps(filled, ensure_ascii=False, separators=(f",{blank}", f":{blank}")), None


def _write_quote(quote: QuotedText, grammar: Grammar) -> Iterator[tuple[str, float | None]]:
    if not isinstance(quote.value, str):
        yield json.dumps(quote.value), quote.quality
        return
    is_cut = grammar.cuts_bounded and quote.is_bounded
    text = _cut(quote.value) if is_cut else json.dumps(quote.value, ensure_ascii=False)[1:-1]
    yield '"', None
    yield text, quote.quality
    yield '"', None


def _cut(text: str) -> str:
    """A string of limited length under xgrammar: it ends before what it cannot hold; nothing is escaped."""
    return next((part for part in _NOT_IN_BOUNDED.split(text) if part), "x")
