"""From a document to the tokens of an answer: rules, habits, the schema's shape, JSON text.

The text and its qualities depend on the document, the schema and the seed, and on nothing else.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

from preannotation_assets.simulator.entities import EntityKind, find_mentions
from preannotation_assets.simulator.habits import Answer, apply_habits, join_broken_words
from preannotation_assets.simulator.information import informed, is_hard
from preannotation_assets.simulator.layout import Piece, bytewise, spread
from preannotation_assets.simulator.schema import Filled, QuotedText, fill_schema
from preannotation_assets.simulator.settings import Ability, HabitRates
from preannotation_assets.simulator.tokens import split_tokens
from preannotation_assets.simulator.values import JsonObject

__all__ = [
    "AnswerToken",
    "able_answers",
    "answers_to",
    "cut_tokens",
    "fenced",
    "generated_tokens",
    "invalid_json",
    "prose_answer",
    "repeated_characters",
    "repeated_objects",
    "schema_answer",
    "whitespace_answer",
]

_FENCE = "```"
_LOOP = "A.S."
_LOOP_QUALITY = 0.5
_LOOPS_IN_A_QUOTE = 500
_LEAST_TOKENS_OF_A_QUOTE = 2
_LEAST_TOKENS_OF_A_LOOP = 16
_MAP_OF_QUOTES: JsonObject = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """A piece of an answer; ``quality`` is None outside of quotes, else 1 or less where it is wrong.

    ``text`` is empty for a token that holds the first bytes of a character only. ``is_left_out`` says that
    the server takes it out of the text, not out of the log-probabilities.
    """

    text: str
    quality: float | None
    is_left_out: bool = False

    @property
    def shown(self) -> str:
        """What it adds to the text of the reply."""
        return "" if self.is_left_out else self.text


def answers_to(document: str, rates: HabitRates, seed: int) -> list[Answer]:
    """The entities of a document as the stand-in model tells them, in reading order."""
    text = join_broken_words(document)
    return apply_habits(find_mentions(text), text, rates, seed)


def able_answers(document: str, ability: Ability) -> list[Answer]:
    """The same as a model of that ability tells them."""
    text = join_broken_words(document)
    rates = ability.hard if is_hard(text, ability.hard_pages) else ability.easy
    answers = apply_habits(find_mentions(text), text, rates, ability.seed)
    if ability.information is None:
        return answers
    return informed(answers, ability.information, (ability.seed, text))


def schema_answer(
    schema: JsonObject | None,
    answers: Sequence[Answer],
    alphabetises_keys: bool,
    writes_blanks: bool = False,
) -> tuple[AnswerToken, ...]:
    """The tokens of a JSON answer; without a schema it is an object of quotes by kind.

    Raises ``RefusedError`` (400) for a schema that the runner refuses.
    """
    filled = fill_schema(schema if schema is not None else _MAP_OF_QUOTES, answers)
    pieces = _write(_sorted(filled) if alphabetises_keys else filled)
    return cut_tokens(list(spread(pieces) if writes_blanks else pieces))


def prose_answer(answers: Sequence[Answer]) -> tuple[AnswerToken, ...]:
    """The tokens of an answer without a format: a line for each entity, or that there are none."""
    pieces: list[Piece] = []
    for answer in answers:
        pieces.extend([(f"{answer.kind.value}: ", None), (answer.text, answer.quality), ("\n", None)])
    return cut_tokens(pieces or [("No entities.", None)])


def whitespace_answer(count: int) -> tuple[AnswerToken, ...]:
    """An answer of ``count`` tokens that opens an object and then runs on in blanks."""
    return (AnswerToken("{", None), *(AnswerToken("\n", None),) * (count - 1))[:count]


def invalid_json(tokens: Sequence[AnswerToken]) -> tuple[AnswerToken, ...]:
    """The first half of an answer and then a stray bracket: never valid JSON."""
    return (*tokens[: len(tokens) // 2], AnswerToken("]}", None))


def repeated_objects(answers: Sequence[Answer], limit: int) -> list[Answer]:
    """The first answer again and again, for ``limit`` tokens at least, as of a model in a loop."""
    first = answers[0] if answers else Answer(EntityKind.VESSEL_NAME, _LOOP, _LOOP_QUALITY)
    return list(repeat(first, limit // _LEAST_TOKENS_OF_A_QUOTE + 1))


def repeated_characters(answers: Sequence[Answer], text: str, limit: int) -> list[Answer]:
    """Answers that each repeat ``text`` for as long as a quote may be.

    They are enough for ``limit`` tokens where a quote may have 64 characters or more.
    """
    kind = answers[0].kind if answers else EntityKind.VESSEL_NAME
    looped = Answer(kind, text * _LOOPS_IN_A_QUOTE, _LOOP_QUALITY)
    return list(repeat(looped, limit // _LEAST_TOKENS_OF_A_LOOP + 1))


def generated_tokens(tokens: Sequence[AnswerToken]) -> tuple[AnswerToken, ...]:
    """The tokens as they are generated: characters that take several have some without a text before them."""
    generated: list[AnswerToken] = []
    for token in tokens:
        if token.text.isascii():
            generated.append(token)
        else:
            generated.extend(replace(token, text=text) for text in bytewise(token.text))
    return tuple(generated)


def fenced(tokens: Sequence[AnswerToken], preamble: str) -> tuple[AnswerToken, ...]:
    """The tokens behind those of ``preamble``, which are left out of the text; a fence in it is closed."""
    if not preamble:
        return tuple(tokens)
    before = [line for line in preamble.splitlines(keepends=True) if line]
    after = ["\n", _FENCE] if _FENCE in preamble else []
    return (
        *(AnswerToken(text, None, is_left_out=True) for text in before),
        *tokens,
        *(AnswerToken(text, None, is_left_out=True) for text in after),
    )


def _sorted(filled: Filled) -> Filled:
    if isinstance(filled, dict):
        return {name: _sorted(filled[name]) for name in sorted(filled)}
    return [_sorted(item) for item in filled] if isinstance(filled, list) else filled


def _write(filled: Filled) -> Iterator[Piece]:
    if isinstance(filled, QuotedText):
        yield from _write_quote(filled)
    elif isinstance(filled, dict):
        yield "{", None
        for position, (name, value) in enumerate(filled.items()):
            yield ("," if position else "") + json.dumps(name, ensure_ascii=False) + ":", None
            yield from _write(value)
        yield "}", None
    elif isinstance(filled, list):
        yield "[", None
        for position, item in enumerate(filled):
            if position:
                yield ",", None
            yield from _write(item)
        yield "]", None
    else:
        yield json.dumps(filled, ensure_ascii=False, separators=(",", ":")), None


def _write_quote(quote: QuotedText) -> Iterator[Piece]:
    text = json.dumps(quote.value, ensure_ascii=False)
    if isinstance(quote.value, str):
        yield '"', None
        yield text[1:-1], quote.quality
        yield '"', None
    else:
        yield text, quote.quality


def cut_tokens(pieces: Sequence[Piece]) -> tuple[AnswerToken, ...]:
    """Cut a text, given in pieces, into tokens; one that touches a quote has the quote's quality."""
    text = "".join(piece for piece, _ in pieces)
    qualities = [quality for piece, quality in pieces for _ in piece]
    tokens = []
    start = 0
    for token in split_tokens(text):
        touched = [quality for quality in qualities[start : start + len(token)] if quality is not None]
        tokens.append(AnswerToken(token, min(touched, default=None)))
        start += len(token)
    return tuple(tokens)
