"""What a request is answered with: text by the rules, its limit, and the steps it is written in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from preannotation_assets.simulator.answer_text import (
    AnswerToken,
    answers_to,
    cut_tokens,
    generated_tokens,
    invalid_json,
    prose_answer,
    whitespace_answer,
)
from preannotation_assets.simulator.chance import fraction
from preannotation_assets.simulator.faults import Fault, FaultRule
from preannotation_assets.simulator.habits import RIGHT
from preannotation_assets.simulator.loops import MODEL_FAULTS, told_answers
from preannotation_assets.simulator.openai.chat_prompt import ChatPrompt
from preannotation_assets.simulator.openai.grammar import Grammar
from preannotation_assets.simulator.openai.json_writing import json_answer
from preannotation_assets.simulator.openai.settings import OpenAiSettings
from preannotation_assets.simulator.prompt import document_of
from preannotation_assets.simulator.self_reports import rate_answers

__all__ = ["Completion", "Composer", "Demand"]

_MOST_DRAFTED = 8
_SHORTEST_MATCH = 2
_REMEMBERED = 1_024


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked for: the prompt, the grammar (None for free text), the limit in tokens and the seed.

    ``prefix`` is what llama.cpp's server finds already written in a last turn of the assistant.
    """

    prompt: ChatPrompt
    grammar: Grammar | None
    most_tokens: int
    seed: int
    prefix: str
    fault: FaultRule | None

    def has(self, *faults: Fault) -> bool:
        """Whether one of ``faults`` strikes the request."""
        return self.fault is not None and self.fault.fault in faults


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer as far as its limit lets it come.

    ``count`` is completion_tokens: the tokens and, where the answer ended by itself, the end token. A
    letter that is split over tokens is an empty token and then the whole. After step ``i``, from 0,
    ``step_ends[i]`` tokens are there, the end token included. ``drafts`` are the places of tokens that
    were accepted from a draft; ``drafted`` counts all that were drafted.
    """

    tokens: tuple[AnswerToken, ...]
    finish_reason: str
    count: int
    step_ends: Sequence[int]
    drafts: frozenset[int] = frozenset()
    drafted: int = 0

    @property
    def text(self) -> str:
        """What was written."""
        return "".join(token.text for token in self.tokens)

    @property
    def draft_steps(self) -> int:
        """How many steps tried a draft."""
        return sum(1 for place in self.drafts if place - 1 not in self.drafts)

    @property
    def ends_in_letter(self) -> bool:
        """Whether the limit cut a letter that is split over tokens."""
        return bool(self.tokens) and not self.tokens[-1].text


class Composer:
    """Writes the answers of one server; the rules read a text that comes again only once."""

    def __init__(self, settings: OpenAiSettings) -> None:
        """Remember nothing yet."""
        self._settings = settings
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._compose)

    def complete(self, demand: Demand) -> Completion:
        """The answer to a demand."""
        limit = demand.most_tokens
        tokens = self._tokens(demand, limit)
        if len(tokens) < limit:
            limited, reason, count = tokens, "stop", len(tokens) + 1
        else:
            limited, reason, count = tokens[:limit], "length", limit
        plain = Completion(limited, reason, count, range(1, count + 1))
        return _drafted(plain) if self._settings.speculates else plain

    def _tokens(self, demand: Demand, limit: int) -> tuple[AnswerToken, ...]:
        if demand.has(Fault.EMPTY_ANSWER):
            return ()
        if self._runs_on(demand):
            return whitespace_answer(limit)
        question = "" if self._settings.fixed_answer is not None else demand.prompt.question
        told = demand.fault.fault if demand.fault and demand.has(*MODEL_FAULTS) else None
        tokens = self._remembered(question, demand.grammar, demand.seed, told, limit if told else 0)
        if demand.has(Fault.INVALID_JSON):
            return invalid_json(tokens)
        return _continued(tokens, demand.prefix)

    def _runs_on(self, demand: Demand) -> bool:
        """Whether the answer is line breaks without end, which only some grammars allow."""
        if demand.grammar is None or not demand.grammar.runs_on:
            return False
        chance = fraction(demand.seed, "whitespace", demand.prompt.sha256)
        return demand.has(Fault.WHITESPACE) or chance < self._settings.endless_whitespace

    def _compose(
        self, question: str, grammar: Grammar | None, seed: int, fault: Fault | None, limit: int
    ) -> tuple[AnswerToken, ...]:
        """The whole answer; ``limit`` in tokens is what a model in a loop should come to."""
        if self._settings.fixed_answer is not None:
            return generated_tokens(cut_tokens([(self._settings.fixed_answer, RIGHT)]))
        found = answers_to(document_of(question), self._settings.habits, seed)
        told = told_answers(fault, found, limit)
        answers = rate_answers(told, seed, self._settings.has_confidence_signal)
        written = prose_answer(answers) if grammar is None else json_answer(grammar, answers)
        return generated_tokens(written)


def _continued(tokens: tuple[AnswerToken, ...], prefix: str) -> tuple[AnswerToken, ...]:
    """What is left to write where the answer's beginning is there already."""
    start = 0
    left = prefix
    while left and start < len(tokens) and left.startswith(tokens[start].text):
        left = left[len(tokens[start].text) :]
        start += 1
    return tokens if left else tokens[start:]


def _drafted(plain: Completion) -> Completion:
    """The same answer with drafts looked up in the prompt: a quote goes on by itself after two tokens."""
    quoted = [token.quality is not None for token in plain.tokens]
    ends: list[int] = []
    drafts: set[int] = set()
    position = 0
    while position < plain.count:
        is_matched = position >= _SHORTEST_MATCH and all(quoted[position - _SHORTEST_MATCH : position])
        run = 0
        while is_matched and run < _MOST_DRAFTED and position + run < len(quoted) and quoted[position + run]:
            drafts.add(position + run)
            run += 1
        position = min(position + run + 1, plain.count)
        ends.append(position)
    return replace(plain, step_ends=ends, drafts=frozenset(drafts), drafted=len(drafts))
