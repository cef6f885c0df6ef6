"""Log-probabilities of an answer's tokens, as Ollama 0.12.11 and later give them.

They are before the grammar, so that the forced tokens of JSON score very low. With a signal, the
tokens of a quote score by its quality; without one, by chance alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from preannotation_assets.simulator.answer_text import AnswerToken
from preannotation_assets.simulator.certainty import stated_probability
from preannotation_assets.simulator.chance import fraction
from preannotation_assets.simulator.character_parts import CharacterParts, shown_part
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["LogprobScale", "logprob_entries", "token_logprob"]

_FORCED_LEAST, _FORCED_MOST = -14.0, -3.0
_ALTERNATIVES = (
    "\n",
    " ",
    '"',
    "}",
    "the",
    ",",
    "a",
    "]",
    "I",
    ".",
    "1",
    "of",
    "in",
    ":",
    "-",
    "The",
    "and",
    "s",
    "S",
    "0",
)


@dataclass(frozen=True, slots=True)
class LogprobScale:
    """How log-probabilities are drawn and listed: ``has_signal`` says whether wrong quotes score lower."""

    seed: int
    has_signal: bool
    parts: CharacterParts = CharacterParts.WHOLE


def logprob_entries(
    tokens: Sequence[AnswerToken], first: int, top: int, scale: LogprobScale
) -> list[JsonValue]:
    """The entries for ``tokens``, of which the first is number ``first`` of the answer.

    The ``token`` texts joined are the tokens' text. Entries may be fewer than tokens: of a character over
    several tokens only the last has one, with the whole character, unless the parts are listed one by one.
    ``top`` is how many alternatives each entry lists, from 0.
    """
    return [
        _entry(
            shown_part(token.text, scale.parts), token_logprob(token.quality, token.text, number, scale), top
        )
        for number, token in enumerate(tokens, first)
        if token.text or scale.parts is not CharacterParts.WHOLE
    ]


def token_logprob(quality: float | None, text: str, number: int, scale: LogprobScale) -> float:
    """The log-probability of token number ``number`` of an answer, before any grammar."""
    chance = fraction(scale.seed, "logprob", number, text)
    if quality is None:
        return _FORCED_LEAST + (_FORCED_MOST - _FORCED_LEAST) * chance
    return math.log(stated_probability(quality, chance, scale.has_signal))


def _entry(text: str, logprob: float, top: int) -> JsonObject:
    entry = _scored(text, logprob)
    if top:
        others = [each for each in _ALTERNATIVES if each != text][: top - 1]
        entry["top_logprobs"] = [
            _scored(text, logprob),
            *(_scored(other, logprob - 1.0 - rank) for rank, other in enumerate(others)),
        ]
    return entry


def _scored(text: str, logprob: float) -> JsonObject:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "surrogatepass"))}
