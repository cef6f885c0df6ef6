"""What a request will be answered with, decided before it has a slot: prompt, text, limits, faults."""

from collections.abc import Sequence
from dataclasses import dataclass

from preannotation_assets.simulator.answer_text import (
    AnswerToken,
    able_answers,
    answers_to,
    fenced,
    generated_tokens,
    invalid_json,
    prose_answer,
    schema_answer,
    whitespace_answer,
)
from preannotation_assets.simulator.faults import Fault, FaultRule
from preannotation_assets.simulator.generation import (
    LimitedAnswer,
    give_up_repeats,
    limit_answer,
    output_limit,
)
from preannotation_assets.simulator.loops import told_answers
from preannotation_assets.simulator.prompt import (
    FittedPrompt,
    Prompt,
    cut_prompt,
    document_of,
    fit_prompt,
)
from preannotation_assets.simulator.requests import Endpoint, GenerationRequest
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
        return RunnerDemand(
            self.model.runner_name,
            self.request.options.runner_key,
            self.request.shift,
            self.model.shown_name,
            self.model.has_sliding_window,
        )

    @property
    def is_jinja(self) -> bool:
        """Whether llama-server renders the prompt and reads the answer, and not Ollama."""
        return self.model.is_jinja and self.request.endpoint is Endpoint.CHAT

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

    Only what Ollama renders itself is cut, and only what it reads itself is given up for its repeats. Raises
    ``RefusedError`` (400) for a prompt that is too long and may not be cut, and for a schema that the runner
    refuses.
    """
    request, options = order.request, order.request.options
    if request.truncate and not order.is_jinja:
        fitted = cut_prompt(prompt, options.context, request.shift, abilities.cuts_to_half)
    else:
        fitted = fit_prompt(prompt, options.runner_context)
    thinks = order.model.is_thinking if request.thinks is None else request.thinks
    return Plan(fitted, _THOUGHT if thinks else "", _answer(order, fitted, settings))


def _answer(order: Order, fitted: FittedPrompt, settings: SimulatorSettings) -> LimitedAnswer:
    options, prompt_tokens = order.request.options, len(fitted.tokens)
    limit = output_limit(prompt_tokens, options.runner_context, options.output_limit, order.request.shift)
    tokens = _tokens(order, fitted, settings, limit)
    if order.has(Fault.WHITESPACE):
        tokens = whitespace_answer(limit)
    elif order.has(Fault.INVALID_JSON):
        tokens = invalid_json(tokens)
    elif order.has(Fault.EMPTY_ANSWER):
        tokens = ()
    answer = limit_answer(tokens, limit, options.runner_context - prompt_tokens)
    return answer if order.is_jinja or order.has(Fault.WHITESPACE) else give_up_repeats(answer)


def _tokens(
    order: Order, fitted: FittedPrompt, settings: SimulatorSettings, limit: int
) -> Sequence[AnswerToken]:
    document, ability = document_of(fitted.question), order.model.ability
    found = (
        able_answers(document, ability) if ability else answers_to(document, settings.habits, settings.seed)
    )
    told = told_answers(order.fault.fault if order.fault else None, found, limit)
    answers = rate_answers(told, settings.seed, settings.has_confidence_signal)
    if not order.request.wants_json:
        return generated_tokens(prose_answer(answers))
    model = order.model
    tokens = schema_answer(order.request.schema, answers, order.is_jinja, model.writes_blanks)
    return fenced(generated_tokens(tokens), model.preamble if order.is_jinja else "")
