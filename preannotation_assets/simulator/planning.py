"""What a request will be answered with, decided before it has a slot: prompt, text, limits, faults."""

from collections.abc import Sequence
from dataclasses import dataclass

from preannotation_assets.simulator.answer_text import (
    AnswerToken,
    answers_to,
    invalid_json,
    prose_answer,
    schema_answer,
    whitespace_answer,
)
from preannotation_assets.simulator.faults import Fault, FaultRule
from preannotation_assets.simulator.generation import LimitedAnswer, limit_answer, output_limit
from preannotation_assets.simulator.prompt import FittedPrompt, Prompt, document_of, fit_prompt
from preannotation_assets.simulator.requests import GenerationRequest
from preannotation_assets.simulator.runner import RunnerDemand
from preannotation_assets.simulator.self_reports import rate_answers
from preannotation_assets.simulator.settings import SimulatedModel, SimulatorSettings
from preannotation_assets.simulator.versions import Abilities

__all__ = ["Order", "Plan", "plan_answer"]

_THOUGHT = "The rules read the page from its start to its end and list the entities that they find. "


@dataclass(frozen=True, slots=True)
class Order:
    """A checked request with its model and the fault that strikes it, if one does."""

    request: GenerationRequest
    model: SimulatedModel
    fault: FaultRule | None

    @property
    def demand(self) -> RunnerDemand:
        """What must be loaded."""
        return RunnerDemand(self.request.model, self.request.options.runner_key, self.request.shift)

    @property
    def fault_seconds(self) -> float:
        """The real seconds of the fault, 0 without one."""
        return self.fault.seconds if self.fault else 0.0

    def has(self, *faults: Fault) -> bool:
        """Whether one of ``faults`` strikes the request."""
        return self.fault is not None and self.fault.fault in faults


@dataclass(frozen=True, slots=True)
class Plan:
    """The prompt as far as it fits, what the model thinks (maybe nothing), and its answer."""

    fitted: FittedPrompt
    thought: str
    answer: LimitedAnswer


def plan_answer(order: Order, prompt: Prompt, settings: SimulatorSettings, abilities: Abilities) -> Plan:
    """Decide prompt and answer.

    Raises ``RefusedError`` (400) for a prompt that is too long and may not be cut, and for a schema
    that the runner refuses.
    """
    request = order.request
    fitted = fit_prompt(prompt, request.options.context, request.truncate, abilities.cuts_to_half)
    thinks = order.model.is_thinking if request.thinks is None else request.thinks
    return Plan(fitted, _THOUGHT if thinks else "", _answer(order, fitted, settings))


def _answer(order: Order, fitted: FittedPrompt, settings: SimulatorSettings) -> LimitedAnswer:
    options, prompt_tokens = order.request.options, len(fitted.tokens)
    limit = output_limit(prompt_tokens, options.context, options.output_limit, order.request.shift)
    tokens = _tokens(order, fitted, settings)
    if order.has(Fault.WHITESPACE):
        tokens = whitespace_answer(limit)
    elif order.has(Fault.INVALID_JSON):
        tokens = invalid_json(tokens)
    elif order.has(Fault.EMPTY_ANSWER):
        tokens = ()
    return limit_answer(tokens, limit, options.context - prompt_tokens)


def _tokens(order: Order, fitted: FittedPrompt, settings: SimulatorSettings) -> Sequence[AnswerToken]:
    found = answers_to(document_of(fitted.question), settings.habits, settings.seed)
    answers = rate_answers(found, settings.seed, settings.has_confidence_signal)
    if order.request.wants_json:
        return schema_answer(order.request.schema, answers, order.model.alphabetises_keys)
    return prose_answer(answers)
