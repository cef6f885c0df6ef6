"""Log-probabilities: vLLM's after the grammar's mask, llama.cpp's before it.

vLLM lists the end token and an entry for every token; llama.cpp's server has an empty text for the end
token and joins the parts of a split letter, whose score vLLM spreads over them. Tokens accepted
from drafts score 0.0 in llama.cpp.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from preannotation_assets.simulator.certainty import stated_probability
from preannotation_assets.simulator.chance import fraction
from preannotation_assets.simulator.character_parts import CharacterParts, shown_part
from preannotation_assets.simulator.logprobs import LogprobScale, token_logprob
from preannotation_assets.simulator.openai.chat_prompt import END_TOKEN
from preannotation_assets.simulator.openai.completions import Completion
from preannotation_assets.simulator.openai.settings import Flavour
from preannotation_assets.simulator.tokens import token_id
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["Scorer"]

_MASKED = -9_999.0
_NEARLY_FORCED = -0.02
_ALTERNATIVES = (
    "\n", " ", '"', "}", "the", ",", "a", "]", "I", ".", "1", "of", "in", ":", "-", "The", "and", "s", "S",
    "0", "we",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores the tokens of one answer. ``is_canonical`` says that a token the grammar forces scores 0."""

    flavour: Flavour
    scale: LogprobScale
    top: int
    has_grammar: bool
    is_canonical: bool

    def entries(self, completion: Completion, start: int, end: int) -> JsonValue:
        """The entries of the tokens from ``start`` to before ``end``; the end token is the last of all."""
        if self.flavour is Flavour.LLAMA:
            return list(self._llama(completion, start, end))
        return list(self._vllm(completion, start, end))

    def _vllm(self, completion: Completion, start: int, end: int) -> Iterator[JsonObject]:
        for number in range(start, end):
            if number >= len(completion.tokens):
                yield self._entry(END_TOKEN, self._masked_score(None, END_TOKEN, number))
                continue
            last, parts = _whole(completion, number)
            whole = completion.tokens[last]
            score = self._masked_score(whole.quality, whole.text, last)
            yield self._entry(shown_part(completion.tokens[number].text, self.scale.parts), score / parts)

    def _llama(self, completion: Completion, start: int, end: int) -> Iterator[JsonObject]:
        for number in range(start, end):
            if number >= len(completion.tokens):
                yield self._with_id("", 0.0, -0.01)
                continue
            token = completion.tokens[number]
            if not token.text and self.scale.parts is CharacterParts.WHOLE:
                continue
            if number in completion.drafts:
                yield self._scored(token.text, 0.0, token_id(token.text))
                continue
            score = token_logprob(token.quality, token.text, number, self.scale)
            yield self._with_id(shown_part(token.text, self.scale.parts), score, score)

    def _masked_score(self, quality: float | None, text: str, number: int) -> float:
        """After the mask: what the grammar forces is certain, or nearly so where tokens may be cut anew."""
        chance = fraction(self.scale.seed, "logprob", number, text)
        if quality is not None:
            return math.log(stated_probability(quality, chance, self.scale.has_signal))
        return 0.0 if self.is_canonical else _NEARLY_FORCED * chance

    def _entry(self, text: str, score: float) -> JsonObject:
        entry = self._scored(text, score, None)
        others = [each for each in _ALTERNATIVES if each != text][: max(self.top - 1, 0)]
        own: list[JsonValue] = [self._scored(text, score, None)] if self.top else []
        is_masked = self.has_grammar and score > _NEARLY_FORCED
        entry["top_logprobs"] = [
            *own,
            *(
                self._scored(other, _MASKED if is_masked else score - 1.0 - rank, None)
                for rank, other in enumerate(others)
            ),
        ]
        return entry

    def _with_id(self, text: str, score: float, best: float) -> JsonObject:
        entry = self._scored(text, score, token_id(text))
        others = [each for each in _ALTERNATIVES if each != text][: max(self.top - 1, 0)]
        entry["top_logprobs"] = [
            self._scored(text, score, token_id(text)),
            *(self._scored(other, best - 1.0 - rank, token_id(other)) for rank, other in enumerate(others)),
        ]
        return entry

    def _scored(self, text: str, score: float, identity: int | None) -> JsonObject:
        scored: JsonObject = {} if identity is None else {"id": identity}
        scored.update(token=text, logprob=score, bytes=list(text.encode("utf-8", "replace")))
        return scored


def _whole(completion: Completion, number: int) -> tuple[int, int]:
    """The token that has the letter which token ``number`` is part of, and over how many it is split."""
    tokens = completion.tokens
    last = next((place for place in range(number, len(tokens)) if tokens[place].text), number)
    first = last
    while first > 0 and not tokens[first - 1].text:
        first -= 1
    return last, last - first + 1
